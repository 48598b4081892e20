# SPDX-License-Identifier: Apache-2.0
"""What of a result is kept, and the result that is made of it again.

Kept is what an execution came to: a report of a job that passed, a value of a function; with ``on_error`` also what
failed by itself. What was ended from outside, or could not be carried out, says nothing about the next time.
"""

from __future__ import annotations

import io
import json
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, cast

from plainbox.errors import SerializationError, TaskError, UncacheableArgument
from plainbox.tasks.cache.item import CacheItem
from plainbox.tasks.jobresult import JobItem, Measurement, Subtest, parse_line
from plainbox.tasks.report import CachedFrom, JobReport, OutcomeCandidate
from plainbox.tasks.result import Result

if TYPE_CHECKING:
    from plainbox.tasks.serialization import Serializer

__all__ = ["encode_report", "encode_value", "has_passed", "items_of", "restore_report", "restore_value"]

_ITEM_KINDS = {Subtest: "subtest", Measurement: "measurement"}
_OUTCOMES = ("pass", "fail", "skip", "crash")


def has_passed(result: Result) -> bool:
    """Tell whether an execution came to a good end."""
    report = result.value
    return result.exception is None and (not isinstance(report, JobReport) or report.outcome == "pass")


def encode_report(result: Result, *, on_error: bool) -> bytes:
    """Return what is kept of the result of a job; :class:`UncacheableArgument` when that is nothing, and why."""
    report = result.value
    if not isinstance(report, JobReport):
        raise UncacheableArgument("it could not be carried out")
    if report.cancelled or report.timed_out:
        raise UncacheableArgument("it was ended from outside")
    if not has_passed(result) and not (on_error and report.outcome in _OUTCOMES):
        raise UncacheableArgument(f"its outcome is {report.outcome}")
    return json.dumps(
        {
            "outcome": report.outcome,
            "return_code": report.return_code,
            "signal": report.signal,
            "comments": report.comments,
            "duration": report.duration,
            "leaked_processes": report.leaked_processes,
            "leftovers": report.leftovers,
            "items": [_item_content(item) for item in report.items],
        }
    ).encode("ascii")


def restore_report(item: CacheItem) -> Result:
    """Return the result of a job that does not run now; :class:`ValueError` when the item holds none."""
    try:
        kept = json.loads(item.result)
        origin = CachedFrom(item.key, str(item.about.get("invocation")), item.created, _seconds(kept["duration"]))
        report = JobReport(
            outcome=cast("OutcomeCandidate", kept["outcome"]),
            start_time=time.time(),
            duration=0.0,
            return_code=_whole(kept["return_code"]),
            signal=_whole(kept["signal"]),
            comments=None if kept["comments"] is None else str(kept["comments"]),
            leaked_processes=_whole(kept["leaked_processes"]) or 0,
            leftovers=tuple(map(str, kept["leftovers"])),
            items=tuple(parse_line(json.dumps(content).encode("ascii")) for content in kept["items"]),
        )
    except (ValueError, TypeError, LookupError, RecursionError):
        raise ValueError("it holds no report") from None
    if report.outcome not in _OUTCOMES:
        raise ValueError("it holds no report")
    return Result(replace(report, cached_from=origin))


def encode_value(result: Result, serializer: Serializer, *, on_error: bool) -> bytes:
    """Return what is kept of the result of a function; :class:`UncacheableArgument` when that is nothing, and why."""
    error = result.exception
    if isinstance(error, TaskError) or (error is not None and not isinstance(error, Exception)):
        raise UncacheableArgument("it could not be carried out")
    if error is not None and not on_error:
        raise UncacheableArgument("it has failed")
    stream = io.BytesIO()
    try:
        serializer.serialize(result, stream)
    except SerializationError as problem:
        raise UncacheableArgument(f"its value cannot be kept: {problem}") from problem
    return stream.getvalue()


def restore_value(item: CacheItem, serializer: Serializer) -> Result:
    """Return the result of a function; :class:`ValueError` when the item holds none."""
    try:
        result = serializer.deserialize(io.BytesIO(item.result))
    except SerializationError as error:
        raise ValueError(str(error)) from error
    if not isinstance(result, Result):
        raise ValueError("it holds no result")
    return result


def items_of(result: Result) -> tuple[JobItem, ...]:
    """Return what a job has told beside its output."""
    return result.value.items if isinstance(result.value, JobReport) else ()


def _item_content(item: JobItem) -> dict[str, object]:
    """Return an item as the line of a result file that says the same."""
    kind = _ITEM_KINDS.get(type(item))
    if kind is None:
        raise UncacheableArgument("it has attached files")
    # A measurement without a value is one all the same.
    return dict({name: value for name, value in asdict(item).items() if value is not None or name == "value"}, t=kind)


def _whole(value: object) -> int | None:
    if value is None or (type(value) is int and abs(value) < 1 << 31):
        return value
    raise ValueError("no number")


def _seconds(value: float) -> float:
    if not 0 <= value < 1e9:
        raise ValueError("no duration")
    return float(value)
