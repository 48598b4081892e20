# SPDX-License-Identifier: Apache-2.0
"""Trace files as they are read: hostile text, whose good lines count.

``plainbox trace`` shows what is in them, and a run that goes on with a session looks up the run before.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from plainbox.tracing.context import SpanContext
from plainbox.tracing.file import MOST_BYTES

__all__ = ["StoredSpan", "last_run", "last_span", "read_spans"]

_LATEST_NS = 2**63
_IDS = {"trace_id": re.compile("[0-9a-f]{32}"), "span_id": re.compile("[0-9a-f]{16}")}


@dataclass(frozen=True)
class StoredSpan:
    """One span. ``end_ns`` is ``None`` when only its begin is known: it goes on, or was going on when the run was lost.

    ``service`` is the program, in the topmost span of it.
    """

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    start_ns: int
    end_ns: int | None
    status: str = "unset"
    service: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)
    links: tuple[SpanContext, ...] = ()

    @property
    def context(self) -> SpanContext:
        return SpanContext(self.trace_id, self.span_id)


def read_spans(path: str | os.PathLike[str]) -> list[StoredSpan]:
    """Return the spans of a file in the order of their start; lines that hold none are left out.

    :class:`OSError` when there is no such file, or something else in its place.
    """
    spans = {span.span_id: span for span in _spans(path, b"")}
    return sorted(spans.values(), key=lambda span: span.start_ns)


def last_span(path: str | os.PathLike[str], name: str, attribute: str, value: str) -> StoredSpan | None:
    """Return the last span of this name with this attribute, ``None`` when there is none that can be read."""
    found = None
    try:
        for span in _spans(path, name.encode("ascii")):
            if span.name == name and span.attributes.get(attribute) == value:
                found = span
    except OSError:
        return None
    return found


def last_run(spans: Iterable[StoredSpan]) -> list[tuple[int, StoredSpan]]:
    """Return the spans of the last run with their depth, each before its children, in the order of their start.

    A run is a span whose parent is not in the file, with everything below it. Where the parent has no end yet, and so is
    not in the file, the span goes to the last one of its trace that is known to go on.
    """
    children: dict[str, list[StoredSpan]] = {}
    going_on: dict[str, str] = {}
    root = None
    found = sorted(spans, key=lambda span: span.start_ns)
    known = {span.span_id for span in found}
    for span in found:
        parent = span.parent_id if span.parent_id in known else None
        if parent is None and span.service is None:
            parent = going_on.get(span.trace_id)
        if parent is None:
            root = span
        else:
            children.setdefault(parent, []).append(span)
        if span.end_ns is None:
            going_on[span.trace_id] = span.span_id
    if root is None:
        return []
    ordered: list[tuple[int, StoredSpan]] = []
    waiting = [(0, root)]
    while waiting:
        depth, span = waiting.pop()
        ordered.append((depth, span))
        waiting += [(depth + 1, child) for child in reversed(children.pop(span.span_id, []))]
    return ordered


def _spans(path: str | os.PathLike[str], word: bytes) -> Iterator[StoredSpan]:
    """Yield the spans of the lines that hold ``word``, as far as a trace file can be long."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{os.fspath(path)} is not a regular file")
        for line in file.read(MOST_BYTES).splitlines():
            span = _span(line) if word in line else None
            if span is not None:
                yield span


def _span(line: bytes) -> StoredSpan | None:
    try:
        record = json.loads(line)
        end = record.get("end_ns")
        attributes = record.get("attributes", {})
        links = [SpanContext(_id(link, "trace_id"), _id(link, "span_id")) for link in record.get("links", ())]
        return StoredSpan(
            name=str(record["name"]),
            trace_id=_id(record, "trace_id"),
            span_id=_id(record, "span_id"),
            parent_id=_id({"span_id": record["parent_id"]}, "span_id") if "parent_id" in record else None,
            start_ns=_time(record["start_ns"]),
            end_ns=None if end is None else _time(end),
            status=str(record.get("status", "unset")),
            service=str(record["service"]) if "service" in record else None,
            attributes=attributes if isinstance(attributes, dict) else {},
            links=tuple(links),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _id(record: Mapping[str, object], key: str) -> str:
    value = record[key]
    if not isinstance(value, str) or not _IDS[key].fullmatch(value):
        raise ValueError(key)
    return value


def _time(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < _LATEST_NS:
        raise ValueError("a time")
    return value
