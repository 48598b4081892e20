# SPDX-License-Identifier: Apache-2.0
"""ptx/1: how this side and the far end of an execution talk, as frames over two pipes.

A frame is a length (4 bytes, big-endian, of the payload alone), one byte that says its kind, and the payload: JSON or
raw bytes, at most 1 MiB. Larger things are *documents*: several frames of one kind. The payload of each begins with one
byte: 0 for a piece of it, 1 for the end, which is followed by the SHA-256 of the whole.

Used by :mod:`plainbox.tasks.channel` on this side and :mod:`plainbox.tasks.worker` on the other. Whoever reads takes
the other one for hostile: nothing is believed about a length, a kind or a digest before it is looked at, and memory is
bounded by the largest frame and the limit of a document.
"""

from __future__ import annotations

import enum
import hashlib
import json
import os
import select
import struct
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from plainbox.errors import TransportLost

__all__ = [
    "DOWN",
    "LARGEST_PAYLOAD",
    "PROTOCOL",
    "UP",
    "Document",
    "Frame",
    "FrameReader",
    "FrameWriter",
    "Kind",
    "document_frames",
    "frame_of",
    "json_frame",
    "note_frame",
    "output_frame",
    "parse_json",
    "parse_output",
]

PROTOCOL = "ptx/1"
LARGEST_PAYLOAD = 1024 * 1024
LONGEST_NOTE = 2000

_HEADER = struct.Struct(">IB")
#: What stands before the bytes of a stream: the number of the frame, and microseconds since the command was let go.
_OUTPUT = struct.Struct(">QQ")
_PIECE, _END = b"\0", b"\1"
_PIECE_SIZE = LARGEST_PAYLOAD - 1
_DIGEST_SIZE = 32
_LONGEST_WAIT_S = 0.2


class Kind(enum.IntEnum):
    """What a frame is. The numbers are the protocol."""

    HELLO = 1  # up: who the far end is
    LOAD = 2  # down, a document: what to run
    NEED = 3  # up: which files of the load it does not have
    FILE = 4  # down, a document: one of them
    READY = 5  # up: the process exists and is held
    GO = 6  # down: let it run
    OUT = 7  # up: bytes of its standard output
    ERR = 8  # up: bytes of its standard error
    LINE = 9  # up: one line that it has written to its result file
    NOTE = 10  # up: a remark for people
    ATTACH = 11  # up, a document: a file that it has made
    BEAT = 12  # both: alive
    RESULT = 13  # up, a document: how it ended
    BYE = 14  # up: everything has been said
    CANCEL = 15  # down: end it
    STDIN = 16  # down: bytes for its standard input; reserved


DOWN = frozenset({Kind.LOAD, Kind.FILE, Kind.GO, Kind.BEAT, Kind.CANCEL, Kind.STDIN})
UP = (frozenset(Kind) - DOWN) | {Kind.BEAT}


@dataclass(frozen=True)
class Frame:
    kind: Kind
    payload: bytes


def frame_of(kind: Kind, payload: bytes = b"") -> bytes:
    """Return the bytes of one frame."""
    if len(payload) > LARGEST_PAYLOAD:
        raise ValueError(f"a frame of {len(payload)} bytes")
    return _HEADER.pack(len(payload), kind) + payload


def json_frame(kind: Kind, content: Mapping[str, object]) -> bytes:
    """Return one frame that holds a JSON object."""
    return frame_of(kind, json.dumps(content, separators=(",", ":")).encode("ascii"))


def output_frame(kind: Kind, number: int, offset_s: float, data: bytes) -> bytes:
    """Return a frame of OUT or ERR; ``data`` is at most ``LARGEST_PAYLOAD - 16`` bytes."""
    return frame_of(kind, _OUTPUT.pack(number, max(0, int(offset_s * 1_000_000))) + data)


def note_frame(text: str) -> bytes:
    """Return a frame of NOTE."""
    return frame_of(Kind.NOTE, text.encode("utf-8", "backslashreplace")[:LONGEST_NOTE])


def document_frames(kind: Kind, data: bytes) -> Iterator[bytes]:
    """Return the frames of a document, one after the other."""
    for start in range(0, len(data), _PIECE_SIZE):
        yield frame_of(kind, _PIECE + data[start : start + _PIECE_SIZE])
    yield frame_of(kind, _END + hashlib.sha256(data).digest())


