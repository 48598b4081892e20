# SPDX-License-Identifier: Apache-2.0
"""Bytes to and from the process of a link, without ever waiting for one direction only.

Used by :mod:`plainbox.tasks.channel`, which knows what they mean. The only thing that happens beside its loop is the
beat, which must go on while our side writes a checkpoint to a slow disk.
"""

from __future__ import annotations

import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress

from plainbox.tasks.frames import Kind, frame_of
from plainbox.tasks.link import Link
from plainbox.tasks.output import CancelToken

__all__ = ["Wire"]

READ_SIZE = 256 * 1024
MOST_WORDS = 8 * 1024


class Wire:
    """The three pipes of ``link``. ``take`` gets what comes on its standard output, ``say`` on its standard error."""

    def __init__(
        self, link: Link, cancel: CancelToken, take: Callable[[bytes], None], say: Callable[[bytes], None]
    ) -> None:
        self._link = link
        self._say = say
        #: What gets the bytes that come; may be set while they do.
        self.take = take
        #: Nothing will come any more.
        self.ended = False
        #: When something came, on the monotonic clock.
        self.heard_s = time.monotonic()
        #: When some of what is to be sent went off.
        self.sent_s = self.heard_s
        #: The end of what the process has said on its standard error.
        self.words = b""
        self._sources: deque[Iterator[bytes]] = deque()
        self._rest = memoryview(b"")
        self._lock = threading.Lock()
        self._resources = ExitStack()
        self._selector = self._resources.enter_context(selectors.DefaultSelector())
        for pipe in (link.stdin, link.stdout, link.stderr):
            os.set_blocking(pipe.fileno(), False)
        self._selector.register(link.stdout, selectors.EVENT_READ, self._read)
        self._selector.register(link.stderr, selectors.EVENT_READ, self._listen)
        self._wake_on(cancel)

    def close(self) -> None:
        """Let go of everything but the link."""
        self._resources.close()

    def send(self, chunks: Iterable[bytes]) -> None:
        """Send this after everything that is to be sent already; it goes off in :meth:`turn`."""
        with self._lock:
            if not self._sources:
                self._selector.register(self._link.stdin, selectors.EVENT_WRITE, self._flush)
            self._sources.append(iter(chunks))

    def turn(self, wait_s: float) -> bool:
        """Wait for something to happen and handle it; tell whether anything has come or gone."""
        events = self._selector.select(max(0.0, wait_s))
        for key, _ in events:
            key.data()
        return bool(events)

    def beat_every(self, seconds: float) -> None:
        """Send a beat every so often, whatever this thread is busy with, until the wire is closed."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(seconds):
                with self._lock, suppress(OSError, ValueError):
                    # Where other frames wait to be sent, they say as much.
                    if not self._sources:
                        os.write(self._link.stdin.fileno(), frame_of(Kind.BEAT))

        thread = threading.Thread(target=beat, name="plainbox-beat", daemon=True)
        thread.start()
        self._resources.callback(thread.join)
        self._resources.callback(over.set)

    def drain(self, wait_s: float) -> None:
        """Take the last words of a process that is about to end."""
        until_s = time.monotonic() + wait_s
        while self._selector.get_map().get(self._link.stderr) is not None and time.monotonic() < until_s:
            for key, _ in self._selector.select(max(0.0, until_s - time.monotonic())):
                if key.fileobj is self._link.stderr:
                    self._listen()
                else:
                    self._selector.unregister(key.fileobj)

    def _read(self) -> None:
        data = _read_some(self._link.stdout.fileno())
        if data is None:
            return
        if not data:
            self._selector.unregister(self._link.stdout)
            self.ended = True
            return
        self.heard_s = time.monotonic()
        self.take(data)

    def _listen(self) -> None:
        data = _read_some(self._link.stderr.fileno())
        if data:
            self.words = (self.words + data)[-MOST_WORDS:]
            self._say(data)
        elif data is not None:
            self._selector.unregister(self._link.stderr)

    def _flush(self) -> None:
        with self._lock:
            try:
                while self._sources:
                    if not self._rest:
                        chunk = next(self._sources[0], None)
                        if chunk is None:
                            self._sources.popleft()
                            continue
                        self._rest = memoryview(chunk)
                    self._rest = self._rest[os.write(self._link.stdin.fileno(), self._rest) :]
                    self.sent_s = time.monotonic()
            except BlockingIOError:
                return
            except OSError:
                # Nobody listens any more; why, the other direction will tell.
                self._sources.clear()
                self._rest = memoryview(b"")
            self._selector.unregister(self._link.stdin)

    def _wake_on(self, cancel: CancelToken) -> None:
        descriptor, bell = os.pipe()
        for end in (descriptor, bell):
            os.set_blocking(end, False)
            self._resources.callback(os.close, end)

        def wake() -> None:
            with suppress(BlockingIOError):
                os.write(bell, b"!")

        self._resources.callback(cancel.unsubscribe, wake)
        cancel.subscribe(wake)
        self._selector.register(descriptor, selectors.EVENT_READ, lambda: _read_some(descriptor))


def _read_some(descriptor: int) -> bytes | None:
    """Return what is there: empty at the end, None when nothing is."""
    try:
        return os.read(descriptor, READ_SIZE)
    except BlockingIOError:
        return None
    except OSError:
        return b""
