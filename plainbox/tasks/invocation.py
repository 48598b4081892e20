# SPDX-License-Identifier: Apache-2.0
"""One advised execution of one task: the loop that takes it through its chain of advices.

Made by the engine, seen by every advice. With the chain A, B around task T the hooks run as A.before, B.before, T,
B.after, B.finally_, A.after, A.finally_. Each advice is one level of nesting, and ``proceed()`` in a ``before`` returns
when its level is done: the inner part and the own ``after``.

An advice can have the part inside of it done by another process: its ``before`` saves a bundle, the other process
restores it and proceeds, which runs that part and the advice's ``after``, where ``suspend()`` ends it; its bundle is
restored here, and ``proceed()`` goes on outward.

What must stay true: every hook says exactly once how to go on, every ``before`` that was entered is followed by its
``finally_`` once, in the process that has entered it, and the task runs only when the innermost ``before`` has proceeded.
"""

from __future__ import annotations

import enum
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

from plainbox.errors import AdviceProtocolError, TransportLost
from plainbox.tasks.advice import Advice
from plainbox.tasks.belongings import Belongings
from plainbox.tasks.configuration import Configuration
from plainbox.tasks.context import Context
from plainbox.tasks.counters import Counters
from plainbox.tasks.deadline import Deadline
from plainbox.tasks.execution import Execution
from plainbox.tasks.output import CancelToken
from plainbox.tasks.place import HERE, Place
from plainbox.tasks.result import Result
from plainbox.tasks.tasks import Task

if TYPE_CHECKING:
    from plainbox.tasks.distribution import DistributionArchive
    from plainbox.tasks.ids import InvocationIds
    from plainbox.tasks.links import ChainLink
    from plainbox.tasks.serialization.serializer import Serializer
    from plainbox.tasks.surroundings import Surroundings
    from plainbox.units import JobDefinition

__all__ = ["Invocation", "InvocationState"]

_log = logging.getLogger(__name__)


class InvocationState(enum.Enum):
    """Where an invocation is. ENTERING, LEAVING and FAILING belong to :attr:`Invocation.current_advice`.

    MOVED: its advice has saved it for another process. SUSPENDED: this is that process, and it has done its part. LOST:
    what became of it there is not known.
    """

    NEW = "new"
    RESTORED = "restored"
    ENTERING = "entering"
    EXECUTING = "executing"
    LEAVING = "leaving"
    MOVED = "moved"
    SUSPENDED = "suspended"
    FAILING = "failing"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass(eq=False)
class _HookCall:
    """One call of one hook, and whether it has said how to go on."""

    name: str
    index: int
    answered: bool = False
    error: BaseException | None = field(default=None, init=False)
    #: How often the inner part was run by ``run_inner``.
    runs: int = field(default=0, init=False)
    #: A bundle was saved here for another process; what came back was taken.
    saved: bool = field(default=False, init=False)
    taken: bool = field(default=False, init=False)


