# SPDX-License-Identifier: Apache-2.0
"""Small files that are there whole or not at all, whatever stands in their place.

Used for what is written beside the journal: files that jobs read in the session share, and what lets a session go on
after a restart. Jobs may write into the share, so what has taken the place of a file is replaced, never followed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Iterator

from plainbox.session.files import FileOps, PathLike
from plainbox.session.walk import remove_everything

__all__ = ["open_share", "remove_directory", "remove_file", "write_file"]

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def open_share(files: FileOps, directory: PathLike) -> Iterator[int]:
    """Open a directory that jobs may have replaced, for work by its descriptor; a link raises :class:`OSError`."""
    fd = files.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        files.close(fd)


def write_file(files: FileOps, directory: PathLike, name: str, data: bytes, *, mode: int = 0o600) -> None:
    """Write ``data`` to the file of that name in ``directory``, whole and durable when this returns.

    A link, a directory or anything else of that name gives way. ``directory`` itself may not be a link
    (:class:`OSError`); errors are those of the system, and then the old file is as it was.
    """
    with open_share(files, directory) as directory_fd:
        temporary = f".{name}.{os.urandom(8).hex()}.tmp"
        fd = files.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, dir_fd=directory_fd)
        try:
            try:
                os.fchmod(fd, mode)
                files.write_all(fd, data, 0)
                files.fsync(fd)
            finally:
                files.close(fd)
            remove_directory(files, name, directory_fd)
            files.rename(temporary, name, dir_fd=directory_fd)
        except OSError:
            files.unlink(temporary, dir_fd=directory_fd)
            raise
        files.fsync(directory_fd)


def remove_file(files: FileOps, path: PathLike, *, dir_fd: int | None = None) -> bool:
    """Remove a file or a link, durably; return whether there was one.

    With ``dir_fd`` the path is a plain name in that open directory.
    """
    try:
        files.unlink(path, dir_fd=dir_fd)
    except FileNotFoundError:
        return False
    if dir_fd is None:
        files.sync_directory(os.path.dirname(path) or ".")
    else:
        files.fsync(dir_fd)
    return True


def remove_directory(files: FileOps, name: str, dir_fd: int) -> None:
    """Free a name in the open directory ``dir_fd``, durably, when a directory has it; anything else of that name stays.

    The directory first gets out of the way, whatever is in it. What cannot be deleted of it then keeps a hidden name, which
    is logged.
    """
    try:
        found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode):
        return
    hidden = f".{name}.{os.urandom(8).hex()}.removed"
    files.rename(name, hidden, dir_fd=dir_fd)
    files.fsync(dir_fd)
    reason = remove_everything(hidden, dir_fd=dir_fd)
    if reason is not None:
        _log.warning("A directory in the place of %s is %s now, and cannot be removed: %s", name, hidden, reason)
