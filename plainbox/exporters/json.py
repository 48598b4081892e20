# SPDX-License-Identifier: Apache-2.0
"""The submission: everything about a session for programs, in the form that consumers of submissions know.

Written as a stream, one result at a time. Keys of the known form keep their meaning; Plainbox adds ``schema``,
``session_id``, ``test_plan_ids`` and ``notes`` to the document, and ``start_time``, ``return_code``, ``attempts``,
``attempt`` (the one that counts) and, where it is so, ``io_log_truncated``, ``stale_definition`` and what
``_WHERE_THERE_ARE_SUCH`` names to results; the paths of attachments are those below the session.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from plainbox.exporters.exporter import MAX_LOG_BYTES, Exporter
from plainbox.exporters.jsonstream import JsonStream
from plainbox.exporters.logtext import LogText, document_problem
from plainbox.exporters.record import JobRecord
from plainbox.exporters.report import Report
from plainbox.exporters.sink import TextSink
from plainbox.exporters.submission import application_data, launcher_of, machine_members, origin_of
from plainbox.session.result import JobResult

__all__ = ["SCHEMA", "JsonExporter"]

SCHEMA = "plainbox.submission/1"


#: Keys of a stored result that are reported as they are.
_WHERE_THERE_ARE_SUCH = ("tries", "leaked_processes", "host", "cached_from", "subtests", "measurements", "attachments")


class JsonExporter(Exporter):
    supported_option_list = (MAX_LOG_BYTES,)
    default_max_log_bytes = 256 * 1024

    def dump(self, data: Report, stream: BinaryIO) -> None:
        sink = TextSink(stream)
        out = JsonStream(sink.write)
        notes: list[str] = []
        out.open_object()
        self._write_head(data, out, notes)
        for key, value in machine_members(data, notes):
            out.member(key, value)
        by_id = sorted(data.jobs, key=lambda record: record.id)
        ran = [record for record in by_id if record.outcome is not None or record.is_running]
        self._write_results(out, "results", (item for item in ran if item.job.plugin != "attachment"), notes)
        self._write_results(out, "attachment-results", (item for item in ran if item.job.plugin == "attachment"), notes)
        out.open_array("rejected-jobs")
        known = {record.id: record for record in data.rejected}
        for job_id in data.rejected_ids:
            record = known.get(job_id)
            out.item(dict(_identity(record)) if record is not None else _unknown_identity(job_id))
        out.close()
        out.member("system_information", data.system_information)
        out.member("notes", notes)
        out.close()
        sink.flush()

    def _write_head(self, report: Report, out: JsonStream, notes: list[str]) -> None:
        application = application_data(report.app_blob, notes)
        plan_ids = report.test_plan_ids or _texts(application.get("testplan_id"))
        out.member("schema", SCHEMA)
        out.member("title", report.title)
        out.member("session_id", report.session_id)
        out.member("origin", origin_of())
        if plan_ids:
            out.member("testplan_id", plan_ids[0])
        out.member("test_plan_ids", plan_ids)
        out.member("custom_joblist", report.custom_joblist)
        for description in _texts(application.get("description")):
            out.member("description", description)
        out.member("launcher", launcher_of(application, notes))
        out.member("category_map", report.category_names)

    def _write_results(self, out: JsonStream, key: str, records: Iterable[JobRecord], notes: list[str]) -> None:
        out.open_array(key)
        for record in records:
            out.open_object()
            for name, value in _identity(record):
                out.member(name, value)
            result = record.result
            out.member("status", record.metadata.submission_status)
            out.member("outcome", record.outcome)
            out.member("comments", result.comments)
            self._write_log(out, record, notes)
            out.member("duration", result.execution_duration or 0)
            out.member("return_code", result.return_code)
            out.member("start_time", result.start_time)
            out.member("attempt", result.attempt)
            if record.is_stale:
                out.member("stale_definition", True)
            for name in _WHERE_THERE_ARE_SUCH:
                if result.get(name):
                    out.member(name, result.get(name))
            if key == "results":
                out.member("skip_reason", result.skip_reason)
                out.member("type", "test")
                out.member("project", "certification")
            out.member("attempts", [_attempt(item) for item in record.history])
            out.close()
        out.close()

    def _write_log(self, out: JsonStream, record: JobRecord, notes: list[str]) -> None:
        if record.job.plugin == "attachment":
            # What cannot be a document is empty rather than garbled: consumers parse these.
            problem = document_problem(record.result)
            log = LogText(record.result, self.max_log_bytes, streams=("stdout",), verbatim=True)
            out.text_member("io_log", (piece.text for piece in log) if problem is None else ())
        else:
            log = LogText(record.result, self.max_log_bytes)
            out.text_member("io_log", (piece.text for piece in log))
            problem = log.problem
        lack = record.log_note
        if log.truncated or lack:
            out.member("io_log_truncated", True)
        if lack and problem is None:
            problem = lack
        if problem is not None:
            notes.append(f"{record.id}: {problem}")


def _identity(record: JobRecord) -> Iterator[tuple[str, object]]:
    job = record.job
    yield "id", record.partial_id
    yield "full_id", record.id
    yield "name", job.tr_summary()
    yield "category", record.category_name
    yield "category_id", record.category_id
    yield "certification_status", record.certification_status
    yield "plugin", job.plugin
    yield "template_id", job.template_id


def _unknown_identity(job_id: str) -> dict[str, object]:
    """Return the identity of a job that the session does not know any more."""
    partial_id = job_id.rpartition("::")[2]
    unknown = dict.fromkeys(("category", "category_id", "certification_status", "plugin"), "")
    return {"id": partial_id, "full_id": job_id, "name": partial_id, **unknown, "template_id": None}


def _attempt(result: JobResult) -> dict[str, object]:
    return {
        "attempt": result.attempt,
        "outcome": result.outcome,
        "duration": result.execution_duration or 0,
        "comments": result.comments,
        "return_code": result.return_code,
        "start_time": result.start_time,
        "origin": result.origin,
    }


def _texts(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) and value else ()
