# SPDX-License-Identifier: Apache-2.0
r"""The log of one attempt: its format, and reading it with constant memory.

::

    PBL1 {"attempt":1,"boot_id":"...","job":"...","start":...,"uuid":"..."}      the header line
    o 1200 14 1c291ca3                                                           one frame: a line,
    hello, world!\n                                                              the bytes as they came,
                                                                                 and a line feed
    t 0 93 8f2a6c01                                                              the trailer, a frame too
    {"digest":"...","err":0,"frames":1,"out":14}

The line of a frame has its kind (``o`` stdout, ``e`` stderr, ``n`` note, ``t`` trailer), the microseconds since the
frame before, the number of bytes, at most 64 KiB, and the CRC-32 of the line up to there and the bytes. ``digest`` is
BLAKE2b with 16 bytes of everything before the trailer.

A log without a trailer was being written when its writer died; it is good up to its last whole frame. With a trailer,
a bad frame is damage. Used by results and exporters; what writes logs takes its encoding from here.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, TypeAlias

from plainbox.errors import BrokenReferenceToExternalFile, CorruptedSessionError
from plainbox.session.codec import JsonObject, encode_body, parse_object
from plainbox.session.files import open_regular

__all__ = [
    "FLAGS",
    "FRAME_BYTES",
    "STREAM_OF_KIND",
    "Frame",
    "LogHead",
    "LogReader",
    "LogReference",
    "encode_frame",
    "encode_header",
    "encode_trailer",
    "open_log",
    "read_frames",
    "read_log_head",
    "read_recorded",
    "resolve_log_path",
    "verify",
]

#: ``path`` relative to the session directory, ``size``, ``frames``, ``out``, ``err``, ``digest``; the flags only when they
#: are true.
LogReference: TypeAlias = JsonObject

FLAGS: Final = ("truncated", "incomplete")
FRAME_BYTES: Final = 64 * 1024
STREAM_OF_KIND: Final = {b"o": "stdout", b"e": "stderr", b"n": "note"}

_MAGIC: Final = b"PBL1 "
_HEADER_BYTES: Final = 64 * 1024
_FRAME_LINE = re.compile(rb"(([oent]) ([0-9]{1,18}) ([0-9]{1,6}) )([0-9a-f]{8})\n")
_TRAILER_LINE = re.compile(rb"(t [0-9]{1,18} ([0-9]{1,6}) )([0-9a-f]{8})\n")
_FRAME_LINE_BYTES: Final = 64
_TAIL_BYTES: Final = 2048
_BUFFER_BYTES: Final = 256 * 1024


class Frame(NamedTuple):
    """Bytes that arrived together: microseconds since the frame before, ``stdout``, ``stderr`` or ``note``, data."""

    delay_us: int
    stream: str
    data: bytes


def encode_header(fields: JsonObject) -> bytes:
    return b"%b%b\n" % (_MAGIC, encode_body(fields))


def encode_frame(kind: bytes, delay_us: int, data: bytes) -> bytes:
    """Return the line of a frame; the data and a line feed come after it."""
    line = b"%b %d %d " % (kind, delay_us, len(data))
    return b"%b%08x\n" % (line, zlib.crc32(data, zlib.crc32(line)))


def encode_trailer(digest: str, frames: int, out: int, err: int, flags: JsonObject) -> bytes:
    """Return the whole frame that ends a log."""
    body = encode_body({"digest": digest, "frames": frames, "out": out, "err": err, **flags})
    return b"%b%b\n" % (encode_frame(b"t", 0, body), body)


class LogHead(NamedTuple):
    """What a log says at its two ends: whose output it holds, and whether it was finished."""

    path: str
    job_id: str
    attempt: int
    start_time: float | None
    boot_id: str | None
    has_output: bool
    finished: bool


class LogReader:
    """Iterates over the frames of an open log, once.

    Afterwards ``header`` and ``trailer`` are what the file has of them, ``size_bytes`` is where the last good frame
    ends, the trailer left out, and ``frames``, ``out`` and ``err`` count frames and bytes per stream. Only a reader
    made with ``digest=True`` can say what the digest is.
    """

    def __init__(self, file: BinaryIO, name: str, *, digest: bool = False) -> None:
        self._file = file
        self._name = name
        self._hash = hashlib.blake2b(digest_size=16) if digest else None
        self.header: JsonObject | None = None
        self.trailer: JsonObject | None = None
        self.size_bytes = 0
        self.frames = 0
        self.out = 0
        self.err = 0

    def digest_with(self, more: bytes = b"") -> str:
        """Return the digest as it is when ``more`` follows the last good frame."""
        if self._hash is None:
            raise ValueError("this reader was not asked for a digest")
        digest = self._hash.copy()
        digest.update(more)
        return digest.hexdigest()

    def __iter__(self) -> Iterator[Frame]:
        if self.read_header() is None:
            self._refuse_damage()
            return
        while line := self._file.readline(_FRAME_LINE_BYTES):
            match = _FRAME_LINE.fullmatch(line)
            data = None if match is None else self._read_data(match)
            if match is None or data is None:
                self._refuse_damage()
                return
            if match[2] == b"t":
                self.trailer = self._parse_trailer(data)
                return
            self._count(match[2], line, data)
            yield Frame(int(match[3]), STREAM_OF_KIND[match[2]], data)

    def _parse_trailer(self, data: bytes) -> JsonObject:
        try:
            return parse_object(data)
        except ValueError:
            raise CorruptedSessionError(
                f"{self._name} has a trailer that makes no sense", kind="invalid", offset=self.size_bytes
            ) from None

    def _read_data(self, match: re.Match[bytes]) -> bytes | None:
        size = int(match[4])
        data = self._file.read(size + 1)
        if len(data) != size + 1 or size > FRAME_BYTES or not data.endswith(b"\n"):
            return None
        data = data[:-1]
        return data if zlib.crc32(data, zlib.crc32(match[1])) == int(match[5], 16) else None

    def _count(self, kind: bytes, line: bytes, data: bytes) -> None:
        if self._hash is not None:
            self._hash.update(line)
            self._hash.update(data)
            self._hash.update(b"\n")
        self.size_bytes += len(line) + len(data) + 1
        self.frames += 1
        if kind == b"o":
            self.out += len(data)
        elif kind == b"e":
            self.err += len(data)

    def read_header(self) -> JsonObject | None:
        """Read the header of a file that is at its beginning, and return it; ``None`` when there is none."""
        line = self._file.readline(_HEADER_BYTES)
        if not line.startswith(_MAGIC) or not line.endswith(b"\n"):
            return None
        try:
            self.header = parse_object(line[len(_MAGIC) :])
        except ValueError:
            return None
        if self._hash is not None:
            self._hash.update(line)
        self.size_bytes = len(line)
        return self.header

    def _refuse_damage(self) -> None:
        """Raise when the log was complete once; a log that was cut short just ends here."""
        if _ends_with_trailer(self._file):
            raise CorruptedSessionError(
                f"{self._name} is damaged at byte {self.size_bytes}", kind="damaged", offset=self.size_bytes
            )


def _ends_with_trailer(file: BinaryIO) -> bool:
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _TAIL_BYTES))
    tail = file.read()
    return any(_is_trailer(tail, match) for match in _TRAILER_LINE.finditer(tail))


def _is_trailer(tail: bytes, match: re.Match[bytes]) -> bool:
    """Tell whether a good trailer stands there and the file ends with it."""
    body = tail[match.end() : -1]
    return len(body) == int(match[2]) and zlib.crc32(body, zlib.crc32(match[1])) == int(match[3], 16)


def open_log(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a log; what is there but is no regular file raises :class:`CorruptedSessionError`."""
    try:
        return open(open_regular(path), "rb", buffering=_BUFFER_BYTES)
    except FileNotFoundError:
        raise BrokenReferenceToExternalFile(f"the log {os.fspath(path)} does not exist") from None


