# SPDX-License-Identifier: Apache-2.0
"""What stands for the files of a directory: a digest of their names and contents.

It is the same in every copy of the directory, whatever the times of its files. Files are read only when a walk shows
something that this process has not seen yet. Of a file that is larger than ``LARGE_BYTES`` size and time count instead of
its content. Links to directories are followed, each directory once.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from plainbox.errors import UncacheableArgument
from plainbox.tasks.identifier import identifier_from_parts

__all__ = ["LARGE_BYTES", "MOST_FILES", "Trees", "digest_of_files", "source_of"]

LARGE_BYTES = 16 * 1024 * 1024
#: A link may lead to all files of a machine.
MOST_FILES = 100_000

_LEFT_OUT = ("__pycache__", ".git", ".hg", ".svn")
_CODE = (".py", ".so")


class _File(NamedTuple):
    """A file or a link, and what tells its state from others."""

    name: str
    path: str
    size: int
    changed: tuple[int, int, int]
    link: str | None
    executable: bool


class _Walk(NamedTuple):
    """What is below a directory: its files, and the directories in it, itself included, with the times of their change."""

    files: tuple[_File, ...]
    directories: tuple[tuple[str, int], ...]


class Trees:
    """The digests of directories for the time of one run.

    A directory is walked once, and again only when a name in it or below it has come, gone or changed: a file that is
    rewritten in its place counts for the next run.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[tuple[str, int], ...], str]] = {}

    def digest(self, directory: Path | None) -> str | None:
        """Return the digest of everything below a directory, None when there is none; see :func:`digest_of_files`."""
        if directory is None or not directory.is_dir():
            return None
        known = self._known.get(str(directory))
        if known is not None and all(_changed(path) == changed for path, changed in known[0]):
            return known[1]
        walk = _walk(str(directory), lambda name: True)
        digest = _digest(walk.files)
        self._known[str(directory)] = walk.directories, digest
        return digest


def digest_of_files(directory: Path) -> str:
    """Return the digest of everything below a directory.

    Errors are those of the system, and :class:`UncacheableArgument` when there are more than ``MOST_FILES`` files.
    """
    return _digest(_walk(str(directory), lambda name: True).files)


def source_of(module_file: str) -> str:
    """Return the digest of the code that a module belongs to.

    That is its outermost package with all in it, or for a module outside of packages all modules of its directory.
    """
    directory = Path(module_file).resolve().parent
    package = None
    while (directory / "__init__.py").is_file():
        package, directory = directory, directory.parent
    return _digest(_walk(str(package or directory), _is_code, deep=package is not None).files)


def _is_code(name: str) -> bool:
    return name.endswith(_CODE)


def _walk(top: str, wanted: Callable[[str], bool], *, deep: bool = True) -> _Walk:
    found: list[_File] = []
    directories: dict[tuple[int, int], tuple[str, int]] = {}
    waiting = [top]
    while waiting:
        directory = waiting.pop()
        status = os.stat(directory)
        if (status.st_dev, status.st_ino) in directories:
            continue  # a link leads to where we have been
        directories[status.st_dev, status.st_ino] = directory, status.st_mtime_ns
        with os.scandir(directory) as entries:
            # In the same order in every copy: it decides by which name a directory is found first.
            for entry in sorted(entries, key=lambda entry: entry.name, reverse=True):
                if entry.is_dir():
                    if deep and entry.name not in _LEFT_OUT:
                        waiting.append(entry.path)
                    if not entry.is_symlink():
                        continue
                if wanted(entry.name):
                    found.append(_file(entry, top))
        if len(found) > MOST_FILES:
            raise UncacheableArgument(f"{top} has more than {MOST_FILES} files, those that links lead to included")
    return _Walk(tuple(sorted(found)), tuple(directories.values()))


def _changed(directory: str) -> int | None:
    try:
        return os.stat(directory).st_mtime_ns
    except OSError:
        return None


def _file(entry: os.DirEntry[str], top: str) -> _File:
    status = entry.stat(follow_symlinks=False)
    link = os.readlink(entry.path) if stat.S_ISLNK(status.st_mode) else None
    if link is not None and os.path.isfile(entry.path):
        # What a link to a file leads to is what a program reads.
        status = os.stat(entry.path)
    return _File(
        entry.path[len(top) :].lstrip(os.sep),
        entry.path,
        status.st_size,
        (status.st_mtime_ns, status.st_ctime_ns, status.st_ino),
        link,
        bool(status.st_mode & 0o100),
    )


@functools.lru_cache(maxsize=64)
def _digest(files: tuple[_File, ...]) -> str:
    parts: list[str | None] = []
    for file in files:
        parts += (file.name, file.link, "x" if file.executable else "-", _content(file))
    return identifier_from_parts(*parts)


def _content(file: _File) -> str:
    if not os.path.isfile(file.path):
        return ""
    if file.size > LARGE_BYTES:
        return f"{file.size} {file.changed[0]}"
    digest = hashlib.sha256()
    with open(file.path, "rb") as content:
        digest.update(content.read())
    return digest.hexdigest()
