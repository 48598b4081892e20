# SPDX-License-Identifier: Apache-2.0
"""The report in plain text: one line for each job, the reason below those that did not pass, sums at the end.

For files and mails: there are no colours and no terminal sequences in it. With the option ``ascii`` it can be read where
nothing but ASCII can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import plainbox
from plainbox.exporters.exporter import MAX_LOG_BYTES, Exporter
from plainbox.exporters.logtext import LogText
from plainbox.exporters.phrases import duration, moment, plural, verdict
from plainbox.exporters.record import JobRecord
from plainbox.exporters.report import SHOWN_ORDER, Report, by_category, counts, label_of_sum
from plainbox.exporters.sink import TextSink
from plainbox.session.outcome import OUTCOME_METADATA_MAP

__all__ = ["TextExporter"]

_ASCII_SIGILS = {
    "pass": "+",
    "fail": "X",
    "crash": "!",
    "undecided": "?",
    "not-implemented": "-",
    None: " ",
}
#: What a job has told of itself takes so many lines.
_MOST_ROWS = 50
_LABEL_WIDTH = max(len(OUTCOME_METADATA_MAP[outcome].label) for outcome in SHOWN_ORDER)


class TextExporter(Exporter):
    """Options: ``ascii``; ``with-io-log`` adds the end of each log, ``with-comments`` the comments of jobs that passed,
    ``with-certification-status`` the status. The others are accepted and change nothing: this report is short.
    """

    supported_option_list = (
        "ascii",
        "with-io-log",
        "with-comments",
        "with-certification-status",
        MAX_LOG_BYTES,
        "squash-io-log",
        "flatten-io-log",
        "with-run-list",
        "with-job-list",
        "with-resource-map",
        "with-job-defs",
        "with-attachments",
        "with-job-hash",
        "with-category-map",
    )
    default_max_log_bytes = 8 * 1024

    def dump(self, data: Report, stream: BinaryIO) -> None:
        ascii_only = self.has_option("ascii")
        sink = TextSink(stream, *(("ascii", "backslashreplace") if ascii_only else ("utf-8", "replace")))
        for line in self._lines(data):
            sink.write(line + "\n")
        sink.flush()

    def _lines(self, report: Report) -> Iterator[str]:
        yield report.heading
        yield f"session {report.session_id}, Plainbox {plainbox.__version__}"
        if report.started is not None:
            yield f"started {moment(report.started)}"
        for category in by_category(report.tests):
            yield from self._section(category.name, category.jobs)
        supporting = report.supporting
        if supporting:
            yield from self._section("Resources and attachments", supporting)
        yield ""
        yield f"{plural(len(report.tests), 'test')}{_sums(report.tests)}"
        if supporting:
            yield f"{_collected(supporting)}{_sums(supporting)}"
        yield verdict(report)

    def _section(self, name: str, records: Iterable[JobRecord]) -> Iterator[str]:
        yield ""
        yield name
        for record in records:
            yield from self._job(record)

    def _job(self, record: JobRecord) -> Iterator[str]:
        metadata = record.metadata
        sigil = _ASCII_SIGILS.get(record.outcome, "o") if self.has_option("ascii") else metadata.sigil
        status = f" [{record.certification_status}]" if self.has_option("with-certification-status") else ""
        took = record.result.execution_duration
        took_text = f" ({duration(took)})" if took else ""
        yield f"  {sigil} {metadata.label:{_LABEL_WIDTH}}  {record.name}{status}{took_text}"
        margin = " " * (_LABEL_WIDTH + 6)
        if record.explanation:
            yield margin + record.explanation
        elif self.has_option("with-comments") and record.comments:
            yield from (margin + line for line in record.comments.splitlines())
        if record.host:
            yield f"{margin}ran on {record.host}"
        yield from (margin + line for line in _told(record))
        if self.has_option("with-io-log"):
            yield from _log_lines(record, self.max_log_bytes, margin)


def _told(record: JobRecord) -> Iterator[str]:
    """Yield what the job has told of itself, the first of it when it is very much."""
    rows = [
        f"{row.name}: {row.outcome or 'unknown'}" + (f" ({row.comment.splitlines()[0]})" if row.comment else "")
        for row in record.subtests
    ]
    rows += [row.text for row in record.measurements]
    rows += [f"attached: {row.path} ({plural(row.size, 'byte')})" for row in record.attachments]
    yield from rows[:_MOST_ROWS]
    if len(rows) > _MOST_ROWS:
        yield f"and {len(rows) - _MOST_ROWS} more; the spreadsheet has all of them"


def _log_lines(record: JobRecord, limit_bytes: int, margin: str) -> Iterator[str]:
    begun = ""
    for piece in LogText(record.result, limit_bytes, keep="tail"):
        *lines, begun = (begun + piece.text).split("\n")
        yield from (f"{margin}| {line}" for line in lines)
    if begun:
        yield f"{margin}| {begun}"


def _collected(records: Iterable[JobRecord]) -> str:
    """Return how many resources and attachments there are; what there is none of is not named."""
    kinds = Counter(record.job.plugin for record in records)
    return " and ".join(plural(kinds[kind], kind) for kind in ("resource", "attachment") if kinds[kind])


def _sums(records: Sequence[JobRecord]) -> str:
    sums = (f"{count} {label_of_sum(outcome, records)}" for outcome, count in counts(records).items())
    text = ", ".join(sums)
    return f": {text}" if text else ""
