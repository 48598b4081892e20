# SPDX-License-Identifier: Apache-2.0
"""Which stored sessions have been kept long enough, and their removal.

:func:`decide` looks at facts alone and touches nothing; :func:`carry_out` removes what was decided, each session under
its lock. ``plainbox session gc`` calls both, :func:`tidy` does so when a run has ended.

What must stay true: without a rule nothing is removed. Only a complete session that nobody uses goes by itself. Each
rule keeps sessions, so with two of them one goes only when neither keeps it. A clock that was wrong costs no session:
what seems to come from the future, or from before there was a clock, counts as new and takes nobody's place.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from plainbox.config import Settings
from plainbox.errors import SessionError
from plainbox.session.directory import disk_bytes, hidden_remains
from plainbox.session.facts import SessionFacts, SessionStanding, facts_of
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.restart import diffuse_everywhere
from plainbox.session.storage import SessionStorage
from plainbox.session.walk import give_back_rights

__all__ = ["Removal", "Retention", "Verdict", "carry_out", "decide", "remove_session", "tidy"]

_log = logging.getLogger(__name__)

_DAY_S: Final = 86_400.0
#: A clock that shows an earlier time (2020-01-01) has not been set: a board without a battery begins in 1970.
_CLOCK_WAS_SET: Final = 1_577_836_800.0
_UNFINISHED: Final = frozenset({SessionStanding.INCOMPLETE, SessionStanding.STUCK, SessionStanding.EMPTY})


@attrs.frozen
class Retention:
    """What to keep: the newest ``keep`` sessions, and those younger than ``keep_days``; ``None`` keeps none.

    Without either everything is kept. The switches say what goes by the same rules besides complete sessions.
    """

    keep: int | None = None
    keep_days: float | None = None
    include_incomplete: bool = False
    include_unreadable: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Retention:
        """Return what the settings say."""
        return cls(keep=settings.keep, keep_days=settings.keep_days)

    @property
    def removes(self) -> bool:
        """Whether anything can go at all."""
        return self.keep is not None or self.keep_days is not None


@attrs.frozen
class Verdict:
    """What becomes of one session, and why."""

    facts: SessionFacts
    remove: bool
    reason: str


@attrs.frozen
class Removal:
    """A session that was to be removed: ``refused`` says why it is still there."""

    id: str
    freed_bytes: int = 0
    refused: str | None = None


def decide(sessions: Iterable[SessionFacts], rule: Retention, now: float) -> list[Verdict]:
    """Return what becomes of each session, the newest first; ``now`` is in seconds since the epoch."""
    newest_first = sorted(sessions, key=lambda facts: (facts.created or 0.0, facts.id), reverse=True)
    verdicts = []
    place = 0
    for facts in newest_first:
        reason = _protection(facts, rule, now)
        if reason is None:
            place += 1
            reason = _kept_by(facts, rule, now, place)
        verdicts.append(Verdict(facts, reason is None, reason if reason is not None else _beyond(rule)))
    return verdicts


def _protection(facts: SessionFacts, rule: Retention, now: float) -> str | None:
    """Return why a session stays whatever its age, ``None`` when its age decides."""
    if facts.owner is not None:
        return f"in use by {facts.owner}"
    if facts.state in _UNFINISHED and not rule.include_incomplete:
        return "nothing of it was begun" if facts.state is SessionStanding.EMPTY else f"it is {facts.state}"
    if facts.state is SessionStanding.UNREADABLE and not rule.include_unreadable:
        return f"unreadable: {facts.reason}"
    if facts.created is None:
        return "nothing tells its age"
    if facts.created > now:
        return "it seems to come from the future: a clock was wrong"
    if facts.created < _CLOCK_WAS_SET <= now:
        return "its clock had not been set"
    return None


def _kept_by(facts: SessionFacts, rule: Retention, now: float, place: int) -> str | None:
    """Return which rule keeps the session that is number ``place`` of those whose age decides."""
    if not rule.removes:
        return "no rule says that anything goes"
    if rule.keep is not None and place <= rule.keep:
        return f"one of the newest {rule.keep}"
    if rule.keep_days is not None and now - (facts.created or 0.0) < rule.keep_days * _DAY_S:
        return f"younger than {_days(rule.keep_days)}"
    return None


def _beyond(rule: Retention) -> str:
    told = []
    if rule.keep is not None:
        told.append(f"not one of the newest {rule.keep}")
    if rule.keep_days is not None:
        told.append(f"older than {_days(rule.keep_days)}")
    return ", ".join(told)


def _days(days: float) -> str:
    return f"{days:g} day" + ("" if days == 1 else "s")


def carry_out(verdicts: Iterable[Verdict]) -> Iterator[Removal]:
    """Remove what is to go, and yield what became of each; one that changed in the meantime stays.

    What is known of it is looked up once more before that.
    """
    for verdict in verdicts:
        if not verdict.remove:
            continue
        facts = facts_of(verdict.facts.storage)
        if facts.state is not verdict.facts.state:
            told = f"unreadable: {facts.reason}" if facts.reason is not None else f"it is {facts.state} now"
            yield Removal(facts.id, refused=told)
        else:
            yield remove_session(facts.storage)


def remove_session(storage: SessionStorage) -> Removal:
    """Remove one session, whatever is in it; one that somebody uses, or that cannot be removed, stays.

    Its owner gets back the right to it, which a job may have taken away.
    """
    with contextlib.suppress(OSError):
        give_back_rights(storage.location)
    before = disk_bytes(storage.location)
    try:
        storage.remove()
    except (SessionError, OSError) as error:
        return Removal(storage.id, refused=str(error))
    diffuse_everywhere(storage.id, os.path.dirname(os.path.abspath(storage.location)), storage.files)
    left = sum(disk_bytes(path) for path in hidden_remains(storage.location))
    return Removal(storage.id, freed_bytes=max(0, before - left))


def tidy(repository: SessionStorageRepository, settings: Settings) -> list[Removal]:
    """Remove the sessions that the settings do not keep; called when a run has ended. Return what was removed.

    Without such a setting this looks at nothing. Trouble is logged: it never costs the run its exit code.
    """
    rule = Retention.of(settings)
    if not rule.removes:
        return []
    try:
        verdicts = decide(map(facts_of, repository.get_storage_list()), rule, time.time())
        removals = list(carry_out(verdicts))
    except (SessionError, OSError) as error:
        _log.warning("Old sessions were not removed: %s", error)
        return []
    for removal in removals:
        if removal.refused is not None:
            _log.warning("The old session %s was not removed: %s", removal.id, removal.refused)
    return [removal for removal in removals if removal.refused is None]
