# SPDX-License-Identifier: Apache-2.0
"""The spreadsheet: a summary, one row for each job, the records of the resources.

Cells are written as text and never as formulas or links, whatever they begin with. Rows go to the disk as they are written,
so memory does not grow with the session.
"""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO

import plainbox
from plainbox.errors import ExporterError
from plainbox.exporters.characters import one_line, readable
from plainbox.exporters.exporter import MAX_LOG_BYTES, Exporter
from plainbox.exporters.facts import machine_facts
from plainbox.exporters.logtext import LogText
from plainbox.exporters.phrases import duration, moment, verdict
from plainbox.exporters.record import JobRecord
from plainbox.exporters.report import Report, by_category, counts, label_of_sum
from plainbox.exporters.times import instant

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

__all__ = ["XlsxExporter"]

#: Both limits are Excel's.
_CELL_UNITS = 32767
_ROWS = 1048576
_CUT = "\N{HORIZONTAL ELLIPSIS}"

_RESULT_COLUMNS = (
    ("Name", 60),
    ("Result", 26),
    ("Category", 24),
    ("Certification status", 18),
    ("Duration (s)", 12),
    ("Comments", 50),
    ("Attempts", 22),
    ("Log tail", 80),
    ("Id", 60),
)
_MEASUREMENT_COLUMNS = (
    ("Name", 60),
    ("Measurement", 40),
    ("Value", 16),
    ("Unit", 10),
    ("At least", 12),
    ("At most", 12),
    ("Verdict", 12),
    ("Id", 60),
)
#: Background and text colour by outcome, readable in print.
_TINTS: Mapping[str | None, tuple[str, str]] = {
    "pass": ("#E3F4E1", "#1E5C1A"),
    "fail": ("#FBDDDA", "#8C1C13"),
    "crash": ("#F7D9EC", "#7A1152"),
    "undecided": ("#E9E0FA", "#4B2A93"),
    None: ("#F1F1F1", "#555555"),
}
_SKIPPED_TINT = ("#FFF1D6", "#7A4B00")


class XlsxExporter(Exporter):
    """Options: ``with-job-description`` and ``with-text-attachments`` add a sheet each. The summary and the facts about
    the machine are always there, so ``with-summary`` and ``with-sys-info`` change nothing.
    """

    supported_option_list = (
        "with-sys-info",
        "with-summary",
        "with-job-description",
        "with-text-attachments",
        MAX_LOG_BYTES,
    )
    default_max_log_bytes = 2 * 1024

    def dump(self, data: Report, stream: BinaryIO) -> None:
        import xlsxwriter
        from xlsxwriter.exceptions import XlsxWriterException

        # Rows wait in files of the library; it leaves them behind when something goes wrong.
        with tempfile.TemporaryDirectory(prefix="plainbox-xlsx-") as directory:
            workbook = xlsxwriter.Workbook(
                stream,
                {
                    "constant_memory": True,
                    "tmpdir": directory,
                    "strings_to_formulas": False,
                    "strings_to_urls": False,
                    "strings_to_numbers": False,
                },
            )
            try:
                self._write_workbook(workbook, data)
                workbook.close()
            except XlsxWriterException as error:
                raise ExporterError(f"the spreadsheet cannot be written: {_reason(error)}") from error

    def _write_workbook(self, workbook: Workbook, data: Report) -> None:
        workbook.set_properties({"title": _cell(data.heading)[:255], "created": _created(data.ended)})
        styles = _Styles(workbook)
        _write_summary(workbook.add_worksheet("Summary"), data, styles)
        self._write_results(workbook.add_worksheet("Test Results"), data, styles)
        _write_measurements(workbook, data, styles)
        _write_subtests(workbook, data, styles)
        if self.has_option("with-job-description"):
            _write_descriptions(workbook.add_worksheet("Descriptions"), data, styles)
        if self.has_option("with-text-attachments"):
            self._write_attachments(workbook.add_worksheet("Attachments"), data, styles)
        _write_resources(workbook.add_worksheet("Resources"), data, styles)

    def _write_results(self, sheet: Worksheet, report: Report, styles: _Styles) -> None:
        _write_header(sheet, _RESULT_COLUMNS, styles)
        row = 0
        for category in by_category(report.tests):
            for record in category.jobs:
                row += 1
                self._write_result(sheet, row, record, styles)
        sheet.autofilter(0, 0, max(row, 1), len(_RESULT_COLUMNS) - 1)

    def _write_result(self, sheet: Worksheet, row: int, record: JobRecord, styles: _Styles) -> None:
        result = record.result
        _write(sheet, row, 0, record.name)
        _write(sheet, row, 1, record.metadata.label, styles.outcome(record.outcome))
        _write(sheet, row, 2, record.category_name)
        _write(sheet, row, 3, record.certification_status)
        if result.execution_duration is not None:
            sheet.write_number(row, 4, result.execution_duration, styles.seconds)
        _write(sheet, row, 5, "\n".join(filter(None, (record.comments, record.log_note))) or record.explanation)
        _write(sheet, row, 6, ", ".join(item.metadata.label for item in record.history))
        _write(sheet, row, 7, str(LogText(result, self._cell_log_bytes, keep="tail")))
        _write(sheet, row, 8, record.id)

    def _write_attachments(self, sheet: Worksheet, report: Report, styles: _Styles) -> None:
        _write_header(sheet, (("Name", 60), ("Id", 60), ("Text", 120)), styles)
        for row, record in enumerate(report.attachments, 1):
            _write(sheet, row, 0, record.name)
            _write(sheet, row, 1, record.id)
            _write(sheet, row, 2, str(LogText(record.result, _CELL_UNITS, streams=("stdout",))))

    @property
    def _cell_log_bytes(self) -> int:
        """How much of a log to read for a cell: more than fits is of no use."""
        return min(self.max_log_bytes or _CELL_UNITS, _CELL_UNITS)


