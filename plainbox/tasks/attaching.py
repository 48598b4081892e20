# SPDX-License-Identifier: Apache-2.0
"""Files that a program has made and that come home: collected at the far end, stored here.

Both directions take the other for hostile: no link is followed, nothing outside of the one directory is read or
written, and the sizes are bounded.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path, PurePosixPath

from plainbox.errors import TransportLost
from plainbox.tasks.jobresult import AttachmentLine, parse_line

__all__ = ["ArrivedFiles", "WantedFiles", "attached", "collect"]

MOST_FILES = 1000
LONGEST_NAME = 1000
DEEPEST = 16
MOST_LOOKED_AT = 100_000


class WantedFiles:
    """Looks through the lines of a result file for files that are to be kept, and passes the lines on.

    ``paths`` are what the job has written, each once: any text.
    """

    def __init__(self, on_line: Callable[[bytes], None]) -> None:
        self._on_line = on_line
        self.paths: list[str] = []

    def take(self, line: bytes) -> None:
        """Take a line."""
        if b"attachment" in line and len(self.paths) < MOST_FILES:
            try:
                item = parse_line(line)
            except ValueError:
                item = None  # whoever gets the lines complains
            if isinstance(item, AttachmentLine) and item.path not in self.paths:
                self.paths.append(item.path)
        self._on_line(line)

    def store(
        self,
        directory: Path,
        target: Path,
        limit: int,
        note: Callable[[str], None],
        patterns: Sequence[str] = (),
    ) -> frozenset[str]:
        """Copy them, and what ``patterns`` match, from ``directory`` to ``target``; return the relative names of those that
        are there now."""
        files = ArrivedFiles(target)
        stored = set()
        try:
            for name, data in collect(directory, patterns, limit, self.paths):
                if data is None:
                    note(f"not attached, for it is too large: {name}")
                    continue
                try:
                    files.store(name, data)
                except OSError as error:
                    note(f"not attached: {name}: {error.strerror}")
                except TransportLost as error:
                    note(f"not attached: {error.message}")
                else:
                    stored.add(name)
        except OSError as error:
            note(f"not everything could be attached: {error.strerror}")
        return frozenset(stored)


def collect(
    directory: Path, patterns: Sequence[str], limit: int, paths: Sequence[str] = ()
) -> Iterator[tuple[str, bytes | None]]:
    """Return names, relative to ``directory``, and contents of the regular files at ``paths`` or that a pattern matches.

    ``None`` stands for the content of a file that would make more than ``limit`` bytes of all. OSError when it does not go
    on.
    """
    seen: set[str] = set()
    for relative, opened in _found(directory, patterns, paths):
        with open(opened, "rb") as file:
            if relative in seen or len(seen) >= MOST_FILES:
                continue
            seen.add(relative)
            data = file.read(limit + 1)
        fits = len(data) <= limit
        limit -= len(data) if fits else 0
        yield relative, data if fits else None


def _found(directory: Path, patterns: Sequence[str], paths: Sequence[str]) -> Iterator[tuple[str, int]]:
    for said in paths:
        relative = _relative(directory, said)
        opened = None if relative is None else _open_below(directory, relative)
        if relative is not None and opened is not None:
            yield relative, opened
    if not patterns:
        return
    for relative in _names_below(directory):
        if any(fnmatchcase(relative, pattern) for pattern in patterns):
            opened = _open_below(directory, relative)
            if opened is not None:
                yield relative, opened


def _names_below(directory: Path) -> Iterator[str]:
    """Return the names of what is in a directory and below it, as deep as a name may be that is attached.

    OSError when there are too many.
    """
    todo, looked_at = [""], 0
    while todo:
        above = todo.pop()
        directories = []
        try:
            found = sorted(_entries(directory, above, looked_at))
        except OSError:
            continue
        looked_at += len(found)
        if looked_at > MOST_LOOKED_AT:
            raise OSError(errno.E2BIG, f"there are more than {MOST_LOOKED_AT} files to choose from")
        for name, is_directory in found:
            relative = f"{above}/{name}" if above else name
            if not is_directory:
                yield relative
            elif relative.count("/") < DEEPEST - 1:
                directories.append(relative)
        todo += reversed(directories)


def _entries(directory: Path, relative: str, looked_at: int) -> list[tuple[str, bool]]:
    """Return the names in a directory, and which of them are directories: of a huge one not all."""
    descriptor = _open_directory(directory, relative.split("/") if relative else [])
    try:
        with os.scandir(descriptor) as entries:
            some = islice(entries, MOST_LOOKED_AT + 1 - looked_at)
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in some]
    finally:
        os.close(descriptor)


def attached(name: str, data: bytes) -> bytes:
    """Return the document of one file."""
    return json.dumps({"name": name, "size": len(data)}).encode("ascii") + b"\n" + data


class ArrivedFiles:
    """Stores what comes from a far end in ``directory``, each file once, readable for the user alone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._names: set[str] = set()

    def take(self, document: bytes) -> None:
        """Store one file; :class:`TransportLost` for a name or a size that cannot be."""
        header, found, data = document.partition(b"\n")
        try:
            content = json.loads(header.decode("ascii")) if found else None
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict) or content.get("size") != len(data):
            raise TransportLost("the far end sent a file that is not what it says")
        self.store(_checked(content.get("name")), data)

    def store(self, name: str, data: bytes) -> None:
        """Store the content of one file; :class:`TransportLost` as in :meth:`take`."""
        _checked(name)
        if name in self._names or len(self._names) >= MOST_FILES:
            raise TransportLost(f"the far end sent the file {name!r} twice, or too many files")
        self._names.add(name)
        path = self._directory / name
        try:
            _make_private(path.parent)
        except (FileExistsError, NotADirectoryError):
            raise TransportLost(f"the far end sent {name!r} as a file and as a directory") from None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(path, flags, 0o600), "wb") as file:
            file.write(data)


def _checked(name: object) -> str:
    if not isinstance(name, str) or not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise TransportLost("the far end sent a file without a proper name")
    path = PurePosixPath(name)
    good = not path.is_absolute() and ".." not in path.parts and len(path.parts) <= DEEPEST and str(path) == name
    if not good or name == "." or any(len(os.fsencode(part)) > 255 for part in path.parts):
        raise TransportLost(f"the far end sent a file with the name {name!r}")
    return name


def _make_private(directory: Path) -> None:
    if not directory.is_dir():
        _make_private(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)


def _relative(directory: Path, said: str) -> str | None:
    """Return the name below ``directory`` of what a job calls like this, None when it is not there."""
    path = os.path.normpath(said)
    if os.path.isabs(path):
        bases = [os.path.normpath(directory), os.path.realpath(directory)]
        path = next((path[len(base) + 1 :] for base in bases if path.startswith(base + "/")), os.pardir)
    try:
        return _checked(path)
    except TransportLost:
        return None


def _open_below(directory: Path, relative: str) -> int | None:
    """Open a regular file; no link is followed on the way to it."""
    *above, name = relative.split("/")
    try:
        descriptor = _open_directory(directory, above)
    except OSError:
        return None
    try:
        return _open_regular(name, descriptor)
    finally:
        os.close(descriptor)


def _open_directory(directory: Path, parts: Sequence[str]) -> int:
    """Open a directory below another one; no link is followed on the way to it."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    descriptor = os.open(directory, flags)
    for part in parts:
        upper = descriptor
        try:
            descriptor = os.open(part, flags | os.O_NOFOLLOW, dir_fd=upper)
        finally:
            os.close(upper)
    return descriptor


def _open_regular(name: str, directory: int) -> int | None:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None
