# SPDX-License-Identifier: Apache-2.0
"""Reads the archive of a session, from its first to its last byte.

:mod:`plainbox.session.archive` has the format, and calls this to check what it has written and to restore. What must
stay true: an archive is hostile. Nothing is taken from it that its manifest has not announced and whose name could lead
out of the session, and what is unpacked never grows beyond what was announced. Nothing follows the last member but the
padding of tar.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import attrs

from plainbox.errors import CorruptedSessionError, IncompatibleSessionError
from plainbox.session.codec import JsonObject
from plainbox.session.directory import IO_LOGS, SUFFIX
from plainbox.session.files import open_regular
from plainbox.session.lock import LOCK_NAME
from plainbox.session.systemd import MARK_NAME, RESUME_ENVIRONMENT

__all__ = [
    "MANIFEST",
    "MANIFEST_BYTES",
    "PATH_BYTES",
    "SCHEMA",
    "Archive",
    "ArchiveReader",
    "Limits",
    "StoredFile",
    "bad_archive",
    "check_archive",
    "lets_go_on",
    "read_manifest",
    "reading",
]

SCHEMA: Final = "plainbox.archive/1"
MANIFEST: Final = "archive.json"
_CHUNK_BYTES: Final = 1024 * 1024
_PACKED_BYTES: Final = 64 * 1024
#: What headers between two members may take up; a long name has a header of its own.
_HEADER_BYTES: Final = 256 * 1024
MANIFEST_BYTES: Final = 32 * 1024 * 1024
#: What a manifest says of each file needs so many of the characters that begin or part values in JSON.
_MARKS_PER_FILE: Final = 4
#: A session has at least one of these.
_SESSION_MEMBER = re.compile(rf"journal-[0-9]+\.pbj|head\.json|{IO_LOGS}")
_GZIP: Final = 16 + zlib.MAX_WBITS
_LAST_MTIME: Final = 2**33
_NAME_BYTES: Final = 255
#: Leaves room for the path of the repository.
PATH_BYTES: Final = 3000
#: What lets a session go on by itself, and what an interrupted write has left of that: see :func:`lets_go_on`.
_RESUMPTION = re.compile(
    rf"(?:\.?(?:{re.escape(RESUME_ENVIRONMENT)}|{MARK_NAME})|session-share/\.?__respawn_[a-z]+)(?:\.[0-9a-f]+\.tmp)?(?:/.*)?",
    re.DOTALL,
)
_UNREADABLE = (tarfile.TarError, zlib.error, EOFError, ValueError, OverflowError, RecursionError)


@attrs.frozen
class StoredFile:
    """One file: its path below the session directory, its length in bytes, its SHA-256 in hex."""

    path: str
    size: int
    sha256: str


@attrs.frozen
class Archive:
    """What an archive holds, by its manifest. ``left_out`` are the paths of what no archive can hold."""

    id: str
    files: tuple[StoredFile, ...]
    directories: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """The length of all files together."""
        return sum(file.size for file in self.files)


@attrs.frozen
class Limits:
    """What a restored session may hold at most."""

    files: int = 100_000
    size_bytes: int = 1024**4


def check_archive(path: Path) -> Archive:
    """Read an archive from its first to its last byte and return what it holds.

    :raises CorruptedSessionError: it is no archive of a session, or not all of one, or not as it was written.
    :raises IncompatibleSessionError: a later version wrote it.
    :raises OSError: it cannot be read.
    """
    with reading(path, Limits()) as reader:
        for _, content in reader:
            for _ in content:
                pass
        return reader.archive


def bad_archive(message: str, *, hint: str | None = None) -> CorruptedSessionError:
    error = CorruptedSessionError(message, kind="damaged")
    error.hint = hint
    return error


class _Unpacked(io.RawIOBase):
    """Unpacks a file as long as it was allowed for, so that nothing grows beyond what was announced.

    The file is one piece of gzip, to its last byte.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflater = zlib.decompressobj(_GZIP)
        self.allowance = 0

    def read(self, size: int = -1) -> bytes:
        wanted = min(size, _CHUNK_BYTES) if size >= 0 else _CHUNK_BYTES
        data = b""
        while wanted and not data and not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._file.read(_PACKED_BYTES)
            if not packed:
                raise EOFError("it ends too early")
            data = self._inflater.decompress(packed, wanted)
        if self._inflater.eof and (self._inflater.unused_data or self._file.read(1)):
            raise bad_archive("something follows its end")
        self.allowance -= len(data)
        if self.allowance < 0:
            raise bad_archive("it holds more than it says")
        return data


