# SPDX-License-Identifier: Apache-2.0
"""The well-known directories inside a session."""

from __future__ import annotations

import logging
import os
import stat

import attrs

from plainbox.errors import StorageError, StorageFullError
from plainbox.session.fields import const, typed
from plainbox.session.files import FULL_ERRORS
from plainbox.session.storage import SessionStorage

__all__ = ["WellKnownDirsHelper"]

_log = logging.getLogger(__name__)


@attrs.define
class WellKnownDirsHelper:
    """Knows and makes the directories of one storage."""

    storage: SessionStorage = attrs.field(validator=typed(SessionStorage), on_setattr=[attrs.setters.validate, const])

    @property
    def all_directories(self) -> list[str]:
        """Absolute paths of all of them, that of the logs first."""
        return [self.io_log_pathname, self.share_pathname]

    @property
    def io_log_pathname(self) -> str:
        """Where the output of jobs goes."""
        return self._below("io-logs")

    @property
    def share_pathname(self) -> str:
        """What jobs see as ``PLAINBOX_SESSION_SHARE``."""
        return self._below("session-share")

    def populate(self) -> None:
        """Make each directory that is missing, for the owner alone, and make their names durable.

        A link or a file in the place of one gives way: jobs can put it there, and it is never followed.

        :raises StorageError: that cannot be done.
        """
        files = self.storage.files
        try:
            for pathname in self.all_directories:
                if _is_directory(pathname):
                    continue
                if os.path.lexists(pathname):
                    _log.warning("%s is no directory any more: it is replaced by an empty one", pathname)
                    files.unlink(pathname)
                files.mkdir(pathname)
            files.sync_directory(self.storage.location)
        except OSError as error:
            kind = StorageFullError if error.errno in FULL_ERRORS else StorageError
            raise kind(f"the directories of {self.storage.location} cannot be made", errno=error.errno) from error

    def restore(self) -> None:
        """Populate again when a job has removed or replaced a directory; cheap enough to ask before each attempt."""
        if not all(map(_is_directory, self.all_directories)):
            self.populate()

    def _below(self, name: str) -> str:
        # Jobs work in other directories: what they are told must not depend on ours.
        return os.path.join(os.path.abspath(self.storage.location), name)


def _is_directory(pathname: str) -> bool:
    """Tell whether it is a directory itself, and not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(pathname).st_mode)
    except FileNotFoundError:
        return False
