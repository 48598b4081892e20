# SPDX-License-Identifier: Apache-2.0
"""The files of a directory that two machines keep in step, as one of them sees them.

Both sides use this: :mod:`plainbox.tasks.keeper` there and :mod:`plainbox.tasks.sharing` here. Only regular files with
proper names count; no link is followed, in either direction, and a file is in its place whole or not at all.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from plainbox.errors import TransportLost

__all__ = ["LARGEST_FILE", "MOST_BYTES", "MOST_FILES", "ShareFile", "SharedFiles", "checked_name"]

MOST_FILES = 10_000
LARGEST_FILE = 64 * 1024 * 1024
MOST_BYTES = 256 * 1024 * 1024
LONGEST_NAME = 1000
DEEPEST = 16

#: What a file is called until it is whole.
_ASIDE = ".new-"
_IS_ASIDE = re.compile(r"\.new-[0-9a-f]{16}")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class ShareFile:
    """What tells a file from what it was: two looks at an untouched file are equal."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int
    executable: bool


def checked_name(name: object) -> str:
    """Return a relative name of a file; :class:`TransportLost` for anything else, whoever says it."""
    if isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and "\0" not in name:
        path = PurePosixPath(name)
        good = not path.is_absolute() and ".." not in path.parts and 0 < len(path.parts) <= DEEPEST
        if good and str(path) == name and all(len(os.fsencode(part)) <= 255 for part in path.parts):
            return name
    raise TransportLost(f"a file with the name {str(name)[:80]!r} has no place in a share")


class SharedFiles:
    """The files below ``base``, a directory of this process's user."""

    def __init__(self, base: str) -> None:
        self._base = base

    def look(self) -> dict[str, ShareFile]:
        """Return the files that are there now, by their relative names; at most ``MOST_FILES`` of them."""
        found: dict[str, ShareFile] = {}
        for path, directories, names, descriptor in os.fwalk(self._base, follow_symlinks=False):
            directories.sort()
            above = os.path.relpath(path, self._base)
            for name in sorted(names):
                if _IS_ASIDE.fullmatch(name):
                    continue  # one that is being written, perhaps by another thread
                relative = name if above == os.curdir else os.path.join(above, name)
                with suppress(OSError, TransportLost):
                    status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode) and len(found) < MOST_FILES:
                        checked_name(relative.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
                        relative.encode("utf-8")
                        found[relative] = _seen(status)
        return found

    def read(self, name: str) -> tuple[bytes, ShareFile] | None:
        """Return content and look of a file; None when it is no regular file or has more than ``LARGEST_FILE`` bytes."""
        with suppress(OSError), self._directory_of(name) as (directory, last):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with open(os.open(last, flags, dir_fd=directory), "rb") as file:
                status = os.fstat(file.fileno())
                if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST_FILE:
                    data = file.read(LARGEST_FILE + 1)
                    return (data, _seen(status)) if len(data) <= LARGEST_FILE else None
        return None

    def write(self, name: str, data: bytes, *, executable: bool) -> ShareFile:
        """Put a file in its place, with the directories above it, and return how it looks; OSError when that fails."""
        with self._directory_of(name, make=True) as (directory, last):
            aside = f"{_ASIDE}{os.urandom(8).hex()}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with open(os.open(aside, flags, 0o700 if executable else 0o600, dir_fd=directory), "wb") as file:
                    file.write(data)
                os.rename(aside, last, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                with suppress(OSError):
                    os.unlink(aside, dir_fd=directory)
                raise
            return _seen(os.stat(last, dir_fd=directory, follow_symlinks=False))

    def remove(self, name: str) -> None:
        """Remove a file, and the directories above it that are empty then."""
        with suppress(OSError):
            with self._directory_of(name) as (directory, last):
                os.unlink(last, dir_fd=directory)
            for above in list(PurePosixPath(name).parents)[:-1]:
                with self._directory_of(str(above)) as (directory, last):
                    os.rmdir(last, dir_fd=directory)

    @contextmanager
    def _directory_of(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Open the directory of a file without following a link on the way."""
        *above, last = PurePosixPath(checked_name(name)).parts
        descriptor = os.open(self._base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in above:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=descriptor)
                upper, descriptor = descriptor, os.open(part, _DIRECTORY, dir_fd=descriptor)
                os.close(upper)
            yield descriptor, last
        finally:
            os.close(descriptor)


def _seen(status: os.stat_result) -> ShareFile:
    executable = bool(status.st_mode & stat.S_IXUSR)
    return ShareFile(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, executable)
