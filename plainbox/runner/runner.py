# SPDX-License-Identifier: Apache-2.0
"""The loop of a test session: next job, execution, result, checkpoint, and only then the world is told.

Every job of the run list ends with a result: one that cannot run gets the outcome and the reason. What follows from a
result - jobs made from its records that the selection means, jobs that cannot be put in order - is made durable together
with it, so that no interruption can come between. The runner asks nobody anything; whoever wants to see what happens
connects to its signals, and what goes wrong there does not touch the run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import ParamSpec, TypeVar

from plainbox.errors import SessionError
from plainbox.events import signal
from plainbox.runner.attempt import Attempt, Wiring
from plainbox.runner.crew import Crew
from plainbox.runner.executor import JobExecutor
from plainbox.runner.scheduler import Scheduler, must_run_alone
from plainbox.runner.space import SPACE_WAIT_S, with_space
from plainbox.runner.stop import StopRequest
from plainbox.session.jobs import JobState
from plainbox.session.manager import SessionManager
from plainbox.session.outcome import Outcome
from plainbox.session.readiness import outcome_of_unstartable
from plainbox.session.result import JobResult, JobResultBuilder
from plainbox.session.state import SessionState
from plainbox.tasks import JobItem, StreamName
from plainbox.tracing import Action
from plainbox.units import JobDefinition

__all__ = ["Runner", "is_done"]

_log = logging.getLogger(__name__)

#: So many results of jobs that need not run are made durable in one checkpoint.
_MOST_RESULTS = 64

P = ParamSpec("P")
T = TypeVar("T")


def is_done(job_state: JobState) -> bool:
    """Tell whether a job has come to its end; an interrupted attempt that is to be repeated is none."""
    return job_state.result.outcome is not None and not job_state.result.get("retry")


class Runner:
    """Takes the run list of a session to its end, up to ``jobs`` jobs at the same time.

    Whatever the number: only the thread that calls :meth:`run` changes the session and fires the signals. ``reselect`` is
    called when a resource job has made units in the course of the run; it may change the wish list.
    """

    def __init__(
        self,
        manager: SessionManager,
        executor: JobExecutor,
        stop: StopRequest,
        *,
        reselect: Callable[[], None] | None = None,
        space_wait_s: float = SPACE_WAIT_S,
        jobs: int = 1,
    ) -> None:
        assert manager.state is not None
        self._manager = manager
        self._state: SessionState = manager.state
        self._executor = executor
        self._stop = stop
        self._reselect = reselect
        self._space_wait_s = space_wait_s
        #: Ids of jobs that belong to an earlier phase: they do not count among those of this one.
        self.uncounted: frozenset[str] = frozenset()
        #: Ids of jobs that run once more although they have a result.
        self.again: set[str] = set()
        #: Ids of jobs that have a result which is not durable; there are some after the storage has failed.
        self.unstored: set[str] = set()
        if jobs < 1:
            raise ValueError(f"at least one job must be able to run, not {jobs}")
        #: How many jobs run at the same time at the most.
        self.jobs = jobs
        self._stop.several = jobs > 1
        self._at_work: Mapping[str, Attempt] = {}
        self._number = self._total = 0
        self._watcher_failed = False

    # -- signals

    @signal
    def on_job_started(self, job: JobDefinition, number: int, total: int) -> None:
        """The turn of a job has come: the ``number``-th of ``total``, counting those that were done before."""

    @signal
    def on_job_output(self, job: JobDefinition, stream: StreamName, data: bytes) -> None:
        """The running job has printed something."""

    @signal
    def on_job_item(self, job: JobDefinition, item: JobItem) -> None:
        """The running job has told something of itself: its progress, or a part of its result."""

    @signal
    def on_end_awaited(self, job: JobDefinition, limit_s: float) -> None:
        """A job that is to take the machine down has ended: the end of the machine is waited for, so long at most."""

    @signal
    def on_job_finished(self, job: JobDefinition, result: JobResult) -> None:
        """A job has a result, and the result is durable."""

    def _tell(self, fire: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Fire a signal. A watcher that fails must neither end the run nor falsify a result, so it is only logged."""
        try:
            fire(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - watchers are anybody's
            if not self._watcher_failed:
                self._watcher_failed = True
                _log.warning("Something that watches the run has failed: %s", error, exc_info=True)

    def _tell_of_wait(self, job: JobDefinition, limit_s: float) -> None:
        self._tell(self.on_end_awaited, job, limit_s)

    # -- the loop

    def run(self) -> bool:
        """Run what is left of the run list; return whether the end was reached before somebody asked to stop."""
        self.settle_dropped()
        reached = self._run_in_turn() if self.jobs == 1 else self._run_side_by_side()
        # A job that was ended on request is no end of the run, not even when it was the last one.
        return reached and not self._stop.cancel.cancelled

    def _run_in_turn(self) -> bool:
        states = self._state.job_state_map
        position = 0
        while position < len(self._state.run_list):
            # Thousands of jobs that need no command say nothing for a while, and are no reason to be taken for hung.
            self._stop.tick()
            job_state = states[self._state.run_list[position].id]
            position += 1
            if self._is_done(job_state):
                continue
            if self._stop.requested:
                return False
            if self._run_job(job_state):
                position = 0
        return True

    def _run_side_by_side(self) -> bool:
        with Crew(self._executor, self._stop) as crew:
            self._at_work = crew.running
            scheduler = self._schedule()
            while (results := self._start(crew, scheduler)) or crew.running:
                self._stop.tick()
                ended = crew.news(wait=not results)
                results += self._results_of(ended)
                if not (results or crew.held):
                    continue
                made_units = self._conclude(results, crew.held)
                crew.let_go()
                for job_state, _ in results:
                    scheduler.ended(job_state.job.id)
                if made_units:
                    scheduler = self._schedule()
        return all(self._is_done(self._state.job_state_map[job.id]) for job in self._state.run_list)

    def _schedule(self) -> Scheduler:
        states = self._state.job_state_map
        return Scheduler(
            self._state.run_list,
            is_done=lambda job: self._is_done(states[job.id]),
            # A job whose command does not run is in nobody's way.
            alone=lambda job: must_run_alone(job) and self._without_running(states[job.id]) is None,
            running=[attempt.job for attempt in self._at_work.values()],
        )

    def _start(self, crew: Crew, scheduler: Scheduler) -> list[tuple[JobState, JobResult]]:
        """Start the jobs whose turn has come, as many as may run; return the results of those that need not run."""
        results: list[tuple[JobState, JobResult]] = []
        while len(crew.running) < self.jobs and len(results) < _MOST_RESULTS and not self._stop.requested:
            job = scheduler.next()
            if job is None:
                break
            job_state = self._state.job_state_map[job.id]
            result = self._turn(job_state)
            if result is _UNDECIDED:
                break
            if result is None:
                crew.start(self._begin(crew, job_state))
            else:
                results.append((job_state, result))
        return results

    def _begin(self, crew: Crew, job_state: JobState) -> Attempt:
        job = job_state.job

        def output(stream: StreamName, data: bytes) -> None:
            crew.tell(lambda: self._tell(self.on_job_output, job, stream, data))

        def item(item: JobItem) -> None:
            crew.tell(lambda: self._tell(self.on_job_item, job, item))

        wiring = Wiring(crew.started, crew.cancel, output, item, alone=must_run_alone(job))
        attempt = self._with_space(lambda: self._executor.begin(job_state, wiring))
        attempt.action = Action.maybe_current()
        return attempt

    def _results_of(self, attempts: Iterable[Attempt]) -> Iterator[tuple[JobState, JobResult]]:
        for attempt in attempts:
            result = self._executor.finish(attempt, partial(self._tell_of_wait, attempt.job))
            if result is not None:
                yield attempt.job_state, result

    def settle_dropped(self) -> None:
        """Give a result to the jobs that are wanted and cannot be put in order.

        It is durable when this returns, in one checkpoint with whatever else has changed.
        """
        self._count_jobs()
        decided = self._decide_dropped()
        self._checkpoint()
        self._announce(decided)

    def _count_jobs(self) -> None:
        """Count the jobs of this phase and those that are done; those left out of the run list have results too."""
        states = self._state.job_state_map
        ids = [job.id for job in self._state.run_list if job.id not in self.uncounted]
        ids += [job_id for job_id in self._state.dropped if job_id in states]
        self._total = len(ids)
        self._number = sum(self._is_done(states[job_id]) or job_id in self._at_work for job_id in ids)

    def _is_done(self, job_state: JobState) -> bool:
        return is_done(job_state) and job_state.job.id not in self.again

    def _run_job(self, job_state: JobState) -> bool:
        """Bring one job to its result; return whether the run list may be another one now."""
        job = job_state.job
        result = self._turn(job_state)
        if result is _UNDECIDED:
            return False
        if result is None:
            # Without space an attempt does not begin, so it can be tried again.
            result = self._with_space(
                lambda: self._executor.execute(
                    job_state,
                    lambda stream, data: self._tell(self.on_job_output, job, stream, data),
                    partial(self._tell_of_wait, job),
                    lambda item: self._tell(self.on_job_item, job, item),
                )
            )
        return result is not None and self._conclude([(job_state, result)])

    def _turn(self, job_state: JobState) -> JobResult | None:
        """Tell that the turn of a job has come; return its result if its command does not run."""
        self._number += 1
        self._tell(self.on_job_started, job_state.job, self._number, self._total)
        return self._without_running(job_state)

    def _conclude(self, results: Collection[tuple[JobState, JobResult]], beginning: Collection[Attempt] = ()) -> bool:
        """Take results, and the notes that further attempts run; return whether the run list may be another one now.

        One checkpoint makes all of it durable; then the results are told.
        """
        units = self._state.unit_list_version
        for job_state, result in results:
            self.again.discard(job_state.job.id)
            self._take(job_state, result)
        made_units = units != self._state.unit_list_version and self._reselect is not None
        decided: list[JobState] = []
        if made_units:
            assert self._reselect is not None
            self._reselect()
            self._count_jobs()
            decided = self._decide_dropped()
        if beginning:
            self._executor.note_running(beginning, self._checkpoint)
        else:
            self._checkpoint()
        for job_state, _ in results:
            self._executor.settle(job_state.job, durable=True)
            self._tell(self.on_job_finished, job_state.job, job_state.result)
        self._announce(decided)
        return made_units

    def _take(self, job_state: JobState, result: JobResult) -> None:
        metadata = self._state.metadata
        job_id = job_state.job.id
        self.unstored.add(job_id)
        if job_id in metadata.running:
            metadata.running = {key: value for key, value in metadata.running.items() if key != job_id}
        if not (metadata.setting_up and result.outcome == Outcome.CRASH):
            metadata.resume_count = 0
        try:
            self._state.update_job_result(job_state.job, result)
        except (SessionError, OSError) as error:
            # The result is there; whoever needs what the job has printed is told that there is nothing.
            _log.warning("What the resource job %s found out cannot be read: %s", job_id, error)

    def _checkpoint(self) -> None:
        """Make the state durable."""
        self._with_space(self._manager.checkpoint)
        self.unstored.clear()

    def _with_space(self, action: Callable[[], T]) -> T:
        return with_space(action, self._stop, limit_s=self._space_wait_s)

    def _decide_dropped(self) -> list[JobState]:
        decided = []
        for job_id in self._state.dropped:
            job_state = self._state.job_state_map.get(job_id)
            # One that runs already has its result at its end, whatever the run list has become meanwhile.
            if job_state is not None and not is_done(job_state) and job_id not in self._at_work:
                self._take(job_state, _decided(*outcome_of_unstartable(job_state, self._state)))
                decided.append(job_state)
        return decided

    def _announce(self, decided: Iterable[JobState]) -> None:
        """Tell of jobs that have their result without having had a turn."""
        for job_state in decided:
            self._number += 1
            self._tell(self.on_job_started, job_state.job, self._number, self._total)
            self._tell(self.on_job_finished, job_state.job, job_state.result)

    def _without_running(self, job_state: JobState) -> JobResult | None:
        """Return the result of a job whose command does not run, ``None`` for all others."""
        job = job_state.job
        errors = job.errors
        if errors:
            return _decided(Outcome.FAIL, "\n".join(map(str, errors)), return_code=1)
        if job_state.readiness_inhibitor_list:
            return _decided(*outcome_of_unstartable(job_state, self._state))
        if not job.automated:
            return _decided(Outcome.SKIP, f"a {job.plugin} job needs a person, and this run asks nobody")
        if job.user is not None:
            obstacle = self._executor.obstacle(job)
            if obstacle is not None:
                return _UNDECIDED if self._stop.cancel.cancelled else _decided(Outcome.SKIP, obstacle)
        return None


def _decided(
    outcome: str, comment: str, skip_reason: dict[str, list[str]] | None = None, *, return_code: int | None = None
) -> JobResult:
    return JobResultBuilder(
        outcome=outcome, comments=comment, skip_reason=skip_reason, return_code=return_code, origin="run"
    ).get_result()


#: Of a job whose turn it was when the run was stopped: whoever does that instead of giving a password decides nothing.
_UNDECIDED = JobResultBuilder().get_result()
