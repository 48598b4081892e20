# SPDX-License-Identifier: Apache-2.0
"""The store of the cache: a directory with one file for each item.

::

    v1/3f/9a0c...      an item, named by its key
    v1/locks/KEY       held by who computes that item
    v1/new/            what is being written

An item appears under its name whole and durable, in one step, and goes in one step. What is in the way of that costs
time, never a result: a file that does not verify counts as none and is removed. The time of a file says when it was
last used.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from plainbox.errors import TaskError
from plainbox.tasks.cache.item import CacheItem, read_about, read_item
from plainbox.tasks.cache.lock import KeyLock
from plainbox.tasks.identity import name_of_owner, owner_of_name

__all__ = ["DEFAULT_MAX_SIZE_BYTES", "CacheStore", "Entry", "Verification"]

_log = logging.getLogger(__name__)

DEFAULT_MAX_SIZE_BYTES = 1024**3

_VERSION = "v1"
_NEW = "new"
_LOCKS = "locks"
_EVICTION = "eviction"
_FIRST = re.compile(r"[0-9a-f]{2}")
_REST = re.compile(r"[0-9a-f]{62}")
#: How much of the limit is left when room was made, so that not each new item has to make room again.
_FILLED_AGAIN = 0.9


@dataclass(frozen=True)
class Entry:
    """An item as its directory shows it: ``used`` is when it was last used, in seconds of the wall clock."""

    key: str
    path: str
    size_bytes: int
    used: float

    def about(self) -> CacheItem | None:
        """Return what the item is of, without its result and unverified; None when it does not say."""
        try:
            return read_about(self.path)
        except (OSError, ValueError):
            return None


@dataclass(frozen=True)
class Verification:
    """What a look at every item has found. ``removed`` has key and reason of each item that was no good."""

    good: int
    size_bytes: int
    removed: tuple[tuple[str, str], ...]
    leftovers: int


class CacheStore:
    """The items below one directory, for any number of threads and processes.

    Every method raises :class:`~plainbox.errors.TaskError` when the directory is not this user's alone, and otherwise
    the errors of the system.
    """

    def __init__(self, directory: str | os.PathLike[str], *, max_size_bytes: int = DEFAULT_MAX_SIZE_BYTES) -> None:
        self.directory = Path(directory)
        self.max_size_bytes = max_size_bytes
        self._base = os.path.join(self.directory, _VERSION)
        #: What is stored, as far as this process knows; None until it has looked.
        self._size_bytes: int | None = None

    # -- one item

    def look_up(self, key: str, *, ttl_s: float | None = None, touch: bool = True) -> CacheItem | None:
        """Return the item, None when there is none or it is older than ``ttl_s``; ``touch`` notes that it was used.

        An item that is no good is removed with a warning.
        """
        if not self._exists():
            return None
        path = self.path_of(key)
        try:
            item = read_item(path, key)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self.reject(key, error)
            return None
        if ttl_s is not None and not 0 <= time.time() - item.created < ttl_s:
            return None
        if touch:
            with suppress(OSError):
                os.utime(path)
        return item

    def publish(self, item: CacheItem) -> None:
        """Store an item, in the place of one with its key; :class:`ValueError` when it is too large."""
        content = item.encode()
        if len(content) > self.max_size_bytes:
            raise ValueError(f"it has {len(content)} bytes, and the whole cache {self.max_size_bytes}")
        self._make()
        path = self.path_of(item.key)
        new = os.path.join(self._base, _NEW, f"{name_of_owner('item-')}{os.urandom(8).hex()}")
        try:
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(fd)
            _make_directory(os.path.dirname(path))
            os.rename(new, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(new)
            raise
        _sync_directory(os.path.dirname(path))
        self._make_room(len(content))

    def reject(self, key: str, error: Exception) -> None:
        """Remove an item that is no good, and warn of it."""
        path = self.path_of(key)
        _log.warning("An item of the cache is no good and is removed (%s): %s", _reason(error), path)
        _remove(path)

    def path_of(self, key: str) -> str:
        """Return where an item is, if it is there."""
        return os.path.join(self._base, key[:2], key[2:])

    def lock(self, key: str) -> KeyLock | None:
        """Take the right to compute an item; None when somebody else has it."""
        self._make()
        return KeyLock.try_to_take(os.path.join(self._base, _LOCKS, key))

    def remove(self, entry: Entry) -> bool:
        """Remove an item that nobody computes; return whether it is gone."""
        lock = self.lock(entry.key)
        if lock is None:
            return False
        try:
            os.unlink(entry.path)
        except FileNotFoundError:
            pass
        finally:
            lock.release()
        if self._size_bytes is not None:
            self._size_bytes -= entry.size_bytes
        return True

    # -- all items

    def entries(self) -> list[Entry]:
        """Return all items, those that were used last first."""
        found: list[Entry] = []
        if not self._exists():
            return found
        for first in _names(self._base):
            if not _FIRST.fullmatch(first):
                continue
            with suppress(OSError), os.scandir(os.path.join(self._base, first)) as files:
                for file in files:
                    with suppress(FileNotFoundError):
                        if _REST.fullmatch(file.name):
                            status = file.stat(follow_symlinks=False)
                            found.append(Entry(first + file.name, file.path, status.st_size, status.st_mtime))
        return sorted(found, key=lambda entry: (-entry.used, entry.key))

    def verify(self) -> Verification:
        """Read every item, and remove those that are no good and what killed writers have left."""
        good = size_bytes = 0
        removed = []
        for entry in self.entries():
            try:
                read_item(entry.path, entry.key)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                _remove(entry.path)
                removed.append((entry.key, _reason(error)))
            else:
                good += 1
                size_bytes += entry.size_bytes
        return Verification(good, size_bytes, tuple(removed), self.sweep())

    def evict(
        self, *, max_size_bytes: int | None = None, which: Callable[[Entry], bool] = lambda entry: False
    ) -> list[Entry]:
        """Remove items, and return them: those of which ``which`` says so, and the least used until the rest fits.

        Items that somebody computes stay.
        """
        entries = self.entries()
        left_bytes = sum(entry.size_bytes for entry in entries)
        gone = []
        for entry in reversed(entries):
            too_much = max_size_bytes is not None and left_bytes > max_size_bytes
            if (too_much or which(entry)) and self.remove(entry):
                left_bytes -= entry.size_bytes
                gone.append(entry)
        self._size_bytes = left_bytes
        return gone

    def sweep(self) -> int:
        """Remove what killed processes have left; return how many unfinished items that were."""
        if not self._exists():
            return 0
        swept = 0
        for name in _names(os.path.join(self._base, _NEW)):
            owner = owner_of_name(name)
            if owner is None or not owner.alive:
                _remove(os.path.join(self._base, _NEW, name))
                swept += 1
        for name in _names(os.path.join(self._base, _LOCKS)):
            with suppress(OSError):
                lock = KeyLock.try_to_take(os.path.join(self._base, _LOCKS, name))
                if lock is not None:
                    lock.release()
        return swept

    # -- the limit

    def _make_room(self, added_bytes: int) -> None:
        """Note what was added, and remove the least used items once the limit is passed."""
        if self._size_bytes is None:
            self.sweep()
            self._size_bytes = sum(entry.size_bytes for entry in self.entries())
        else:
            self._size_bytes += added_bytes
        if self._size_bytes <= self.max_size_bytes:
            return
        lock = self.lock(_EVICTION)
        if lock is None:
            return  # somebody makes room at this moment
        try:
            self.evict(max_size_bytes=int(self.max_size_bytes * _FILLED_AGAIN))
        finally:
            lock.release()

    # -- the directory

    def _exists(self) -> bool:
        """Tell whether there is a store, and refuse one that is not this user's alone."""
        try:
            for path in (self.directory, self._base):
                _check_directory(path)
        except FileNotFoundError:
            return False
        return True

    def _make(self) -> None:
        if not self._exists():
            missing = [path for path in (self.directory, *self.directory.parents) if not path.exists()]
            _refuse_home_of_others(missing[-1].parent if missing else self.directory)
            for path in reversed(missing):
                _make_directory(path)
            _make_directory(self._base)
            self._exists()
        for name in (_NEW, _LOCKS):
            _make_directory(os.path.join(self._base, name))


def _check_directory(path: str | os.PathLike[str]) -> None:
    status = os.stat(path, follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode):
        raise TaskError(f"the cache is not used: {path} is no directory")
    if status.st_uid != os.geteuid():
        raise TaskError(f"the cache is not used: {path} belongs to user {status.st_uid}, and this is {os.geteuid()}")
    if status.st_mode & 0o022:
        raise TaskError(
            f"the cache is not used: {path} can be written by others",
            hint=f"if nobody else has put anything there: chmod -R go-w {path}",
        )


def _make_directory(path: str | os.PathLike[str]) -> None:
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)


def _refuse_home_of_others(above: Path) -> None:
    """Refuse to leave files of root in the home of somebody else, who could not use them any more."""
    if os.geteuid() == 0 and above.stat().st_uid != 0:
        raise TaskError(f"the cache is not used: {above} belongs to user {above.stat().st_uid}, and this is root")


def _names(directory: str) -> Iterator[str]:
    with suppress(FileNotFoundError):
        yield from sorted(os.listdir(directory))


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError:
        import shutil

        # Somebody has put a directory there.
        shutil.rmtree(path, ignore_errors=True)


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
