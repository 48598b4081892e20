# SPDX-License-Identifier: Apache-2.0
"""A session in the making: everything is in it, durable and locked, before it gets its name.

Whatever makes a session stages it here: the storage a new one, the restore of an archive, the salvage into another
session. What must stay true:

* Nobody sees half of a session: it has a hidden name until it is claimed, and a name that starts with a dot is never
  listed. It is for the user alone, and locked from its first moment.
* A claim is a rename after a sync, and replaces nothing.
* What fails before leaves nothing. What is killed leaves a hidden directory, which goes with the other leftovers.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import re
from collections.abc import Iterator
from typing import Final

from plainbox.session.directory import IO_LOGS, NEW_PREFIX, STAMP, SUFFIX, make_private_directories, remove_tree
from plainbox.session.files import FileOps
from plainbox.session.lock import SessionLock
from plainbox.session.repository import usable_repository

__all__ = ["StagedSession", "make_session", "staged_session"]

#: What the system says of a rename to a name that something has: a directory with something in it, or a file.
_TAKEN: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR})
_NOT_IN_SLUG = re.compile(r"[^A-Za-z0-9._-]")


class StagedSession:
    """The directory ``path``, to be filled and then claimed; ``work`` begins the names of its fail points."""

    def __init__(self, files: FileOps, base: str, work: str) -> None:
        self.path = os.path.join(base, NEW_PREFIX + os.urandom(16).hex())
        self.lock = SessionLock(self.path, files)
        self._base = base
        self._files = files
        self._work = work

    def claim(self, location: str) -> SessionLock:
        """Make the directory, and then ``location`` as its name, durable; return its lock.

        What is deeper in it is durable already. A name that is taken raises :class:`FileExistsError`, and another one
        can be claimed.
        """
        self._files.reach(f"{self._work}.sync")
        self._files.sync_directory(self.path)
        self._files.reach(f"{self._work}.rename")
        if os.path.lexists(location):  # an empty directory would be replaced
            raise _taken(location)
        try:
            self._files.rename(self.path, location)
        except OSError as error:
            if error.errno in _TAKEN:
                raise _taken(location) from None
            raise
        self.lock.move(location)
        self._files.reach(f"{self._work}.sync-base")
        self._files.sync_directory(self._base)
        return self.lock


def _taken(location: str) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), location)


@contextlib.contextmanager
def staged_session(files: FileOps, base: str, work: str) -> Iterator[StagedSession]:
    """Make a hidden session below ``base``, which is made, too, when it is missing; remove it when the block raises.

    :raises StorageError: nothing can be made there.
    """
    staged = StagedSession(files, base, work)
    with usable_repository(base):
        files.reach(f"{work}.base")
        make_private_directories(files, base)
        files.reach(f"{work}.directory")
        files.mkdir(staged.path)
    try:
        directory = files.open_directory(staged.path)
        try:
            staged.lock.acquire_new(directory)
        finally:
            os.close(directory)
        yield staged
    except BaseException:
        try:
            files.reach(f"{work}.discard")
            remove_tree(staged.path)
        finally:
            staged.lock.release()
        raise


def make_session(files: FileOps, base: str, prefix: str, now: float) -> tuple[str, SessionLock]:
    """Make a new session below ``base``, named by ``prefix`` and the time ``now``; return its path and its lock.

    Two processes may want the same name at the same time: the second one goes on to the next name.
    """
    stem = _NOT_IN_SLUG.sub("_", prefix) + datetime.datetime.fromtimestamp(now, datetime.UTC).strftime(STAMP)
    with staged_session(files, base, "create") as staged:
        files.mkdir(os.path.join(staged.path, IO_LOGS))
        number = 0
        while True:
            taken = f"_({number})" if number else ""
            location = os.path.join(base, f"{stem}{taken}{SUFFIX}")
            try:
                return location, staged.claim(location)
            except FileExistsError:
                number += 1
