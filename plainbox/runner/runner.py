# SPDX-License-Identifier: Apache-2.0
"""The loop of a test session: next job, execution, result, checkpoint, and only then the world is told.

Every job of the run list ends with a result: one that cannot run gets the outcome and the reason. What follows from a
result - jobs made from its records that the selection means, jobs that cannot be put in order - is made durable together
with it, so that no interruption can come between. The runner asks nobody anything; whoever wants to see what happens
connects to its signals, and what goes wrong there does not touch the run.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from plainbox.errors import SessionError
from plainbox.events import signal
from plainbox.runner.executor import JobExecutor
from plainbox.runner.space import SPACE_WAIT_S, with_space
from plainbox.runner.stop import StopRequest
from plainbox.session.jobs import JobState
from plainbox.session.manager import SessionManager
from plainbox.session.outcome import Outcome
from plainbox.session.readiness import outcome_of_unstartable
from plainbox.session.result import JobResult, JobResultBuilder
from plainbox.session.state import SessionState
from plainbox.tasks import StreamName
from plainbox.units import JobDefinition

__all__ = ["Runner", "is_done"]

_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


def is_done(job_state: JobState) -> bool:
    """Tell whether a job has come to its end; an interrupted attempt that is to be repeated is none."""
    return job_state.result.outcome is not None and not job_state.result.get("retry")


class Runner:
    """Takes the run list of a session to its end.

    ``reselect`` is called when a resource job has made units in the course of the run; it may change the wish list.
    """

    def __init__(
        self,
        manager: SessionManager,
        executor: JobExecutor,
        stop: StopRequest,
        *,
        reselect: Callable[[], None] | None = None,
        space_wait_s: float = SPACE_WAIT_S,
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

    # -- the loop

    def run(self) -> bool:
        """Run what is left of the run list; return whether the end was reached before somebody asked to stop."""
        states = self._state.job_state_map
        self.settle_dropped()
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
        # A job that was ended on request is no end of the run, not even when it was the last one.
        return not self._stop.cancel.cancelled

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
        self._number = sum(self._is_done(states[job_id]) for job_id in ids)

    def _is_done(self, job_state: JobState) -> bool:
        return is_done(job_state) and job_state.job.id not in self.again

    def _run_job(self, job_state: JobState) -> bool:
        """Bring one job to its result; return whether the run list may be another one now."""
        job = job_state.job
        self._number += 1
        self._tell(self.on_job_started, job, self._number, self._total)
        result = self._without_running(job_state)
        if result is None:
            # Without space an attempt does not begin, so it can be tried again.
            result = self._with_space(
                lambda: self._executor.execute(
                    job_state, lambda stream, data: self._tell(self.on_job_output, job, stream, data)
                )
            )
        if result is None:
            return False
        self.again.discard(job.id)
        units = self._state.unit_list_version
        self._take(job_state, result)
        made_units = units != self._state.unit_list_version and self._reselect is not None
        decided: list[JobState] = []
        if made_units:
            assert self._reselect is not None
            self._reselect()
            self._count_jobs()
            decided = self._decide_dropped()
        self._checkpoint()
        self._tell(self.on_job_finished, job, job_state.result)
        self._announce(decided)
        return made_units

    def _take(self, job_state: JobState, result: JobResult) -> None:
        metadata = self._state.metadata
        job_id = job_state.job.id
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

    def _with_space(self, action: Callable[[], T]) -> T:
        return with_space(action, self._stop, limit_s=self._space_wait_s)

    def _decide_dropped(self) -> list[JobState]:
        decided = []
        for job_id in self._state.dropped:
            job_state = self._state.job_state_map.get(job_id)
            if job_state is not None and not is_done(job_state):
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
        if job.plugin == "function":
            return _decided(Outcome.NOT_IMPLEMENTED, "function jobs cannot be run by this version")
        if job.user is not None and not _is_current_user(job.user):
            return _decided(Outcome.SKIP, f"the job runs as {job.user!r}; run plainbox as that user")
        return None


def _is_current_user(name: str) -> bool:
    import pwd

    try:
        return pwd.getpwnam(name).pw_uid == os.geteuid()
    except KeyError:
        return False


def _decided(
    outcome: str, comment: str, skip_reason: dict[str, list[str]] | None = None, *, return_code: int | None = None
) -> JobResult:
    return JobResultBuilder(
        outcome=outcome, comments=comment, skip_reason=skip_reason, return_code=return_code, origin="run"
    ).get_result()
