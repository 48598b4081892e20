# SPDX-License-Identifier: Apache-2.0
"""The directory that holds the sessions.

Used by the commands that list stored sessions, and by whatever makes a session. What must stay true: looking at it
changes nothing, a missing one holds no session, and what the system has against one is told with what to do about it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from plainbox.errors import SessionError, StorageError, StorageFullError
from plainbox.session.directory import SUFFIX, creation_time, removable_leftovers, remove_tree
from plainbox.session.files import FULL_ERRORS, PathLike

if TYPE_CHECKING:
    from plainbox.session.storage import SessionStorage

__all__ = ["SessionStorageRepository", "argument_of", "damage_hint", "usable_repository"]

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


class SessionStorageRepository:
    """The directory that holds the sessions; without a location, the user's own.

    That is ``$PLAINBOX_SESSION_REPO`` when it is set, else ``plainbox/sessions`` below the XDG state directory.
    """

    def __init__(self, location: PathLike | None = None) -> None:
        self._location = self.get_default_location() if location is None else os.fspath(location)

    @property
    def location(self) -> str:
        return self._location

    @staticmethod
    def get_default_location() -> str:
        from plainbox.dirs import session_repository

        return str(session_repository())

    def names(self) -> list[str]:
        """Return the names of the session directories, in no order; nothing in them is looked at.

        :raises StorageError: what should be the repository cannot be read.
        """
        with usable_repository(self._location):
            try:
                with os.scandir(self._location) as entries:
                    return [
                        entry.name
                        for entry in entries
                        if entry.name.endswith(SUFFIX)
                        and not entry.name.startswith(".")
                        and entry.is_dir(follow_symlinks=False)
                    ]
            except FileNotFoundError:
                return []

    def get_storage_list(self) -> list[SessionStorage]:
        """Return the stored sessions, the youngest first; a missing directory holds none.

        Only real directories count whose name ends in ``.session`` and does not start with a dot. Age is the time of
        creation that the journal tells, else the one in the name.

        :raises StorageError: what should be the repository cannot be read.
        """
        from plainbox.session.storage import SessionStorage

        found: list[tuple[float, str, SessionStorage]] = []
        for name in self.names():
            storage = SessionStorage(os.path.join(self._location, name))
            try:
                created = storage.journal_info().created
            except FileNotFoundError:
                continue  # removed while we were looking
            except OSError:
                created = creation_time(storage.id)
            found.append((created or 0.0, name, storage))
        found.sort(key=lambda item: item[:2], reverse=True)
        return [storage for _, _, storage in found]

    def __iter__(self) -> Iterator[SessionStorage]:
        return iter(self.get_storage_list())

    def get_last_storage(self) -> SessionStorage | None:
        """Return the youngest session, or ``None``."""
        stored = self.get_storage_list()
        return stored[0] if stored else None

    def leftovers(self, *, older_than_s: float = 3600.0) -> list[str]:
        """Return the hidden directories that interrupted creations and removals left, that old and unlocked."""
        with usable_repository(self._location):
            return list(removable_leftovers(self._location, older_than_s))

    def remove_leftovers(self, *, older_than_s: float = 3600.0) -> None:
        """Delete what interrupted creations and removals left hidden here, once it is that old and unlocked."""
        for path in self.leftovers(older_than_s=older_than_s):
            remove_tree(path)


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


def argument_of(location: str) -> str:
    """Return what names the session at ``location`` on a command line: its id where that is enough, else its path."""
    import shlex

    base, name = os.path.split(os.path.abspath(location))
    known = base == os.path.abspath(SessionStorageRepository().location)
    return name.removesuffix(SUFFIX) if known else shlex.quote(os.path.join(base, name))


def damage_hint(location: str) -> str:
    """Return what to do about a session that is damaged."""
    name = argument_of(location)
    return f"plainbox session verify {name} tells what is wrong, plainbox session salvage {name} repairs it"
