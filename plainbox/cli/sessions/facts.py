# SPDX-License-Identifier: Apache-2.0
"""What a row about a stored session says; one that cannot be read is a row that says why."""

from __future__ import annotations

import time

from plainbox.session.facts import SessionFacts, facts_of
from plainbox.session.outcome import OUTCOME_METADATA_MAP
from plainbox.session.storage import SessionStorage

__all__ = ["describe", "outcome_counts", "row_of", "shown_size", "shown_time", "what_is_known"]


def describe(storage: SessionStorage) -> dict[str, object]:
    """Return the row of a session, read anew."""
    return row_of(facts_of(storage))


def row_of(facts: SessionFacts) -> dict[str, object]:
    """Return what is known of a session as programs get it; ``pid`` is there while it is in use."""
    row: dict[str, object] = {
        "id": facts.id,
        "directory": facts.storage.location,
        "title": facts.title,
        "outcomes": dict(facts.outcomes),
        "created": _stamp(facts.created),
        "size_bytes": facts.journal_bytes,
        "disk_bytes": facts.disk_bytes,
        "reason": facts.reason,
        "state": facts.state.value,
    }
    if facts.owner is not None:
        row["pid"] = facts.owner.pid
    return row


def outcome_counts(facts: SessionFacts) -> str:
    """Return how many jobs came to what, in the order of the outcomes."""
    return ", ".join(
        f"{facts.outcomes[name]} {name}" for name in OUTCOME_METADATA_MAP if name and name in facts.outcomes
    )


def what_is_known(facts: SessionFacts) -> str:
    """Return the title, or why the session cannot be read."""
    return facts.title or facts.reason or ""


def shown_time(seconds: float | None) -> str:
    """Return a time for people, by the clock on their wall."""
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def shown_size(size_bytes: int) -> str:
    """Return a size for people: 512 B, 20 KiB, 1.5 MiB."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        size /= 1024
        if size < 1024 or unit == "TiB":
            break
    return f"{size:.1f} {unit}" if size < 10 else f"{size:.0f} {unit}"


def _stamp(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
