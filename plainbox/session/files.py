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
import importlib
import importlib.util
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

from plainbox.errors import CorruptedSessionError

__all__ = [
    "FULL_ERRORS",
    "NOT_REGULAR",
    "FileOps",
    "Buffer",
    "PathLike",
    "check_regular",
    "deferred_signals",
    "open_regular",
]

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

    def symlink(self, target: PathLike, path: PathLike) -> None:
        os.symlink(target, path)

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


#: What the system says of a link, a directory, a socket and a device without a driver.
NOT_REGULAR = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV})


def open_regular(path: PathLike | os.PathLike[str], *, dir_fd: int | None = None) -> int:
    """Open a stored file for reading; anything else than a regular file raises :class:`CorruptedSessionError`.

    A job may put whatever it likes in the place of a file: a FIFO must not make the reader wait, and a link must not
    lead it elsewhere. Other errors are those of the system.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _ALWAYS, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in NOT_REGULAR:
            raise _not_regular(path) from None
        raise
    try:
        check_regular(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def check_regular(fd: int, path: PathLike | os.PathLike[str]) -> None:
    """Raise :class:`CorruptedSessionError` unless the open file is a regular one."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise _not_regular(path)


def _not_regular(path: PathLike | os.PathLike[str]) -> CorruptedSessionError:
    return CorruptedSessionError(f"{os.fspath(path)} is not a regular file", kind="damaged")


_DEFERRED = (int(signal.SIGINT), int(signal.SIGTERM), int(signal.SIGHUP))
#: The functions below those of the module ``signal``, where the interpreter has them: turning every number into an enum
#: and back took most of the time.
_plain = importlib.import_module("_signal") if importlib.util.find_spec("_signal") else signal
_get_handler: Callable[[int], object] = _plain.getsignal
_set_handler: Callable[[int, Any], Any] = _plain.signal
_Handler: TypeAlias = Callable[[int, FrameType | None], object]
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
    arrived: list[tuple[int, FrameType | None]] = []
    handlers: dict[int, _Handler] = {}

    def remember(number: int, frame: FrameType | None) -> None:
        if _deferring:
            arrived.append((number, frame))
        else:  # the block has ended, and the handler is not back in its place yet
            handlers[number](number, frame)

    try:
        _deferring = True
        for number in _DEFERRED:
            handler = _get_handler(number)
            if callable(handler):
                handlers[number] = handler
                _set_handler(number, remember)
        yield
    finally:
        _deferring = False
        try:
            _restore(handlers)
        finally:
            _deliver(arrived, handlers)


def _restore(handlers: Mapping[int, _Handler]) -> None:
    """Put the handlers back, all of them, SIGINT's last: what one that is back already raises waits for the end."""
    waiting = list(handlers.items())
    raised: BaseException | None = None
    while waiting:
        try:
            while waiting:
                number, handler = waiting[-1]
                if _get_handler(number) is not handler:
                    _set_handler(number, handler)
                waiting.pop()
        except BaseException as error:  # noqa: BLE001 - raised below
            raised = raised or error
    if raised is not None:
        raise raised


def _deliver(arrived: list[tuple[int, FrameType | None]], handlers: Mapping[int, _Handler]) -> None:
    """Call the handlers of the signals that have arrived, each of them, whatever the others raise."""
    if arrived:
        number, frame = arrived.pop(0)
        try:
            handlers[number](number, frame)
        finally:
            _deliver(arrived, handlers)
