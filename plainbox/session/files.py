# SPDX-License-Identifier: Apache-2.0
"""The seam between the session store and the operating system.

Every system call that durability depends on goes through one :class:`FileOps`, and each step of an algorithm is
announced with :meth:`FileOps.reach` under a stable name, its fail point. The store never calls :mod:`os` for writing,
so a test that replaces this one object can stop the process image at any call, fail any call, or record their order.

What must stay true: nothing here retries, hides or repairs an error. The only loop is :meth:`FileOps.write_all`,
which goes on after a short or an interrupted write.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

__all__ = ["FULL_ERRORS", "FileOps", "Buffer", "PathLike", "deferred_signals"]

Buffer: TypeAlias = bytes | bytearray | memoryview
PathLike: TypeAlias = str | Path

#: What the system says when there is no room: the write can be repeated once there is.
FULL_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_ALWAYS = os.O_CLOEXEC | os.O_NOFOLLOW


class FileOps:
    """The system calls of the store, one method each, with the arguments and errors of the system.

    ``durable=False`` leaves out the sync family and is meant for sessions that are thrown away: what is written then
    survives the end of the process, not the end of the machine.
    """

    def __init__(self, *, durable: bool = True) -> None:
        self.durable = durable

    def reach(self, point: str) -> None:
        """Announce that the step called ``point`` comes next; does nothing here."""

    def open(self, path: PathLike, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
        """Open a file that jobs do not inherit; a symbolic link as last component is refused with ELOOP."""
        return os.open(path, flags | _ALWAYS, mode, dir_fd=dir_fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def pwritev(self, fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        return os.pwritev(fd, buffers, offset)

    def fdatasync(self, fd: int) -> None:
        if self.durable:
            os.fdatasync(fd)

    def fsync(self, fd: int) -> None:
        if self.durable:
            os.fsync(fd)

    def ftruncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def rename(self, source: PathLike, target: PathLike, *, dir_fd: int | None = None) -> None:
        os.rename(source, target, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)

    def unlink(self, path: PathLike, *, dir_fd: int | None = None) -> None:
        os.unlink(path, dir_fd=dir_fd)

    def mkdir(self, path: PathLike, mode: int = 0o700, *, dir_fd: int | None = None) -> None:
        os.mkdir(path, mode, dir_fd=dir_fd)

    def flock(self, fd: int, operation: int) -> None:
        fcntl.flock(fd, operation)

    def write_all(self, fd: int, data: Buffer, offset: int) -> None:
        """Write all of ``data`` at ``offset``, going on after short and interrupted writes.

        A write of no byte at all is reported as ENOSPC, because repeating it could go on for ever.
        """
        view = memoryview(data)
        while view:
            try:
                written = self.pwrite(fd, view, offset)
            except InterruptedError:
                continue
            if written <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            view = view[written:]
            offset += written

    def open_directory(self, path: PathLike, *, dir_fd: int | None = None) -> int:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)

    def sync_directory(self, path: PathLike) -> None:
        """Make the entries of the directory durable."""
        fd = self.open_directory(path)
        try:
            self.fsync(fd)
        finally:
            self.close(fd)


_DEFERRED = (int(signal.SIGINT), int(signal.SIGTERM), int(signal.SIGHUP))
#: The functions below their wrappers, which turn every number into an enum and back: that took most of the time.
_get_handler: Callable[[int], object] = getattr(signal.getsignal, "__wrapped__", signal.getsignal)
_set_handler: Callable[[int, Any], Any] = getattr(signal.signal, "__wrapped__", signal.signal)
#: Whether the main thread is in a block already: exchanging handlers costs as much as encoding a record.
_deferring = False


@contextlib.contextmanager
def deferred_signals() -> Iterator[None]:
    """Let the Python handlers of SIGINT, SIGTERM and SIGHUP wait until the block has ended.

    A handler that raises between the write and the sync of a record would leave a change neither acknowledged nor
    refused. Python runs handlers in the main thread only, so elsewhere there is nothing to do; signals that have no
    Python handler keep their action.
    """
    global _deferring
    if _deferring or threading.current_thread() is not threading.main_thread():
        yield
        return
    _deferring = True
    arrived: list[tuple[int, FrameType | None]] = []
    replaced: list[tuple[int, Callable[[int, FrameType | None], object]]] = []

    def remember(number: int, frame: FrameType | None) -> None:
        arrived.append((number, frame))

    try:
        for number in _DEFERRED:
            handler = _get_handler(number)
            if callable(handler):
                replaced.append((number, handler))
                _set_handler(number, remember)
        yield
    finally:
        for number, handler in replaced:
            _set_handler(number, handler)
        _deferring = False
        handlers = dict(replaced)
        for pending, frame in arrived:
            handlers[pending](pending, frame)
