# SPDX-License-Identifier: Apache-2.0
"""Keeps the files of a damaged session as they were found, in ``quarantine/<time in UTC>/``.

Called by a salvage before it changes anything, with the lock of the session held. A copy has its final name when all of
it is durable; what an interrupted one has left is removed by the next.
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
from plainbox.session.hint import HINT_NAME
from plainbox.session.repair.copying import copy_file

__all__ = ["QUARANTINE", "UNFINISHED", "keep_originals"]

QUARANTINE: Final = "quarantine"
#: Ends the names of copies that are not complete.
UNFINISHED: Final = ".tmp"
_STAMP: Final = "%Y-%m-%dT%H.%M.%SZ"


def keep_originals(files: FileOps, location: str, names: Iterable[str], now: float) -> str:
    """Copy files of the session at ``location``, durably, and return the path of the copies below it.

    What stands in the place of the hint and is no file is moved there: no reader would trust the session with it.
    """
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
        _move_what_is_no_file(files, directory, path)
    finally:
        os.close(directory)
    return path


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


def _move_what_is_no_file(files: FileOps, directory: int, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(HINT_NAME, dir_fd=directory, follow_symlinks=False).st_mode):
            files.reach("salvage.move")
            files.rename(HINT_NAME, os.path.join(path, HINT_NAME), dir_fd=directory)
            files.fsync(directory)


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