class ArchiveReader:
    """Walks an archive: each file once, with its bytes, in the order of the manifest. Everything is checked on the way.

    Whoever iterates reads all the bytes of a file before going on to the next.
    """

    def __init__(self, tar: tarfile.TarFile, source: _Unpacked, limits: Limits) -> None:
        self._tar = tar
        self._source = source
        first = self._next()
        if first is None or not first.isreg() or not first.name.endswith(f"{SUFFIX}/{MANIFEST}"):
            raise bad_archive("it is no archive of a session")
        self._top = first.name.removesuffix(f"/{MANIFEST}")
        if first.size > MANIFEST_BYTES:
            raise bad_archive("its manifest is too long")
        self.archive = read_manifest(b"".join(self._bytes_of(first)), limits)
        if self.archive.id + SUFFIX != self._top:
            raise bad_archive("its manifest is of another session")

    def __iter__(self) -> Iterator[tuple[tarfile.TarInfo, Iterator[bytes]]]:
        for name in self.archive.directories:
            member = self._next()
            if member is None or not member.isdir() or member.name != f"{self._top}/{name}":
                raise bad_archive(f"the directory {name} is not where it belongs")
        for stored in self.archive.files:
            member = self._next()
            # A link, a device, a sparse file have no place here, whatever their name.
            if member is None or member.type != tarfile.REGTYPE or member.issparse():
                raise bad_archive(f"the file {stored.path} is not where it belongs")
            if (member.name, member.size) != (f"{self._top}/{stored.path}", stored.size):
                raise bad_archive(f"the file {stored.path} is not as it was")
            member.mtime = min(max(0, int(member.mtime)), _LAST_MTIME)
            yield member, self._checked(member, stored)
        if self._next() is not None:
            raise bad_archive("it holds more than its manifest says")
        assert self._tar.fileobj is not None
        # To its end, where the sum of the packed file is.
        padding = self._tar.fileobj.read(tarfile.RECORDSIZE + 1)
        if len(padding) > tarfile.RECORDSIZE or padding.strip(b"\0"):
            raise bad_archive("something follows its last member")

    def _next(self) -> tarfile.TarInfo | None:
        self._source.allowance = _HEADER_BYTES
        return self._tar.next()

    def _bytes_of(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        self._source.allowance = member.size + _HEADER_BYTES
        content = self._tar.extractfile(member)
        assert content is not None
        while chunk := content.read(_CHUNK_BYTES):
            yield chunk

    def _checked(self, member: tarfile.TarInfo, stored: StoredFile) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for chunk in self._bytes_of(member):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != stored.sha256:
            raise bad_archive(f"the file {stored.path} is damaged: its checksum does not match")


@contextlib.contextmanager
def reading(path: Path, limits: Limits) -> Iterator[ArchiveReader]:
    """Open an archive up to its manifest; whatever is wrong with its bytes is told with its name."""
    try:
        with open(open_regular(path), "rb") as file:
            source = _Unpacked(file)
            source.allowance = _HEADER_BYTES
            with tarfile.open(fileobj=source, mode="r|", errorlevel=2) as tar:
                yield ArchiveReader(tar, source, limits)
    except CorruptedSessionError as error:
        raise bad_archive(f"{path}: {error.message}", hint=error.hint) from error
    except _UNREADABLE as error:
        raise bad_archive(f"{path} cannot be read as an archive: {error}") from error


def read_manifest(text: bytes, limits: Limits) -> Archive:
    """Return what the text of a manifest announces; whatever is wrong with it is a :class:`CorruptedSessionError`."""
    _check_size(text, limits)
    try:
        value = json.loads(text)
        schema = value["schema"]
        if schema != SCHEMA:
            if isinstance(schema, str) and schema.startswith("plainbox.archive/"):
                raise IncompatibleSessionError(
                    f"the archive was written as {schema}; this is {SCHEMA}",
                    hint="restore it with the version that wrote it",
                )
            raise ValueError("it is no archive of a session")
        _check_keys(value, {"schema", *(field.name for field in attrs.fields(Archive))})
        archive = Archive(
            id=_text(value["id"]),
            files=tuple(map(_stored_file, value["files"])),
            directories=tuple(map(_text, value["directories"])),
            left_out=tuple(map(_text, value["left_out"])),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise bad_archive(f"its manifest makes no sense: {error}") from None
    if len(archive.files) + len(archive.directories) > limits.files:
        raise bad_archive(f"it holds more than {limits.files} files")
    _check_names(archive)
    if archive.size_bytes > limits.size_bytes:
        raise bad_archive(f"it holds {archive.size_bytes} bytes, more than {limits.size_bytes}")
    if not any(map(_SESSION_MEMBER.fullmatch, (*archive.directories, *(file.path for file in archive.files)))):
        raise bad_archive("it holds no session: neither a journal nor logs")
    return archive


def lets_go_on(path: str) -> bool:
    """Tell whether something in a session is what lets it go on by itself after a restart.

    That belongs to one machine and is made anew; and the variables in it may be secrets.
    """
    return _RESUMPTION.fullmatch(path) is not None


def _check_size(text: bytes, limits: Limits) -> None:
    """Raise unless the text is as short and as plain as one of so many files: what JSON makes of another is huge."""
    marks = sum(map(text.count, (b",", b"[", b"{")))
    if len(text) > MANIFEST_BYTES or marks > _MARKS_PER_FILE * (limits.files + 1000):
        raise bad_archive(f"its manifest is longer than one of {limits.files} files")
    if not text.isascii():
        raise bad_archive("its manifest makes no sense: it is not ASCII")


def _check_keys(value: JsonObject, expected: set[str]) -> None:
    if set(value) != expected:
        raise ValueError(f"it should say {', '.join(sorted(expected))}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a name is no text")
    return value


def _stored_file(item: JsonObject) -> StoredFile:
    _check_keys(item, {field.name for field in attrs.fields(StoredFile)})
    size, digest = item["size"], _text(item["sha256"])
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError("a size is no number of bytes")
    return StoredFile(_text(item["path"]), size, digest)


def _check_names(archive: Archive) -> None:
    """Raise unless every name stays inside of the session and is there once."""
    directories = set(archive.directories)
    names = [*archive.directories, *(file.path for file in archive.files)]
    if len(set(names)) != len(names) or list(archive.directories) != sorted(directories):
        raise bad_archive("its manifest names something twice, or not in order")
    for name in names:
        parts = name.split("/")
        if any(part in ("", ".", "..") or len(os.fsencode(part)) > _NAME_BYTES for part in parts) or "\0" in name:
            raise bad_archive(f"{name!r} is no name of a file in a session")
        if parts[0] in (LOCK_NAME, MANIFEST) or (len(parts) > 1 and name.rpartition("/")[0] not in directories):
            raise bad_archive(f"{name!r} has no place in a session")
        if len(os.fsencode(name)) > PATH_BYTES:
            raise bad_archive(f"{name[:80]!r}... is too long a name")
