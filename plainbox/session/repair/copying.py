# SPDX-License-Identifier: Apache-2.0
"""Copies files of a session through the seam, durably; links and whatever else is no regular file stay behind."""

from __future__ import annotations

import contextlib
import os
import shlex
from typing import Final

from plainbox.errors import CorruptedSessionError, StorageError
from plainbox.session.files import FileOps, open_regular
from plainbox.session.walk import open_directory, walk

__all__ = ["copy_file", "copy_tree"]

_CHUNK_BYTES: Final = 1024 * 1024


def copy_file(
    files: FileOps, name: str, source: int, new_name: str, target: int, *, size_bytes: int | None = None
) -> None:
    """Copy a file, or its first ``size_bytes``, from one open directory to another; a file of that name is an error."""
    with open(open_regular(name, dir_fd=source), "rb", buffering=0) as original:
        fd = files.open(new_name, os.O_RDWR | os.O_CREAT | os.O_EXCL, dir_fd=target)
        try:
            offset = 0
            while size_bytes is None or offset < size_bytes:
                wanted = _CHUNK_BYTES if size_bytes is None else min(_CHUNK_BYTES, size_bytes - offset)
                data = original.read(wanted)
                if not data:
                    break
                files.write_all(fd, data, offset)
                offset += len(data)
            files.fdatasync(fd)
        finally:
            files.close(fd)


def copy_tree(files: FileOps, source: str, name: str, *, dir_fd: int) -> None:
    """Copy a directory with everything in it to ``name`` in the open directory; a missing one is none to copy.

    :raises StorageError: something in it may not be read.
    """
    try:
        original = open_directory(source)
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError as error:
        raise _unreadable(source, error) from error
    try:
        target = _made(files, name, dir_fd)
        try:
            for step in walk(original):
                if step.is_directory:
                    other = _above(files, target) if step.done else _made(files, step.name, target)
                    os.close(target)
                    target = other
                else:
                    with contextlib.suppress(CorruptedSessionError):  # a link or a device, which nothing refers to
                        copy_file(files, step.name, step.directory, step.name, target)
            files.fsync(target)
        except PermissionError as error:
            raise _unreadable(source, error) from error
        finally:
            os.close(target)
    finally:
        os.close(original)


def _made(files: FileOps, name: str, parent: int) -> int:
    files.mkdir(name, dir_fd=parent)
    return files.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=parent)


def _above(files: FileOps, target: int) -> int:
    """Return the directory that a copy is in, open, when all of the copy is there."""
    files.fsync(target)
    return files.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=target)


def _unreadable(source: str, error: OSError) -> StorageError:
    name = "" if error.filename in (None, source) else f"{error.filename} in "
    hint = f"give yourself the right to it: chmod -R u+rwX {shlex.quote(source)}"
    return StorageError(f"{name}{source} cannot be read", errno=error.errno, hint=hint)
