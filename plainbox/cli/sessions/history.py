# SPDX-License-Identifier: Apache-2.0
"""What happened to a session, as its journal tells: who opened it where, and what was worth a note."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from plainbox.runner.recovery import DECISION_NOTE, STUCK_NOTE
from plainbox.session.codec import JsonObject
from plainbox.session.environment import EnvironmentSnapshot, snapshot_of
from plainbox.session.repair.inspection import SALVAGE_NOTE

__all__ = ["events_of", "moment", "openings_of"]

_Data: TypeAlias = "dict[str, Any]"


def openings_of(records: Iterable[JsonObject]) -> list[dict[str, object]]:
    """Return the openings for writing, oldest first, each with what had changed since the last that tells it."""
    found: list[dict[str, object]] = []
    before: EnvironmentSnapshot | None = None
    for record in records:
        if record.get("t") != "open":
            continue
        snapshot = snapshot_of(record)
        changed = before.diff(snapshot) if before is not None else {}
        found.append(
            {
                "at": moment(record.get("w")),
                "why": record.get("why"),
                "pid": record.get("pid"),
                "environment": snapshot.as_dict(),
                "changed": {key: list(values) for key, values in changed.items()},
            }
        )
        if snapshot != EnvironmentSnapshot():
            before = snapshot
    return found


def events_of(records: Iterable[JsonObject]) -> list[dict[str, object]]:
    """Return what is worth telling, oldest first: further openings and the notes, each with a sentence about it."""
    known = list(records)
    openings = iter(openings_of(known))
    events: list[dict[str, object]] = []
    for record in known:
        if record.get("t") == "open":
            opening = next(openings)
            if opening["why"] != "create":
                events.append({"at": opening["at"], "kind": "opened", "text": _about_opening(opening), "data": opening})
        for note in _notes(record):
            data = note["data"] if isinstance(note.get("data"), dict) else {}
            kind = str(note.get("kind"))
            text = _about_note(kind, data)
            events.append({"at": moment(note.get("w")), "kind": kind, "text": text, "data": data})
    return events


def moment(seconds: object) -> str | None:
    """Return a time as text, ``None`` for what is no time."""
    if not isinstance(seconds, int | float):
        return None
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return None


def _notes(record: JsonObject) -> Iterator[_Data]:
    notes = [record] if record.get("t") == "note" else record.get("notes", ())
    yield from (note for note in notes if isinstance(note, dict))


def _about_opening(opening: dict[str, object]) -> str:
    changed = opening["changed"]
    text = "gone on with" if opening["why"] == "resume" else f"opened ({opening['why']})"
    if not isinstance(changed, dict) or not changed:
        return text
    details = (f"{key} was {before or 'not there'}, is {now or 'gone'}" for key, (before, now) in changed.items())
    return f"{text}: {', '.join(details)}"


def _about_note(kind: str, data: _Data) -> str:
    if kind == DECISION_NOTE:
        again = ", to be run again" if data.get("retry") else ""
        return (
            f"{data.get('job')}: attempt {data.get('attempt')} was interrupted: {data.get('outcome')}{again}"
            f" (rule: {data.get('rule')})"
        )
    if kind == STUCK_NOTE:
        return f"given up: opened {data.get('openings')} times without a new result"
    if kind == "clock-jump":
        return f"the clock of the machine jumped by {data.get('by_s')} s"
    if kind == "storage-full":
        return f"there was no space to store the session{_cause(data)}"
    if kind == "sync-failed":
        return f"the medium did not take what was written{_cause(data)}; a new file of the journal was begun"
    if kind == SALVAGE_NOTE:
        losses = data.get("losses")
        return f"salvaged from {data.get('from')}: {len(losses) if isinstance(losses, list) else 0} losses"
    return f"{kind} {json.dumps(data, sort_keys=True)}" if data else kind


def _cause(data: _Data) -> str:
    number = data.get("errno")
    return f" ({os.strerror(number)})" if isinstance(number, int) else ""
