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
import time
from collections.abc import Iterator
from typing import Final

from plainbox.session.files import FileOps
from plainbox.session.lock import lock_owner
from plainbox.session.walk import open_directory, remove_everything, walk

__all__ = [
    "ATTACHMENTS",
    "IO_LOGS",
    "LINKED_LOGS_REMEDY",
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
    "sync_names",
]

_log = logging.getLogger(__name__)

SUFFIX: Final = ".session"
IO_LOGS: Final = "io-logs"
#: A directory for each attempt that has attached files, named like its log.
ATTACHMENTS: Final = "attachments"
#: What somebody has to do about a link in their place: nothing follows it, and nothing removes it.
LINKED_LOGS_REMEDY: Final = "put the directory that it leads to in its place"
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


def sync_names(files: FileOps, path: str) -> None:
    """Make durable the names that lead to a directory, also those that somebody has made who died before he synced them.

    They are as far as its file system goes. What the user may not list he has not made.
    """
    current = os.path.realpath(path)
    device = os.stat(current).st_dev
    while (parent := os.path.dirname(current)) != current and os.stat(parent).st_dev == device:
        with contextlib.suppress(PermissionError):
            files.sync_directory(parent)
        current = parent


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
    with contextlib.suppress(OSError):
        top = open_directory(os.path.join(path, ""))  # a link to a session means the session
        try:
            for step in walk(top, refused=lambda name, error: None):
                if not step.done:
                    with contextlib.suppress(OSError):
                        total += os.stat(step.name, dir_fd=step.directory, follow_symlinks=False).st_blocks * 512
        finally:
            os.close(top)
    return total


def remove_tree(path: str) -> None:
    """Delete a directory with everything in it; that something of it cannot be deleted is logged."""
    reason = remove_everything(path)
    if reason is not None:
        _log.warning("%s cannot be removed: %s", path, reason)


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