class Invocation(Belongings):
    """One execution of ``task`` with the advice of the named chain around it.

    ``deadline`` and ``place`` may be set by an advice in its ``before``: they count for everything inside of that
    advice, and the outer ones are back afterwards. ``attempt`` counts from 1 how often an advice has repeated what is
    inside of it. ``cancel`` may be called from any thread and from a signal handler; nothing else may.
    """

    # Only those that have come from another process have the first.
    _restored: Counters | None = None
    _ids: InvocationIds | None = None
    #: How the chain is written, if it is: one link for each advice.
    links: tuple[ChainLink, ...] = ()

    def __init__(
        self,
        task: Task | None = None,
        execution: Execution | None = None,
        configuration: Configuration | None = None,
        advice_chain: str | None = None,
        *,
        job: JobDefinition | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        """Raise :class:`~plainbox.errors.ChainError` when there is no such chain.

        Without a name it is ``default``, or for a job the chain that is meant for it. Without a task the invocation is
        one that :meth:`restore` fills.
        """
        self.task = cast("Task", task)
        self.execution = cast("Execution", execution)
        self.configuration = configuration if configuration is not None else Configuration()
        self.job = job
        self.surroundings = surroundings
        self.context = Context()
        self.invocation_id = os.urandom(16).hex()
        self.attempt = 1
        self.deadline: Deadline | None = None
        self.place: Place = HERE
        self.finally_errors: list[Exception] = []
        if job is None:
            self.advice_chain = advice_chain or "default"
            self._chain = self.configuration.get_advice_chain(self.advice_chain)
        else:
            chain = self.configuration.chain_of(job, advice_chain)
            self.advice_chain, self._chain, self.links = chain.name, chain.advices, chain.links
        self._extensions = self.configuration.extensions
        self._cancel = CancelToken() if surroundings is None else surroundings.cancel
        self._state = InvocationState.NEW
        self._result: Result | None = None
        self._hook: _HookCall | None = None
        self._given_configuration = configuration

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
    def advices(self) -> tuple[Advice, ...]:
        """The chain, its outermost advice first."""
        return self._chain

    @property
    def current_advice(self) -> Advice | None:
        """The advice whose hook runs now, None when none does."""
        return None if self._hook is None else self._chain[self._hook.index]

    @property
    def inner_advices(self) -> tuple[Advice, ...]:
        """The advices inside of the one whose hook runs now, all of them when none does."""
        return self._chain if self._hook is None else self._chain[self._hook.index + 1 :]

    @property
    def cancelled(self) -> bool:
        return self._cancel.cancelled

    @property
    def cancel_token(self) -> CancelToken:
        """What asks this execution to stop; for who runs it somewhere else."""
        return self._cancel

    def cancel(self, reason: str) -> None:
        """Ask the execution to stop: a running job is ended, one that has not started does not start."""
        self._cancel.cancel(reason)

    @property
    def ids(self) -> InvocationIds:
        """All identifiers; the same in every process that this invocation comes to."""
        if self._ids is None:
            from plainbox.tasks.ids import InvocationIds

            self._ids = InvocationIds(
                run_id=self.configuration.run_id,
                task_id=self.task.task_id,
                execution_id=self.execution.execution_id,
                invocation_id=self.invocation_id,
                session_id=self.configuration.session_id,
            )
        return self._ids

    @property
    def run_id(self) -> str:
        return self.ids.run_id

    @property
    def serializer(self) -> Serializer:
        """The serializer of the configuration."""
        return self.configuration.serializer

    @property
    def distribution_archive(self) -> DistributionArchive:
        """What another interpreter imports to go on with this."""
        from plainbox.tasks.distribution import get_distribution_archive

        return get_distribution_archive(self.configuration)

    def initiate(self) -> Result:
        """Carry out the execution, once, and return its result.

        What an advice raises comes through after every ``finally_`` that is due; what the task raises is in the result.
        """
        if self._state is not InvocationState.NEW or self.task is None:
            raise AdviceProtocolError("an invocation is initiated once, and not when it came from another process")
        told = 0
        try:
            for extension in self._extensions:
                told += 1
                extension.on_invocation_created(self)
                extension.on_before_advice(self.task, self.execution, self.context)
            result = self._run_from(0)
            for extension in self._extensions:
                extension.on_after_advice(self.task, self.execution, self.context, result)
            if self._attachments and self.job is not None and self.surroundings is not None:
                from plainbox.tasks.keeping import with_attachments

                result = with_attachments(result, self._attachments, self.surroundings)
            lost = isinstance(result.exception, TransportLost)
            self._state = InvocationState.LOST if lost else InvocationState.FINISHED
            if self.cancelled:
                self._state = InvocationState.CANCELLED
        except BaseException as error:
            self._state = InvocationState.LOST if isinstance(error, TransportLost) else InvocationState.FAILED
            self._finish(told, failed=True)
            raise
        self._finish(told, failed=False)
        return result

    def proceed(self) -> None:
        """Go on. In ``before``: returns when the inner part and the own ``after`` are done.

        On an invocation that came from another process: do what is left of it, up to the ``suspend()`` of an advice.
        """
        if self._state is InvocationState.RESTORED:
            self._go_on_with_restored()
            return
        hook = self._answer("proceed")
        if hook.name != "before" or hook.taken:
            return
        try:
            self._run_from(hook.index + 1)
            self._call("after", hook.index)
        except BaseException as error:
            hook.error = error
            raise

    def suspend(self) -> None:
        """Stop here, in the ``after`` of the advice that has moved the invocation to this process.

        The process that it came from goes on with what :meth:`save` writes now.
        """
        hook, came_from = self._hook, self._restored
        moved_by = None if came_from is None or came_from.task_called else came_from.before_called - 1
        if hook is None or hook.name != "after" or hook.index != moved_by:
            raise AdviceProtocolError(
                f"{self._place()} called suspend(): that is for after() of the advice that has moved the invocation, in "
                "the process that it has moved it to"
            )
        self._answer("suspend")
        self._state = InvocationState.SUSPENDED

    def save(self, stream: BinaryIO) -> None:
        """Write a bundle from which another process can go on; in ``before``, with what is inside of this advice.

        Everything travels but the deadline, the place, and what the context has under keys that begin with ``_``.
        :class:`~plainbox.errors.SerializationError` when something cannot: a value, a local function, a job.
        """
        from plainbox.tasks.moving import send

        send(self, self._counters(), stream)
        if self._hook is not None and self._hook.name == "before" and not self._hook.answered:
            self._hook.saved = True
            self._state = InvocationState.MOVED

    def restore(self, stream: BinaryIO) -> Invocation:
        """Take what a bundle holds, and return this invocation.

        One that is new and has no task becomes the one that was saved. In the ``before`` that has saved one, this must
        be what the other process made of it; then ``proceed()`` goes on outward. Of that bundle only the result, the
        context and new attachments are taken. :class:`~plainbox.errors.SerializationError` for any other bundle.
        """
        from plainbox.tasks.moving import fill, take_back

        hook = self._hook
        if hook is not None and hook.saved and not hook.answered:
            self._result = take_back(self, Counters.left(hook.index, len(self._chain)), stream)
            hook.taken = True
            self._state = InvocationState.ENTERING
        elif self._state is InvocationState.NEW and self.task is None:
            self._ids, self._restored, self._result = fill(self, self._given_configuration, stream)
            self.invocation_id = self._ids.invocation_id
            self._chain = self.configuration.get_advice_chain(self.advice_chain)
            self._extensions = self.configuration.extensions
            self._state = InvocationState.RESTORED
        else:
            raise AdviceProtocolError(
                f"{self._place()} called restore(): that is for a new invocation without a task, and for before() of an "
                "advice that has saved one"
            )
        return self

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
        hook.runs += 1
        saved, attempt = self._result, self.attempt
        self._result, self.attempt = None, hook.runs
        try:
            return self._run_from(hook.index + 1)
        finally:
            self._result, self.attempt = saved, attempt

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
            for extension in self._extensions:
                extension.on_before_task_executed(self)
            result = self._result = self._result_of_task()
            for extension in self._extensions:
                extension.on_after_task_executed(self)
        finally:
            self._hook = outer
        return result

    def _result_of_task(self) -> Result:
        try:
            result = self.task.execute(self)
            if not isinstance(result, Result):
                raise TypeError(f"a task returns a Result, not {result!r}")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a task raises is its result
            return Result(exception=error)
        return result

    def _go_on_with_restored(self) -> None:
        counters = self._restored
        if counters is None or counters.is_finished:
            raise AdviceProtocolError("the invocation that was restored is finished already")
        try:
            if not counters.task_called:
                self._run_from(counters.before_called)
            # Whoever has entered these advices calls their finally_.
            for index in reversed(range(counters.next_after(len(self._chain)))):
                self._call("after", index)
                if self._state is InvocationState.SUSPENDED:
                    return
            self._state = InvocationState.FINISHED
        except BaseException:
            self._state = InvocationState.FAILED
            raise

    def _counters(self) -> Counters:
        """Return where this invocation stands, for somebody who is to go on with it."""
        hook, length = self._hook, len(self._chain)
        if hook is not None and hook.name != "finally_":
            if hook.name == "before" and not (hook.answered or hook.taken):
                return Counters.entered(hook.index)
            return Counters.left(hook.index, length)
        if hook is None and self._state is InvocationState.SUSPENDED and self._restored is not None:
            return Counters.left(self._restored.before_called - 1, length)
        if hook is None and self._state is InvocationState.FINISHED:
            return Counters.finished(length)
        if hook is None and self._state in (InvocationState.NEW, InvocationState.RESTORED) and self.task is not None:
            return self._restored or Counters()
        raise AdviceProtocolError(f"{self._place()} called save() where nobody could go on with the invocation")

    def _finish(self, told: int, *, failed: bool) -> None:
        """Tell those extensions that have heard of the beginning, and remove what is temporary."""
        try:
            for extension in self._extensions[:told]:
                try:
                    extension.on_invocation_finished(self)
                except Exception:
                    if not failed:
                        self._state = InvocationState.FAILED
                        raise
                    _log.exception("An extension failed after %s", self.invocation_id)
        finally:
            self.close()

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
                    f"not all advice was applied: {self._place()} returned without proceed() or conclude()",
                    hint="an advice that has moved an invocation ends it here with suspend()"
                    if self._restored
                    else None,
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
