# SPDX-License-Identifier: Apache-2.0
"""A supervised process: started, held, released, read, and ended together with everything it started.

:func:`supervise` is called by the tasks that run commands. What it keeps true:

* The command runs only after ``started`` has returned, in a session and a process group of its own.
* Output is passed on as it comes, in pieces, and never kept.
* The end of the process counts, not the end of its output. What it left running gets ``SETTLE_S`` to finish (the
  other end of a ``>(tee log)`` needs that); then the pipes are closed, whoever holds them.
* Whoever is left is ended: SIGTERM, after ``grace_s`` or when the cancel token hurries SIGKILL. The same happens to
  all of it at the deadline, on cancellation, and when anything raises in here, KeyboardInterrupt included.
"""

from __future__ import annotations

import errno
import fcntl
import os
import selectors
import signal
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from plainbox.processes import ProcessStat
from plainbox.tasks.child import Child
from plainbox.tasks.deadline import Deadline
from plainbox.tasks.identity import ProcessIdentity
from plainbox.tasks.output import CancelToken, OutputSink, StreamName

if TYPE_CHECKING:
    from plainbox.tasks.users import Way

__all__ = ["GRACE_S", "Ending", "Interruption", "supervise"]

GRACE_S = 5.0
SETTLE_S = 0.2
GIVE_UP_S = 30.0
COLLECT_EVERY_S = 5.0
SHORT_PAUSE_S = 0.01
READ_SIZE = 256 * 1024
MOST_NAMES = 10


@dataclass(frozen=True)
class Interruption:
    """That another machine was away while a job ran there, and is back: its boot ids, "" for what is not known."""

    host: str
    boot_before: str
    boot_now: str


@dataclass(frozen=True)
class Ending:
    """How a supervised process ended.

    ``return_code`` is None when it could not be ended at all. ``ended_by`` says what ended it if it did not end by
    itself; ``left`` are the processes that outlived it and were ended, ``survivors`` those that could not be.
    ``leftovers`` are names of files in its private working directory, relative to it. ``host`` is where it ran, None for
    this machine; with ``interruption`` nobody knows how it ended.
    """

    process: ProcessIdentity
    return_code: int | None
    ended_by: Literal["deadline", "cancel"] | None
    start_time: float
    duration: float
    left: tuple[ProcessStat, ...]
    survivors: tuple[ProcessStat, ...]
    leftovers: tuple[str, ...] = ()
    host: str | None = None
    interruption: Interruption | None = None


def supervise(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    working_directory: Path,
    output: OutputSink,
    started: Callable[[ProcessIdentity], None],
    cancel: CancelToken,
    deadline: Deadline | None = None,
    grace_s: float = GRACE_S,
    give_up_s: float = GIVE_UP_S,
    tick: Callable[[], None] = lambda: None,
    poll: Callable[[], float] = lambda: COLLECT_EVERY_S,
    way: Way | None = None,
    pty: bool = False,
) -> Ending:
    """Run ``argv``, whose first item names a program as in a shell, to its end.

    It becomes another user by ``way``; with ``pty`` its output is a terminal, and all of it counts as standard output.
    Raises :class:`~plainbox.errors.JobStartError` when the process cannot be started. What ``started``, ``output``,
    ``tick`` and ``poll`` raise comes through, once the process and its family are ended. The last two are called at every
    turn of the loop; ``poll`` returns in how many seconds the next one is to come at the latest.
    """
    child = Child(argv, environment, working_directory, way, pty=pty)
    try:
        with ExitStack() as resources:
            supervision = _Supervision(child, output, cancel, deadline, grace_s, give_up_s, tick, poll, resources)
            started(child.family.leader)
            return supervision.run()
    except BaseException:
        child.abort(grace_s, give_up_s)
        raise
    finally:
        child.close()


