# SPDX-License-Identifier: Apache-2.0
"""The directory of a session: what its name tells, what it takes up, and how it goes.

A session is removed the other way round than :mod:`plainbox.session.staging` makes it: it gets a hidden name first, so
nobody ever sees half of one. Used by the storage, its repository and whatever clears away.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from typing import Final

from plainbox.session.files import FileOps
from plainbox.session.lock import lock_owner

__all__ = [
    "IO_LOGS",
    "NEW_PREFIX",
    "STAMP",
    "SUFFIX",
    "creation_time",
    "disk_bytes",
    "hidden_remains",
    "hide_session",
    "make_private_directories",
    "remove_tree",
    "removable_leftovers",
]

_log = logging.getLogger(__name__)

SUFFIX: Final = ".session"
IO_LOGS: Final = "io-logs"
#: The time of creation, in UTC, in the name of a session.
STAMP: Final = "%Y-%m-%dT%H.%M.%S.%f"
_STAMP_IN_NAME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}\.[0-9]{2}\.[0-9]{2}\.[0-9]{6}")
NEW_PREFIX: Final = ".new-"
_REMOVED_PREFIX: Final = ".removed-"


def make_private_directories(files: FileOps, path: str) -> None:
    """Make the directory and its missing parents, for the user alone, and make their names durable."""
    missing = []
    current = os.path.abspath(path)
    while not os.path.isdir(current) and os.path.dirname(current) != current:
        missing.append(current)
        current = os.path.dirname(current)
    for directory in reversed(missing):
        try:
            files.mkdir(directory)
        except FileExistsError:
            if not os.path.isdir(directory):
                raise
        files.sync_directory(os.path.dirname(directory))


def creation_time(name: str) -> float | None:
    """Return the time that the name of a session tells, in seconds since the epoch."""
    match = _STAMP_IN_NAME.search(name)
    if match is None:
        return None
    try:
        return datetime.datetime.strptime(match[0], STAMP).replace(tzinfo=datetime.UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def hide_session(files: FileOps, location: str) -> str:
    """Give the session a hidden name, durably, and return its new path: from here on it does not exist."""
    base, name = os.path.split(os.path.normpath(location))
    hidden = os.path.join(base, f"{_REMOVED_PREFIX}{name}-{os.urandom(4).hex()}")
    files.reach("remove.rename")
    files.rename(location, hidden)
    try:
        files.sync_directory(base or ".")
    except OSError as error:
        _log.warning("%s may come back after a power loss: %s", location, error)
    return hidden


def hidden_remains(location: str) -> list[str]:
    """Return the hidden directories that removals of this session could not delete."""
    base, name = os.path.split(os.path.normpath(location))
    with contextlib.suppress(OSError):
        return [
            os.path.join(base, entry)
            for entry in os.listdir(base or ".")
            if entry.startswith(f"{_REMOVED_PREFIX}{name}-")
        ]
    return []


def disk_bytes(path: str) -> int:
    """Return what a directory with everything in it takes up on its disk; what cannot be looked at counts nothing."""
    total = 0
    waiting = [path]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    return total


def remove_tree(path: str) -> None:
    """Delete a directory with everything in it; what cannot be deleted is logged.

    Jobs leave directories without the right to change them: the owner gives the right back.
    """
    import shutil

    def complain(function: object, where: str, error: BaseException) -> None:
        if not isinstance(error, FileNotFoundError):
            _log.warning("%s cannot be removed: %s", where, error)

    _open_ways(path)
    try:
        if sys.version_info >= (3, 12):
            shutil.rmtree(path, onexc=complain)
        else:
            shutil.rmtree(path, onerror=lambda function, where, info: complain(function, where, info[1]))
    except RecursionError:
        _log.warning("%s cannot be removed: its directories are nested too deeply", path)


def _open_ways(path: str) -> None:
    """Let the owner into a directory and all those in it; no link is followed."""
    waiting = [path]
    while waiting:
        directory = waiting.pop()
        with contextlib.suppress(OSError):
            if os.lstat(directory).st_mode & 0o700 != 0o700:
                os.chmod(directory, 0o700)
            with os.scandir(directory) as entries:
                waiting += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]


def removable_leftovers(base: str, older_than_s: float) -> Iterator[str]:
    """Yield what interrupted creations and removals left in ``base``, when it is that old and nobody has locked it."""
    try:
        with os.scandir(base) as entries:
            hidden = [entry for entry in entries if entry.name.startswith((NEW_PREFIX, _REMOVED_PREFIX))]
    except FileNotFoundError:
        return
    for entry in hidden:
        try:
            old = time.time() - entry.stat(follow_symlinks=False).st_mtime > older_than_s
        except FileNotFoundError:
            continue
        if old and entry.is_dir(follow_symlinks=False) and lock_owner(entry.path) is None:
            yield entry.path
