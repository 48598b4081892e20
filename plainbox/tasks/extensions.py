# SPDX-License-Identifier: Apache-2.0
"""The interface of an extension: something that wants to know what a configuration is used for.

Extensions watch; advices steer. An extension that calls ``proceed()`` or ``conclude()`` gets an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plainbox.tasks.configuration import Configuration
    from plainbox.tasks.context import Context
    from plainbox.tasks.execution import Execution
    from plainbox.tasks.invocation import Invocation
    from plainbox.tasks.result import Result
    from plainbox.tasks.tasks import Task

__all__ = ["Extension"]


class Extension:
    """Does nothing. Override what you want to hear of; each callback is called in the order below.

    What a callback raises ends the invocation like the error of an advice. In another process, where an advice has
    moved the invocation to, only ``on_init`` and the two callbacks around the task are called.
    """

    def on_init(self, configuration: Configuration) -> None:
        """Hear, once, that the configuration was loaded."""

    def on_invocation_created(self, invocation: Invocation) -> None:
        """Hear that an invocation begins."""
        self.on_session_created(invocation)

    def on_before_advice(self, task: Task, execution: Execution, context: Context) -> None:
        """Hear the same; the context may be added to."""

    def on_before_task_executed(self, invocation: Invocation) -> None:
        """Hear that all advice is given and the task runs next: each time, where an advice repeats it."""

    def on_after_task_executed(self, invocation: Invocation) -> None:
        """Hear that the task is done; ``invocation.result`` is what it came to."""

    def on_after_advice(self, task: Task, execution: Execution, context: Context, result: Result) -> None:
        """Hear of the final result. Not called when an advice has failed."""

    def on_invocation_finished(self, invocation: Invocation) -> None:
        """Hear that an invocation is over, whether there is a result or an error. Its files are removed next."""
        self.on_session_finished(invocation)

    def on_session_created(self, invocation: Invocation) -> None:
        """Older name of ``on_invocation_created``."""

    def on_session_finished(self, invocation: Invocation) -> None:
        """Older name of ``on_invocation_finished``."""
