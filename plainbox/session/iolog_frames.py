# SPDX-License-Identifier: Apache-2.0
"""The frames of a log that are on their way to its file.

Output that arrives together becomes one frame. Used by :class:`~plainbox.session.iolog.IOLogWriter`. The order of the
statements matters: an exception of a signal handler may cost a frame, it must not leave one that is twice there or too
long.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from plainbox.session.files import Buffer
from plainbox.session.iolog_reader import FRAME_BYTES, encode_frame

__all__ = ["FLUSH_NS", "EncodedFrame", "WaitingFrames", "note_of"]

#: The kind of a frame, its line and its data.
EncodedFrame: TypeAlias = tuple[bytes, bytes, bytes]

#: So long a frame is filled, and so long the file may be behind.
FLUSH_NS: Final = 200_000_000
_NOTE_BYTES: Final = 4096


def note_of(text: str) -> bytes:
    """Return the data of a note."""
    return text.encode("utf-8", "backslashreplace")[:_NOTE_BYTES]


class WaitingFrames:
    """A queue of frames, the last of them being filled; ``now`` is that of the monotonic clock, in nanoseconds."""

    def __init__(self, now: int) -> None:
        #: The frame that is being filled.
        self._kind = b""
        self._pieces: list[Buffer] = []
        self._pieces_bytes = 0
        self._begun_ns = 0
        self._last_ns = now
        self._ended: list[EncodedFrame] = []
        self._ended_bytes = 0

    @property
    def size_bytes(self) -> int:
        return self._ended_bytes + self._pieces_bytes

    def hand_over(self) -> list[EncodedFrame]:
        """Return all frames, oldest first, and wait with none."""
        self._end()
        frames, self._ended, self._ended_bytes = self._ended, [], 0
        return frames

    def take(self, kind: bytes, data: bytes, now: int) -> None:
        if self._pieces and (kind != self._kind or now - self._begun_ns >= FLUSH_NS):
            self._end()
        start = 0
        while start < len(data):
            if not self._pieces:
                self._kind, self._begun_ns = kind, now
            end = min(len(data), start + FRAME_BYTES - self._pieces_bytes)
            self._pieces_bytes += end - start
            self._pieces.append(data if end - start == len(data) else memoryview(data)[start:end])
            start = end
            if self._pieces_bytes >= FRAME_BYTES:
                self._end()

    def note(self, text: str, now: int) -> None:
        self._end()
        self._kind, self._begun_ns = b"n", now
        self._pieces.append(note_of(text))
        self._end()

    def _end(self) -> None:
        pieces, self._pieces = self._pieces, []
        self._pieces_bytes = 0
        if not pieces:
            return
        data = bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)
        delay_us = max(0, self._begun_ns - self._last_ns) // 1000
        line = encode_frame(self._kind, delay_us, data)
        self._last_ns = self._begun_ns
        self._ended_bytes += len(line) + len(data) + 1
        self._ended.append((self._kind, line, data))
