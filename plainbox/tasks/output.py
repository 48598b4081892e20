# SPDX-License-Identifier: Apache-2.0
"""What goes between an execution and the one who asked for it: output one way, cancellation the other way.

The runner passes a sink that writes the io log. A sink gets the bytes as they were read, in order per stream, and must
not keep them for long: whoever needs flat memory gets it only if the sink lets go of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal, Protocol

__all__ = ["CancelToken", "MemorySink", "OutputSink", "StreamName", "TeeSink"]

StreamName = Literal["stdout", "stderr"]


class OutputSink(Protocol):
    """Takes the output of an execution. What it raises ends the execution."""

    def write(self, stream: StreamName, data: bytes) -> None:
        """Take what was read from a stream: never empty, cut anywhere, any bytes at all."""

    def note(self, text: str) -> None:
        """Take a remark of the engine about the execution: one line for people."""


class MemorySink:
    """Keeps everything; for short outputs and for tests."""

    def __init__(self) -> None:
        self.chunks: list[tuple[StreamName, bytes]] = []
        self.notes: list[str] = []

    def write(self, stream: StreamName, data: bytes) -> None:
        self.chunks.append((stream, data))

    def note(self, text: str) -> None:
        self.notes.append(text)

    @property
    def stdout(self) -> bytes:
        return b"".join(data for stream, data in self.chunks if stream == "stdout")

    @property
    def stderr(self) -> bytes:
        return b"".join(data for stream, data in self.chunks if stream == "stderr")


class TeeSink:
    """Passes everything on to several sinks, in their order; the first that raises stops the rest."""

    def __init__(self, *sinks: OutputSink) -> None:
        self._sinks = sinks

    def write(self, stream: StreamName, data: bytes) -> None:
        for sink in self._sinks:
            sink.write(stream, data)

    def note(self, text: str) -> None:
        for sink in self._sinks:
            sink.note(text)


class CancelToken:
    """Asks one or several executions to stop. May be used from any thread and from a signal handler."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._hurried = False
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.RLock()

    @property
    def cancelled(self) -> bool:
        return self._reason is not None

    @property
    def reason(self) -> str | None:
        """Why, or None as long as nobody cancelled."""
        return self._reason

    @property
    def hurried(self) -> bool:
        """Whether what is to stop gets no time for it."""
        return self._hurried

    def cancel(self, reason: str) -> None:
        """Ask to stop; only the first reason counts."""
        with self._lock:
            if self._reason is None:
                self._reason = reason
                self._wake()

    def hurry(self) -> None:
        """Give no more time to what was asked to stop."""
        with self._lock:
            if not self._hurried:
                self._hurried = True
                self._wake()

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when somebody cancels or hurries, at once when one is cancelled; maybe more than once."""
        with self._lock:
            # First in the list, then the look at the reason: a signal handler may cancel between the two.
            self._listeners.append(listener)
            if self._reason is not None:
                listener()

    def unsubscribe(self, listener: Callable[[], None]) -> None:
        """Undo one :meth:`subscribe`. Once this has returned, ``listener`` is not called any more."""
        with self._lock:
            self._listeners.remove(listener)

    def _wake(self) -> None:
        for listener in list(self._listeners):
            listener()