def read_log_head(name: str, path: str, *, dir_fd: int | None = None) -> LogHead | None:
    """Return what the log ``name`` says of itself as that of ``path``; ``None`` for what is no log or cannot be read."""
    try:
        with open(open_regular(name, dir_fd=dir_fd), "rb") as file:
            reader = LogReader(file, path)
            header = reader.read_header()
            finished = _ends_with_trailer(file)
            size = os.fstat(file.fileno()).st_size
    except (OSError, CorruptedSessionError):
        return None
    if header is None:
        return None
    job_id, attempt, start, boot = (header.get(key) for key in ("job", "attempt", "start", "boot_id"))
    if not isinstance(job_id, str) or not isinstance(attempt, int) or isinstance(attempt, bool) or attempt < 1:
        return None
    return LogHead(
        path,
        job_id,
        attempt,
        float(start) if isinstance(start, int | float) else None,
        boot if isinstance(boot, str) else None,
        size > reader.size_bytes,
        finished,
    )


def read_frames(path: str | os.PathLike[str]) -> Iterator[Frame]:
    """Yield the frames of a log, notes included, with memory for one frame.

    :raises BrokenReferenceToExternalFile: there is no such file.
    :raises CorruptedSessionError: a complete log has a bad frame, or there is no regular file; a cut log ends at its
        last good frame instead.
    """
    with open_log(path) as file:
        yield from LogReader(file, os.fspath(path))


