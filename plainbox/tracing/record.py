# SPDX-License-Identifier: Apache-2.0
"""A span as a line of a trace file: one JSON object, with what is empty left out.

``{"name", "trace_id", "span_id", "parent_id", "start_ns", "end_ns", "status", "service", "attributes", "links",
"events"}``; times are nanoseconds since the epoch. A line without ``end_ns`` tells of a span that has begun; a later
line with the same ``span_id`` replaces it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from plainbox.tracing.attributes import as_attributes

if TYPE_CHECKING:
    from plainbox.tracing.action import Action

__all__ = ["as_line", "as_record"]

_encode = json.JSONEncoder(separators=(",", ":")).encode


def as_line(action: Action, service_name: str) -> bytes:
    """Return the line of an action, its end included."""
    return _encode(as_record(action, service_name)).encode("ascii") + b"\n"


def as_record(action: Action, service_name: str) -> Mapping[str, object]:
    """Return what a trace says of an action. ``service`` stands in the topmost span of a program only."""
    record: dict[str, object] = {
        "name": action.label,
        "trace_id": action.trace_id,
        "span_id": action.span_id,
        "parent_id": action.parent_id,
        "start_ns": action.start_ns,
        "end_ns": action.end_ns,
        "status": None if action.error_type is None else "error",
        "service": service_name if action.parent is None else None,
        "attributes": as_attributes(_tags(action)),
        "links": [{"trace_id": link.trace_id, "span_id": link.span_id} for link in action.links],
        "events": [] if action.error is None else [_event(action, action.error)],
    }
    return {name: value for name, value in record.items() if value}


def _tags(action: Action) -> Mapping[str, object]:
    return {**action.tags, "error.type": action.error_type}


def _event(action: Action, error: BaseException) -> Mapping[str, object]:
    return {
        "name": "exception",
        "time_ns": action.end_ns,
        "attributes": as_attributes({"exception.type": type(error).__name__, "exception.message": _message(error)}),
    }


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception is anybody's object, and tracing changes no run
        return ""
