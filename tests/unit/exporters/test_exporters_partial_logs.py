# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from exporter_samples import EXPORTERS, job, manager_of, result, write_log
from lxml import etree

from plainbox.exporters import Exporter
from plainbox.exporters.logtext import LogText, document_problem
from plainbox.session.manager import SessionManager
from plainbox.session.result import DiskJobResult, MemoryJobResult

Export = Callable[[Exporter, SessionManager], bytes]
WORDS = {
    "incomplete": "a part of the output is lost",
    "truncated": "the output is longer than what was kept of it",
}


def _session(tmp_path: Path, flag: str, plugin: str = "shell", outcome: str = "pass") -> SessionManager:
    item = job("a", plugin=plugin)
    manager = manager_of(tmp_path, {item: [], job("b"): [result("pass")]})
    reference = {**write_log(manager, "a", [("stdout", b"as far as it goes\n")]), flag: True}
    assert manager.state is not None
    manager.state.update_job_result(
        item, DiskJobResult({"outcome": outcome, "log": reference}, manager.storage.location)
    )
    return manager


@pytest.mark.parametrize("flag", WORDS)
@pytest.mark.parametrize("plugin", ["shell", "resource", "attachment"])
def test_every_report_says_it(
    tmp_path: Path, flag: str, plugin: str, exporter_class: type[Exporter], export: Export
) -> None:
    """A job whose log lacks something has a note in every report that has the job."""
    data = export(exporter_class(), _session(tmp_path, flag, plugin))
    if exporter_class is EXPORTERS["xlsx"]:
        cells = [str(cell.value) for sheet in openpyxl.load_workbook(io.BytesIO(data)) for row in sheet for cell in row]
        assert WORDS[flag] in cells
    elif not (exporter_class is EXPORTERS["junit"] and plugin == "attachment"):
        assert WORDS[flag] in data.decode()


@pytest.mark.parametrize("flag", WORDS)
def test_log_ends_with_a_note(flag: str) -> None:
    """What is shown of such a log ends with the note, also when nothing is left of it; a document has none."""
    for limit in (0, 100):
        log = LogText(DiskJobResult({"log": {"path": "x", "frames": 0, flag: True}}), limit)
        assert str(log) == f"[{WORDS[flag]}]\n"
    verbatim = LogText(DiskJobResult({"log": {"path": "x", "frames": 0, flag: True}}), 0, verbatim=True)
    assert str(verbatim) == ""


def test_note_comes_last(tmp_path: Path) -> None:
    """The note comes after the output, on a line of its own."""
    state = _session(tmp_path, "incomplete").state
    assert state is not None
    for limit, kept in (
        (0, "as far as it goes\n"),
        (8, "as f\n[... 10 bytes of the log are left out here ...]\noes\n"),
    ):
        assert str(LogText(state.job_state_map["a"].result, limit)) == f"{kept}[{WORDS['incomplete']}]\n"


def test_part_of_a_document_is_none(tmp_path: Path, export: Export) -> None:
    """An attachment that lacks something is left empty in the submission, with the reason."""
    document = json.loads(export(EXPORTERS["json"](), _session(tmp_path, "truncated", "attachment")))
    (attachment,) = document["attachment-results"]
    assert (attachment["io_log"], attachment["io_log_truncated"]) == ("", True)
    assert document["notes"] == [f"a: {WORDS['truncated']}"]
    assert document_problem(MemoryJobResult({"log_level": 1})) is None


def test_junit_failure(tmp_path: Path, export: Export) -> None:
    """The message of a failure has the note, too."""
    tree = etree.fromstring(export(EXPORTERS["junit"](), _session(tmp_path, "incomplete", outcome="fail")))
    assert tree.find(".//failure").get("message").endswith(WORDS["incomplete"])