def parse_output(payload: bytes) -> tuple[int, int, bytes]:
    """Return number, offset in microseconds and bytes of a frame of OUT or ERR."""
    if len(payload) <= _OUTPUT.size:
        raise TransportLost("the far end sent output without any bytes")
    number, offset_us = _OUTPUT.unpack_from(payload)
    return number, offset_us, payload[_OUTPUT.size :]


def parse_json(payload: bytes) -> Mapping[str, object]:
    """Return the object that a payload holds; :class:`TransportLost` when it holds something else."""
    try:
        content = json.loads(payload.decode("ascii"))
    except (ValueError, RecursionError):
        raise TransportLost(f"the far end sent something that is no JSON: {payload[:40]!r}") from None
    if not isinstance(content, dict):
        raise TransportLost("the far end sent JSON that is no object")
    return content


class FrameReader:
    """Makes frames of bytes as they come in. Keeps no more than one incomplete frame."""

    def __init__(self, allowed: Collection[Kind]) -> None:
        self._allowed = {int(kind): kind for kind in allowed}
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Return the frames that are complete now; to be used up before the next call.

        :class:`TransportLost` for a length or a kind that cannot be, before its payload has come.
        """
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= _HEADER.size:
                length, number = _HEADER.unpack_from(buffer, start)
                kind = self._allowed.get(number)
                if kind is None:
                    raise TransportLost(f"the far end sent a frame of the unknown kind {number}")
                if length > LARGEST_PAYLOAD:
                    raise TransportLost(f"the far end sent a frame of {length} bytes; {LARGEST_PAYLOAD} are possible")
                end = start + _HEADER.size + length
                if len(buffer) < end:
                    break
                payload = bytes(memoryview(buffer)[start + _HEADER.size : end])
                start = end
                yield Frame(kind, payload)
        finally:
            del buffer[:start]

    @property
    def pending(self) -> bool:
        """Whether an incomplete frame is here: the end of the stream now would be in the middle of one."""
        return bool(self._buffer)


class Document:
    """Collects one document from its frames."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0
        self._hash = hashlib.sha256()

    def add(self, payload: bytes) -> bytes | None:
        """Take one payload; return the whole document with the last one, None before.

        :class:`TransportLost` when it grows beyond the limit or is not what its digest says.
        """
        mark, content = payload[:1], payload[1:]
        if mark == _PIECE and content:
            self._size += len(content)
            if self._size > self._limit:
                raise TransportLost(f"the far end sent a document of more than {self._limit} bytes")
            self._hash.update(content)
            self._pieces.append(content)
            return None
        if mark != _END or len(content) != _DIGEST_SIZE:
            raise TransportLost("the far end sent something that is no piece of a document")
        if content != self._hash.digest():
            raise TransportLost("a document has changed on its way: it is not what its digest says")
        return b"".join(self._pieces)

    @property
    def digest(self) -> str:
        """The SHA-256 of what has come, in hexadecimal."""
        return self._hash.hexdigest()


class FrameWriter:
    """Writes whole frames to a pipe, from several threads; waits while it is full, until it is abandoned."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._number = 0
        self._abandoned = False

    def abandon(self) -> None:
        """Let every write fail from now on, one that waits included."""
        self._abandoned = True

    def write(self, *frames: bytes) -> None:
        """Write frames; OSError when nobody listens any more."""
        with self._lock:
            for frame in frames:
                self._put(frame)

    def output(self, kind: Kind, begun_s: float, data: bytes) -> None:
        """Write what was read from a stream: numbered, with the time since ``begun_s`` on the monotonic clock."""
        size = LARGEST_PAYLOAD - _OUTPUT.size
        with self._lock:
            # Read in here, so that no frame has an earlier time than the one before it.
            offset_s = time.monotonic() - begun_s
            for start in range(0, len(data), size):
                self._put(output_frame(kind, self._number, offset_s, data[start : start + size]))
                self._number += 1

    def document(self, kind: Kind, data: bytes) -> None:
        """Write a document, with nothing in between."""
        with self._lock:
            for frame in document_frames(kind, data):
                self._put(frame)

    def beat(self) -> None:
        """Say that this side is alive, unless something is being written anyway; never waits."""
        if self._lock.acquire(blocking=False):
            try:
                # So few bytes go whole or not at all.
                with suppress(OSError):
                    os.write(self._descriptor, frame_of(Kind.BEAT))
            finally:
                self._lock.release()

    def _put(self, frame: bytes) -> None:
        rest = memoryview(frame)
        while rest:
            if self._abandoned:
                raise BrokenPipeError("nobody listens any more")
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [], _LONGEST_WAIT_S)
