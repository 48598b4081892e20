# SPDX-License-Identifier: Apache-2.0
"""One advised execution of one task: the loop that takes it through its chain of advices.

Made by the engine, seen by every advice. With the chain A, B around task T the hooks run as A.before, B.before, T,
B.after, B.finally_, A.after, A.finally_. Each advice is one level of nesting, and ``proceed()`` in a ``before`` returns
when its level is done: the inner part and the own ``after``.

What must stay true: every hook says exactly once how to go on, every ``before`` that was entered is followed by its
``finally_`` once, and the task runs only when the innermost ``before`` has proceeded.
"""

from __future__ import annotations

import enum
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plainbox.errors import AdviceProtocolError
from plainbox.tasks.advice import Advice
from plainbox.tasks.configuration import Configuration
from plainbox.tasks.context import Context
from plainbox.tasks.deadline import Deadline
from plainbox.tasks.execution import Execution
from plainbox.tasks.output import CancelToken
from plainbox.tasks.place import HERE, Place
from plainbox.tasks.result import Result
from plainbox.tasks.task import Task

if TYPE_CHECKING:
    from plainbox.tasks.surroundings import Surroundings
    from plainbox.units import JobDefinition

__all__ = ["Invocation", "InvocationState"]

_log = logging.getLogger(__name__)


class InvocationState(enum.Enum):
    """Where an invocation is. ENTERING, LEAVING and FAILING belong to :attr:`Invocation.current_advice`."""

    NEW = "new"
    ENTERING = "entering"
    EXECUTING = "executing"
    LEAVING = "leaving"
    FAILING = "failing"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(eq=False)
class _HookCall:
    """One call of one hook, and whether it has said how to go on."""

    name: str
    index: int
    answered: bool = False
    error: BaseException | None = None


