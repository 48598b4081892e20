# SPDX-License-Identifier: Apache-2.0
"""One attempt at one job: everything between "about to run" and its result.

The order is what makes a result trustworthy: before the job is noted as running, its log exists, and what goes on with
the session after a restart is in place if the job may cause one; the note is durable before the command starts (the
process waits for it), and the log is complete and durable before the result is made.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from plainbox.errors import ChainError, JobStartError, SessionError
from plainbox.runner.attempt import Attempt, Wiring
from plainbox.runner.environment import JobEnvironment
from plainbox.runner.interrupted import Circumstances, forget_left_result, judge, read_left_result
from plainbox.runner.items import add_items, attachments_of, forget_attachments
from plainbox.runner.privileges import obstacle_to
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
from plainbox.tasks import ExecutionEngine, JobItem, JobReport, ProcessIdentity, StreamName, Surroundings
from plainbox.tasks import Result as TaskResult
from plainbox.tasks.process import Interruption
from plainbox.tasks.report import OutcomeCandidate
from plainbox.tracing import child_environment
from plainbox.units import JobDefinition

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
    """Executes jobs of one session: :meth:`execute` one after the other, its three steps several at the same time."""

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
        #: Job id -> what waits until its outcome is durable.
        self._unsettled: dict[str, list[Callable[[bool], None]]] = {}

    def execute(
        self,
        job_state: JobState,
        watch: Callable[[StreamName, bytes], None] | None = None,
        waiting: Callable[[float], None] | None = None,
        told: Callable[[JobItem], None] = lambda item: None,
    ) -> JobResult | None:
        """Run the job's command and return what came of it; the caller gives the result to the session.

        ``None`` says that the run was ended from outside in the middle of it: an attempt that had begun stays noted as
        running, and is judged when the session goes on. ``watch`` sees the output as it comes. ``waiting`` is told for how
        many seconds at the most the machine is given to go down, when that is what the job was for. ``told`` is given what
        the job tells of itself, while it runs. Trouble with the storage raises :class:`SessionError`: then the command has
        not run, or its result could not be made durable.
        """

        def started(attempt: Attempt) -> None:
            self.note_running([attempt], self._manager.checkpoint)

        wiring = Wiring(started, self._stop.cancel, watch, told, self._stop.tick)
        attempt = self.begin(job_state, wiring)
        try:
            self.run(attempt)
        finally:
            attempt.end_log()
        return self.finish(attempt, waiting)

    def begin(self, job_state: JobState, wiring: Wiring) -> Attempt:
        """Prepare an attempt: its log exists, and what goes on with the session after a restart is in place.

        Every attempt is run and finished after that, or its log is ended. Trouble with the storage raises
        :class:`SessionError`.
        """
        job, number, storage = job_state.job, job_state.next_attempt, self._manager.storage
        self.settle(job, durable=False)
        self._directories.restore()
        forget_left_result(self._directories.share_pathname, storage.files)
        log = IOLogWriter(
            storage.location,
            job.id,
            number,
            max_log_bytes=self._max_log_bytes,
            boot=self._boot_id,
            files=storage.files,
            clock=storage.clock,
        )
        start_time = round(storage.clock.time(), 3)
        attempt = Attempt(job_state, number, start_time, log, attachments_of(storage, log.path))

        def started(process: ProcessIdentity) -> None:
            attempt.running = RunningAttempt(
                attempt=number,
                start_time=start_time,
                # A restart of this machine would be none of the machine that the job runs on.
                boot_id=None if self._leaves_machine(job) else self._boot_id,
                process_group=process.process_group,
                start_ticks=process.start_ticks,
                log=log.path,
                alone=wiring.alone,
            )
            wiring.started(attempt)

        try:
            if self._auto_resume is not None:
                self._auto_resume.arm_for(job)
            attempt.surroundings = Surroundings(
                environment=child_environment(self._environment.of(job)),
                output=_LogSink(log, wiring.output),
                started=started,
                working_directory=self._working_directory(job_state),
                timeout_s=self._timeout_s,
                cancel=wiring.cancel,
                stopping=lambda: self._stop.requested,
                tick=wiring.tick,
                resources=self._resources,
                on_item=wiring.item,
                attachments_dir=attempt.attachments,
                equipment=self._environment.equipment(job),
                judge_interruption=partial(self._judge_interruption, attempt),
                once_durable=self._unsettled.setdefault(job.id, []).append,
            )
        except (OSError, JobStartError) as error:
            attempt.done = TaskResult(exception=error)
        except BaseException:
            log.discard()
            raise
        return attempt

    def run(self, attempt: Attempt) -> None:
        """Run the command of an attempt to its end; the one step that another thread may do."""
        if attempt.surroundings is not None:
            attempt.done = self._engine.execute(attempt.job, attempt.surroundings)

    def finish(self, attempt: Attempt, waiting: Callable[[float], None] | None = None) -> JobResult | None:
        """Return what came of an attempt, its log being complete and durable; see :meth:`execute`."""
        attempt.end_log()
        storage, job_state = self._manager.storage, attempt.job_state
        assert attempt.done is not None
        report = attempt.report
        if report is not None and self._is_suspended(job_state, report, waiting):
            self.settle(attempt.job, durable=False)
            forget_attachments(attempt.attachments)
            return None
        builder = self._result(job_state, attempt.done)
        if report is not None:
            add_items(builder, report.items, storage, attempt.attachments)
        if attempt.counts:
            reference = builder.log = attempt.log.close()
            for flag, remark in _LOG_REMARKS.items():
                if reference.get(flag):
                    builder.add_comment(remark)
        builder.start_time = attempt.start_time
        builder.boot_id = self._boot_id
        builder.origin = "run" if report is None or report.cached_from is None else "cache"
        return builder.get_result(storage.location)

    def obstacle(self, job: JobDefinition) -> str | None:
        """Return why a job cannot run as the user that it names, ``None`` when it can. This may ask for a password."""
        return obstacle_to(job, self._engine.configuration)

    def settle(self, job: JobDefinition, *, durable: bool) -> None:
        """Do what waits for the outcome of a job: with ``durable`` nobody can lose it any more, otherwise it is lost."""
        for action in self._unsettled.pop(job.id, ()):
            action(durable)

    def _judge_interruption(self, attempt: Attempt, interruption: Interruption) -> tuple[OutcomeCandidate, str]:
        """Judge a job whose machine was away by the rules for jobs that were running when a session ended."""
        clock = self._manager.storage.clock
        before, now = interruption.boot_before, interruption.boot_now
        began = RunningAttempt(attempt=attempt.number, start_time=attempt.start_time, boot_id=before)
        known = Circumstances(
            # Where a machine cannot tell its boots apart, nothing says that it was started anew.
            boot_id=now if before and now else before,
            now=clock.time(),
            left_result=read_left_result(self._directories.share_pathname),
        )
        verdict = judge(attempt.job, began, known)
        return verdict.outcome, f"{interruption.host} was away: {verdict.comment}"  # type: ignore[return-value]

    def _is_suspended(self, job_state: JobState, report: JobReport, waiting: Callable[[float], None] | None) -> bool:
        """Tell whether the run is being ended from outside, so that the end of the job says nothing about the job.

        A shutdown ends the job and its tester with the same signal, in any order. A job that is to take the machine
        down comes to its end before the machine does.
        """
        if report.host is not None and not report.cancelled:
            # The place has waited for its machine.
            return self._stop.suspending
        if _has_returned(job_state, report):
            limit_s = self._noreturn_wait_s
            with self._stop.awaiting(f"the machine has gone down or {limit_s:g} s are over"):
                if waiting is not None and not self._stop.cancel.cancelled:
                    waiting(limit_s)
                self._stop.wait_for_end(limit_s)
        elif not report.cancelled:
            if report.return_code not in _SHUTDOWN_CODES:
                return False
            self._stop.wait_for_end(_SHUTDOWN_WAIT_S)
        return self._stop.suspending

    def note_running(self, attempts: Collection[Attempt], store: Callable[[], None]) -> None:
        """Have ``store`` make durable that these attempts run; when that fails, they do not and nothing says so."""
        state = self._manager.state
        assert state is not None
        metadata = state.metadata
        before = metadata.running, metadata.last_job_start_time
        # An advice that repeats the job does so within its attempt.
        first = [attempt.job_state for attempt in attempts if not attempt.begun]
        for attempt in attempts:
            assert attempt.running is not None
            metadata.running = {**metadata.running, attempt.job.id: attempt.running}
            metadata.last_job_start_time = attempt.start_time
        for job_state in first:
            job_state.attempts -= 1
        try:
            store()
        except SessionError:
            metadata.running, metadata.last_job_start_time = before
            for job_state in first:
                job_state.attempts += 1
            raise
        for attempt in attempts:
            attempt.begun = True

    def _leaves_machine(self, job: JobDefinition) -> bool:
        try:
            return any(advice.leaves_machine for advice in self._engine.configuration.chain_of(job).advices)
        except ChainError:
            return False

    @property
    def _resources(self) -> Mapping[str, Sequence[Mapping[str, str]]]:
        assert self._manager.state is not None
        return self._manager.state.resource_map

    @staticmethod
    def _working_directory(job_state: JobState) -> Path | None:
        return Path.cwd() if "preserve-cwd" in job_state.job.flags else None

    def _result(self, job_state: JobState, done: TaskResult) -> JobResultBuilder:
        error = done.exception
        if isinstance(error, SessionError):
            raise error
        if error is not None:
            notes = getattr(error, "__notes__", ())
            comments = "\n".join((f"the job could not be carried out: {error}", *notes))
            return JobResultBuilder(outcome=Outcome.CRASH, comments=comments)
        report = done.value
        assert isinstance(report, JobReport)
        cached = report.cached_from
        builder = JobResultBuilder(
            outcome=report.outcome,
            execution_duration=round(report.duration, 6),
            return_code=report.return_code,
            comments=report.comments,
            **({} if cached is None else {"cached_from": asdict(cached)}),
            **({} if report.tries == 1 else {"tries": report.tries}),
            **({} if report.host is None else {"host": report.host}),
            **({} if not report.leaked_processes else {"leaked_processes": report.leaked_processes}),
        )
        if cached is not None:
            when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(cached.created))
            builder.add_comment(f"not run: this is from the cache, where it was kept on {when}")
        if _has_returned(job_state, report):
            # Whoever did not want to wait to the end knows nothing of what would have come.
            cancelled = self._stop.cancel.reason
            crashed = cancelled is not None or "expect-reboot" in job_state.job.flags
            builder.outcome = Outcome.CRASH if crashed else Outcome.FAIL
            builder.add_comment(
                f"cancelled: {cancelled}"
                if cancelled is not None
                else "the job returned, and nothing has ended the test session"
            )
        if report.leftovers and "has-leftovers" not in job_state.job.flags:
            builder.add_comment(f"files left in the working directory: {', '.join(report.leftovers)}")
        return builder


def _has_returned(job_state: JobState, report: JobReport) -> bool:
    """Tell whether a job that is to end its tester has come to a good end of its own before that."""
    return report.return_code == 0 and not report.cancelled and "noreturn" in job_state.job.flags
