# SPDX-License-Identifier: Apache-2.0
"""The loop of a test session: next job, execution, result, checkpoint, and only then the world is told.

Every job of the run list ends with a result: one that cannot run gets the outcome and the reason. The runner asks nobody
anything; whoever wants to see what happens connects to its signals.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable

from plainbox.events import signal
from plainbox.runner.executor import JobExecutor
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


def is_done(job_state: JobState) -> bool:
    """Tell whether a job has come to its end; an interrupted attempt that is to be repeated is none."""
    return job_state.result.outcome is not None and not job_state.result.get("retry")


class Runner:
    """Takes the run list of a session to its end."""

    def __init__(
        self,
        manager: SessionManager,
        executor: JobExecutor,
        stop: StopRequest,
        *,
        reselect: Callable[[], None] | None = None,
    ) -> None:
        assert manager.state is not None
        self._manager = manager
        self._state: SessionState = manager.state
        self._executor = executor
        self._stop = stop
        self._reselect = reselect
        self._number = 0

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

    # -- the loop

    def run(self) -> bool:
        """Run what is left of the run list; return whether the end was reached before somebody asked to stop."""
        self._number = sum(is_done(self._state.job_state_map[job.id]) for job in self._state.run_list)
        self._decide_dropped()
        units = self._state.unit_list_version
        position = 0
        while position < len(self._state.run_list):
            job_state = self._state.job_state_map[self._state.run_list[position].id]
            position += 1
            if is_done(job_state):
                continue
            if self._stop.requested:
                return False
            self._run_job(job_state)
            if units != self._state.unit_list_version and self._reselect is not None:
                # A resource has made jobs that the selection may mean.
                units = self._state.unit_list_version
                self._reselect()
                self._decide_dropped()
                position = 0
        # A job that was ended on request is no end of the run, not even when it was the last one.
        return not self._stop.cancel.cancelled

    def _decide_dropped(self) -> None:
        """Give a result to the jobs that are wanted and cannot be put in order."""
        for job_id in self._state.dropped:
            job_state = self._state.job_state_map.get(job_id)
            if job_state is not None and not is_done(job_state):
                verdict = outcome_of_unstartable(job_state, self._state)
                self._record(job_state, _decided(*verdict))

    def _run_job(self, job_state: JobState) -> None:
        job = job_state.job
        self._number += 1
        self.on_job_started(job, self._number, len(self._state.run_list))
        result = self._without_running(job_state)
        if result is None:
            result = self._executor.execute(job_state, lambda stream, data: self.on_job_output(job, stream, data))
        self._record(job_state, result)

    def _record(self, job_state: JobState, result: JobResult) -> None:
        job = job_state.job
        metadata = self._state.metadata
        if job.id in metadata.running:
            metadata.running = {key: value for key, value in metadata.running.items() if key != job.id}
        metadata.resume_count = 0
        self._state.update_job_result(job, result)
        self._manager.checkpoint()
        self.on_job_finished(job, job_state.result)

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
    if name == "root":
        return os.geteuid() == 0
    try:
        return name == getpass.getuser()
    except (KeyError, OSError):
        return False


def _decided(
    outcome: str, comment: str, skip_reason: dict[str, list[str]] | None = None, *, return_code: int | None = None
) -> JobResult:
    return JobResultBuilder(
        outcome=outcome, comments=comment, skip_reason=skip_reason, return_code=return_code, origin="run"
    ).get_result()
