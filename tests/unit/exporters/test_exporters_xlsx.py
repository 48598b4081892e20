# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import io
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import attrs
import openpyxl
import pytest
from exporter_samples import job, manager_of, result

from plainbox.errors import ExporterError
from plainbox.exporters import Report
from plainbox.exporters.xlsx import XlsxExporter
from plainbox.session.manager import SessionManager


def _open(manager: SessionManager, *options: str) -> openpyxl.Workbook:
    stream = io.BytesIO()
    XlsxExporter(options).dump_from_session_manager(manager, stream)
    return openpyxl.load_workbook(stream)


def _name_cells(manager: SessionManager) -> list[object]:
    return [row[0].value for row in _open(manager)["Test Results"].iter_rows(min_row=2)]


def test_sheets(session: SessionManager) -> None:
    """The sheets are there in their order, more of them on request."""
    assert _open(session).sheetnames == ["Summary", "Test Results", "Resources"]
    more = _open(session, "with-job-description", "with-text-attachments", "with-summary", "with-sys-info")
    assert more.sheetnames == ["Summary", "Test Results", "Descriptions", "Attachments", "Resources"]
    assert "Host bridge" in {row[1].value: row[2].value for row in more["Attachments"].iter_rows()}["attachments/lspci"]


def test_results_sheet(session: SessionManager) -> None:
    """Rows are grouped by category, the header is frozen and filters, outcomes are coloured."""
    sheet = _open(session)["Test Results"]
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[0] == (
        "Name",
        "Result",
        "Category",
        "Certification status",
        "Duration (s)",
        "Comments",
        "Attempts",
        "Log tail",
        "Id",
    )
    assert sheet.freeze_panes == "B2"
    assert sheet.auto_filter.ref == f"A1:I{len(rows)}"
    categories = [row[2] for row in rows[1:]]
    assert categories == sorted(categories)
    by_id = {row[8]: row for row in rows}
    assert by_id["memory/pattern"][:7] == (
        "Write and verify a pattern over all free memory",
        "failed",
        "Memory tests",
        "blocker",
        62.8,
        "Still the same address after the second attempt.",
        "failed, failed",
    )
    assert by_id["memory/pattern"][7].endswith("read 0x55555557\n")
    colours = {row[1].value: row[1].fill.fgColor.rgb for row in sheet.iter_rows(min_row=2)}
    assert colours["passed"] != colours["failed"] != colours["crashed"]


def test_summary_and_resources(session: SessionManager) -> None:
    """The summary has the facts and the sums, the resources sheet a row for each value."""
    book = _open(session)
    facts = {row[0]: row[1] for row in book["Summary"].iter_rows(values_only=True)}
    assert facts["Laptop acceptance, full run"] is None
    assert "Failed: 1 job failed, 1 job crashed" in facts
    assert facts["Host"] == "bench-07"
    assert facts["Tests"] == 57
    assert facts["failed"] == 1
    resources = list(book["Resources"].iter_rows(values_only=True))
    assert ("mount", 3, "device", "/dev/nvme0n1p3") in resources


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "=cmd|'/c calc'!A1", "{=1}", "0123", "1e5"]
)
def test_text_is_text(tmp_path: Path, text: str) -> None:
    """A text that looks like a formula or a number is the text that it is."""
    manager = manager_of(tmp_path, {job("a", _summary=f"x {text}"): [result("pass", comments=text)]})
    stream = io.BytesIO()
    XlsxExporter().dump_from_session_manager(manager, stream)
    with zipfile.ZipFile(stream) as archive:
        sheets = b"".join(archive.read(name) for name in archive.namelist() if "worksheets/" in name)
    assert b"<f>" not in sheets
    assert b"<hyperlink" not in sheets
    cell = openpyxl.load_workbook(stream)["Test Results"].cell(2, 6)
    assert cell.data_type in ("s", "inlineStr")
    assert cell.value == text.replace("\r", "\n").strip()


def test_rich_text_is_no_markup(tmp_path: Path) -> None:
    """A name that is written like the file format's own rich text does not get into the file as XML."""
    for number, text in enumerate(("<r><t>x</t></r>", "<r><broken></r>", "<r>&nope;</r>")):
        assert _name_cells(manager_of(tmp_path / str(number), {job("a", _summary=text): [result("pass")]})) == [
            text + " "
        ]


@pytest.mark.parametrize("character", ["x", "\U0001f600"])
def test_cell_limit(tmp_path: Path, character: str) -> None:
    """A cell has at most 32767 UTF-16 units and ends where characters end."""
    manager = manager_of(tmp_path, {job("a"): [result("pass", comments=character * 40_000)]})
    value = _open(manager)["Test Results"].cell(2, 6).value
    assert len(value.encode("utf-16-le")) // 2 <= 32767
    assert value.rstrip("…") == character * (len(value) - 1)


def test_log_tail_follows_the_option(tmp_path: Path, export: Callable[..., bytes]) -> None:
    """The log column has the end of the log, as much as is asked for and fits."""
    manager = manager_of(tmp_path, {job("a"): [result("pass", io_log=[(0.0, "stdout", b"a" * 50_000 + b"end")])]})
    lengths = []
    for options in ([], ["max-log-bytes=10"], ["max-log-bytes=0"]):
        value = _open(manager, *options)["Test Results"].cell(2, 8).value
        assert value.startswith("[... ")
        lengths.append(len(value))
    assert lengths[1] < lengths[0] < lengths[2] <= 32767


class _Full(io.BytesIO):
    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_full_disk(tmp_path: Path, session: SessionManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without space it is an error that says so, and no temporary files stay behind."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with pytest.raises(ExporterError, match="No space left"):
        XlsxExporter().dump_from_session_manager(session, _Full())
    assert list(temporary.iterdir()) == []


def test_temporary_files_of_a_failure(tmp_path: Path, session: SessionManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong half way, no temporary files stay behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    report = Report.of(session)
    broken = attrs.evolve(report, resources={"r": [{"key": 5}]})
    with pytest.raises((TypeError, AttributeError)):
        XlsxExporter().dump(broken, io.BytesIO())
    assert list((tmp_path / "tmp").iterdir()) == []
