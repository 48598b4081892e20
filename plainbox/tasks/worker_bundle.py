# SPDX-License-Identifier: Apache-2.0
"""The far end of an invocation that travels whole: restored, taken on, and saved again, in the worker's own process.

Called by :mod:`plainbox.tasks.worker`. What the code in there prints, and whatever it starts, goes the way of the output
of a job. When the time is over or our side is gone it is interrupted like by a person; if that does not help, the
process ends, with all that it started.
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

from plainbox.errors import TaskError
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

__all__ = ["run_bundle"]

PROGRESS_EVERY_S = 0.1
READ_SIZE = 64 * 1024
TEMPORARY = 75


def run_bundle(bundle: bytes, load: Load, writer: FrameWriter, inbox: Inbox, sink: OutputSink) -> bytes:
    """Take the invocation of ``bundle`` on and return the bundle of what it came to; what it raises comes through."""
    become_subreaper()
    os.environ.update(load.environment)
    sys.path.extend(path for path in load.path if path not in sys.path)
    pid = os.getpid()
    restrict(pid, load.limits, load.nice)
    stat = read_stat(pid)
    leader = ProcessIdentity(pid, os.getpgrp(), 0 if stat is None else stat.start_ticks)
    writer.write(json_frame(Kind.READY, asdict(leader)))
    inbox.wait_for(Kind.GO)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with _output_to(sink), _Interruption(inbox.cancel, load) as interruption:
        try:
            return _take_on(bundle, load, writer)
        except KeyboardInterrupt:
            if interruption.reason is None:
                raise
            raise TaskError(interruption.reason) from None
        finally:
            end_descendants()


def _take_on(bundle: bytes, load: Load, writer: FrameWriter) -> bytes:
    invocation = Invocation()
    try:
        invocation.restore(io.BytesIO(bundle))
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

    def __init__(self, cancel: CancelToken, load: Load) -> None:
        self._cancel = cancel
        self._load = load
        self._wake = threading.Event()
        self._over = False
        self.reason: str | None = None

    def __enter__(self) -> _Interruption:
        self._cancel.subscribe(self._wake.set)
        threading.Thread(target=self._watch, name="plainbox-interruption", daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over = True
        self._wake.set()

    def _watch(self) -> None:
        self._wake.wait(self._load.remaining_s)
        if self._over:
            return
        if self._cancel.cancelled:
            self.reason = f"cancelled: {self._cancel.reason}"
        else:
            self.reason = f"ended after its limit of {self._load.limit_s or 0:g} s"
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # type: ignore[arg-type]
        end_s = time.monotonic() + (GRACE_S if self._load.grace_s is None else self._load.grace_s)
        while time.monotonic() < end_s and not self._cancel.hurried:
            if self._over:
                return
            time.sleep(0.02)
        if not self._over:
            end_descendants()
            os._exit(TEMPORARY)


@contextmanager
def _output_to(sink: OutputSink) -> Iterator[None]:
    """Have what is written to the two standard streams, by this process and those that it starts, go to ``sink``."""
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    pumps = [_pump(1, lambda data: sink.write("stdout", data)), _pump(2, lambda data: sink.write("stderr", data))]
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
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
