# SPDX-License-Identifier: Apache-2.0
"""Whether what a session has stored is what it holds.

A checkpoint stores what the signals of the state have told. Code that changes a state behind them (a list edited in
place, a result assigned to a job instead of given to the state) loses nothing at once, it loses it at the next restart.
With ``PLAINBOX_AUDIT=1`` the session manager calls :func:`audit` at every checkpoint, so the fault shows where it is made.
The tests of Plainbox always run so; it costs as much as a full save and load each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from plainbox.errors import SessionAuditError
from plainbox.session.codec import parse_object
from plainbox.session.state import SessionState
from plainbox.session.storage import SessionStorage
from plainbox.session.suspend import SessionSuspendHelper
from plainbox.session.tree import Tree, canonical_full, tree_of

__all__ = ["audit"]

_K = TypeVar("_K")
_MAX_NAMED = 8


def audit(state: SessionState, storage: SessionStorage) -> None:
    """Raise :class:`SessionAuditError`, which names what differs, unless the storage holds exactly this state.

    The readiness of the jobs, which is worked out piece by piece and not stored, must be that of all at once too.
    """
    outdated = state.outdated_readiness()
    if outdated:
        raise SessionAuditError(f"the readiness is not up to date: {', '.join(outdated[:_MAX_NAMED])}")
    fresh = SessionSuspendHelper().suspend(state, storage.location)
    stored = storage.load_checkpoint()
    if stored == canonical_full(fresh):
        return
    found = list(_differences(tree_of(parse_object(stored)), tree_of(parse_object(fresh))))
    if found:
        more = f" and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
        raise SessionAuditError(f"the checkpoint does not hold the state: {', '.join(found[:_MAX_NAMED])}{more}")


def _differences(stored: Tree, present: Tree) -> Iterator[str]:
    """Name what differs; what a later version of Plainbox has stored is no part of this."""
    yield from (f"metadata {key}" for key in _unequal(stored.meta, present.meta))
    yield from (f"the entry of job {job_id}" for job_id in _unequal(stored.jobs, present.jobs))
    yield from (f"the definition of job {job_id}" for job_id in _unequal(stored.units, present.units))
    for job_id in _unequal(stored.results, present.results):
        attempts = _unequal(stored.results.get(job_id, {}), present.results.get(job_id, {}))
        yield from (f"result {attempt} of job {job_id}" for attempt in attempts)
    if stored.want != present.want:
        yield "the desired job list"
    if stored.must != present.must:
        yield "the mandatory job list"
    if stored.sys != present.sys:
        yield "the system information"


def _unequal(stored: Mapping[_K, object], present: Mapping[_K, object]) -> list[_K]:
    return [key for key in {**stored, **present} if stored.get(key) != present.get(key)]
