# SPDX-License-Identifier: Apache-2.0
"""A named unit of work with a start, an end, tags and at most one parent.

Whoever does something worth to be seen in a trace opens an action: the runner, the store, advices, modules of a
pipeline. Actions always work; spans are written only while there is an active :class:`~plainbox.tracing.tracer.Tracer`.
Each thread has a stack of its open actions, the newest on top. What must stay true: an action is finished once, in the
thread that has made it, in any order among others; and nothing here changes what the traced work comes to.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, cast

from plainbox.clock import SYSTEM_CLOCK
from plainbox.errors import GlueError
from plainbox.tracing.context import SpanContext
from plainbox.tracing.tracer import Tracer

if TYPE_CHECKING:
    import datetime
    from contextlib import AbstractContextManager
    from types import TracebackType

__all__ = ["Action", "traced"]

_log = logging.getLogger(__name__)


class Action:
    """A unit of work. Use it in a ``with`` block, or call :meth:`finish`.

    ``label`` is general (``running job``); what tells one from another goes into ``tags``. Without a ``parent`` it is
    the root of a trace, or a child of the span that has started this program: to nest, give
    ``parent=Action.maybe_current()``.
    """

    _thread_actions = threading.local()

    def __init__(
        self,
        label: str,
        parent: Action | None = None,
        tags: Mapping[str, object] | None = None,
        logger: logging.Logger | logging.LoggerAdapter[logging.Logger] | None = None,
    ) -> None:
        tracer = Tracer.TRACER
        self.label = label
        self.parent = parent
        self.tags: dict[str, object] = dict(tags or {})
        self.logger = _log if logger is None else logger
        #: The span of another tracing library, when one takes part.
        self.span: object | None = None
        self.links: list[SpanContext] = []
        self.error: BaseException | None = None
        #: What takes less and ends well is not worth a line in the trace.
        self.at_least_s: float = 0
        #: What has gone wrong, in a word; ``None`` while nothing has.
        self.error_type: str | None = None
        self.span_id = os.urandom(8).hex()
        self.tracer = tracer
        self._clock = SYSTEM_CLOCK if tracer is None else tracer.clock
        self._start_mono_ns = self._clock.monotonic_ns()
        self._end_mono_ns: int | None = None
        above = parent.context if parent is not None else None if tracer is None else tracer.incoming
        self.trace_id: str = os.urandom(16).hex() if above is None else above.trace_id
        self.parent_id: str | None = None if above is None else above.span_id
        self.sampled: bool = above is None or above.sampled
        # All of a trace is timed by one steady clock, whatever becomes of the wall clock meanwhile.
        self._epoch_ns: int = (
            round(self._clock.time() * 1_000_000_000) - self._start_mono_ns if parent is None else parent._epoch_ns
        )
        self._add_action(self)

    # -- the stack of a thread

    @classmethod
    def _action_stack(cls) -> list[Action]:
        try:
            return cast("list[Action]", cls._thread_actions.stack)
        except AttributeError:
            stack: list[Action] = []
            cls._thread_actions.stack = stack
            return stack

    @classmethod
    def _add_action(cls, action: Action) -> None:
        cls._action_stack().append(action)

    @classmethod
    def _drop_action(cls, action: Action) -> None:
        stack = cls._action_stack()
        for index in reversed(range(len(stack))):
            if stack[index] is action:
                del stack[index]
                return
        raise GlueError(
            f"the action {action.label!r} is not open in this thread",
            hint="an action is finished once, in the thread that has made it",
        )

    @classmethod
    def current_action(cls) -> Action:
        """Return the newest open action of this thread; :class:`RuntimeError` when there is none."""
        action = cls.maybe_current()
        if action is None:
            raise RuntimeError("no action is open in this thread")
        return action

    @classmethod
    def maybe_current(cls) -> Action | None:
        """Return the newest open action of this thread, ``None`` when there is none."""
        stack = cls._action_stack()
        return stack[-1] if stack else None

    @classmethod
    def set_thread_root(cls, action: Action) -> None:
        """Make ``action`` the only one of this thread's stack, for a thread that works for another one.

        It still belongs to its creator, who finishes it.
        """
        cls._action_stack()[:] = [action]

    # -- what is known of it

    @property
    def context(self) -> SpanContext:
        return SpanContext(self.trace_id, self.span_id, self.sampled)

    @property
    def start_ns(self) -> int:
        """The wall clock at its start, in nanoseconds since the epoch."""
        return self._epoch_ns + self._start_mono_ns

    @property
    def end_ns(self) -> int | None:
        """The same at its end, ``None`` before; the difference is that of the steady clock."""
        return None if self._end_mono_ns is None else self._epoch_ns + self._end_mono_ns

    @property
    def started_at(self) -> datetime.datetime:
        return _moment(self.start_ns)

    @property
    def finished_at(self) -> datetime.datetime | None:
        return None if self.end_ns is None else _moment(self.end_ns)

    @property
    def duration_s(self) -> float | None:
        return None if self._end_mono_ns is None else (self._end_mono_ns - self._start_mono_ns) / 1_000_000_000

    # -- what is told of it

    def set_tag(self, name: str, value: object) -> None:
        """Set one tag. After the end it is kept here only: the span is written by then."""
        self.set_tags({name: value})

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set several tags."""
        self.tags.update(tags)
        if self._end_mono_ns is not None:
            self.logger.debug("%r has ended: the trace does not show %s", self, ", ".join(map(str, tags)))

    def record_error(self, error: BaseException) -> None:
        """Say that the work has failed with ``error``; the first one counts."""
        if self.error is None:
            self.error = error
            self.error_type = type(error).__name__

    def mark_failed(self, error_type: str) -> None:
        """Say that the work has failed, in a word, where there is no exception."""
        self.error_type = error_type

    # -- its end

    def finish(self) -> None:
        """End the action. :class:`~plainbox.errors.GlueError` when it is not open in this thread."""
        self._drop_action(self)
        self._end_mono_ns = self._clock.monotonic_ns()
        tracer = Tracer.TRACER
        if tracer is not None and (self.error_type is not None or (self.duration_s or 0) >= self.at_least_s):
            tracer.export(self)
        if self.logger.isEnabledFor(logging.DEBUG):
            self.logger.debug("%r: span %s ended after %.6f s", self, self.span_id, self.duration_s)

    def __enter__(self) -> Action:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.record_error(error)
        try:
            self.finish()
        except GlueError as trouble:
            # What the block has come to counts, not how it has treated the stack.
            self.logger.debug("%s", trouble)

    def __repr__(self) -> str:
        below = "" if self.parent is None else f" below {self.parent.label!r}"
        return f"<Action {self.label!r}{below}>"


def traced(
    label: str, tags: Mapping[str, object] | None = None, *, at_least_s: float = 0
) -> AbstractContextManager[Action | None]:
    """Return an action below the current one, for a ``with`` block; while nothing is traced the block gets ``None``.

    One that ends well in less than ``at_least_s`` is not told of.
    """
    if Tracer.TRACER is None:
        return nullcontext()
    action = Action(label, parent=Action.maybe_current(), tags=tags)
    action.at_least_s = at_least_s
    return action


def _moment(at_ns: int) -> datetime.datetime:
    import datetime

    return datetime.datetime.fromtimestamp(at_ns / 1_000_000_000, datetime.timezone.utc)  # noqa: UP017 - Python 3.8


def _forget_everything() -> None:
    """In a forked child: what is open there belongs to the parent, which writes it."""
    Tracer.TRACER = None
    Action._thread_actions = threading.local()


os.register_at_fork(after_in_child=_forget_everything)