def _reason(error: Exception) -> str:
    """Return what is behind an error of the library: it wraps those of the system."""
    cause = error.args[0] if error.args and isinstance(error.args[0], OSError) else error
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or type(cause).__name__


def _created(seconds: float | None) -> datetime.datetime:
    """Return a moment as a workbook wants it; without one the epoch, never the time of writing."""
    return datetime.datetime(*(instant(seconds) or time.gmtime(0))[:6])


class _Styles:
    def __init__(self, workbook: Workbook) -> None:
        self.bold = workbook.add_format({"bold": True})
        self.title = workbook.add_format({"bold": True, "font_size": 16})
        self.header = workbook.add_format({"bold": True, "bg_color": "#2B3A4A", "font_color": "#FFFFFF", "border": 0})
        self.seconds = workbook.add_format({"num_format": "0.00"})
        self._outcomes = {outcome: _tinted(workbook, *tint) for outcome, tint in _TINTS.items()}
        self._skipped = _tinted(workbook, *_SKIPPED_TINT)

    def outcome(self, outcome: str | None) -> Format:
        return self._outcomes.get(outcome, self._skipped)


def _tinted(workbook: Workbook, background: str, text: str) -> Format:
    return workbook.add_format({"bg_color": background, "font_color": text, "bold": True})


def _write_summary(sheet: Worksheet, report: Report, styles: _Styles) -> None:
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 1, 90)
    _write(sheet, 0, 0, report.heading, styles.title)
    _write(sheet, 1, 0, verdict(report), styles.bold)
    facts = [
        ("Session", report.session_id),
        ("Test plan", ", ".join(report.test_plan_ids)),
        ("Started", moment(report.started)),
        ("Time of all jobs", duration(report.duration_s)),
        ("Plainbox", plainbox.__version__),
        *machine_facts(report),
    ]
    row = 3
    for label, value in facts:
        if value:
            _write(sheet, row, 0, label, styles.bold)
            _write(sheet, row, 1, one_line(value))
            row += 1
    for heading, records in (("Tests", report.tests), ("Resources and attachments", report.supporting)):
        row += 1
        _write(sheet, row, 0, heading, styles.bold)
        sheet.write_number(row, 1, len(records))
        for outcome, count in counts(records).items():
            row += 1
            _write(sheet, row, 0, label_of_sum(outcome, records), styles.outcome(outcome))
            sheet.write_number(row, 1, count)
        row += 1
    for record in report.supporting:
        # Those that collect have no row of their own elsewhere.
        if record.log_note:
            row += 1
            _write(sheet, row, 0, record.id)
            _write(sheet, row, 1, record.log_note)


