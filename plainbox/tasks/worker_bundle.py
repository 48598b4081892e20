# SPDX-License-Identifier: Apache-2.0
"""The far end of an invocation that travels whole: restored, taken on, and saved again, in the worker's own process.

Called by :mod:`plainbox.tasks.worker`. What the code in there prints, and whatever it starts, goes the way of the output
of a job. When the time is over or our side is gone it is interrupted like by a person; if that does not help, the
process ends, with all that it started, and says why. Signals mean to that code what they mean to any program.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from types import FrameType

from plainbox.errors import DeadlineError, TaskError
from plainbox.processes import ProcessStat, read_stat, scan
from plainbox.tasks.documents import Load
from plainbox.tasks.family import become_subreaper
from plainbox.tasks.frames import LARGEST_PAYLOAD, FrameWriter, Kind, frame_of, json_frame
from plainbox.tasks.identity import ProcessIdentity
from plainbox.tasks.inbox import Inbox
from plainbox.tasks.invocation import Invocation
from plainbox.tasks.output import CancelToken, OutputSink
from plainbox.tasks.process import GRACE_S
from plainbox.tasks.resource_limits import restrict
from plainbox.tasks.run import set_run_id

__all__ = ["run_bundle"]

PROGRESS_EVERY_S = 0.1
READ_SIZE = 64 * 1024


def run_bundle(
    bundle: bytes,
    load: Load,
    writer: FrameWriter,
    inbox: Inbox,
    sink: OutputSink,
    give_up: Callable[[Exception], None],
) -> bytes:
    """Take the invocation of ``bundle`` on and return the bundle of what it came to; what it raises comes through.

    ``give_up`` tells our side of an error and ends this process; for code that does not end when it is to.
    """
    become_subreaper()
    os.environ.update(load.environment)
    sys.path.extend(path for path in load.path if path not in sys.path)
    pid = os.getpid()
    restrict(pid, load.limits, load.nice)
    stat = read_stat(pid)
    leader = ProcessIdentity(pid, os.getpgrp(), 0 if stat is None else stat.start_ticks)
    writer.write(json_frame(Kind.READY, asdict(leader)))
    inbox.wait_for(Kind.GO)
    with _usual_signals(), _output_to(sink), _Interruption(inbox.cancel, load, give_up) as interruption:
        try:
            return _take_on(bundle, load, writer)
        except KeyboardInterrupt:
            if interruption.error is None:
                raise
            raise interruption.error from None
        finally:
            end_descendants()


@contextmanager
def _usual_signals() -> Iterator[None]:
    """Let signals mean what they mean to any program, and to those that are forked from it."""
    usual: dict[int, Callable[[int, FrameType | None], object] | signal.Handlers] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _take_on(bundle: bytes, load: Load, writer: FrameWriter) -> bytes:
    invocation = Invocation()
    try:
        invocation.restore(io.BytesIO(bundle))
        with suppress(RuntimeError):  # what was imported has asked for it already
            set_run_id(invocation.run_id)
        invocation.deadline = load.deadline
        events = _Events(writer)
        invocation.subscribe(events.take)
        invocation.proceed()
        events.flush()
        saved = io.BytesIO()
        invocation.save(saved)
        return saved.getvalue()
    finally:
        invocation.close()


class _Events:
    """Sends the events of an invocation as lines: of a progress not more than some each second, and the last."""

    def __init__(self, writer: FrameWriter) -> None:
        self._writer = writer
        self._next_s = 0.0
        self._waiting: bytes | None = None

    def take(self, event: Mapping[str, object]) -> None:
        line = json.dumps(event).encode("ascii")
        if len(line) > LARGEST_PAYLOAD:
            return
        if event.get("t") != "progress":
            self._writer.write(frame_of(Kind.LINE, line))
            return
        self._waiting = line
        if time.monotonic() >= self._next_s:
            self.flush()

    def flush(self) -> None:
        if self._waiting is not None:
            self._writer.write(frame_of(Kind.LINE, self._waiting))
            self._waiting = None
            self._next_s = time.monotonic() + PROGRESS_EVERY_S


class _Interruption:
    """Interrupts the main thread when somebody cancels or the time is over, and ends the process when that is no use."""

    def __init__(self, cancel: CancelToken, load: Load, give_up: Callable[[Exception], None]) -> None:
        self._cancel = cancel
        self._load = load
        self._give_up = give_up
        self._wake = threading.Event()
        #: Held by the one of the two threads that delivers.
        self._delivers = threading.Lock()
        self._over = False
        self.error: TaskError | None = None

    def __enter__(self) -> _Interruption:
        self._cancel.subscribe(self._wake.set)
        threading.Thread(target=self._watch, name="plainbox-interruption", daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._delivers:
            self._over = True
        self._wake.set()

    def _watch(self) -> None:
        self._wake.wait(self._load.remaining_s)
        if self._over:
            return
        if self._cancel.cancelled:
            self.error = TaskError(f"cancelled: {self._cancel.reason}")
        else:
            self.error = DeadlineError(f"ended after its limit of {self._load.limit_s or 0:g} s")
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # type: ignore[arg-type]
        end_s = time.monotonic() + (GRACE_S if self._load.grace_s is None else self._load.grace_s)
        while time.monotonic() < end_s and not self._cancel.hurried:
            if self._over:
                return
            time.sleep(0.02)
        with self._delivers:
            if not self._over:
                end_descendants()
                self._give_up(self.error)


@contextmanager
def _output_to(sink: OutputSink) -> Iterator[None]:
    """Have what is written to the two standard streams, by this process and those that it starts, go to ``sink``."""
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    streams = sys.stdout, sys.stderr
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    pumps = [_pump(1, lambda data: sink.write("stdout", data)), _pump(2, lambda data: sink.write("stderr", data))]
    try:
        yield
    finally:
        for stream in {sys.stdout, sys.stderr, *streams}:
            with suppress(OSError, ValueError, AttributeError):  # closed, or replaced by something else
                stream.flush()
        os.dup2(null, 1)
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
        for pump in pumps:
            # Whoever holds the other end has been ended.
            pump.join(GRACE_S)


def _pump(descriptor: int, write: Callable[[bytes], None]) -> threading.Thread:
    source, target = os.pipe()
    os.dup2(target, descriptor)
    os.close(target)

    def pump() -> None:
        with open(source, "rb", buffering=0) as file:
            for data in iter(lambda: file.read(READ_SIZE), b""):
                write(data)

    thread = threading.Thread(target=pump, name=f"plainbox-output-{descriptor}", daemon=True)
    thread.start()
    return thread


def end_descendants() -> None:
    """End every process that came from this one: SIGTERM, and SIGKILL after the grace."""
    kill_s = time.monotonic() + GRACE_S
    asked: set[tuple[int, int]] = set()
    while True:
        _collect()
        left = _descendants()
        if not left:
            return
        late = time.monotonic() >= kill_s
        for stat in left:
            if late or (stat.pid, stat.start_ticks) not in asked:
                asked.add((stat.pid, stat.start_ticks))
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(stat.pid, signal.SIGKILL if late else signal.SIGTERM)
        if time.monotonic() >= kill_s + GRACE_S:
            return
        time.sleep(0.02)


def _collect() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass


def _descendants() -> list[ProcessStat]:
    children: dict[int, list[ProcessStat]] = {}
    for stat in scan():
        if not stat.ended:
            children.setdefault(stat.parent, []).append(stat)
    found, todo = [], [os.getpid()]
    while todo:
        direct = children.get(todo.pop(), [])
        found += direct
        todo += [stat.pid for stat in direct]
    return found
