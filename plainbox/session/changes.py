# SPDX-License-Identifier: Apache-2.0
"""What the next checkpoint must hold.

The tracker listens to one session state and remembers which jobs have changed. At a checkpoint it compares those, and
only those, with what is on disk and hands out a :class:`ChangeSet`; only when that is durable is it committed. After a
failure nothing is lost: what was pending stays pending and merges with what comes later. Small values (metadata, the
identity of the lists) are compared with their last saved copy, so a change made in place is seen too.

What must stay true: the changes, applied to what is on disk, give exactly what a full representation of the state would
be. Results enter a state through ``update_job_result``, and attempts are used up by jobs that the metadata lists as
running; a job whose state is changed behind the back of both is not noticed here, but by :mod:`plainbox.session.audit`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import attrs

from plainbox.session.jobs import JobState
from plainbox.session.result import JobResult, JsonValue
from plainbox.session.state import SessionState
from plainbox.units import JobDefinition

__all__ = ["ChangeSet", "ChangeTracker", "represented"]


class _Saved(NamedTuple):
    """What is on disk of one job."""

    history: tuple[JobResult, ...]
    attempts: int


@attrs.frozen
class _Lists:
    """The lists of a state: the objects, to see quickly that nothing has changed, and what they held."""

    desired: object = None
    mandatory: object = None
    run: object = None
    want: tuple[str, ...] = ()
    must: tuple[str, ...] = ()
    #: The jobs that are stored whether they have results or not.
    kept_ids: frozenset[str] = frozenset()
    system_information: object = None

    @classmethod
    def of(cls, state: SessionState, known: _Lists) -> _Lists:
        desired, mandatory, run_list = state.desired_job_list, state.mandatory_job_list, state.run_list
        return cls(
            desired,
            mandatory,
            run_list,
            known.want if desired is known.desired else tuple(job.id for job in desired),
            known.must if mandatory is known.mandatory else tuple(job.id for job in mandatory),
            known.kept_ids
            if run_list is known.run and mandatory is known.mandatory
            else frozenset(job.id for job in (*run_list, *mandatory)),
            state.system_information,
        )


@attrs.frozen
class ChangeSet:
    """Everything that differs from what is on disk.

    ``jobs`` are those whose entry is new or another one, ``defined`` those whose definition is not there yet;
    ``results`` are (job id, result) of new attempts, ``dropped`` (job id, attempt) of attempts that are no more;
    ``None`` for a list means that it has not changed.
    """

    meta: Mapping[str, JsonValue] = attrs.field(factory=dict)
    jobs: tuple[str, ...] = ()
    defined: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    results: tuple[tuple[str, JobResult], ...] = ()
    dropped: tuple[tuple[str, int], ...] = ()
    want: tuple[str, ...] | None = None
    must: tuple[str, ...] | None = None
    system_information: bool = False
    #: What is on disk once the changes are; for the tracker.
    saved: Mapping[str, _Saved] = attrs.field(factory=dict, eq=False, repr=False)
    lists: _Lists = attrs.field(factory=_Lists, eq=False, repr=False)

    def __bool__(self) -> bool:
        return self != _NOTHING


_NOTHING = ChangeSet()


class ChangeTracker:
    """Remembers the changes of one state since the last committed change set."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._touched: dict[str, None] = {}
        self._saved: dict[str, _Saved] = {}
        self._gone: dict[str, None] = {}
        self._saved_meta: dict[str, JsonValue] = {}
        self._saved_lists = _Lists()
        state.on_job_result_changed.connect(self._result_changed)
        state.on_job_removed.connect(self._job_removed)

    def detach(self) -> None:
        """Stop listening."""
        self._state.on_job_result_changed.disconnect(self._result_changed)
        self._state.on_job_removed.disconnect(self._job_removed)

    def _result_changed(self, job: JobDefinition, result: JobResult) -> None:
        self._touched[job.id] = None

    def _job_removed(self, job: JobDefinition) -> None:
        self._touched.pop(job.id, None)
        if self._saved.pop(job.id, None) is not None:
            self._gone[job.id] = None

    def pending(self) -> ChangeSet:
        """Return what is not on disk; asking changes nothing."""
        state, lists = self._state, self._saved_lists
        present = _Lists.of(state, lists)
        jobs: list[str] = []
        defined: list[str] = []
        gone = dict(self._gone)
        results: list[tuple[str, JobResult]] = []
        dropped: list[tuple[str, int]] = []
        to_save: dict[str, _Saved] = {}
        for job_id in self._candidates(present):
            job_state = state.job_state_map.get(job_id)
            if job_state is None:
                continue
            saved = self._saved.get(job_id)
            now = _Saved(job_state.result_history, job_state.attempts)
            if not now.history and job_id not in present.kept_ids:
                if saved is not None:
                    gone[job_id] = None
                continue
            to_save[job_id] = now
            if saved is None:
                defined.append(job_id)
            if saved is None or saved.attempts != now.attempts:
                jobs.append(job_id)
            before = saved.history if saved is not None else ()
            if before is not now.history:
                kept = _common(before, now.history)
                new = now.history[kept:]
                # A result in the place of another one needs no word about that one: it is the same attempt.
                again = {result.attempt for result in new}
                dropped += [(job_id, item.attempt or 0) for item in before[kept:] if item.attempt not in again]
                results += [(job_id, result) for result in new]
        return ChangeSet(
            meta=self._changed_meta(),
            jobs=tuple(jobs),
            defined=tuple(defined),
            gone=tuple(gone),
            results=tuple(results),
            dropped=tuple(dropped),
            want=None if present.want == lists.want else present.want,
            must=None if present.must == lists.must else present.must,
            system_information=present.system_information is not lists.system_information,
            saved=to_save,
            lists=present,
        )

    def _candidates(self, present: _Lists) -> Iterable[str]:
        """Return the ids of all jobs that may differ from what is on disk."""
        known = self._saved_lists
        running = self._state.metadata.running
        if present.kept_ids is known.kept_ids:
            return self._touched if not running else {**self._touched, **dict.fromkeys(running)}
        # Jobs that have left the lists without a result are not stored any more.
        left = (job_id for job_id in known.kept_ids if job_id not in present.kept_ids)
        kept = (job.id for job in (*self._state.run_list, *self._state.mandatory_job_list))
        return dict.fromkeys((*self._touched, *running, *kept, *left))

    def _changed_meta(self) -> dict[str, JsonValue]:
        saved = self._saved_meta
        meta = self._state.metadata.as_dict()
        return {key: value for key, value in meta.items() if key not in saved or saved[key] != value}

    def commit(self, changes: ChangeSet) -> None:
        """Forget what is on disk now; what has changed since the change set was made stays pending."""
        self._saved_meta.update(changes.meta)
        self._saved_lists = changes.lists
        for job_id in changes.gone:
            self._gone.pop(job_id, None)
            self._saved.pop(job_id, None)
        self._saved.update(changes.saved)
        self._touched = {job_id: None for job_id in self._touched if not self._is_saved(job_id)}

    def commit_full(self) -> None:
        """Everything is on disk now."""
        self._saved_meta = dict(self._state.metadata.as_dict())
        self._saved_lists = _Lists.of(self._state, _Lists())
        self._saved = {
            job_id: _Saved(job_state.result_history, job_state.attempts)
            for job_id, job_state in represented(self._state).items()
        }
        self._touched.clear()
        self._gone.clear()

    def _is_saved(self, job_id: str) -> bool:
        job_state = self._state.job_state_map[job_id]
        saved = self._saved.get(job_id)
        history = saved.history if saved is not None else ()
        return history is job_state.result_history or not (history or job_state.result_history)


def represented(state: SessionState) -> dict[str, JobState]:
    """Return the jobs that are stored: those on the run list, the mandatory ones, and those with results, in this order."""
    states = state.job_state_map
    found = {job.id: states[job.id] for job in (*state.run_list, *state.mandatory_job_list)}
    found.update((job_id, job_state) for job_id, job_state in states.items() if job_state.result_history)
    return found


def _common(before: tuple[JobResult, ...], after: tuple[JobResult, ...]) -> int:
    """Return how many results both histories begin with."""
    count = 0
    for former, present in zip(before, after, strict=False):
        if former is not present:
            break
        count += 1
    return count
