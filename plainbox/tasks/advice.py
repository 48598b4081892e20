# SPDX-License-Identifier: Apache-2.0
"""The interface of an advice: something done around an execution.

An advice is shared by all executions, often by several threads, and is made anew in every process: its constructor
must be cheap and without side effects, and what belongs to one execution is kept in the invocation's context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plainbox.tasks.configuration import Configuration
    from plainbox.tasks.execution import Execution
    from plainbox.tasks.invocation import Invocation
    from plainbox.tasks.result import Result
    from plainbox.tasks.tasks import Task

__all__ = ["Advice", "advise_task_with_chain"]


class Advice:
    """Does nothing around an execution. Override the hooks that you need.

    ``before`` and ``after`` must each call ``invocation.proceed()`` or ``invocation.conclude(result)`` exactly once.

    What stands below is for chains that are written in configuration: ``placement`` is ``outer``, ``middle`` or ``inner``,
    and none of them may be further inside than a later one of these words; with None an advice may be anywhere.
    ``excludes`` names advices that cannot be elsewhere in the chain, ``operator_only`` parameters that a provider cannot
    set. Without ``changes_results`` an execution comes to the same with this advice as without it, so that a result that
    was kept counts for both.
    """

    placement: str | None = None
    changes_results: bool = True
    excludes: tuple[str, ...] = ()
    operator_only: tuple[str, ...] = ()
    #: Whether executions inside of it are on another machine: what happens to this one says nothing about them.
    leaves_machine = False

    def before(self, invocation: Invocation) -> None:
        """Run before the task.

        When ``proceed()`` returns, the task and this advice's ``after`` are done and ``invocation.result`` is set.
        ``conclude(result)`` leaves out the task, the advices further inside and this advice's own ``after``.
        """
        invocation.proceed()

    def after(self, invocation: Invocation) -> None:
        """Run after the task. ``conclude(result)`` replaces the result that the outer advices and the caller see."""
        invocation.proceed()

    def finally_(self, invocation: Invocation) -> None:
        """Let go of what ``before`` took.

        Called exactly once for every ``before`` that was entered, from the innermost outward, whether there is a
        result or an error. It cannot change the result; what it raises is logged and never hides the first error.
        """

    def target(self, invocation: Invocation) -> str | None:
        """Return a name of the place that this advice moves executions to, None when it moves none.

        What one place has come to is never taken for what another one would come to.
        """
        return None

    def leaves_out(self, invocation: Invocation) -> bool:
        """Tell whether this advice would conclude without an execution: then none that was kept is looked for."""
        return False


def advise_task_with_chain(
    task: Task, execution: Execution, configuration: Configuration, advice_chain: str = "default"
) -> Result:
    """Execute ``task`` once, with the advice of the named chain around it."""
    from plainbox.tasks.invocation import Invocation

    return Invocation(task, execution, configuration, advice_chain).initiate()
