# SPDX-License-Identifier: Apache-2.0
"""What the next checkpoint must hold.

The tracker listens to one session state and remembers which jobs have changed. At a checkpoint it compares those, and
only those, with their last saved history and hands out a :class:`ChangeSet`; only when that is durable is it committed.
After a failure nothing is lost: what was pending stays pending and merges with what comes later. Small values (metadata,
the identity of the lists) are compared with their last saved copy, so a change made in place is seen too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import attrs

from plainbox.session.jobs import JobState
from plainbox.session.result import JobResult, JsonValue
from plainbox.session.state import SessionState
from plainbox.units import JobDefinition

__all__ = ["ChangeSet", "ChangeTracker", "represented"]


@attrs.frozen
class ChangeSet:
    """Everything that differs from what is on disk.

    ``results`` are (job id, result) of new attempts, ``dropped`` (job id, attempt) of attempts that are no more; ``None``
    for a list means that it has not changed.
    """

    meta: Mapping[str, JsonValue] = attrs.field(factory=dict)
    jobs: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    results: tuple[tuple[str, JobResult], ...] = ()
    dropped: tuple[tuple[str, int], ...] = ()
    want: tuple[str, ...] | None = None
    must: tuple[str, ...] | None = None
    system_information: bool = False

    def __bool__(self) -> bool:
        return self != _NOTHING


_NOTHING = ChangeSet()


class _Saved(NamedTuple):
    history: tuple[JobResult, ...]
    attempts: int


class ChangeTracker:
    """Remembers the changes of one state since the last committed change set."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._touched: dict[str, None] = {}
        self._saved: dict[str, _Saved] = {}
        self._gone: dict[str, None] = {}
        self._saved_meta: dict[str, JsonValue] = {}
        self._saved_lists: tuple[object, object, object, object] = (None, None, None, None)
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
        state = self._state
        want, must, run_list, information = self._saved_lists
        candidates = dict(self._touched)
        candidates.update(dict.fromkeys(state.metadata.running))
        if state.run_list is not run_list:
            candidates.update((job.id, None) for job in state.run_list)
        jobs: list[str] = []
        results: list[tuple[str, JobResult]] = []
        dropped: list[tuple[str, int]] = []
        for job_id in candidates:
            job_state = state.job_state_map.get(job_id)
            if job_state is None:
                continue
            saved = self._saved.get(job_id)
            if saved is None or saved.attempts != job_state.attempts:
                jobs.append(job_id)
            before = saved.history if saved is not None else ()
            if before is job_state.result_history:
                continue
            kept = _common(before, job_state.result_history)
            dropped += [(job_id, former.attempt or 0) for former in before[kept:]]
            results += [(job_id, result) for result in job_state.result_history[kept:]]
        return ChangeSet(
            meta=self._changed_meta(),
            jobs=tuple(jobs),
            gone=tuple(job_id for job_id in self._gone if job_id not in self._saved),
            results=tuple(results),
            dropped=tuple(dropped),
            want=None if state.desired_job_list is want else tuple(job.id for job in state.desired_job_list),
            must=None if state.mandatory_job_list is must else tuple(job.id for job in state.mandatory_job_list),
            system_information=state.system_information is not information,
        )

    def _changed_meta(self) -> dict[str, JsonValue]:
        saved = self._saved_meta
        meta = self._state.metadata.as_dict()
        return {key: value for key, value in meta.items() if key not in saved or saved[key] != value}

    def commit(self, changes: ChangeSet) -> None:
        """Forget what is on disk now."""
        self._saved_meta.update(changes.meta)
        for job_id in {*changes.jobs, *(job_id for job_id, _ in changes.results)}:
            self._remember(job_id)
        self._touched.clear()
        self._gone.clear()
        self._remember_lists()

    def commit_full(self) -> None:
        """Everything is on disk now."""
        self._saved_meta = dict(self._state.metadata.as_dict())
        self._saved.clear()
        for job_id in represented(self._state):
            self._remember(job_id)
        self._touched.clear()
        self._gone.clear()
        self._remember_lists()

    def _remember(self, job_id: str) -> None:
        job_state = self._state.job_state_map[job_id]
        self._saved[job_id] = _Saved(job_state.result_history, job_state.attempts)

    def _remember_lists(self) -> None:
        state = self._state
        self._saved_lists = (
            state.desired_job_list,
            state.mandatory_job_list,
            state.run_list,
            state.system_information,
        )


def represented(state: SessionState) -> dict[str, JobState]:
    """Return the jobs that are stored: those on the run list and those with results, in this order."""
    states = state.job_state_map
    found = {job.id: states[job.id] for job in state.run_list}
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