def verify(path: str | os.PathLike[str], reference: Mapping[str, object]) -> None:
    """Read a whole log and compare it with the reference that its result has; errors as in :func:`read_recorded`."""
    for _ in read_recorded(path, reference):
        pass


def read_recorded(path: str | os.PathLike[str], reference: Mapping[str, object]) -> Iterator[Frame]:
    """Yield the frames of a log that must be what the reference says that its result has.

    :raises BrokenReferenceToExternalFile: there is no such file.
    :raises CorruptedSessionError: the file is not what the reference says; the message says in which way. What can only be
        told at the end, as of a log that was cut, comes after the last good frame.
    """
    name = os.fspath(path)
    with open_log(path) as file:
        reader = LogReader(file, name, digest=True)
        yield from reader
        size = os.fstat(file.fileno()).st_size
    found = {
        "size": size,
        "frames": reader.frames,
        "out": reader.out,
        "err": reader.err,
        "digest": reader.digest_with(),
    }
    for key, value in found.items():
        if reference.get(key) != value:
            raise CorruptedSessionError(
                f"{name} is not the log that was recorded: its {key} is {value}, not {reference.get(key)}",
                kind="damaged",
                offset=reader.size_bytes,
            )
    if reader.trailer is None and not reference.get("incomplete"):
        raise CorruptedSessionError(f"{name} has lost its trailer", kind="damaged", offset=reader.size_bytes)


def resolve_log_path(session_dir: str | os.PathLike[str], relative: object) -> Path:
    """Return the path of a log below the session directory; it need not exist.

    :raises CorruptedSessionError: not a relative path, or one that leads outside, be it over a symbolic link.
    """
    if not isinstance(relative, str) or not relative or "\0" in relative or os.path.isabs(relative):
        raise CorruptedSessionError(f"{relative!r} is not the path of a log in the session")
    base = _real_path(os.fspath(session_dir))
    path = base
    parts = relative.split("/")
    leads_out = ".." in parts
    for part in parts:
        # Looking at the parts below the session alone costs a fifth of resolving the whole path for each log.
        path = os.path.join(path, part)
        if not leads_out and os.path.islink(path):
            leads_out = os.path.commonpath([base, os.path.realpath(path)]) != base
    if leads_out:
        raise CorruptedSessionError(f"the path of a log, {relative!r}, leads out of the session")
    return Path(path)


@functools.lru_cache(maxsize=16)
def _real_path(directory: str) -> str:
    return os.path.realpath(directory)
