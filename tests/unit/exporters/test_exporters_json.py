# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from exporter_samples import START, job, manager_of, result, write_log
from hypothesis import given
from hypothesis import strategies as st

import plainbox
from plainbox.exporters.json import JsonExporter
from plainbox.exporters.jsonstream import JsonStream, plain
from plainbox.session.manager import SessionManager
from plainbox.session.result import DiskJobResult
from plainbox.units import CategoryUnit

SAMPLE = Path(__file__).parents[2] / "data" / "submission-1.json"


def _document(manager: SessionManager, *options: str) -> dict[str, Any]:
    stream = io.BytesIO()
    JsonExporter(options).dump_from_session_manager(manager, stream)
    return json.loads(stream.getvalue().decode(), parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def _certification(partial_id: str) -> str:
    return f"com.canonical.certification::{partial_id}"


def _small_session(tmp_path: Path) -> SessionManager:
    """Return the session of the stored sample."""
    tested = job("memory/pattern", _summary='Pattern "A" \\ B', category_id="memory", certification__status="blocker")
    skipped = job("memory/ecc", _summary="Count errors", category_id="memory")
    attached = job("lspci", plugin="attachment", _summary="PCI devices", category_id="memory")
    manager = manager_of(
        tmp_path,
        {
            tested: [
                result("fail", return_code=1, execution_duration=1.5, start_time=START, origin="run"),
                result(
                    "pass",
                    return_code=0,
                    execution_duration=1.25,
                    start_time=START + 2,
                    origin="run",
                    comments="Cold now.",
                    io_log=[(0.0, "stdout", "grün\n".encode()), (0.1, "stderr", b"hm\n")],
                ),
            ],
            skipped: [
                result(
                    "skipped-resource",
                    comments="no such controller",
                    skip_reason={
                        "related_dependencies": [],
                        "related_resources": ["edac.count != '0'"],
                        "related_manifests": [],
                    },
                )
            ],
            attached: [result("pass", io_log=[(0.0, "stdout", b"00:00.0\n"), (0.0, "stderr", b"noise\n")])],
        },
        [CategoryUnit({"id": "memory", "_name": "Memory tests"}), job("wipe", category_id="memory")],
    )
    state = manager.state
    assert state is not None
    state.metadata.title = "Sample"
    state.metadata.test_plan_ids = ["com.example::plan"]
    state.metadata.rejected_jobs = ["wipe", "gone::job"]
    state.metadata.custom_joblist = True
    state.metadata.app_blob = b'{"description": "About it", "launcher": "[launcher]\\nlauncher_version = 1\\n"}'
    for name, record in {
        "package": {"name": "bash", "version": "5.2", "other": "x"},
        "snap": {"name": "core", "revision": "7"},
        "lsb": {"description": "Debian", "codename": "bookworm", "distributor_id": "Debian", "release": "12"},
        "uname": {"release": "6.1.0", "name": "Linux"},
        "dpkg": {"architecture": "amd64"},
        "meminfo": {"total": "1024", "swap": "0"},
        "cpuinfo": {"count": "4", "model": "Z"},
    }.items():
        state.set_resource_list(_certification(name), [record])
    state.system_information = {
        "uname": {"tool_version": "1", "success": True, "outputs": {"payload": {}, "stderr": ""}}
    }
    return manager


def test_sample(tmp_path: Path) -> None:
    """The submission of a fixed session is the stored sample, but for what names this session and version."""
    document = _document(_small_session(tmp_path))
    sample = json.loads(SAMPLE.read_text())
    document["session_id"] = sample["session_id"]
    assert document["origin"].pop("packaging") == {
        "type": document_packaging(),
        "name": "plainbox",
        "version": plainbox.__version__,
    }
    assert document["origin"] == {"name": "Plainbox", "version": plainbox.__version__}
    document["origin"] = sample["origin"]
    assert document == sample


def document_packaging() -> str:
    return "unknown" if "site-packages" in plainbox.__file__ else "source"


def test_results_are_sorted_and_complete(session: SessionManager) -> None:
    """Every job with an outcome is there once, attachments apart, sorted by id."""
    document = _document(session)
    ids = [item["full_id"] for item in document["results"]]
    assert ids == sorted(ids)
    assert "networking/iperf" not in ids
    assert [item["full_id"] for item in document["attachment-results"]] == ["attachments/dmesg", "attachments/lspci"]
    states = session.state.job_state_map.values() if session.state else ()
    assert len(ids) + 2 == sum(state.result.outcome is not None for state in states)


def test_coarse_status_and_exact_outcome(session: SessionManager) -> None:
    """The status is coarse as consumers know it, the outcome exact."""
    found = {item["outcome"]: item["status"] for item in _document(session)["results"]}
    assert found == {
        "pass": "pass",
        "fail": "fail",
        "crash": "fail",
        "skip": "skip",
        "skipped-dependency": "skip",
        "skipped-resource": "skip",
        "skipped-manifest": "skip",
        "not-supported": "skip",
        "not-implemented": "skip",
        "undecided": "skip",
    }


def test_attachment_is_stdout_or_nothing(session: SessionManager) -> None:
    """An attachment is its standard output as it is; one that is no UTF-8 is empty, and a note says so."""
    document = _document(session)
    dmesg, lspci = document["attachment-results"]
    assert lspci["io_log"] == "00:00.0 Host bridge\n00:02.0 VGA compatible controller\n"
    assert dmesg["io_log"] == ""
    assert document["notes"] == ["attachments/dmesg: the output is not UTF-8"]


def test_long_log_is_cut_and_marked(tmp_path: Path) -> None:
    """Of a long log both ends are there, with a note between and a mark beside; max-log-bytes=0 takes all."""
    item = job("a")
    manager = manager_of(tmp_path, {item: [result("pass", io_log=[(0.0, "stdout", b"x" * 300_000)])]})
    (cut,) = _document(manager)["results"]
    assert cut["io_log_truncated"] is True
    assert "37856 bytes of the log are left out here" in cut["io_log"]
    (whole,) = _document(manager, "max-log-bytes=0")["results"]
    assert whole["io_log"] == "x" * 300_000
    assert "io_log_truncated" not in whole
    (short,) = _document(manager, "max-log-bytes=10")["results"]
    assert short["io_log"].startswith("xxxxx\n[...")


def test_log_on_disk_and_log_that_is_gone(tmp_path: Path) -> None:
    """Logs are read from the session's files; one that is gone becomes a note and costs nothing else."""
    kept, gone = job("a"), job("b")
    manager = manager_of(tmp_path, {kept: [], gone: []})
    location = manager.storage.location
    assert manager.state is not None
    reference = write_log(manager, "a", [("stdout", b"here\n")])
    manager.state.update_job_result(kept, DiskJobResult({"outcome": "pass", "log": reference}, location))
    missing = {**reference, "path": "io-logs/missing.iolog"}
    manager.state.update_job_result(gone, DiskJobResult({"outcome": "fail", "log": missing}, location))
    document = _document(manager)
    assert [item["io_log"] for item in document["results"]] == [
        "here\n",
        "[the log cannot be read from here on: the log is gone]\n",
    ]
    assert document["notes"] == ["b: the log is gone"]


def test_documents_of_well_known_attachments(tmp_path: Path) -> None:
    """Attachments of well-known jobs become members: JSON as JSON, texts stripped, bad ones noted."""
    outputs = {
        "dkms_info_json": b'{"dkms": []}',
        "udev_json": b"[{]",
        "modprobe_json": b"\xff",
        "kernel_cmdline_attachment": b"ro quiet\n",
        "info/buildstamp": b"stamp\n",
    }
    jobs = {
        job(name, plugin="attachment"): [result("pass", io_log=[(0.0, "stdout", data)])]
        for name, data in outputs.items()
    }
    manager = manager_of(tmp_path, {_renamed(item): attempts for item, attempts in jobs.items()})
    document = _document(manager)
    assert document["dkms_info"] == {"dkms": []}
    assert document["kernel-cmdline"] == "ro quiet"
    assert document["buildstamp"] == "stamp"
    assert "devices" not in document
    assert "modprobe-info" not in document
    assert [note.partition(":")[0] for note in document["notes"]][:2] == ["devices", "modprobe-info"]


def _renamed(item: Any) -> Any:
    item.__dict__["id"] = _certification(item.partial_id)
    return item


def test_foreign_application_data(tmp_path: Path) -> None:
    """Application data of any form never cost the report."""
    for blob in (
        b"\xff\x00",
        b"[1]",
        b'{"launcher": "no section"}',
        b"[" * 100_000,
        b'{"launcher": {"a": 1, "b": {"c": 2}}}',
    ):
        manager = manager_of(tmp_path / str(len(blob)), {job("a"): [result("pass")]})
        assert manager.state is not None
        manager.state.metadata.app_blob = blob
        document = _document(manager)
        assert document["launcher"] in ({}, {"b": {"c": "2"}})


def test_backslash_and_quotes(tmp_path: Path) -> None:
    """Names come back from the document as they were."""
    name = 'C:\\new "x" </script> \u2028 & é \x01'
    (item,) = _document(manager_of(tmp_path, {job("a", _summary=name): [result("pass")]}))["results"]
    assert item["name"] == name


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), _values, max_size=5), st.lists(st.text(), max_size=4))
def test_stream_is_json(members: dict[str, Any], pieces: list[str]) -> None:
    """What is written in steps parses to what was given."""
    written: list[str] = []
    out = JsonStream(written.append)
    out.open_object()
    out.open_array("items")
    for value in members.values():
        out.item(value)
    out.close()
    out.open_object("members")
    for key, value in members.items():
        out.member(key, value)
    out.close()
    out.text_member("text", pieces)
    out.close()
    assert json.loads("".join(written)) == {
        "items": list(members.values()),
        "members": members,
        "text": "".join(pieces),
    }


def test_what_json_does_not_have() -> None:
    """Values that JSON lacks become what it has; a value that contains itself ends."""
    endless: list[Any] = []
    endless.append(endless)
    assert plain({1: float("nan"), "b": b"\x00", "s": {"x"}, "u": "\ud800", "p": Path("a")}) == {
        "1": None,
        "b": "AA==",
        "s": ["x"],
        "u": "\N{REPLACEMENT CHARACTER}",
        "p": "a",
    }
    assert json.dumps(plain(endless)).count("[") == 64
