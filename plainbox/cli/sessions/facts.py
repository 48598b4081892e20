# SPDX-License-Identifier: Apache-2.0
"""What a row about a stored session says; one that cannot be read is a row that says why."""

from __future__ import annotations

import time

from plainbox.errors import SessionError
from plainbox.session.storage import SessionStorage

__all__ = ["describe"]


def describe(storage: SessionStorage) -> dict[str, object]:
    """Return the row of a session; one that cannot be read is a row that says why."""
    facts: dict[str, object] = {"id": storage.id, "directory": storage.location, "title": None, "outcomes": {}}
    facts |= {"created": None, "size_bytes": None, "reason": None}
    try:
        info = storage.journal_info()
        facts |= {"created": _stamp(info.created), "size_bytes": info.size_bytes}
        stored = storage.peek_metadata()
        owner = storage.owner()
    except (SessionError, OSError) as error:
        return {**facts, "state": "unreadable", "reason": str(error)}
    meta = stored["meta"]
    facts |= {"title": meta.get("title"), "outcomes": stored["outcomes"]}
    if owner is not None:
        return {**facts, "state": "running", "pid": owner.pid}
    return {**facts, "state": _state(meta)}


def _state(meta: dict[str, object]) -> str:
    flags = meta.get("flags")
    if not meta:
        return "empty"
    return "incomplete" if isinstance(flags, list) and "incomplete" in flags else "complete"


def _stamp(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
