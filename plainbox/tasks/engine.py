# SPDX-License-Identifier: Apache-2.0
"""The one way to execute a job: the runner calls it and never starts a process itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plainbox.tasks.configuration import Configuration
from plainbox.tasks.invocation import Invocation
from plainbox.tasks.job import task_of
from plainbox.tasks.result import Result
from plainbox.tasks.surroundings import Surroundings

if TYPE_CHECKING:
    from plainbox.units import JobDefinition

__all__ = ["ExecutionEngine"]


class ExecutionEngine:
    """Executes jobs, each with a chain of advices around it. May be used by several threads at once."""

    def __init__(self, configuration: Configuration | None = None) -> None:
        self.configuration = configuration if configuration is not None else Configuration()

    def close(self) -> None:
        """End what executions have left open for the next ones: connections to other machines."""
        from plainbox.tasks.lasting import close_all

        close_all()

    def execute(self, job: JobDefinition, surroundings: Surroundings, *, advice_chain: str | None = None) -> Result:
        """Execute ``job`` and return what came of it, with the chain of that name, else the one that is meant for the job.

        The value is a :class:`~plainbox.tasks.report.JobReport`, also for a job that fails, crashes, runs too long
        or is cancelled. An exception in the result means that the execution could not be carried out: the job could
        not be started, ``surroundings`` raised, an advice went wrong. Raised are only
        :class:`~plainbox.errors.ChainError` for a chain that is named here and not known, and what ends a program
        (KeyboardInterrupt), once the job is ended.
        """
        if advice_chain is not None:
            self.configuration.chain_of(job, advice_chain)
        try:
            task = task_of(job)
            invocation = Invocation(
                task, task.execution(), self.configuration, advice_chain, job=job, surroundings=surroundings
            )
            return invocation.initiate()
        except Exception as error:  # noqa: BLE001 - one execution must not end the run of the others
            return Result(exception=error)
