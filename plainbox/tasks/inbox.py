# SPDX-License-Identifier: Apache-2.0
"""What our side sends to the worker, taken by a thread of its own while the worker runs its program.

Beats, cancellation and the end of the connection are dealt with here, whatever the other thread is busy with; the
rest waits for it. Once our side is gone every write fails and what runs is cancelled.
"""

from __future__ import annotations

import os
import select
import threading
import time
from queue import SimpleQueue

from plainbox.errors import TransportLost
from plainbox.tasks.frames import DOWN, Document, Frame, FrameReader, FrameWriter, Kind, parse_json
from plainbox.tasks.output import CancelToken

__all__ = ["Inbox"]

READ_SIZE = 256 * 1024
BEAT_S = 5.0


class Inbox:
    """Reads frames from ``descriptor`` until it ends. ``cancel`` is what our side, or its loss, asks for."""

    def __init__(self, descriptor: int, writer: FrameWriter) -> None:
        self.cancel = CancelToken()
        #: Why there is nobody any more, None as long as there is.
        self.lost: str | None = None
        self._descriptor = descriptor
        self._writer = writer
        self._beat_s = BEAT_S
        self._silence_s: float | None = None
        self._frames: SimpleQueue[Frame | None] = SimpleQueue()
        threading.Thread(target=self._listen, name="plainbox-inbox", daemon=True).start()

    def expect_beats(self, beat_s: float, silence_s: float | None) -> None:
        """Send a beat every ``beat_s``, and take a silence of ``silence_s`` for a loss."""
        self._beat_s, self._silence_s = beat_s, silence_s

    def wait_for(self, kind: Kind) -> bytes:
        """Return the payload of the next frame; :class:`TransportLost` when there is none, or one of another kind."""
        frame = self._frames.get()
        if frame is None:
            raise TransportLost(str(self.lost))
        if frame.kind is not kind:
            raise TransportLost(f"{frame.kind.name} came, and {kind.name} was next")
        return frame.payload

    def document(self, kind: Kind, limit: int) -> bytes:
        """Return the next document."""
        document = Document(limit)
        while True:
            whole = document.add(self.wait_for(kind))
            if whole is not None:
                return whole

    def _listen(self) -> None:
        try:
            self._read()
        except TransportLost as error:
            self._lose(str(error))
        except OSError as error:
            self._lose(f"the connection broke: {error}")

    def _read(self) -> None:
        reader = FrameReader(DOWN)
        heard_s = beaten_s = time.monotonic()
        while True:
            ready, _, _ = select.select(
                [self._descriptor], [], [], max(0.0, beaten_s + self._beat_s - time.monotonic())
            )
            now_s = time.monotonic()
            if not ready:
                # Code that does not let go of the interpreter may have kept this thread waiting since it was looked.
                ready, _, _ = select.select([self._descriptor], [], [], 0)
            if ready:
                data = os.read(self._descriptor, READ_SIZE)
                if not data:
                    raise TransportLost("the connection was closed")
                heard_s = now_s
                for frame in reader.feed(data):
                    self._take(frame)
            elif self._silence_s is not None and now_s >= heard_s + self._silence_s:
                raise TransportLost(f"nothing was heard for {self._silence_s:g} s")
            if now_s >= beaten_s + self._beat_s:
                self._writer.beat()
                beaten_s = now_s

    def _take(self, frame: Frame) -> None:
        if frame.kind is Kind.BEAT:
            return
        if frame.kind is not Kind.CANCEL:
            self._frames.put(frame)
            return
        content = parse_json(frame.payload)
        if content.get("hurry"):
            self.cancel.hurry()
        else:
            self.cancel.cancel(str(content.get("reason")))

    def _lose(self, why: str) -> None:
        self.lost = why
        self._writer.abandon()
        self.cancel.cancel(why)
        self._frames.put(None)
