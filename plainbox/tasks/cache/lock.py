# SPDX-License-Identifier: Apache-2.0
"""Who computes an item: at most one process or thread at a time.

A lock is an advisory ``flock``, so the kernel drops it with its owner. Its file exists while somebody holds it, and a
little longer after a kill; whoever takes a lock looks whether the file that is locked is still the one of that name.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

__all__ = ["KeyLock"]


class KeyLock:
    """A lock that is held, until :meth:`release`."""

    def __init__(self, path: str, fd: int) -> None:
        self._path = path
        self._fd = fd
        self._pid = os.getpid()

    @classmethod
    def try_to_take(cls, path: str) -> KeyLock | None:
        """Take the lock; ``None`` when somebody else has it. Errors are those of the system."""
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_of_that_name(fd, path):
                    return cls(path, fd)
            except BlockingIOError:
                os.close(fd)
                return None
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def release(self) -> None:
        """Give the lock back; again, do nothing. A child made by fork does not own the lock and gives nothing back."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            if self._pid == os.getpid():
                with suppress(OSError):
                    os.unlink(self._path)
                with suppress(OSError):
                    fcntl.flock(fd, fcntl.LOCK_UN)
        finally:
            os.close(fd)

    def __del__(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _is_of_that_name(fd: int, path: str) -> bool:
    try:
        now = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(now, os.fstat(fd))
