# SPDX-License-Identifier: Apache-2.0
"""Copies files of a session through the seam, durably; links and whatever else is no regular file stay behind."""

from __future__ import annotations

import contextlib
import os
from typing import Final

from plainbox.errors import CorruptedSessionError
from plainbox.session.files import FileOps, open_regular

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
    """Copy a directory with everything in it to ``name`` in the open directory; a missing one is none to copy."""
    try:
        original = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        files.mkdir(name, dir_fd=dir_fd)
        target = files.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=dir_fd)
        try:
            with os.scandir(original) as entries:
                found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
            for child, is_directory in found:
                if is_directory:
                    copy_tree(files, os.path.join(source, child), child, dir_fd=target)
                else:
                    with contextlib.suppress(CorruptedSessionError):  # a link or a device, which nothing refers to
                        copy_file(files, child, original, child, target)
            files.fsync(target)
        finally:
            os.close(target)
    finally:
        os.close(original)
