# SPDX-License-Identifier: Apache-2.0
"""The well-known directories inside a session."""

from __future__ import annotations

import logging
import os
import shlex
import stat
from collections.abc import Callable
from typing import Final

import attrs

from plainbox.errors import StorageError, StorageFullError
from plainbox.session.directory import IO_LOGS, LINKED_LOGS_REMEDY
from plainbox.session.fields import const, typed
from plainbox.session.files import FULL_ERRORS
from plainbox.session.repository import damage_hint
from plainbox.session.storage import SessionStorage
from plainbox.session.walk import give_back_rights

__all__ = ["SET_ASIDE_NOTE", "WellKnownDirsHelper"]

_log = logging.getLogger(__name__)

#: The kind of a note in the journal: something had taken the place of a directory, and has another name now.
SET_ASIDE_NOTE: Final = "set-aside"


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
        return self._below(IO_LOGS)

    @property
    def share_pathname(self) -> str:
        """What jobs see as ``PLAINBOX_SESSION_SHARE``."""
        return self._below("session-share")

    def populate(self) -> None:
        """Make each directory that is missing, for the owner alone, and make their names durable.

        Jobs can change all of this. Where they have taken away the right to the session or to one of the directories, the
        owner gets it back. What has taken the place of the share gives way; what has that of the logs stays, since the
        logs may be where it leads. Nothing is ever followed.

        :raises StorageError: that cannot be done, or something else is where the logs belong.
        """
        self._prepare(self._refuse)

    def restore(self) -> None:
        """Do so again when a job has interfered; cheap enough to ask before each attempt.

        In the middle of a run the session needs a place for its logs: what has taken it gets another name, which the
        journal notes.
        """
        if not all(map(_is_usable, (self._location, *self.all_directories))):
            self._prepare(self._set_aside)

    def _prepare(self, free_logs: Callable[[str], None]) -> None:
        files, location = self.storage.files, self.storage.location
        try:
            give_back_rights(self._location)
            for pathname in self.all_directories:
                if not _is_directory(pathname):
                    if os.path.lexists(pathname):
                        (self._replace if pathname == self.share_pathname else free_logs)(pathname)
                    files.mkdir(pathname)
                give_back_rights(pathname)
            files.sync_directory(location)
        except StorageError:
            raise
        except OSError as error:
            kind = StorageFullError if error.errno in FULL_ERRORS else StorageError
            message = f"the directories of {location} cannot be made"
            raise kind(message, errno=error.errno, hint=_hint(error)) from error

    def _replace(self, pathname: str) -> None:
        _log.warning("%s is no directory any more: it is replaced by an empty one", pathname)
        self.storage.files.unlink(pathname)

    def _refuse(self, pathname: str) -> None:
        if os.path.islink(pathname):
            raise StorageError(f"{pathname}: it is a symbolic link, which is not followed", hint=LINKED_LOGS_REMEDY)
        raise StorageError(f"{pathname}: it is not a directory", hint=damage_hint(self.storage.location))

    def _set_aside(self, pathname: str) -> None:
        aside = f"{pathname}.aside-{os.urandom(4).hex()}"
        self.storage.files.rename(pathname, aside)
        _log.warning("%s was replaced by a job: what it has put there is %s now", pathname, os.path.basename(aside))
        self.storage.note(SET_ASIDE_NOTE, {"name": os.path.basename(pathname), "now": os.path.basename(aside)})

    @property
    def _location(self) -> str:
        # The slash lets a link to the session be followed, unlike one in it.
        return os.path.join(self.storage.location, "")

    def _below(self, name: str) -> str:
        # Jobs work in other directories: what they are told must not depend on ours.
        return os.path.join(os.path.abspath(self.storage.location), name)


def _hint(error: OSError) -> str | None:
    if not isinstance(error, PermissionError) or not isinstance(error.filename, str):
        return None
    return f"it must belong to you and let you write: chmod u+rwx {shlex.quote(error.filename)}"


def _is_directory(pathname: str) -> bool:
    """Tell whether it is a directory itself, and not a link to one."""
    return _mode(pathname) is not None


def _is_usable(pathname: str) -> bool:
    """Tell whether it is a directory itself, and its owner may do everything in it."""
    mode = _mode(pathname)
    return mode is not None and mode & 0o700 == 0o700


def _mode(pathname: str) -> int | None:
    """Return the mode of a directory, ``None`` for whatever else is there."""
    try:
        mode = os.lstat(pathname).st_mode
    except FileNotFoundError:
        return None
    return mode if stat.S_ISDIR(mode) else None
