# SPDX-License-Identifier: Apache-2.0
"""A job of a provider as a task: a program, run where the invocation has its place.

Made by the engine from a unit: function jobs call a function in a Python of their own; shell, resource and attachment jobs
and the commands of interactive ones are all the same here. The report says what happened, and what the job has told of
itself; what it means for the session is the runner's business.
"""

from __future__ import annotations

import json
import shutil
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from plainbox.errors import JobStartError, TaskError
from plainbox.tasks.deadline import Deadline
from plainbox.tasks.execution import Execution
from plainbox.tasks.identifier import identifier_from_parts
from plainbox.tasks.jobresult import Collector
from plainbox.tasks.place import PYTHON, Program
from plainbox.tasks.report import JobReport, OutcomeCandidate, judge
from plainbox.tasks.result import Result
from plainbox.tasks.tasks import Task

if TYPE_CHECKING:
    from plainbox.tasks.invocation import Invocation
    from plainbox.tasks.process import Ending
    from plainbox.tasks.surroundings import Surroundings
    from plainbox.units import JobDefinition

__all__ = ["FunctionJobTask", "ShellJobTask", "task_of"]


def task_of(job: JobDefinition) -> ShellJobTask | FunctionJobTask:
    """Return the task of a job; :class:`JobStartError` when the job has nothing to run."""
    return (FunctionJobTask if job.plugin == "function" else ShellJobTask).from_unit(job)


class _JobTask(Task):
    """What all jobs have in common: one program, and its report."""

    job_id: str

    @property
    @abstractmethod
    def program(self) -> Program:
        """What is run."""

    def execute(self, invocation: Invocation) -> Result:
        """Run the program to its end; the value of the result is a :class:`JobReport`.

        :class:`JobStartError` means that it did not run.
        """
        surroundings = invocation.surroundings
        if surroundings is None:
            raise TaskError(f"the job {self.job_id!r} was given no surroundings to run in")
        if surroundings.cancel.cancelled:
            return Result(
                JobReport(
                    outcome="crash",
                    comments=f"cancelled before its start: {surroundings.cancel.reason}",
                    start_time=time.time(),
                    duration=0.0,
                    cancelled=True,
                )
            )
        if invocation.attempt > 1 and surroundings.attachments_dir is not None:
            shutil.rmtree(surroundings.attachments_dir, ignore_errors=True)  # what an earlier attempt has left
        told = Collector(surroundings.on_item, surroundings.output.note)
        ending = invocation.place.run(self.program, _listening(surroundings, told), invocation.deadline)
        return Result(_report(ending, surroundings, invocation.deadline, told))


@dataclass(frozen=True)
class ShellJobTask(_JobTask):
    """Runs ``SHELL -c COMMAND``. ``user`` is the account that the job wants, None for whoever runs Plainbox."""

    job_id: str
    checksum: str
    command: str
    shell: str = "bash"
    user: str | None = None
    pty: bool = False

    @classmethod
    def from_unit(cls, job: JobDefinition) -> ShellJobTask:
        """Return the task of a job; :class:`JobStartError` when the job has nothing to run."""
        if job.command is None:
            raise JobStartError(f"the job {job.id!r} has no command", origin=job.origin)
        pty = "pty" in job.flags
        return cls(job_id=job.id, checksum=job.checksum, command=job.command, shell=job.shell, user=job.user, pty=pty)

    @property
    def task_id(self) -> str:
        return identifier_from_parts("shell-job", self.job_id)

    def execution(self) -> Execution:
        """Return the execution of the command as it is now."""
        return Execution(identifier_from_parts(self.shell, self.command), (self.command,))

    @property
    def program(self) -> Program:
        return Program(argv=(self.shell, "-c", self.command), user=self.user, pty=self.pty)


@dataclass(frozen=True)
class FunctionJobTask(_JobTask):
    """Calls the function ``package.module:name`` with ``arguments`` and ``keywords``, which are JSON values.

    It runs in a process of its own: the Python of the place, by :mod:`plainbox.tasks.calling`.
    """

    job_id: str
    checksum: str
    function: str
    arguments: tuple[object, ...] = ()
    keywords: Mapping[str, object] = field(default_factory=dict)
    user: str | None = None
    pty: bool = False

    @classmethod
    def from_unit(cls, job: JobDefinition) -> FunctionJobTask:
        """Return the task of a job; :class:`JobStartError` when the job names no function."""
        if not job.function:
            raise JobStartError(f"the job {job.id!r} names no function", origin=job.origin)
        arguments, keywords, pty = tuple(job.args), dict(job.kwargs or {}), "pty" in job.flags
        return cls(job.id, job.checksum, job.function, arguments, keywords, job.user, pty)

    @property
    def task_id(self) -> str:
        return identifier_from_parts("function-job", self.job_id)

    def execution(self) -> Execution:
        """Return the execution of the function with these arguments."""
        return Execution(identifier_from_parts(self._call), self.arguments, self.keywords)

    @property
    def program(self) -> Program:
        return Program(argv=(PYTHON, "plainbox.tasks.calling", self._call), user=self.user, pty=self.pty)

    @property
    def _call(self) -> str:
        call = {"function": self.function, "args": self.arguments, "kwargs": self.keywords}
        return json.dumps(call, sort_keys=True)


def _listening(surroundings: Surroundings, told: Collector) -> Surroundings:
    """Return surroundings in which ``told`` hears what the job tells of itself."""

    def on_line(line: bytes) -> None:
        told.take(line)
        surroundings.on_line(line)

    def tick() -> None:
        told.tick()
        surroundings.tick()

    return replace(surroundings, on_line=on_line, tick=tick)


def _report(ending: Ending, surroundings: Surroundings, deadline: Deadline | None, told: Collector) -> JobReport:
    outcome: OutcomeCandidate = "crash"
    comment: str | None = None
    if ending.ended_by == "deadline" and deadline is not None:
        comment = f"ended after its limit of {deadline.limit_s:g} s"
    elif ending.ended_by == "cancel":
        comment = f"cancelled: {surroundings.cancel.reason}"
    elif ending.interruption is not None:
        outcome, comment = surroundings.judge_interruption(ending.interruption)
    elif ending.return_code is not None:
        outcome, comment = judge(ending.return_code)
    items = told.items(surroundings.attachments_dir)
    comments = [] if comment is None else [comment]
    leaked = len(ending.left) if ending.ended_by is None else 0
    if leaked:
        comments.append(f"left {leaked} {'process' if leaked == 1 else 'processes'} running")
    if ending.survivors:
        comments.append("not everything that it started could be ended")
    outcome, remarks = told.judged(outcome)
    lines = ["; ".join(comments), *remarks] if comments else remarks
    return JobReport(
        outcome=outcome,
        return_code=ending.return_code,
        signal=-ending.return_code if ending.return_code is not None and ending.return_code < 0 else None,
        comments="\n".join(lines) or None,
        start_time=ending.start_time,
        duration=ending.duration,
        leaked_processes=leaked,
        timed_out=ending.ended_by == "deadline",
        cancelled=ending.ended_by == "cancel",
        leftovers=ending.leftovers,
        process=ending.process,
        items=items,
        host=ending.host,
    )
