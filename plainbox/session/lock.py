# SPDX-License-Identifier: Apache-2.0
"""Who may write to a session: at most one owner, known by name.

The lock is an advisory ``flock`` on the file ``lock`` of the session directory. The kernel drops it with the owner's
last descriptor, so a lock cannot outlive its owner and nothing ever has to be cleaned up. The file itself is never
deleted; its text (process id, start ticks, boot id, host) is for people and messages and decides nothing.

What must stay true: the descriptor is closed on exec, so no job can keep a session locked; a child made by fork
neither owns the lock nor releases it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import threading
import time
from typing import Final
from weakref import WeakValueDictionary

import attrs

from plainbox.errors import (
    CorruptedSessionError,
    LockedStorageError,
    StorageError,
    StorageFailedError,
    StorageGoneError,
)
from plainbox.processes import process_start_ticks
from plainbox.session.boot import boot_id
from plainbox.session.files import FileOps, check_regular, open_regular

__all__ = ["LOCK_NAME", "LockOwner", "SessionLock", "lock_owner"]

LOCK_NAME: Final = "lock"

#: Somebody who asks whether the session is locked holds a shared lock for an instant; wait that long, no longer.
_ATTEMPTS: Final = 4
_PAUSE_S: Final = 0.005

_held: WeakValueDictionary[tuple[int, int], SessionLock] = WeakValueDictionary()
_held_guard = threading.Lock()


@attrs.frozen
class LockOwner:
    """What the owner of a lock wrote about itself; ``None`` where that could not be read."""

    pid: int | None = None
    start_ticks: int | None = None
    boot_id: str | None = None
    host: str | None = None

    def __str__(self) -> str:
        if self.pid is None:
            return "another process"
        if self.host not in (None, os.uname().nodename):
            return f"process {self.pid} on {self.host}"
        if self.start_ticks is None or self.start_ticks != process_start_ticks(self.pid):
            return f"process {self.pid}"
        uptime_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        started = time.time() - uptime_s + self.start_ticks / os.sysconf("SC_CLK_TCK")
        return f"process {self.pid}, started {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(started))}"


def _read_owner(fd: int) -> LockOwner:
    try:
        text = os.pread(fd, 4096, 0)
        value = json.loads(text)
        return LockOwner(
            pid=int(value["pid"]),
            start_ticks=None if value["start_ticks"] is None else int(value["start_ticks"]),
            boot_id=str(value["boot_id"]),
            host=str(value["host"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return LockOwner()


class SessionLock:
    """The right to write to one session directory; not held until :meth:`acquire` returns."""

    def __init__(self, location: str, files: FileOps) -> None:
        self._location = location
        self._files = files
        self._fd: int | None = None
        self._key = (0, 0)
        self._pid = 0

    @property
    def held(self) -> bool:
        """Whether this object, in this process, owns the lock."""
        return self._fd is not None and self._pid == os.getpid()

    def acquire(self) -> None:
        """Take the lock; taking it twice is one lock.

        :raises LockedStorageError: somebody else has it, another object in this process included.
        :raises StorageGoneError: the session directory does not exist.
        :raises StorageFailedError: the file system cannot lock.
        """
        if self.held:
            return
        fd = -1
        for attempt in range(_ATTEMPTS):
            fd = self._open()
            try:
                if self._try(fd):
                    break
                owner = _read_owner(fd)
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
            if attempt + 1 == _ATTEMPTS:
                raise _busy(self._location, owner)
            time.sleep(_PAUSE_S)
        self._adopt(fd)

    def acquire_new(self, directory: int) -> None:
        """Create the lock file of a session that nobody can see yet, in the open ``directory``, and take it."""
        fd = self._files.open(LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL, dir_fd=directory)
        try:
            self._files.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            raise _cannot_lock(self._location, error) from error
        except BaseException:
            os.close(fd)
            raise
        self._adopt(fd)

    def move(self, location: str) -> None:
        """Remember that the locked directory has another name now."""
        self._location = location

    def release(self) -> None:
        """Give the lock back; without the lock this does nothing."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        try:
            if self._pid == os.getpid():
                with _held_guard:
                    _held.pop(self._key, None)
                with contextlib.suppress(OSError):
                    # A child that is between fork and exec has a copy of the descriptor; closing ours is not enough.
                    self._files.flock(fd, fcntl.LOCK_UN)
        finally:
            os.close(fd)

    def __del__(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _open(self) -> int:
        self._files.reach("lock.open")
        path = os.path.join(self._location, LOCK_NAME)
        try:
            return self._files.open(path, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:
            raise StorageGoneError(f"the session directory {self._location} does not exist") from None
        except OSError as error:
            raise StorageError(f"the session {self._location} cannot be locked", errno=error.errno) from error

    def _try(self, fd: int) -> bool:
        try:
            check_regular(fd, os.path.join(self._location, LOCK_NAME))
        except CorruptedSessionError as error:
            raise StorageError(f"the session {self._location} cannot be locked: {error}", errno=errno.ENXIO) from None
        stat = os.fstat(fd)
        with _held_guard:
            other = _held.get((stat.st_dev, stat.st_ino))
        if other is not None and other is not self and other.held:
            raise _busy(self._location, LockOwner(pid=os.getpid()), " (in this process)")
        self._files.reach("lock.take")
        try:
            self._files.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise _cannot_lock(self._location, error) from error
        try:
            now = os.stat(os.path.join(self._location, LOCK_NAME), follow_symlinks=False)
        except FileNotFoundError:
            return False
        # The directory may have been exchanged between opening and locking; then this lock guards nothing.
        return (now.st_dev, now.st_ino) == (stat.st_dev, stat.st_ino)

    def _adopt(self, fd: int) -> None:
        stat = os.fstat(fd)
        pid = os.getpid()
        owner = {
            "pid": pid,
            "start_ticks": process_start_ticks(pid),
            "boot_id": boot_id(),
            "host": os.uname().nodename,
        }
        text = json.dumps(owner, sort_keys=True).encode("ascii") + b"\n"
        try:
            self._files.ftruncate(fd, 0)
            self._files.write_all(fd, text, 0)
        except OSError:
            pass  # a full disk must not keep a session from being opened; the text decides nothing
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._pid = fd, pid
        self._key = (stat.st_dev, stat.st_ino)
        with _held_guard:
            _held[self._key] = self


def _busy(location: str, owner: LockOwner, where: str = "") -> LockedStorageError:
    name = os.path.basename(location)
    return LockedStorageError(f"the session {name} is in use by {owner}{where}", pid=owner.pid)


def _cannot_lock(location: str, error: OSError) -> StorageError:
    if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
        return StorageFailedError(f"the file system of {location} cannot lock files", errno=error.errno)
    return StorageError(f"the session {location} cannot be locked", errno=error.errno)


def lock_owner(location: str) -> LockOwner | None:
    """Return who has the session locked now, or ``None``; changes nothing and needs no right to write."""
    try:
        fd = open_regular(os.path.join(location, LOCK_NAME))
    except (OSError, CorruptedSessionError):
        return None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read_owner(fd)
        except OSError:
            return None
        return None
    finally:
        os.close(fd)


def _forget_in_child() -> None:
    """After a fork: close the child's copies, so that the parent's lock ends with the parent."""
    global _held_guard
    _held_guard = threading.Lock()
    for lock in list(_held.values()):
        fd, lock._fd = lock._fd, None
        if fd is not None:
            os.close(fd)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)
