# SPDX-License-Identifier: Apache-2.0
"""Keeps the files of a damaged session as they were found, in ``quarantine/<time in UTC>/``.

Called by a salvage before it changes anything, with the lock of the session held. A copy has its final name when all of
it is durable; what an interrupted one has left is removed by the next, and what one that failed has made by itself.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterable
from typing import Final

from plainbox.session.directory import remove_tree
from plainbox.session.files import FileOps
from plainbox.session.repair.copying import copy_file

__all__ = ["QUARANTINE", "UNFINISHED", "drop_copies", "keep_originals", "set_aside"]

QUARANTINE: Final = "quarantine"
#: Ends the names of copies that are not complete.
UNFINISHED: Final = ".tmp"
_STAMP: Final = "%Y-%m-%dT%H.%M.%SZ"


def keep_originals(files: FileOps, location: str, names: Iterable[str], now: float) -> str:
    """Copy files of the session at ``location``, durably, and return the path of the copies below it."""
    directory = files.open_directory(location)
    try:
        files.reach("salvage.quarantine")
        with contextlib.suppress(FileExistsError):
            files.mkdir(QUARANTINE, dir_fd=directory)
        parent = files.open(QUARANTINE, os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
        try:
            path = os.path.join(QUARANTINE, _copy_all(files, location, directory, parent, names, now))
            files.fsync(directory)
        finally:
            os.close(parent)
    except OSError:
        _drop_parent(location)
        raise
    finally:
        os.close(directory)
    return path


def set_aside(files: FileOps, location: str, names: Iterable[str], path: str) -> None:
    """Move what has the place of a file of the session and is none to the copies at ``path``, durably."""
    directory = files.open_directory(location)
    try:
        for name in names:
            files.reach("salvage.move")
            files.rename(name, os.path.join(path, name), dir_fd=directory)
        files.fsync(directory)
    finally:
        os.close(directory)


def drop_copies(location: str, path: str) -> None:
    """Remove the copies at ``path`` again: nothing came of what they were made for."""
    remove_tree(os.path.join(location, path))
    _drop_parent(location)


def _drop_parent(location: str) -> None:
    with contextlib.suppress(OSError):  # there are other copies
        os.rmdir(os.path.join(location, QUARANTINE))


def _copy_all(files: FileOps, location: str, directory: int, parent: int, names: Iterable[str], now: float) -> str:
    taken = set(os.listdir(parent))
    for leftover in sorted(taken):
        if leftover.endswith(UNFINISHED):
            remove_tree(os.path.join(location, QUARANTINE, leftover))
    name = _free_name(taken, now)
    files.mkdir(name + UNFINISHED, dir_fd=parent)
    try:
        target = files.open(name + UNFINISHED, os.O_RDONLY | os.O_DIRECTORY, dir_fd=parent)
        try:
            for original in names:
                if _is_regular(directory, original):
                    files.reach("salvage.copy")
                    copy_file(files, original, directory, original, target)
            files.reach("salvage.sync")
            files.fsync(target)
        finally:
            os.close(target)
    except OSError:
        remove_tree(os.path.join(location, QUARANTINE, name + UNFINISHED))
        raise
    files.reach("salvage.keep")
    files.rename(name + UNFINISHED, name, dir_fd=parent)
    files.fsync(parent)
    return name


def _free_name(taken: set[str], now: float) -> str:
    stem = name = time.strftime(_STAMP, time.gmtime(now))
    number = 0
    while name in taken:
        number += 1
        name = f"{stem}_({number})"
    return name


def _is_regular(directory: int, name: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except OSError:
        return False
