# SPDX-License-Identifier: Apache-2.0
"""What is known of a stored session without opening it: its state, its age, what came of its jobs.

The listing, the retention and the removal ask here. What must stay true: looking needs no lock and changes nothing, and
there is an answer for whatever lies in the directory: what cannot be read is a state of its own, with the reason.

To decode the journal of a thousand results takes 20 ms; the summary with which a session was closed stands at its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import attrs

from plainbox.errors import SessionError
from plainbox.session.codec import JsonObject
from plainbox.session.directory import creation_time, disk_bytes
from plainbox.session.lock import LockOwner
from plainbox.session.storage import SessionStorage

__all__ = ["SessionFacts", "SessionStanding", "facts_of"]

#: A clock shows times between 1970 and 9999; what a head says beyond that is no time.
_LAST_MOMENT: Final = 253_402_300_799.0


class SessionStanding(StrEnum):
    """What a stored session is good for."""

    RUNNING = "running"
    INCOMPLETE = "incomplete"
    COMPLETE = "complete"
    STUCK = "stuck"
    EMPTY = "empty"
    UNREADABLE = "unreadable"


@attrs.frozen
class SessionFacts:
    """``created`` is in seconds since the epoch, ``None`` when nothing tells it; ``reason`` says why a session cannot be
    read. ``journal_bytes`` is the length of the current journal, ``disk_bytes`` what the directory takes up."""

    storage: SessionStorage
    state: SessionStanding
    created: float | None = None
    title: str | None = None
    outcomes: Mapping[str, int] = attrs.field(factory=dict)
    journal_bytes: int | None = None
    disk_bytes: int = 0
    owner: LockOwner | None = None
    reason: str | None = None

    @property
    def id(self) -> str:
        return self.storage.id


def facts_of(storage: SessionStorage) -> SessionFacts:
    """Return what is known of one session now."""
    created, journal_bytes = creation_time(storage.id), None
    owner = storage.owner()
    try:
        info = storage.journal_info()
        created, journal_bytes = _moment(info.created, storage), info.size_bytes
        meta, outcomes = _of_summary(storage.closing_summary()) or _of_journal(storage)
    except (SessionError, OSError) as error:
        return SessionFacts(
            storage,
            SessionStanding.UNREADABLE,
            created,
            journal_bytes=journal_bytes,
            disk_bytes=disk_bytes(storage.location),
            owner=owner,
            reason=str(error),
        )
    title = meta.get("title")
    return SessionFacts(
        storage,
        SessionStanding.RUNNING if owner is not None else _standing(meta),
        created,
        None if title is None else str(title),
        outcomes,
        journal_bytes,
        disk_bytes(storage.location),
        owner,
    )


def _of_summary(summary: JsonObject | None) -> tuple[JsonObject, dict[str, int]] | None:
    outcomes = summary.get("outcomes") if summary is not None else None
    if summary is None or not isinstance(outcomes, dict):
        return None
    return summary, {str(outcome): count for outcome, count in outcomes.items() if isinstance(count, int)}


def _of_journal(storage: SessionStorage) -> tuple[JsonObject, dict[str, int]]:
    stored = storage.peek_metadata()
    return stored["meta"], stored["outcomes"]


def _standing(meta: JsonObject) -> SessionStanding:
    if not meta:
        return SessionStanding.EMPTY
    flags = meta.get("flags")
    words = {flag for flag in flags if isinstance(flag, str)} if isinstance(flags, list) else set()
    if "stuck" in words:
        return SessionStanding.STUCK
    return SessionStanding.INCOMPLETE if words & {"incomplete", "setting_up"} else SessionStanding.COMPLETE


def _moment(seconds: float | None, storage: SessionStorage) -> float | None:
    if seconds is not None and 0 <= seconds <= _LAST_MOMENT:
        return seconds
    return creation_time(storage.id)
