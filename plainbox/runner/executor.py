# SPDX-License-Identifier: Apache-2.0
"""One attempt at one job: everything between "about to run" and its result.

The order is what makes a result trustworthy: before the job is noted as running, its log exists, and what goes on with
the session after a restart is in place if the job may cause one; the note is durable before the command starts (the
process waits for it), and the log is complete and durable before the result is made.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from plainbox.errors import JobStartError, SessionError
from plainbox.runner.environment import JobEnvironment
from plainbox.runner.interrupted import forget_left_result
from plainbox.runner.respawn import AutoResume
from plainbox.runner.stop import StopRequest
from plainbox.session.boot import boot_id
from plainbox.session.dirs import WellKnownDirsHelper
from plainbox.session.iolog import DEFAULT_MAX_LOG_BYTES, IOLogWriter
from plainbox.session.jobs import JobState
from plainbox.session.manager import SessionManager
from plainbox.session.metadata import RunningAttempt
from plainbox.session.outcome import Outcome
from plainbox.session.result import JobResult, JobResultBuilder
from plainbox.session.storage import SessionStorage
from plainbox.session.systemd import RESUME_ENVIRONMENT
from plainbox.tasks import ExecutionEngine, JobReport, ProcessIdentity, StreamName, Surroundings
from plainbox.tasks import Result as TaskResult

__all__ = ["JobExecutor", "is_armed"]


#: What a shutdown sends to every process, and how long it may take to reach this one, too.
_SHUTDOWN_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
#: How a process ends by them: a death is a negative code, a shell that has caught the signal says it like this.
_SHUTDOWN_CODES = {code for number in _SHUTDOWN_SIGNALS for code in (-number, 128 + number)}
_SHUTDOWN_WAIT_S = 0.5
_LOG_REMARKS = {
    "truncated": "the log has reached its limit: what the job printed later is not kept",
    "incomplete": "part of what the job printed is lost: there was no space left for the log",
}


def is_armed(storage: SessionStorage) -> bool:
    """Tell whether the session goes on after a restart: what it has not made durable would then happen again."""
    return os.path.lexists(os.path.join(storage.location, RESUME_ENVIRONMENT))


class _LogSink:
    """Passes output on to the log, then to whoever watches."""

    def __init__(self, log: IOLogWriter, watch: Callable[[StreamName, bytes], None] | None) -> None:
        self._log = log
        self._watch = watch

    def write(self, stream: StreamName, data: bytes) -> None:
        self._log.write(stream, data)
        if self._watch is not None:
            self._watch(stream, data)

    def note(self, text: str) -> None:
        self._log.note(text)


class JobExecutor:
    """Executes jobs of one session, one at a time."""

    def __init__(
        self,
        manager: SessionManager,
        engine: ExecutionEngine,
        environment: JobEnvironment,
        stop: StopRequest,
        *,
        timeout_s: float | None = None,
        max_log_bytes: int = DEFAULT_MAX_LOG_BYTES,
        noreturn_wait_s: float = 300.0,
        auto_resume: AutoResume | None = None,
    ) -> None:
        self._manager = manager
        self._engine = engine
        self._environment = environment
        self._stop = stop
        self._timeout_s = timeout_s
        self._max_log_bytes = max_log_bytes
        self._noreturn_wait_s = noreturn_wait_s
        self._auto_resume = auto_resume
        self._boot_id = boot_id()
        self._directories = WellKnownDirsHelper(manager.storage)

    def execute(
        self, job_state: JobState, watch: Callable[[StreamName, bytes], None] | None = None
    ) -> JobResult | None:
        """Run the job's command and return what came of it; the caller gives the result to the session.

        ``None`` says that the run was ended from outside in the middle of it: an attempt that had begun stays noted as
        running, and is judged when the session goes on. ``watch`` sees the output as it comes. Trouble with the storage
        raises :class:`SessionError`: then the command has not run, or its result could not be made durable.
        """
        job = job_state.job
        attempt = job_state.next_attempt
        storage = self._manager.storage
        self._directories.restore()
        forget_left_result(self._directories.share_pathname, storage.files)
        log = IOLogWriter(
            storage.location,
            job.id,
            attempt,
            max_log_bytes=self._max_log_bytes,
            boot=self._boot_id,
            files=storage.files,
            clock=storage.clock,
        )
        start_time = round(storage.clock.time(), 3)
        begun = False

        def started(process: ProcessIdentity) -> None:
            nonlocal begun
            group, ticks = process.process_group, process.start_ticks
            self._note_running(job_state, RunningAttempt(attempt, start_time, self._boot_id, group, ticks, log.path))
            begun = True

        try:
            try:
                if self._auto_resume is not None:
                    self._auto_resume.arm_for(job)
                    if is_armed(storage):
                        storage.make_durable()
                surroundings = Surroundings(
                    environment=self._environment.of(job),
                    output=_LogSink(log, watch),
                    started=started,
                    working_directory=self._working_directory(job_state),
                    timeout_s=self._timeout_s,
                    cancel=self._stop.cancel,
                    tick=self._stop.tick,
                )
            except (OSError, JobStartError) as error:
                done = TaskResult(exception=error)
            else:
                done = self._engine.execute(job, surroundings)
        finally:
            if begun:
                reference = log.close()
            else:
                # An attempt that never began has printed nothing: the session does not keep an empty log of it.
                log.discard()
        report = done.value if done.exception is None else None
        if isinstance(report, JobReport) and self._is_suspended(job_state, report):
            return None
        builder = self._result(job_state, done)
        if begun:
            builder.log = reference
            for flag, remark in _LOG_REMARKS.items():
                if reference.get(flag):
                    builder.add_comment(remark)
        builder.start_time = start_time
        builder.boot_id = self._boot_id
        builder.origin = "run"
        return builder.get_result(storage.location)

    def _is_suspended(self, job_state: JobState, report: JobReport) -> bool:
        """Tell whether the run is being ended from outside, so that the end of the job says nothing about the job.

        A shutdown ends the job and its tester with the same signal, in any order. A job that is to take the machine
        down comes to its end before the machine does.
        """
        if not report.cancelled:
            if report.return_code in _SHUTDOWN_CODES:
                self._stop.wait_for_end(_SHUTDOWN_WAIT_S)
            elif report.return_code == 0 and "noreturn" in job_state.job.flags:
                self._stop.wait_for_end(self._noreturn_wait_s)
            else:
                return False
        return self._stop.suspending

    def _note_running(self, job_state: JobState, running: RunningAttempt) -> None:
        """Make it durable that the job runs; when that fails, it does not run and nothing says so."""
        state = self._manager.state
        assert state is not None
        metadata = state.metadata
        before = metadata.running, metadata.last_job_start_time, job_state.attempts
        metadata.running = {**metadata.running, job_state.job.id: running}
        metadata.last_job_start_time = running.start_time
        job_state.attempts -= 1
        try:
            self._manager.checkpoint()
        except SessionError:
            metadata.running, metadata.last_job_start_time, job_state.attempts = before
            raise

    @staticmethod
    def _working_directory(job_state: JobState) -> Path | None:
        return Path.cwd() if "preserve-cwd" in job_state.job.flags else None

    def _result(self, job_state: JobState, done: TaskResult) -> JobResultBuilder:
        error = done.exception
        if isinstance(error, SessionError):
            raise error
        if error is not None:
            return JobResultBuilder(outcome=Outcome.CRASH, comments=f"the job could not be carried out: {error}")
        report = done.value
        assert isinstance(report, JobReport)
        builder = JobResultBuilder(
            outcome=report.outcome,
            execution_duration=round(report.duration, 6),
            return_code=report.return_code,
            comments=report.comments,
        )
        if report.return_code == 0 and "noreturn" in job_state.job.flags:
            builder.outcome = Outcome.CRASH if "expect-reboot" in job_state.job.flags else Outcome.FAIL
            builder.add_comment("the job returned, and nothing has ended the test session")
        if report.leftovers and "has-leftovers" not in job_state.job.flags:
            builder.add_comment(f"files left in the working directory: {', '.join(report.leftovers)}")
        return builder