class _Supervision:
    """The one loop and what it looks at: two streams, the end of the process, the clock and the cancel token."""

    def __init__(
        self,
        child: Child,
        output: OutputSink,
        cancel: CancelToken,
        deadline: Deadline | None,
        grace_s: float,
        give_up_s: float,
        tick: Callable[[], None],
        poll: Callable[[], float],
        resources: ExitStack,
    ) -> None:
        self._child = child
        self._output = output
        self._cancel = cancel
        self._deadline = deadline
        self._grace_s = grace_s
        self._give_up_s = give_up_s
        self._tick = tick
        self._poll = poll
        self._ended_by: Literal["deadline", "cancel"] | None = None
        self._killed = False
        self._next_step_at_s = float("inf") if deadline is None else deadline.at_s
        self._longest_wait_s = COLLECT_EVERY_S
        self._streams: dict[int, StreamName] = {}
        self._selector = resources.enter_context(selectors.DefaultSelector())
        for pipe, stream in child.outputs:
            self._watch_stream(pipe, stream)
        self._watch_end(resources)
        self._watch_cancel(resources)

    def run(self) -> Ending:
        """Let the command run and see it through; a command that is cancelled by now does not run."""
        start_time = time.time()
        start_s = time.monotonic()
        if not self._cancel.cancelled:
            self._child.release()
        self._wait_for_leader()
        duration = time.monotonic() - start_s
        self._settle()
        left, survivors = self._end_the_rest()
        return Ending(
            process=self._child.family.leader,
            return_code=self._child.process.returncode,
            ended_by=self._ended_by,
            start_time=start_time,
            duration=duration,
            left=tuple(left),
            survivors=tuple(survivors),
        )

    def _watch_stream(self, pipe: IO[bytes], stream: StreamName) -> None:
        descriptor = pipe.fileno()
        os.set_blocking(descriptor, False)
        self._streams[descriptor] = stream
        self._selector.register(descriptor, selectors.EVENT_READ, partial(self._read, descriptor))

    def _watch_end(self, resources: ExitStack) -> None:
        try:
            descriptor = os.pidfd_open(self._child.process.pid)
        except (OSError, AttributeError):
            # Not on Linux before 5.3, nor in Python before 3.9, nor where a container forbids it.
            self._longest_wait_s = SHORT_PAUSE_S
            return
        resources.callback(os.close, descriptor)
        self._selector.register(descriptor, selectors.EVENT_READ, partial(self._selector.unregister, descriptor))

    def _watch_cancel(self, resources: ExitStack) -> None:
        descriptor, bell = os.pipe()
        for end in (descriptor, bell):
            os.set_blocking(end, False)
            resources.callback(os.close, end)

        def wake() -> None:
            # One that is full has rung often enough.
            with suppress(BlockingIOError):
                os.write(bell, b"!")

        resources.callback(self._cancel.unsubscribe, wake)
        self._cancel.subscribe(wake)
        self._selector.register(descriptor, selectors.EVENT_READ, partial(os.read, descriptor, READ_SIZE))

    def _wait_for_leader(self) -> None:
        collect_at_s = time.monotonic() + COLLECT_EVERY_S
        while self._child.process.poll() is None:
            now_s = time.monotonic()
            if self._killed and now_s >= self._next_step_at_s:
                return
            self._enforce_limits(now_s)
            if now_s >= collect_at_s:
                self._child.family.collect()
                collect_at_s = now_s + COLLECT_EVERY_S
            self._turn(min(self._next_step_at_s - now_s, collect_at_s - now_s, self._longest_wait_s))

    def _enforce_limits(self, now_s: float) -> None:
        if self._ended_by is None and self._cancel.cancelled:
            self._stop("cancel", f"cancelled ({self._cancel.reason})", now_s)
        if self._cancel.hurried and not self._killed:
            self._kill("to be ended at once", now_s)
        elif now_s < self._next_step_at_s:
            return
        elif self._ended_by is None and self._deadline is not None:
            self._stop("deadline", f"the limit of {self._deadline.limit_s:g} s is over", now_s)
        else:
            self._kill(f"still running {self._grace_s:g} s after SIGTERM", now_s)

    def _stop(self, by: Literal["deadline", "cancel"], text: str, now_s: float) -> None:
        self._ended_by = by
        self._next_step_at_s = now_s + self._grace_s
        self._output.note(f"{text}: sending SIGTERM")
        self._child.family.signal(signal.SIGTERM)

    def _kill(self, text: str, now_s: float) -> None:
        self._killed = True
        self._next_step_at_s = now_s + self._give_up_s
        self._output.note(f"{text}: sending SIGKILL")
        self._child.family.signal(signal.SIGKILL)

    def _turn(self, timeout_s: float) -> None:
        """Wait for something to happen and deal with it."""
        self._tick()
        for key, _ in self._selector.select(max(min(timeout_s, self._poll()), 0)):
            key.data()

    def _read(self, descriptor: int, size: int = READ_SIZE) -> int:
        """Pass on what is there, at most ``size`` bytes; return how much it was."""
        try:
            data = os.read(descriptor, size)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""  # the end of what comes through a terminal
        if data:
            self._output.write(self._streams[descriptor], data)
        else:
            self._selector.unregister(descriptor)
            del self._streams[descriptor]
        return len(data)

    def _settle(self) -> None:
        """Take the last output, the leader being over: of who is about to end, and what is in the pipes by then."""
        until_s = time.monotonic() + SETTLE_S if self._ended_by is None else self._next_step_at_s
        if self._killed:
            until_s = 0
        while (now_s := time.monotonic()) < until_s and not self._cancel.hurried and self._child.family.anybody_left():
            self._turn(min(until_s - now_s, SHORT_PAUSE_S))
        for descriptor in tuple(self._streams):
            if os.isatty(descriptor):
                self._empty_terminal(descriptor)
                continue
            size = _readable_bytes(descriptor)
            while size > 0 and (taken := self._read(descriptor, min(size, READ_SIZE))):
                size -= taken

    def _empty_terminal(self, descriptor: int) -> None:
        """Take what is in a terminal: the kernel says of a part of it only, and hands it on bit by bit."""
        until_s = time.monotonic() + SETTLE_S
        while descriptor in self._streams and time.monotonic() < until_s:
            if not self._read(descriptor):
                if self._child.family.anybody_left():
                    return
                self._turn(SHORT_PAUSE_S)

    def _end_the_rest(self) -> tuple[list[ProcessStat], list[ProcessStat]]:
        family = self._child.family
        if not family.anybody_left():
            return [], []
        # Looked for before the pipes are closed: who writes without end would be gone with them, and not be counted.
        left = family.signal(signal.SIGTERM)
        self._child.close_pipes()
        if self._child.process.returncode is None:
            survivors = left
        else:
            grace_s = self._grace_s if self._ended_by is None else 0
            survivors = family.await_end(time.monotonic() + grace_s, self._give_up_s, lambda: self._cancel.hurried)
        if left and self._ended_by is None:
            self._output.note(f"still running after the command had ended, and ended now: {_names(left)}")
        if survivors:
            self._output.note(f"could not be ended: {_names(survivors)}")
        return left, survivors


def _readable_bytes(descriptor: int) -> int:
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)


def _names(stats: Sequence[ProcessStat]) -> str:
    return ", ".join(f"{stat.name!r} ({stat.pid})" for stat in stats[:MOST_NAMES]) + (
        f" and {len(stats) - MOST_NAMES} more" if len(stats) > MOST_NAMES else ""
    )
