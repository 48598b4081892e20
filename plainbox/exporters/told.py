# SPDX-License-Identifier: Apache-2.0
"""What a job has told of itself, as reports show it: its parts, its measurements, its files.

Made of a result by :class:`~plainbox.exporters.record.JobRecord`. What was stored may come from anywhere: values of
another kind than expected are shown as well as it goes, and nothing here raises.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Iterator, Mapping

import attrs

from plainbox.errors import PlainboxError
from plainbox.exporters.characters import one_line, readable, shortened
from plainbox.session.files import open_regular
from plainbox.session.iolog import resolve_log_path
from plainbox.session.result import DiskJobResult, JobResult

__all__ = ["AttachmentRow", "Embedder", "MeasurementRow", "SubtestRow", "attachments", "measurements", "subtests"]

_LONGEST = 300
_OUTCOMES = ("pass", "fail", "skip", "crash")


@attrs.frozen
class SubtestRow:
    """A part of a job: ``outcome`` is one of ``pass``, ``fail``, ``skip``, ``crash``, or None."""

    name: str
    outcome: str | None
    comment: str


@attrs.frozen
class MeasurementRow:
    """A value as text, and as a number where it is one. ``verdict`` is ``pass``, ``fail`` or None."""

    name: str
    value: str
    number: float | None
    unit: str
    lower: float | None
    upper: float | None
    verdict: str | None

    @property
    def limits(self) -> str:
        """The limits in words; empty when there are none."""
        if self.lower is not None and self.upper is not None:
            return f"{self.lower:g} to {self.upper:g}"
        if self.lower is not None:
            return f"at least {self.lower:g}"
        return "" if self.upper is None else f"at most {self.upper:g}"

    @property
    def text(self) -> str:
        """The whole in one line."""
        shown = " ".join(filter(None, (self.value, self.unit)))
        words = {"pass": "good", "fail": "NOT GOOD"}.get(self.verdict or "", "")
        remarks = ", ".join(filter(None, (self.limits, words)))
        return f"{self.name}: {shown}" + (f" ({remarks})" if remarks else "")


@attrs.frozen
class AttachmentRow:
    """A file of the session; ``path`` is below its directory."""

    name: str
    path: str
    size: int
    media_type: str


def subtests(result: JobResult) -> Iterator[SubtestRow]:
    """Yield the parts of the job."""
    for item in result.subtests:
        outcome = item.get("outcome")
        yield SubtestRow(_line(item, "name"), outcome if outcome in _OUTCOMES else None, _text(item.get("comment")))


def measurements(result: JobResult) -> Iterator[MeasurementRow]:
    """Yield what was measured."""
    for item in result.measurements:
        value, verdict = item.get("value"), item.get("verdict")
        yield MeasurementRow(
            _line(item, "name"),
            shortened(one_line(value if isinstance(value, str) else _as_json(value)), _LONGEST),
            _number(value),
            _line(item, "unit"),
            _number(item.get("lower")),
            _number(item.get("upper")),
            verdict if verdict in ("pass", "fail") else None,
        )


def attachments(result: JobResult) -> Iterator[AttachmentRow]:
    """Yield the files that were attached."""
    for item in result.attachments:
        size = item.get("size")
        path = item.get("path")
        yield AttachmentRow(
            _line(item, "name") or "attachment",
            path if isinstance(path, str) else "",
            size if isinstance(size, int) else 0,
            _line(item, "media_type"),
        )


class Embedder:
    """Puts small files into a report: none larger than ``largest`` bytes, and ``most`` bytes of all."""

    def __init__(self, largest: int, most: int) -> None:
        self._largest = largest
        self._left = most

    def link(self, result: JobResult, row: AttachmentRow) -> str | None:
        """Return a link that holds the content, None when it is too large or not there."""
        location = result.session_dir if isinstance(result, DiskJobResult) else None
        limit = min(self._largest, self._left)
        if location is None or row.size > limit:
            return None
        try:
            with open(open_regular(resolve_log_path(location, row.path)), "rb") as file:
                if os.fstat(file.fileno()).st_size != row.size:
                    return None
                data = file.read(row.size)
        except (OSError, PlainboxError):
            return None
        self._left -= len(data)
        # A type of its own would let a browser show it, with whatever is in it.
        return f"data:application/octet-stream;base64,{base64.b64encode(data).decode('ascii')}"


def _line(item: Mapping[str, object], key: str) -> str:
    return shortened(one_line(_text(item.get(key))), _LONGEST)


def _text(value: object) -> str:
    return readable(value).strip() if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value


def _as_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=_plain)
    except (TypeError, ValueError, RecursionError):
        return "?"


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
