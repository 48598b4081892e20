# SPDX-License-Identifier: Apache-2.0
"""How the directory of a session comes to be, what its name tells, and how it goes.

A session is made under a hidden name and renamed when it is complete; it is removed the other way round. So nobody
ever sees half of one. Used by the storage and its repository; a name that starts with a dot is never listed.
"""

from __future__ import annotations

import datetime
import errno
import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from typing import Final

from plainbox.session.files import FileOps
from plainbox.session.lock import SessionLock, lock_owner

__all__ = [
    "IO_LOGS",
    "SUFFIX",
    "creation_time",
    "hide_session",
    "make_session",
    "remove_tree",
    "removable_leftovers",
]

_log = logging.getLogger(__name__)

SUFFIX: Final = ".session"
IO_LOGS: Final = "io-logs"
_STAMP: Final = "%Y-%m-%dT%H.%M.%S.%f"
_STAMP_IN_NAME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}\.[0-9]{2}\.[0-9]{2}\.[0-9]{6}")
_NOT_IN_SLUG = re.compile(r"[^A-Za-z0-9._-]")
_NEW_PREFIX: Final = ".new-"
_REMOVED_PREFIX: Final = ".removed-"


def make_session(files: FileOps, base: str, prefix: str) -> tuple[str, SessionLock]:
    """Make a session directory below ``base``, complete, durable and locked; return its path and its lock."""
    files.reach("create.base")
    _make_private_directories(files, base)
    temporary = os.path.join(base, _NEW_PREFIX + os.urandom(16).hex())
    lock = SessionLock(temporary, files)
    files.reach("create.directory")
    files.mkdir(temporary)
    try:
        directory = files.open_directory(temporary)
        try:
            lock.acquire_new(directory)
            files.mkdir(IO_LOGS, dir_fd=directory)
            files.reach("create.sync")
            files.fsync(directory)
        finally:
            os.close(directory)
        location = _claim_name(files, base, temporary, prefix)
    except OSError:
        lock.release()
        remove_tree(temporary)
        raise
    lock.move(location)
    files.reach("create.sync-base")
    files.sync_directory(base)
    return location, lock


def _claim_name(files: FileOps, base: str, temporary: str, prefix: str) -> str:
    """Rename the finished directory to the first free name and return its path.

    Two processes may want the same name at the same time; a directory that is not empty is never replaced by a
    rename, and a session is not, so the second one goes on to the next name.
    """
    stem = _NOT_IN_SLUG.sub("_", prefix) + datetime.datetime.now(datetime.UTC).strftime(_STAMP)
    number = 0
    while True:
        taken = f"_({number})" if number else ""
        location = os.path.join(base, f"{stem}{taken}{SUFFIX}")
        try:
            files.reach("create.rename")
            files.rename(temporary, location)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            number += 1
        else:
            return location


def _make_private_directories(files: FileOps, path: str) -> None:
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
        return datetime.datetime.strptime(match[0], _STAMP).replace(tzinfo=datetime.UTC).timestamp()
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


def remove_tree(path: str) -> None:
    """Delete a directory with everything in it; what cannot be deleted is logged."""
    import shutil

    def complain(function: object, where: str, error: BaseException) -> None:
        if not isinstance(error, FileNotFoundError):
            _log.warning("%s cannot be removed: %s", where, error)

    if sys.version_info >= (3, 12):
        shutil.rmtree(path, onexc=complain)
    else:
        shutil.rmtree(path, onerror=lambda function, where, info: complain(function, where, info[1]))


def removable_leftovers(base: str, older_than_s: float) -> Iterator[str]:
    """Yield what interrupted creations and removals left in ``base``, when it is that old and nobody has locked it."""
    try:
        with os.scandir(base) as entries:
            hidden = [entry for entry in entries if entry.name.startswith((_NEW_PREFIX, _REMOVED_PREFIX))]
    except FileNotFoundError:
        return
    for entry in hidden:
        try:
            old = time.time() - entry.stat(follow_symlinks=False).st_mtime > older_than_s
        except FileNotFoundError:
            continue
        if old and entry.is_dir(follow_symlinks=False) and lock_owner(entry.path) is None:
            yield entry.path
