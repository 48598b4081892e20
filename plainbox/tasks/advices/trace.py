# SPDX-License-Identifier: Apache-2.0
"""Shows every execution in the trace of the run, and tells its job to which span it belongs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from plainbox.tasks.advice import Advice
from plainbox.tasks.report import JobReport

if TYPE_CHECKING:
    from plainbox.tasks.identity import ProcessIdentity
    from plainbox.tasks.invocation import Invocation
    from plainbox.tracing import Action

__all__ = ["TraceAdvice"]


class TraceAdvice(Advice):
    """Opens an action around everything inside of it; does nothing while nothing is traced.

    The command of a job finds the span of the action in ``TRACEPARENT``. Inside of an advice that repeats an execution
    there is a span for each attempt.
    """

    changes_results = False

    def before(self, invocation: Invocation) -> None:
        from plainbox.tracing.action import traced

        label = "executing task" if invocation.job is None else "running command"
        with traced(label) as action:
            if action is None:
                invocation.proceed()
                return
            outer = invocation.surroundings
            _tell_what_runs(action, invocation)
            try:
                invocation.proceed()
            finally:
                invocation.surroundings = outer
            _tell_what_came_of_it(action, invocation)


def _tell_what_runs(action: Action, invocation: Invocation) -> None:
    from plainbox.tracing import child_environment

    action.set_tags({"plainbox.invocation.id": invocation.invocation_id, "plainbox.job.id": invocation.job_id})
    if invocation.attempt > 1:
        action.set_tag("plainbox.command.attempt", invocation.attempt)
    surroundings = invocation.surroundings
    if surroundings is None:
        return
    started = surroundings.started

    def tell_process(process: ProcessIdentity) -> None:
        action.set_tag("process.pid", process.pid)
        started(process)

    environment = child_environment(surroundings.environment, action)
    invocation.surroundings = replace(surroundings, environment=environment, started=tell_process)


def _tell_what_came_of_it(action: Action, invocation: Invocation) -> None:
    result = invocation.result
    if result is None:
        return
    if result.exception is not None:
        action.record_error(result.exception)
    report = result.value
    if isinstance(report, JobReport):
        action.set_tags({"process.exit.code": report.return_code, "plainbox.command.signal": report.signal})
        if report.timed_out:
            action.set_tag("plainbox.command.timed_out", True)
        if report.cached_from is not None:
            action.set_tag("plainbox.cached_from", report.cached_from.invocation_id)
