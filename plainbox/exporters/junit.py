# SPDX-License-Identifier: Apache-2.0
"""JUnit XML for continuous integration: a suite for each category, a case for each job but attachments.

The form is the one that Jenkins' xUnit plug-in checks: a suite has properties, then cases, a case has at most one of
``skipped``, ``failure`` and ``error``, and then ``system-out``; times have three decimals. The name of a case is the full
id of the job, which stays the same from run to run. Written as a stream.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, BinaryIO

import plainbox
from plainbox.exporters.characters import one_line, readable, shortened
from plainbox.exporters.exporter import MAX_LOG_BYTES, Exporter
from plainbox.exporters.facts import host_name
from plainbox.exporters.logtext import LogText
from plainbox.exporters.record import JobRecord
from plainbox.exporters.report import Category, Report, by_category
from plainbox.exporters.times import instant

if TYPE_CHECKING:
    from lxml import etree

__all__ = ["JUnitExporter"]

_MESSAGE_CHARS = 500


class JUnitExporter(Exporter):
    supported_option_list = (MAX_LOG_BYTES,)
    default_max_log_bytes = 64 * 1024

    def dump(self, data: Report, stream: BinaryIO) -> None:
        from lxml import etree

        cases = [record for record in data.jobs if record.job.plugin != "attachment"]
        host = host_name(data) or platform.node()
        with etree.xmlfile(stream, encoding="UTF-8") as xml:
            xml.write_declaration()
            with xml.element("testsuites", {"name": data.heading, **_totals(cases), "time": _time(cases)}):
                for category in by_category(cases):
                    xml.write("\n")
                    self._write_suite(xml, category, data, host)
                xml.write("\n")

    def _write_suite(self, xml: etree._IncrementalFileWriter, category: Category, report: Report, host: str) -> None:
        attributes = {
            "name": category.name,
            **_totals(category.jobs),
            "skipped": str(sum(_is_skip(record) for record in category.jobs)),
            "time": _time(category.jobs),
        }
        started = min(filter(None, (instant(record.result.start_time) for record in category.jobs)), default=None)
        if started is not None:
            attributes["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%S", started)
        if host:
            attributes["hostname"] = one_line(host)
        with xml.element("testsuite", attributes):
            xml.write("\n")
            with xml.element("properties"):
                for name, value in _properties(category, report).items():
                    with xml.element("property", {"name": name, "value": one_line(value)}):
                        pass
            for record in category.jobs:
                xml.write("\n")
                self._write_case(xml, record)
            xml.write("\n")

    def _write_case(self, xml: etree._IncrementalFileWriter, record: JobRecord) -> None:
        attributes = {
            "classname": one_line(record.category_id.replace("::", ".")),
            "name": one_line(record.id),
            "time": _time([record]),
        }
        with xml.element("testcase", attributes):
            if _is_skip(record):
                with xml.element("skipped", {"message": _message(record)}):
                    pass
            elif record.outcome != "pass":
                with xml.element(
                    "error" if record.outcome == "crash" else "failure",
                    {"message": _message(record), "type": record.outcome or ""},
                ):
                    for piece in LogText(record.result, self.max_log_bytes, keep="tail"):
                        xml.write(readable(piece.text))
            remarks = _remarks(record)
            if remarks:
                with xml.element("system-out"):
                    xml.write(remarks)


def _is_skip(record: JobRecord) -> bool:
    return record.outcome not in ("pass", "fail", "crash")


def _totals(records: Iterable[JobRecord]) -> dict[str, str]:
    outcomes = [record.outcome for record in records]
    return {
        "tests": str(len(outcomes)),
        "failures": str(outcomes.count("fail")),
        "errors": str(outcomes.count("crash")),
    }


def _time(records: Iterable[JobRecord]) -> str:
    return f"{max(0.0, sum(record.result.execution_duration or 0.0 for record in records)):.3f}"


def _message(record: JobRecord) -> str:
    return shortened(record.explanation or record.metadata.text, _MESSAGE_CHARS)


def _properties(category: Category, report: Report) -> Mapping[str, str]:
    found = {
        "category": category.id,
        "session": report.session_id,
        "test-plan": " ".join(report.test_plan_ids),
        "plainbox": plainbox.__version__,
    }
    return {name: value for name, value in found.items() if value}


def _remarks(record: JobRecord) -> str:
    """Return what a reader of a case wants to know beside its log: comments, what the job told, earlier attempts."""
    message = "" if record.outcome == "pass" else _message(record)
    told = bool(message) and message.startswith(record.comments)
    remarks = [record.name, record.comments] if record.comments and not told else []
    remarks += [f"ran on {record.host}"] if record.host else []
    remarks += [f"{row.name}: {row.outcome}" + (f": {row.comment}" if row.comment else "") for row in record.subtests]
    remarks += [row.text for row in record.measurements]
    remarks += [f"attached: {row.path}" for row in record.attachments]
    if record.log_note and record.log_note not in message:
        remarks.append(record.log_note)
    if len(record.history) > 1:
        remarks += [f"attempt {number}: {result.metadata.label}" for number, result in enumerate(record.history, 1)]
    return "\n".join(remarks)
