# SPDX-License-Identifier: Apache-2.0
"""A job of a provider as a task: its command, run by its shell where the invocation has its place.

Made by the engine from a unit; shell, resource and attachment jobs and the commands of interactive ones are all the
same here. The report says what happened; what it means for the session is the runner's business.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plainbox.errors import JobStartError, TaskError
from plainbox.tasks.deadline import Deadline
from plainbox.tasks.execution import Execution
from plainbox.tasks.identifier import identifier_from_parts
from plainbox.tasks.place import Program
from plainbox.tasks.report import JobReport, OutcomeCandidate, judge
from plainbox.tasks.result import Result
from plainbox.tasks.task import Task

if TYPE_CHECKING:
    from plainbox.tasks.invocation import Invocation
    from plainbox.tasks.process import Ending
    from plainbox.tasks.surroundings import Surroundings
    from plainbox.units import JobDefinition

__all__ = ["ShellJobTask"]


@dataclass(frozen=True)
class ShellJobTask(Task):
    """Runs ``SHELL -c COMMAND``. ``user`` is the account that the job wants, None for whoever runs Plainbox."""

    job_id: str
    checksum: str
    command: str
    shell: str = "bash"
    user: str | None = None

    @classmethod
    def from_unit(cls, job: JobDefinition) -> ShellJobTask:
        """Return the task of a job; :class:`JobStartError` when the job has nothing to run."""
        if job.command is None:
            raise JobStartError(f"the job {job.id!r} has no command", origin=job.origin)
        return cls(job_id=job.id, checksum=job.checksum, command=job.command, shell=job.shell, user=job.user)

    @property
    def task_id(self) -> str:
        return identifier_from_parts("shell-job", self.job_id)

    def execution(self) -> Execution:
        """Return the execution of the command as it is now."""
        return Execution(identifier_from_parts(self.shell, self.command), (self.command,))

    def execute(self, invocation: Invocation) -> Result:
        """Run the command to its end; the value of the result is a :class:`JobReport`.

        :class:`JobStartError` means that the command did not run.
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
        program = Program(argv=(self.shell, "-c", self.command), user=self.user)
        ending = invocation.place.run(program, surroundings, invocation.deadline)
        return Result(_report(ending, surroundings, invocation.deadline))


def _report(ending: Ending, surroundings: Surroundings, deadline: Deadline | None) -> JobReport:
    outcome: OutcomeCandidate = "crash"
    comment: str | None = None
    if ending.ended_by == "deadline" and deadline is not None:
        comment = f"ended after its limit of {deadline.limit_s:g} s"
    elif ending.ended_by == "cancel":
        comment = f"cancelled: {surroundings.cancel.reason}"
    elif ending.return_code is not None:
        outcome, comment = judge(ending.return_code)
    comments = [] if comment is None else [comment]
    leaked = len(ending.left) if ending.ended_by is None else 0
    if leaked:
        comments.append(f"left {leaked} {'process' if leaked == 1 else 'processes'} running")
    if ending.survivors:
        comments.append("not everything that it started could be ended")
    return JobReport(
        outcome=outcome,
        return_code=ending.return_code,
        signal=-ending.return_code if ending.return_code is not None and ending.return_code < 0 else None,
        comments="; ".join(comments) or None,
        start_time=ending.start_time,
        duration=ending.duration,
        leaked_processes=leaked,
        timed_out=ending.ended_by == "deadline",
        cancelled=ending.ended_by == "cancel",
        leftovers=ending.leftovers,
        process=ending.process,
    )
