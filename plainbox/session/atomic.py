# SPDX-License-Identifier: Apache-2.0
"""Small files that are there whole or not at all, whatever stands in their place.

Used for what is written beside the journal: files that jobs read in the session share, and what lets a session go on
after a restart. Jobs may write into the share, so what has taken the place of a file is replaced, never followed.
"""

from __future__ import annotations

import os
import shutil
import stat

from plainbox.session.files import FileOps, PathLike

__all__ = ["remove_file", "write_file"]


def write_file(files: FileOps, directory: PathLike, name: str, data: bytes, *, mode: int = 0o600) -> None:
    """Write ``data`` to the file of that name in ``directory``, whole and durable when this returns.

    A link, a directory or anything else of that name gives way. ``directory`` itself may not be a link
    (:class:`OSError`); errors are those of the system, and then the old file is as it was.
    """
    directory_fd = files.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        temporary = f".{name}.{os.urandom(8).hex()}.tmp"
        fd = files.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, dir_fd=directory_fd)
        try:
            try:
                os.fchmod(fd, mode)
                files.write_all(fd, data, 0)
                files.fsync(fd)
            finally:
                files.close(fd)
            _clear(name, directory_fd)
            files.rename(temporary, name, dir_fd=directory_fd)
        except OSError:
            files.unlink(temporary, dir_fd=directory_fd)
            raise
        files.fsync(directory_fd)
    finally:
        files.close(directory_fd)


def remove_file(files: FileOps, path: PathLike) -> bool:
    """Remove a file or a link, durably; return whether there was one."""
    try:
        files.unlink(path)
    except FileNotFoundError:
        return False
    files.sync_directory(os.path.dirname(path) or ".")
    return True


def _clear(name: str, directory_fd: int) -> None:
    """Remove a directory, which no rename of a file replaces."""
    try:
        found = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        shutil.rmtree(name, dir_fd=directory_fd)