def _write_measurements(workbook: Workbook, report: Report, styles: _Styles) -> None:
    """Write what was measured on a sheet of its own; without any there is no sheet."""
    rows = ((record, item) for record in report.jobs if record.result.measurements for item in record.measurements)
    sheet = None
    row = 0
    for record, item in rows:
        if sheet is None:
            sheet = workbook.add_worksheet("Measurements")
            _write_header(sheet, _MEASUREMENT_COLUMNS, styles)
        row += 1
        if row >= _ROWS - 1:
            _write(sheet, row, 0, "[more measurements than a sheet can hold are left out]")
            return
        _write(sheet, row, 0, record.name)
        _write(sheet, row, 1, item.name)
        if item.number is not None:
            sheet.write_number(row, 2, item.number)
        else:
            _write(sheet, row, 2, item.value)
        _write(sheet, row, 3, item.unit)
        for column, limit in ((4, item.lower), (5, item.upper)):
            if limit is not None:
                sheet.write_number(row, column, limit)
        _write(sheet, row, 6, item.verdict or "", styles.outcome(item.verdict) if item.verdict else None)
        _write(sheet, row, 7, record.id)
    if sheet is not None:
        sheet.autofilter(0, 0, row, len(_MEASUREMENT_COLUMNS) - 1)


def _write_subtests(workbook: Workbook, report: Report, styles: _Styles) -> None:
    """Write the parts of jobs on a sheet of its own; without any there is no sheet."""
    sheet = None
    row = 0
    for record in report.jobs:
        for item in record.subtests:
            if sheet is None:
                sheet = workbook.add_worksheet("Parts")
                _write_header(sheet, (("Name", 60), ("Part", 40), ("Result", 14), ("Comment", 60), ("Id", 60)), styles)
            row += 1
            if row >= _ROWS - 1:
                _write(sheet, row, 0, "[more parts than a sheet can hold are left out]")
                return
            _write(sheet, row, 0, record.name)
            _write(sheet, row, 1, item.name)
            _write(sheet, row, 2, item.outcome or "", styles.outcome(item.outcome))
            _write(sheet, row, 3, item.comment)
            _write(sheet, row, 4, record.id)


def _write_descriptions(sheet: Worksheet, report: Report, styles: _Styles) -> None:
    _write_header(sheet, (("Name", 60), ("Id", 60), ("Description", 120)), styles)
    for row, record in enumerate(report.jobs, 1):
        _write(sheet, row, 0, record.name)
        _write(sheet, row, 1, record.id)
        _write(sheet, row, 2, record.description)


def _write_resources(sheet: Worksheet, report: Report, styles: _Styles) -> None:
    _write_header(sheet, (("Resource", 50), ("Record", 8), ("Key", 30), ("Value", 90)), styles)
    row = 0
    for resource_id in sorted(report.resources):
        for number, record in enumerate(report.resources[resource_id], 1):
            for key, value in record.items():
                row += 1
                if row >= _ROWS - 1:
                    _write(sheet, row, 0, "[more records than a sheet can hold are left out]")
                    return
                _write(sheet, row, 0, resource_id)
                sheet.write_number(row, 1, number)
                _write(sheet, row, 2, key)
                _write(sheet, row, 3, value)


def _write_header(sheet: Worksheet, columns: Sequence[tuple[str, int]], styles: _Styles) -> None:
    for column, (name, width) in enumerate(columns):
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, name, styles.header)
    sheet.freeze_panes(1, 1)


def _write(sheet: Worksheet, row: int, column: int, text: str, style: Format | None = None) -> None:
    if text:
        sheet.write_string(row, column, _cell(text), style)


def _cell(text: str) -> str:
    """Return the text as a cell can hold it."""
    text = readable(text)
    if len(text) > _CELL_UNITS // 2:
        # The limit counts UTF-16 units: characters outside the basic plane are two.
        units = text.encode("utf-16-le")
        if len(units) > 2 * _CELL_UNITS:
            text = units[: 2 * (_CELL_UNITS - 1)].decode("utf-16-le", "ignore") + _CUT
    if text.startswith("<r>") and text.endswith("</r>"):
        # The writer takes such a text for its own rich text and would put it into the XML as it is.
        text += " "
    return text
