# SPDX-License-Identifier: Apache-2.0
"""Text that wants to be something else, given to every exporter in every place."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from exporter_samples import EXPORTERS, HOSTILE, job, manager_of, result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree, html

from plainbox.exporters.exporter import Exporter
from plainbox.session.manager import SessionManager
from plainbox.session.result import IOLogRecord, JobResult, MemoryJobResult
from plainbox.units import CategoryUnit


def _readable(name: str, data: bytes) -> None:
    """Read a report the way its consumers do."""
    match name:
        case "html":
            page = html.document_fromstring(data.decode())
            assert len(page.xpath("//script")) == 1
            assert not page.xpath("//img")
        case "json":
            assert json.loads(data.decode())["results"]
        case "junit":
            assert etree.fromstring(data, etree.XMLParser(resolve_entities=False)).tag == "testsuites"
        case "text":
            text = data.decode()
            assert not set(text) & set("\x00\x07\x0b\x1b\x7f\x9b")
        case "xlsx":
            openpyxl.load_workbook(io.BytesIO(data))


def _session(tmp_path: Path, text: str) -> SessionManager:
    """Return a session that has the text everywhere where text can be."""
    raw = text.encode("utf-8", "surrogatepass")
    partial_id = text.replace("::", ":").replace("\n", " ") or "x"
    item = job(
        partial_id,
        _summary=text,
        _description=text,
        _purpose=text,
        category_id=f"c{text}",
        template__id=f"t{text}",
    )
    attempts = [
        result("crash", comments=text, io_log=[(0.0, stream, raw) for stream in ("stdout", "stderr", "note")]),
        result(
            "fail",
            comments=text,
            skip_reason={"related_dependencies": [text], "related_resources": [text], "related_manifests": [text]},
            origin=text,
            io_log=[(0.0, stream, raw) for stream in ("stdout", "stderr", "note")],
        ),
    ]
    attached = job("attached", plugin="attachment", _summary=text)
    manager = manager_of(
        tmp_path,
        {item: attempts, attached: [result("pass", io_log=[(0.0, "stdout", raw)])]},
        [CategoryUnit({"id": f"c{text}", "_name": text})],
    )
    state = manager.state
    assert state is not None
    state.metadata.title = text
    state.metadata.test_plan_ids = [text]
    state.metadata.rejected_jobs = [text]
    state.metadata.app_blob = json.dumps({"description": text, "launcher": f"[a]\nb={text}"}).encode()
    state.set_resource_list(f"r{text}", [{text: text}, {"k": text}])
    state.set_resource_list("lsb", [{"description": text}])
    state.set_resource_list("uname", [{"nodename": text}])
    state.system_information = {text: {"outputs": {"payload": {text: text}}}}
    return manager


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("name", EXPORTERS)
def test_hostile_text_everywhere(tmp_path: Path, name: str, text: str, export: Callable[..., bytes]) -> None:
    """A report with hostile text in every place can be read, and it is text there."""
    _readable(name, export(EXPORTERS[name](), _session(tmp_path, text)))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(codec=None, categories=None), max_size=30))
def test_any_text_everywhere(tmp_path_factory: pytest.TempPathFactory, text: str, export: Callable[..., bytes]) -> None:
    """Any text at all, control characters and lone surrogates included, gives reports that can be read."""
    manager = _session(tmp_path_factory.mktemp("session"), text)
    for name, exporter in EXPORTERS.items():
        _readable(name, export(exporter(), manager))


class _LargeResult(JobResult):
    """A result with a log of 32 MB that is made while it is read."""

    __slots__ = ()

    def get_io_log(self) -> Iterator[IOLogRecord]:
        data = b"y" * 79 + b"\n"
        block = data * 800
        return (IOLogRecord(0.0, "stdout", block) for _ in range(500))


class _Discard(io.RawIOBase):
    size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)


@pytest.mark.parametrize("outcome", ["pass", "fail"])
def test_large_log_is_not_held(tmp_path: Path, exporter_class: type[Exporter], outcome: str) -> None:
    """A log of 32 MB passes every exporter in a few megabytes of memory."""
    item = job("a")
    manager = manager_of(tmp_path, {item: []})
    assert manager.state is not None
    small = manager_of(tmp_path / "small", {job("a"): [result(outcome)]})
    exporter_class().dump_from_session_manager(small, io.BytesIO())  # imports and templates
    manager.state.update_job_result(item, _LargeResult({"outcome": outcome}))
    stream = _Discard()
    tracemalloc.start()
    try:
        exporter_class().dump_from_session_manager(manager, stream)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 1024 * 1024
    assert 0 < stream.size < 1024 * 1024


@pytest.mark.parametrize("name", ["json", "html", "junit"])
def test_whole_large_log_is_not_held(tmp_path: Path, name: str) -> None:
    """Also with max-log-bytes=0, when all of the log is written, it is never in memory."""
    item = job("a")
    manager = manager_of(tmp_path, {item: []})
    assert manager.state is not None
    manager.state.update_job_result(item, _LargeResult({"outcome": "fail"}))
    stream = _Discard()
    exporter = EXPORTERS[name](["max-log-bytes=0"])
    exporter.dump_from_session_manager(manager_of(tmp_path / "small", {job("a"): [result("fail")]}), io.BytesIO())
    tracemalloc.start()
    try:
        exporter.dump_from_session_manager(manager, stream)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert stream.size > 32_000_000
    assert peak < 4 * 1024 * 1024


@pytest.mark.parametrize("seconds", [-62_000_000_000, 1e300, -1e300, 1e12, -1e11, 10**40, 253402300800])
@pytest.mark.parametrize("name", EXPORTERS)
def test_times_that_no_calendar_has(tmp_path: Path, name: str, seconds: float, export: Callable[..., bytes]) -> None:
    """A start time that is none is left out, should a result have one; that of another job is shown."""
    kind = type("Timeless", (MemoryJobResult,), {"__slots__": (), "start_time": property(lambda self: seconds)})
    manager = manager_of(
        tmp_path,
        {
            job("a"): [kind({"outcome": "pass", "execution_duration": 1.0})],
            job("b"): [result("pass", start_time=1_790_000_000.0)],
        },
    )
    data = export(EXPORTERS[name](), manager)
    _readable(name, data)
    if name in ("html", "junit", "text"):
        assert b"2026-09-21" in data
