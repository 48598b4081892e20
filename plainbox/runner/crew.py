# SPDX-License-Identifier: Apache-2.0
"""The threads that run attempts at the same time, and what they tell the thread that owns the session.

The runner uses it when it runs more than one job at once. What must stay true: a thread of the crew does nothing but run
one attempt. The note that the attempt runs, what its listeners are told and its end go through one inbox, in their order,
to the owner; the attempt waits, its command held, until the note is durable. Listeners rather miss something than that the
limit of a job does not count because the owner waits for space on the disk: the log has everything. When the owner leaves
because something has failed, everything that runs is ended, and nothing of it has a result.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeAlias

import attrs

from plainbox.errors import SessionError, StorageError, TaskError
from plainbox.runner.attempt import Attempt
from plainbox.runner.executor import JobExecutor
from plainbox.runner.stop import StopRequest
from plainbox.tasks import CancelToken
from plainbox.tracing.threads import run_in_thread_with

__all__ = ["Crew"]

_log = logging.getLogger(__name__)

#: So much waits for the owner at most; then whoever has more to tell waits, too.
_INBOX_SIZE = 64
_TICK_S = 1.0
#: So long a job that runs waits for an owner that does not listen.
_TELL_S = 1.0


@attrs.define(eq=False)
class _Request:
    """An attempt that is about to run, and the answer to whether it may."""

    attempt: Attempt
    answered: threading.Event = attrs.field(factory=threading.Event)
    error: Exception | None = None


@attrs.frozen(eq=False)
class _End:
    attempt: Attempt
    error: BaseException | None = None


_Letter: TypeAlias = "_Request | _End | Callable[[], None]"


class Crew:
    """Runs attempts, each in a thread. Use it as a context manager, in the thread that owns the session."""

    def __init__(self, executor: JobExecutor, stop: StopRequest) -> None:
        self._executor = executor
        self._stop = stop
        self._inbox: queue.Queue[_Letter] = queue.Queue(_INBOX_SIZE)
        self._threads: dict[str, threading.Thread] = {}
        self._requests: list[_Request] = []
        #: Whether the owner has been away for so long that nobody waits for it any more.
        self._owner_is_away = False
        #: The attempts that have been started and whose end is not known, by the ids of their jobs.
        self.running: dict[str, Attempt] = {}
        #: Ends what runs: as the request of the run says, or because the crew has to stop.
        self.cancel = CancelToken()

    # -- for the owner of the session

    def start(self, attempt: Attempt) -> None:
        """Run an attempt in a thread of its own; :class:`TaskError` when the system allows no further one."""
        thread = threading.Thread(target=self._run, args=(attempt,), name=attempt.job.id)
        try:
            thread.start()
        except RuntimeError as error:
            self._give_up(attempt)
            raise TaskError(
                f"no thread can be started for {attempt.job.id} beside {len(self.running)} running jobs: {error}",
                hint="resume with a smaller -j, or raise the limit of processes (ulimit -u)",
            ) from error
        # Only this thread hears of its end.
        self.running[attempt.job.id] = attempt
        self._threads[attempt.job.id] = thread

    def news(self, *, wait: bool) -> list[Attempt]:
        """Return the attempts that have ended; those that are about to run are among the :attr:`held` then.

        With ``wait`` this waits a while until something has happened. What listeners are told is told in here. What has
        gone wrong in a thread is raised.
        """
        ended: list[Attempt] = []
        with contextlib.suppress(queue.Empty):
            letter = self._inbox.get(wait, _TICK_S)
            # Whoever tells without end does not keep the others from being heard.
            for _ in range(_INBOX_SIZE):
                self._open(letter, ended)
                letter = self._inbox.get_nowait()
            self._open(letter, ended)
        return ended

    def _open(self, letter: _Letter, ended: list[Attempt]) -> None:
        match letter:
            case _Request():
                self._requests.append(letter)
            case _End(attempt, error):
                self._dismiss(attempt)
                if error is not None:
                    raise error
                ended.append(attempt)
            case _:
                letter()

    @property
    def held(self) -> list[Attempt]:
        """The attempts that wait until it is durable that they run."""
        return [request.attempt for request in self._requests]

    def let_go(self, error: Exception | None = None) -> None:
        """Let the attempts run that are held; with an ``error`` none of them runs, and each ends with it."""
        for request in self._requests:
            request.error = error
            request.answered.set()
        self._requests.clear()

    def _dismiss(self, attempt: Attempt) -> None:
        del self.running[attempt.job.id]
        self._threads.pop(attempt.job.id).join()

    # -- for the threads

    def started(self, attempt: Attempt) -> None:
        """Have the owner make durable that an attempt runs, and wait for that."""
        request = _Request(attempt)
        self._inbox.put(request)
        request.answered.wait()
        if request.error is not None:
            raise request.error

    def tell(self, letter: Callable[[], None]) -> None:
        """Have the owner call this; it is not called when the owner does not listen for long."""
        try:
            self._inbox.put(letter, block=not self._owner_is_away, timeout=_TELL_S)
        except queue.Full:
            self._owner_is_away = True
        else:
            self._owner_is_away = False

    def _run(self, attempt: Attempt) -> None:
        error: BaseException | None = None
        try:
            if attempt.action is None:
                self._executor.run(attempt)
            else:
                run_in_thread_with(attempt.action, self._executor.run, attempt)
        except BaseException as failure:  # noqa: BLE001 - the owner raises it
            error = failure
        self._inbox.put(_End(attempt, error))

    # -- beginning and end

    def __enter__(self) -> Self:
        self._stop.cancel.subscribe(self._follow)
        return self

    def _follow(self) -> None:
        """Pass on what the run was asked for."""
        if self._stop.cancel.cancelled:
            self.cancel.cancel(self._stop.cancel.reason or "")
        if self._stop.cancel.hurried:
            self.cancel.hurry()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.cancel.unsubscribe(self._follow)
        if not self.running:
            return
        _log.warning("Ending what runs (%d): %s", len(self.running), error)
        self.cancel.cancel("the test session cannot go on")
        try:
            self._wait_for_all()
        except BaseException:
            self.cancel.hurry()
            self._wait_for_all()
            raise

    def _wait_for_all(self) -> None:
        """Wait until nothing runs; attempts that have begun stay noted as running, for whoever goes on."""
        while self.running:
            self.let_go(StorageError("the test session cannot go on"))
            self._stop.tick()
            with contextlib.suppress(queue.Empty):
                match self._inbox.get(timeout=_TICK_S):
                    case _Request() as request:
                        self._requests.append(request)
                    case _End(attempt):
                        self._dismiss(attempt)
                        self._give_up(attempt)

    def _give_up(self, attempt: Attempt) -> None:
        """Leave an attempt that has no result."""
        self._executor.settle(attempt.job, durable=False)
        with contextlib.suppress(SessionError, OSError):
            attempt.end_log()