class Invocation:
    """One execution of ``task`` with the advice of the named chain around it.

    ``deadline`` and ``place`` may be set by an advice in its ``before``: they count for everything inside of that
    advice, and the outer ones are back afterwards. ``cancel`` may be called from any thread and from a signal handler;
    nothing else may.
    """

    def __init__(
        self,
        task: Task,
        execution: Execution,
        configuration: Configuration | None = None,
        advice_chain: str = "default",
        *,
        job: JobDefinition | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        """Raise :class:`~plainbox.errors.ChainError` when there is no such chain."""
        self.task = task
        self.execution = execution
        self.configuration = configuration if configuration is not None else Configuration()
        self.advice_chain = advice_chain
        self.job = job
        self.surroundings = surroundings
        self.context = Context()
        self.invocation_id = os.urandom(16).hex()
        self.deadline: Deadline | None = None
        self.place: Place = HERE
        self.finally_errors: list[Exception] = []
        self._chain = self.configuration.get_advice_chain(advice_chain)
        self._cancel = CancelToken() if surroundings is None else surroundings.cancel
        self._state = InvocationState.NEW
        self._result: Result | None = None
        self._hook: _HookCall | None = None

    @property
    def job_id(self) -> str | None:
        return None if self.job is None else self.job.id

    @property
    def result(self) -> Result | None:
        """The result so far, None until there is one."""
        return self._result

    @property
    def state(self) -> InvocationState:
        return self._state

    @property
    def current_advice(self) -> Advice | None:
        """The advice whose hook runs now, None when none does."""
        return None if self._hook is None else self._chain[self._hook.index]

    @property
    def cancelled(self) -> bool:
        return self._cancel.cancelled

    def cancel(self, reason: str) -> None:
        """Ask the execution to stop: a running job is ended, one that has not started does not start."""
        self._cancel.cancel(reason)

    def initiate(self) -> Result:
        """Carry out the execution, once, and return its result.

        What an advice raises comes through after every ``finally_`` that is due; what the task raises is in the result.
        """
        if self._state is not InvocationState.NEW:
            raise AdviceProtocolError("an invocation is initiated once")
        try:
            result = self._run_from(0)
        except BaseException:
            self._state = InvocationState.FAILED
            raise
        self._state = InvocationState.CANCELLED if self.cancelled else InvocationState.FINISHED
        return result

    def proceed(self) -> None:
        """Go on. In ``before``: returns when the inner part and the own ``after`` are done."""
        hook = self._answer("proceed")
        if hook.name != "before":
            return
        with self._noting_error(hook):
            self._run_from(hook.index + 1)
            self._call("after", hook.index)

    def conclude(self, result: Result) -> None:
        """Take ``result`` for the result. In ``before`` this leaves out the inner part and the own ``after``."""
        if not isinstance(result, Result):
            raise AdviceProtocolError(f"{self._place()} must conclude with a Result, not with {result!r}")
        self._answer("conclude")
        self._result = result

    def run_inner(self) -> Result:
        """Execute the part of the chain inside of the advice whose ``before`` runs, and return what came of it.

        May be called repeatedly. The result of the invocation stays as it is: conclude with the one that counts.
        """
        hook = self._hook
        if hook is None or hook.name != "before" or hook.answered:
            raise AdviceProtocolError(f"{self._place()} called run_inner(): that is for before() until it proceeds")
        saved = self._result
        self._result = None
        try:
            return self._run_from(hook.index + 1)
        finally:
            self._result = saved

    def _run_from(self, index: int) -> Result:
        """Do advice number ``index`` and everything inside of it."""
        deadline, place = self.deadline, self.place
        try:
            if index == len(self._chain):
                return self._execute()
            try:
                self._call("before", index)
            except BaseException:
                self._state = InvocationState.FAILING
                raise
            finally:
                self._call_finally(index)
        finally:
            self.deadline, self.place = deadline, place
        assert self._result is not None
        return self._result

    def _execute(self) -> Result:
        self._state = InvocationState.EXECUTING
        outer, self._hook = self._hook, None
        try:
            result = self.task.execute(self)
            if not isinstance(result, Result):
                raise TypeError(f"a task returns a Result, not {result!r}")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a task raises is its result
            result = Result(exception=error)
        finally:
            self._hook = outer
        self._result = result
        return result

    def _call(self, name: str, index: int) -> None:
        """Call a hook that must say how to go on."""
        self._state = InvocationState.ENTERING if name == "before" else InvocationState.LEAVING
        hook = _HookCall(name, index)
        outer, self._hook = self._hook, hook
        try:
            advice = self._chain[index]
            if name == "before":
                advice.before(self)
            else:
                advice.after(self)
            if hook.error is not None:
                raise AdviceProtocolError(f"{self._place()} hid the error of what is inside of it") from hook.error
            if not hook.answered:
                raise AdviceProtocolError(
                    f"not all advice was applied: {self._place()} returned without proceed() or conclude()"
                )
        finally:
            self._hook = outer

    def _call_finally(self, index: int) -> None:
        hook = _HookCall("finally_", index, answered=True)
        outer, self._hook = self._hook, hook
        try:
            self._chain[index].finally_(self)
        except Exception as error:  # noqa: BLE001 - the first error and the other hooks come first
            self.finally_errors.append(error)
            _log.exception("%s failed; the result stands", self._place())
        finally:
            self._hook = outer

    def _answer(self, action: str) -> _HookCall:
        hook = self._hook
        if hook is None or hook.name == "finally_":
            raise AdviceProtocolError(f"{self._place()} called {action}(): that is for before() and after()")
        if hook.answered:
            raise AdviceProtocolError(f"{self._place()} called {action}() after it had said how to go on")
        hook.answered = True
        return hook

    def _place(self) -> str:
        if self._hook is None:
            return f"somebody outside of the hooks of chain {self.advice_chain!r}"
        advice = type(self._chain[self._hook.index]).__name__
        return f"{advice}.{self._hook.name}() in chain {self.advice_chain!r}"

    @contextmanager
    def _noting_error(self, hook: _HookCall) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            hook.error = error
            raise
