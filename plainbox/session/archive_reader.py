# SPDX-License-Identifier: Apache-2.0
"""Reads the archive of a session, from its first to its last byte.

:mod:`plainbox.session.archive` has the format, and calls this to check what it has written and to restore. What must
stay true: an archive is hostile. Nothing is taken from it that its manifest has not announced and whose name could lead
out of the session, and what is unpacked never grows beyond what was announced.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import attrs

from plainbox.errors import CorruptedSessionError, IncompatibleSessionError
from plainbox.session.codec import JsonObject
from plainbox.session.directory import SUFFIX
from plainbox.session.files import open_regular
from plainbox.session.lock import LOCK_NAME

__all__ = [
    "MANIFEST",
    "SCHEMA",
    "Archive",
    "ArchiveReader",
    "Limits",
    "StoredFile",
    "bad_archive",
    "check_archive",
    "reading",
]

SCHEMA: Final = "plainbox.archive/1"
MANIFEST: Final = "archive.json"
_CHUNK_BYTES: Final = 1024 * 1024
#: What headers between two members may take up; a long name has a header of its own.
_HEADER_BYTES: Final = 256 * 1024
_MANIFEST_BYTES: Final = 128 * 1024 * 1024
_LAST_MTIME: Final = 2**33
_NAME_BYTES: Final = 255
#: Leaves room for the path of the repository.
_PATH_BYTES: Final = 3000
_UNREADABLE = (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, ValueError, OverflowError, RecursionError)


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

    files: int = 1_000_000
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


class _Metered(io.RawIOBase):
    """Hands out what is unpacked as long as it was allowed for, so that nothing grows beyond what was announced."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.allowance = 0

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(min(size, _CHUNK_BYTES) if size >= 0 else _CHUNK_BYTES)
        self.allowance -= len(data)
        if self.allowance < 0:
            raise bad_archive("it holds more than it says")
        return data


class ArchiveReader:
    """Walks an archive: each file once, with its bytes, in the order of the manifest. Everything is checked on the way.

    Whoever iterates reads all the bytes of a file before going on to the next.
    """

    def __init__(self, tar: tarfile.TarFile, source: _Metered, limits: Limits) -> None:
        self._tar = tar
        self._source = source
        first = self._next()
        if first is None or not first.isreg() or not first.name.endswith(f"{SUFFIX}/{MANIFEST}"):
            raise bad_archive("it is no archive of a session")
        self._top = first.name.removesuffix(f"/{MANIFEST}")
        if first.size > _MANIFEST_BYTES:
            raise bad_archive("its manifest is too long")
        self.archive = _read_manifest(b"".join(self._bytes_of(first)), limits)
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
        self._source.allowance = _CHUNK_BYTES
        while self._source.read(_CHUNK_BYTES):
            pass  # the sum of the packed file is at its end

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
        with (
            open(open_regular(path), "rb") as file,
            gzip.GzipFile(fileobj=file, mode="rb") as unpacked,
        ):
            source = _Metered(unpacked)  # type: ignore[arg-type]
            source.allowance = _HEADER_BYTES
            with tarfile.open(fileobj=source, mode="r|", errorlevel=2) as tar:
                yield ArchiveReader(tar, source, limits)
    except CorruptedSessionError as error:
        raise bad_archive(f"{path}: {error.message}", hint=error.hint) from error
    except _UNREADABLE as error:
        raise bad_archive(f"{path} cannot be read as an archive: {error}") from error


def _read_manifest(text: bytes, limits: Limits) -> Archive:
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
        archive = Archive(
            id=_text(value["id"]),
            files=tuple(_stored_file(item) for item in value["files"]),
            directories=tuple(map(_text, value["directories"])),
            left_out=tuple(map(_text, value["left_out"])),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise bad_archive(f"its manifest makes no sense: {error}") from None
    _check_names(archive)
    if len(archive.files) + len(archive.directories) > limits.files:
        raise bad_archive(f"it holds more than {limits.files} files")
    if archive.size_bytes > limits.size_bytes:
        raise bad_archive(f"it holds {archive.size_bytes} bytes, more than {limits.size_bytes}")
    return archive


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a name is no text")
    return value


def _stored_file(item: JsonObject) -> StoredFile:
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
        if len(os.fsencode(name)) > _PATH_BYTES:
            raise bad_archive(f"{name[:80]!r}... is too long a name")
