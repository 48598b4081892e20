# SPDX-License-Identifier: Apache-2.0
"""Which job of a run list may start now, when several run at the same time.

The runner asks it for jobs and tells it of their ends. Jobs of one group are one step here: they go one after the other,
and what waits for one of them waits for all. What must stay true:

* a step is ready when everything that must come before it has its result: what its jobs need, what they salvage, what
  runs ``before`` them, and no job of the same group in another place;
* of the steps that are ready the first of the run list goes first, and a group that has begun goes on before any other;
* jobs that name the same lock never run at the same time, nor do those that share the directory of Plainbox; a step
  takes its locks in the order of their names and keeps them until its end, so that nobody waits in a circle and nobody
  is passed over again and again; a group that has to wait in the middle gives back what it would wait with;
* a job that must run alone waits until all others have ended, and no further one starts before it.

A result costs what it can reach, and the logarithm of what is ready; nothing looks at the whole list for one result.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable

import attrs

from plainbox.session.planner import needs_of
from plainbox.units import JobDefinition, SetupJobDefinition

__all__ = ["Scheduler", "must_run_alone"]

#: Jobs that take the machine or the tester down.
_ENDING_FLAGS = frozenset({"noreturn", "autorestart", "expect-reboot"})
#: The lock of jobs that run in the directory of Plainbox; no word is like it.
_DIRECTORY_LOCK = "the working directory"


def must_run_alone(job: JobDefinition) -> bool:
    """Tell whether a job cannot share the machine: it asks a person, prepares the machine, or takes it down."""
    return not job.automated or isinstance(job, SetupJobDefinition) or not _ENDING_FLAGS.isdisjoint(job.flags)


@attrs.define(eq=False)
class _Step:
    """A job, or the jobs of one group; ``jobs`` are those that have not started."""

    place: int
    jobs: deque[JobDefinition] = attrs.field(factory=deque)
    locks: list[str] = attrs.field(factory=list)
    #: How many of its jobs have started and not ended: one, but for those that a new run list finds so.
    at_work: int = 0
    begun: bool = False
    #: How many other steps have to end first, and the steps that wait for this one.
    missing: int = 0
    followers: list[_Step] = attrs.field(factory=list)

    @property
    def can_go_on(self) -> bool:
        """Whether nothing but locks keeps its next job from starting."""
        return bool(self.jobs) and self.missing == 0 and not self.at_work


class Scheduler:
    """Gives out the jobs of ``run_list`` that are not done, each once.

    ``running`` are jobs that run already: they keep their locks, and are not given out. ``alone`` says, when the turn of a
    job has come, whether it has to run alone.
    """

    def __init__(
        self,
        run_list: Iterable[JobDefinition],
        *,
        is_done: Callable[[JobDefinition], bool],
        alone: Callable[[JobDefinition], bool] = must_run_alone,
        running: Iterable[JobDefinition] = (),
    ) -> None:
        self._is_alone = alone
        self._lone: str | None = None
        self._ready: list[tuple[bool, int, _Step]] = []
        self._holders: dict[str, _Step] = {}
        self._waiting: dict[str, list[tuple[int, _Step]]] = {}
        jobs = {job.id: job for job in run_list if not is_done(job)}
        at_work = {job.id: job for job in running}
        # One that was left out of a new run list runs on.
        self._step_of = _steps_of([*jobs.values(), *(job for job in at_work.values() if job.id not in jobs)])
        self._running = {job_id: self._step_of[job_id] for job_id in at_work}
        for job_id, step in self._running.items():
            step.begun = True
            step.at_work += 1
            step.jobs.remove(at_work[job_id])
            self._holders.update(dict.fromkeys(_locks_of(at_work[job_id]), step))
        for step in self._running.values():
            for lock in step.locks:
                self._holders.setdefault(lock, step)
        self._order(list(jobs.values()))
        for step in dict.fromkeys(self._step_of.values()):
            self._offer(step)

    def next(self) -> JobDefinition | None:
        """Return the job that starts now; ``None`` when none can before another one has ended, or none is left."""
        while self._ready and self._lone is None:
            step = self._ready[0][-1]
            job = step.jobs[0]
            alone = self._is_alone(job)
            if alone and self._running:
                return None
            heapq.heappop(self._ready)
            if not (alone or self._take_locks(step)):
                continue
            step.begun = True
            step.at_work += 1
            step.jobs.popleft()
            self._running[job.id] = step
            self._lone = job.id if alone else None
            return job
        return None

    def ended(self, job_id: str) -> None:
        """Take note that a job which was given out has its result."""
        step = self._running.pop(job_id)
        if self._lone == job_id:
            self._lone = None
        step.at_work -= 1
        self._offer(step)
        if step.at_work or step.can_go_on:
            return
        # A group may have got a job that waits for somebody who needs its locks.
        for lock in step.locks:
            self._give_back(lock, step)
        if step.jobs:
            return
        for follower in step.followers:
            follower.missing -= 1
            self._offer(follower)

    def _offer(self, step: _Step) -> None:
        """Have a step take part in the choice if its next job may start.

        What has begun comes before all others, then it goes by the order of the run list.
        """
        if step.can_go_on:
            heapq.heappush(self._ready, (not step.begun, step.place, step))

    def _order(self, jobs: list[JobDefinition]) -> None:
        """Have every step wait for those that must come before it."""
        places = {job.id: place for place, job in enumerate(jobs)}
        edges = [(earlier, job.id) for job in jobs for earlier in (*needs_of(job), *job.salvages)]
        edges += [(job.id, later) for job in jobs for later in job.precedes]
        known: set[tuple[int, int]] = set()
        for earlier, later in edges:
            # What the run list does not follow is no order: a setup job that somebody needs has had its phase.
            if places.get(earlier, len(places)) < places.get(later, -1):
                first, second = self._step_of[earlier], self._step_of[later]
                if first is not second and (first.place, second.place) not in known:
                    known.add((first.place, second.place))
                    first.followers.append(second)
                    second.missing += 1

    # -- locks

    def _take_locks(self, step: _Step) -> bool:
        """Take the locks of a step; at the first that is not free, have the step wait for it and return false."""
        for place, lock in enumerate(step.locks):
            if self._holders.setdefault(lock, step) is not step:
                heapq.heappush(self._waiting.setdefault(lock, []), (step.place, step))
                # A group that has got a further lock while it ran may hold some whose turn has not come.
                for later in step.locks[place + 1 :]:
                    self._give_back(later, step)
                return False
        return True

    def _give_back(self, lock: str, step: _Step) -> None:
        if self._holders.get(lock) is not step:
            return  # it has run alone, without locks
        waiting = self._waiting.get(lock)
        if waiting:
            _, self._holders[lock] = heapq.heappop(waiting)
            self._offer(self._holders[lock])
        else:
            del self._holders[lock]


def _steps_of(jobs: Iterable[JobDefinition]) -> dict[str, _Step]:
    """Return the step of each job, by its id."""
    steps: dict[str, _Step] = {}
    groups: dict[str, _Step] = {}
    for place, job in enumerate(jobs):
        step = _Step(place) if job.group is None else groups.setdefault(job.group, _Step(place))
        steps[job.id] = step
        step.jobs.append(job)
        step.locks = sorted({*step.locks, *_locks_of(job)}) if _locks_of(job) else step.locks
    return steps


def _locks_of(job: JobDefinition) -> tuple[str, ...]:
    return (*job.uses, _DIRECTORY_LOCK) if "preserve-cwd" in job.flags else job.uses
