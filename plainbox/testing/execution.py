# SPDX-License-Identifier: Apache-2.0
"""Executes jobs by a script instead of processes, so that a session of ten thousand jobs runs in seconds.

Goes where the runner's :class:`~plainbox.tasks.ExecutionEngine` goes. Everything else is as it always is: the attempt is
noted before its output comes, the output goes into the log, the result into the journal. What must stay true: a script
cannot do what a process cannot, so reports are judged by the same rules.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import attrs

from plainbox.clock import Clock
from plainbox.tasks import (
    CancelToken,
    ExecutionEngine,
    JobReport,
    OutcomeCandidate,
    ProcessIdentity,
    Result,
    ShellJobTask,
    StreamName,
    Surroundings,
)
from plainbox.tasks.report import judge
from plainbox.testing.clock import ManualClock
from plainbox.units import JobDefinition

__all__ = ["ScriptedEngine", "ScriptedJob"]

#: The numbers of processes that cannot exist: above the limit of the kernel.
_FIRST_PID = 1 << 23
_SIGTERM = 15


@attrs.frozen(kw_only=True)
class ScriptedJob:
    """One execution of one job.

    ``output`` comes in this order, then ``calls`` is called (to stop the run, to end the tester, to look at the session),
    then ``duration_s`` passes and the job ends with ``return_code``; ``outcome`` and ``comments`` replace what that
    stands for. ``leaves_result`` is the text of the file in which a job states its own result. With ``raises`` the job
    cannot be started.
    """

    output: Sequence[tuple[StreamName, bytes]] = ()
    return_code: int | None = 0
    outcome: OutcomeCandidate | None = None
    comments: str | None = None
    duration_s: float = 0.0
    leaves_result: str | None = None
    calls: Callable[[], object] | None = None
    raises: Exception | None = None


Script: TypeAlias = Mapping[str, ScriptedJob | Sequence[ScriptedJob]]


class ScriptedEngine(ExecutionEngine):
    """Executes jobs as ``script`` says, by full or partial id; a list has one item for each execution, its last repeated.

    Jobs that are not in the script are like ``default``, which passes at once. Time passes on ``clock``, which the
    session should share; ``executed`` has the full ids of the jobs in the order of their starts.
    """

    def __init__(
        self, script: Script | None = None, *, default: ScriptedJob | None = None, clock: Clock | None = None
    ) -> None:
        super().__init__()
        self._script = dict(script or {})
        self._default = default if default is not None else ScriptedJob()
        self._clock = clock if clock is not None else ManualClock()
        self._pids = itertools.count(_FIRST_PID)
        self.executed: list[str] = []

    def execute(self, job: JobDefinition, surroundings: Surroundings, *, advice_chain: str | None = None) -> Result:
        try:
            ShellJobTask.from_unit(job)  # a job that has nothing to run is refused in the same words
            if surroundings.cancel.cancelled:
                return Result(self._cancelled(surroundings.cancel, "cancelled before its start"))
            scripted = self._next(job)
            if scripted.raises is not None:
                raise scripted.raises
            return Result(self._play(job, scripted, surroundings))
        except Exception as error:  # noqa: BLE001 - one execution must not end the run of the others
            return Result(exception=error)

    def _next(self, job: JobDefinition) -> ScriptedJob:
        entry = self._script.get(job.id) or self._script.get(job.partial_id or "") or self._default
        if isinstance(entry, ScriptedJob):
            return entry
        return entry[min(self.executed.count(job.id), len(entry) - 1)]

    def _play(self, job: JobDefinition, scripted: ScriptedJob, surroundings: Surroundings) -> JobReport:
        pid = next(self._pids)
        surroundings.started(ProcessIdentity(pid, pid, round(self._clock.uptime_s() * os.sysconf("SC_CLK_TCK"))))
        self.executed.append(job.id)
        start_time, start_ns = self._clock.time(), self._clock.monotonic_ns()
        for _ in self._steps(scripted, surroundings):
            surroundings.tick()
            if surroundings.cancel.cancelled:
                report = self._cancelled(surroundings.cancel, "cancelled")
                return replace(report, start_time=start_time, return_code=-_SIGTERM, signal=_SIGTERM)
        outcome, comment = judge(scripted.return_code) if scripted.return_code is not None else ("crash", None)
        return JobReport(
            outcome=scripted.outcome or outcome,
            return_code=scripted.return_code,
            signal=-scripted.return_code if scripted.return_code is not None and scripted.return_code < 0 else None,
            comments=scripted.comments or comment,
            start_time=start_time,
            duration=(self._clock.monotonic_ns() - start_ns) / 1e9,
        )

    def _steps(self, scripted: ScriptedJob, surroundings: Surroundings) -> Iterable[None]:
        """Do one thing after the other; between them the job may be ended."""
        if scripted.leaves_result is not None:
            share = surroundings.environment["PLAINBOX_SESSION_SHARE"]
            with open(os.path.join(share, "__result"), "w", encoding="utf-8") as file:
                file.write(scripted.leaves_result)
        for stream, data in scripted.output:
            surroundings.output.write(stream, data)
            yield
        if scripted.calls is not None:
            scripted.calls()
            yield
        self._clock.sleep(scripted.duration_s)
        yield

    def _cancelled(self, cancel: CancelToken, what: str) -> JobReport:
        return JobReport(
            outcome="crash",
            comments=f"{what}: {cancel.reason}",
            start_time=self._clock.time(),
            duration=0.0,
            cancelled=True,
        )
