# SPDX-License-Identifier: Apache-2.0
"""The files of a journal: their names, how one is read, and how a new one comes to be.

A generation is written under a temporary name, synced, and only then given its final name, so a final name implies
that the head and the dump in it are complete. A ``.tmp`` is never read. Used by the reader and the writer of the
journal.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Final, TypeAlias

import attrs

from plainbox.errors import CorruptedSessionError, StorageFullError
from plainbox.session.codec import NO_SUM, JsonObject, decode_line, encode_body, frame_body
from plainbox.session.files import FileOps, open_regular

__all__ = [
    "MAX_JOURNAL_BYTES",
    "MAX_GENERATION",
    "FileIdentity",
    "LineEnd",
    "generation_name",
    "generations",
    "has_room",
    "is_current",
    "read_generation",
    "read_head",
    "session_is_full",
    "write_lines",
]

#: Device, inode, size and time of change: equal as long as nobody has touched the file.
FileIdentity: TypeAlias = tuple[int, int, int, int]

#: The highest number that the name of a file can say.
MAX_GENERATION: Final = 10**12 - 1

_NAME = re.compile(r"journal-([0-9]{6,12})\.pbj")
#: What is longer is not read into the memory, so it must not be written either.
MAX_JOURNAL_BYTES: Final = 512 * 1024 * 1024
#: What a line has beside its payload takes less.
_FRAMING_BYTES: Final = 128
_HEAD_BYTES: Final = 64 * 1024
_WRITE_BYTES: Final = 1024 * 1024


def generation_name(generation: int) -> str:
    return f"journal-{generation:06d}.pbj"


def generations(directory: int) -> list[int]:
    """Return the generations in the open ``directory``, lowest first."""
    return sorted(int(match[1]) for match in map(_NAME.fullmatch, os.listdir(directory)) if match)


def identity_of(stat: os.stat_result) -> FileIdentity:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def is_current(directory: int, generation: int, identity: FileIdentity) -> bool:
    """Tell whether this is the current generation in the open ``directory``, its file untouched."""
    if generations(directory)[-1:] != [generation]:
        return False
    return identity_of(os.stat(generation_name(generation), dir_fd=directory, follow_symlinks=False)) == identity


def _open(directory: int, generation: int) -> int:
    return open_regular(generation_name(generation), dir_fd=directory)


def read_generation(directory: int, generation: int) -> tuple[bytes, FileIdentity]:
    """Return the bytes of a generation and what its file looked like before they were read.

    What is no regular file, or longer than :data:`MAX_JOURNAL_BYTES`, raises :class:`CorruptedSessionError`.
    """
    with open(_open(directory, generation), "rb") as file:
        status = os.fstat(file.fileno())
        if status.st_size > MAX_JOURNAL_BYTES:
            name = generation_name(generation)
            raise CorruptedSessionError(f"{name} is longer than {MAX_JOURNAL_BYTES} bytes and is not read")
        return file.read(), identity_of(status)


def has_room(size_bytes: int, body_bytes: int) -> bool:
    """Tell whether a file of this size can take a line with a payload of ``body_bytes``, and be read afterwards."""
    return size_bytes + body_bytes + _FRAMING_BYTES <= MAX_JOURNAL_BYTES


def session_is_full() -> StorageFullError:
    """Return the error for what has no room in any file; it has no ``errno``, since no room on the disk would help."""
    return StorageFullError(
        f"the session holds as much as a session can: a journal has {MAX_JOURNAL_BYTES} bytes at most",
        hint="what was acknowledged is kept and can be reported; run what is left in another session",
    )


def read_head(directory: int) -> JsonObject | None:
    """Return the head of the current generation alone, unchained; ``None`` when there is none to be read."""
    try:
        fd = _open(directory, generations(directory)[-1])
    except (OSError, CorruptedSessionError, IndexError):
        return None
    try:
        payload = decode_line(os.pread(fd, _HEAD_BYTES, 0).partition(b"\n")[0]).payload
    except (OSError, ValueError):
        return None
    finally:
        os.close(fd)
    return payload if payload.get("t") == "head" else None


@attrs.frozen
class LineEnd:
    """Where the lines of a file end: behind which byte, and after which record."""

    size_bytes: int = 0
    seq: int = -1
    sum: str = NO_SUM


def write_lines(files: FileOps, fd: int, records: Iterable[JsonObject]) -> LineEnd:
    """Write records as the lines of an empty file, about 1 MiB at a time.

    :raises StorageFullError: no reader would read a file with all of them.
    """
    size, seq, line_sum = 0, -1, NO_SUM
    pending = bytearray()
    for record in records:
        seq += 1
        body = encode_body(record)
        if not has_room(size + len(pending), len(body)):
            raise session_is_full()
        line, line_sum = frame_body(seq, line_sum, body)
        pending += line
        if len(pending) >= _WRITE_BYTES:
            files.write_all(fd, pending, size)
            size += len(pending)
            pending = bytearray()
    files.write_all(fd, pending, size)
    return LineEnd(size + len(pending), seq, line_sum)
