# SPDX-License-Identifier: Apache-2.0
"""How the directory of a session comes to be, what its name tells, and how it goes.

A session is made under a hidden name and renamed when it is complete; it is removed the other way round. So nobody
ever sees half of one. Used by the storage and its repository; a name that starts with a dot is never listed.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from typing import Final

from plainbox.errors import SessionError, StorageError, StorageFullError
from plainbox.session.files import FULL_ERRORS, FileOps
from plainbox.session.lock import SessionLock, lock_owner

__all__ = [
    "IO_LOGS",
    "NEW_PREFIX",
    "SUFFIX",
    "creation_time",
    "disk_bytes",
    "hidden_remains",
    "hide_session",
    "make_private_directories",
    "make_session",
    "remove_tree",
    "removable_leftovers",
    "usable_repository",
]

_log = logging.getLogger(__name__)

SUFFIX: Final = ".session"
IO_LOGS: Final = "io-logs"
_STAMP: Final = "%Y-%m-%dT%H.%M.%S.%f"
_STAMP_IN_NAME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}\.[0-9]{2}\.[0-9]{2}\.[0-9]{6}")
#: What the system says of a repository -> what to do about it.
_REPOSITORY_HINTS: Final = {
    errno.ENOTDIR: "{place} is not a directory; PLAINBOX_SESSION_REPO names the directory to use",
    errno.ENOENT: "{place} cannot be made; PLAINBOX_SESSION_REPO names the directory to use",
    errno.EACCES: "give yourself the right to it, or name another directory with PLAINBOX_SESSION_REPO",
    errno.EPERM: "give yourself the right to it, or name another directory with PLAINBOX_SESSION_REPO",
    errno.EROFS: "its file system is mounted read-only; PLAINBOX_SESSION_REPO names another directory",
    errno.ENOSPC: "make room on its file system; plainbox session gc clears old sessions away",
    errno.EDQUOT: "make room on its file system; plainbox session gc clears old sessions away",
}
_NOT_IN_SLUG = re.compile(r"[^A-Za-z0-9._-]")
NEW_PREFIX: Final = ".new-"
_REMOVED_PREFIX: Final = ".removed-"


def make_session(files: FileOps, base: str, prefix: str, now: float) -> tuple[str, SessionLock]:
    """Make a session directory below ``base``, complete, durable and locked; return its path and its lock.

    ``now`` is the time that its name tells, in seconds since the epoch.
    """
    files.reach("create.base")
    make_private_directories(files, base)
    temporary = os.path.join(base, NEW_PREFIX + os.urandom(16).hex())
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
        location = _claim_name(files, base, temporary, prefix, now)
    except OSError:
        lock.release()
        remove_tree(temporary)
        raise
    lock.move(location)
    files.reach("create.sync-base")
    files.sync_directory(base)
    return location, lock


def _claim_name(files: FileOps, base: str, temporary: str, prefix: str, now: float) -> str:
    """Rename the finished directory to the first free name and return its path.

    Two processes may want the same name at the same time; a directory that is not empty is never replaced by a
    rename, and a session is not, so the second one goes on to the next name.
    """
    stem = _NOT_IN_SLUG.sub("_", prefix) + datetime.datetime.fromtimestamp(now, datetime.UTC).strftime(_STAMP)
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


@contextlib.contextmanager
def usable_repository(location: str) -> Iterator[None]:
    """Say in our words, and with a hint, what the system has against this repository; what has our words passes."""
    try:
        yield
    except SessionError:
        raise
    except OSError as error:
        place = error.filename if isinstance(error.filename, str) else location
        # To make a directory where a file is fails in another way than to read it.
        number = errno.ENOTDIR if error.errno == errno.EEXIST else error.errno
        hint = _REPOSITORY_HINTS.get(number or 0, "look at the medium and the kernel's messages")
        kind = StorageFullError if number in FULL_ERRORS else StorageError
        message = f"the session repository {location} cannot be used"
        raise kind(message, errno=number, hint=hint.format(place=place)) from error


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
