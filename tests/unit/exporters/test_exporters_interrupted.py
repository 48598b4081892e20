# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from exporter_samples import EXPORTERS, START, job, manager_of, result
from lxml import etree

from plainbox.exporters import Exporter, Report
from plainbox.session.files import FileOps
from plainbox.session.iolog import IOLogWriter
from plainbox.session.manager import SessionManager
from plainbox.session.metadata import RunningAttempt
from plainbox.session.storage import SessionStorage

WORDS = "was running when the session ended, attempt 2"
Export = Callable[[Exporter, SessionManager], bytes]


@pytest.fixture
def killed(tmp_path: Path) -> SessionManager:
    """A session whose tester died while it ran a job for the second time."""
    manager = manager_of(tmp_path, {job("a"): [result("pass")], job("b"): [result("crash")], job("c"): []})
    assert manager.state is not None
    writer = IOLogWriter(manager.storage.location, "b", 2, files=FileOps(durable=False), background=False)
    writer.write("stdout", b"half way\n")
    writer.tick()
    manager.state.metadata.running = {"b": RunningAttempt(attempt=2, start_time=START, log=writer.path)}
    manager.close()
    return manager


def test_record(killed: SessionManager) -> None:
    """A job that was running has no outcome, needs attention, and its earlier attempts are there."""
    record = Report.of(killed).jobs[1]
    assert (record.id, record.outcome, record.explanation) == ("b", None, WORDS)
    assert record.is_running
    assert record.needs_attention
    assert [(item.attempt, item.outcome) for item in record.history] == [(1, "crash"), (2, None)]
    assert not any(other.is_running for other in Report.of(killed).jobs if other.id != "b")


def test_every_report_says_it(killed: SessionManager, exporter_class: type[Exporter], export: Export) -> None:
    """No report takes an interrupted job for one that was not started."""
    data = export(exporter_class(), killed)
    if exporter_class is EXPORTERS["xlsx"]:
        rows = list(openpyxl.load_workbook(io.BytesIO(data))["Test Results"].iter_rows(values_only=True))
        row = next(row for row in rows if row[8] == "b")
        assert (row[1], row[5], row[7]) == ("interrupted", WORDS, "half way\n")
    else:
        assert WORDS in data.decode()


def test_json(killed: SessionManager, export: Export) -> None:
    """For programs: no outcome, no status, the words as comments, and what was printed until then."""
    document = json.loads(export(EXPORTERS["json"](), killed))
    found = {item["id"]: item for item in document["results"]}
    assert sorted(found) == ["a", "b"]
    assert (found["b"]["outcome"], found["b"]["status"], found["b"]["comments"]) == (None, "none", WORDS)
    assert found["b"]["io_log"] == "half way\n"
    assert document["notes"] == []


def test_junit(killed: SessionManager, export: Export) -> None:
    """Nothing is known yet, so it is neither an error nor a pass."""
    tree = etree.fromstring(export(EXPORTERS["junit"](), killed))
    (case,) = [case for case in tree.iter("testcase") if case.get("name") == "b"]
    assert case.find("skipped").get("message") == WORDS
    assert case.find("error") is None


def test_pages_for_people_have_its_output(killed: SessionManager, export: Export) -> None:
    """The page and the text show what it had printed."""
    assert "half way" in export(EXPORTERS["html"](), killed).decode()
    assert "| half way" in export(EXPORTERS["text"](["with-io-log"]), killed).decode()


def test_sums(killed: SessionManager, export: Export) -> None:
    """What was running is not counted as not started; without such a job that is what the sum is called."""
    assert "3 tests: 1 passed, 2 without a result\n" in export(EXPORTERS["text"](), killed).decode()
    page = export(EXPORTERS["html"](), killed).decode()
    assert "<b>2</b> without a result" in page
    sheet = openpyxl.load_workbook(io.BytesIO(export(EXPORTERS["xlsx"](), killed)))["Summary"]
    assert ("without a result", 2) in list(sheet.iter_rows(values_only=True, max_col=2))
    assert killed.state is not None
    killed.state.metadata.running = {}
    assert "3 tests: 1 crashed, 1 passed, 1 not started\n" in export(EXPORTERS["text"](), killed).decode()


def test_session_that_goes_on(killed: SessionManager) -> None:
    """While somebody runs the session, the job is running and was not interrupted."""
    writer = SessionStorage(killed.storage.location)
    writer.lock()
    try:
        record = Report.of(killed).jobs[1]
    finally:
        writer.close()
    assert record.explanation == "is running, attempt 2"
    assert record.metadata.label == "running"


@pytest.mark.parametrize(
    "attempt",
    [
        RunningAttempt(log="/etc/passwd"),
        RunningAttempt(log="../../secret"),
        RunningAttempt(log="gone"),
    ],
    ids=str,
)
def test_senseless_facts(
    tmp_path: Path, attempt: RunningAttempt, exporter_class: type[Exporter], export: Export
) -> None:
    """What is stored about the attempt may be damaged: the report is made."""
    manager = manager_of(tmp_path, {job("a"): []})
    assert manager.state is not None
    manager.state.metadata.running = {"a": attempt, "unknown": attempt}
    assert export(exporter_class(), manager)
    assert Report.of(manager).jobs[0].is_running
