# SPDX-License-Identifier: Apache-2.0
"""A session storage that never touches a disk: the real one, over files in the memory of the machine.

The store is its files: locks, logs, archives and repairs all work on a directory. A second store that only looks like it
would have to be kept equal to the first for ever, and would still have no place for the logs and for what jobs leave to
each other. So there is one store, and here the directory lies in memory (``/dev/shm``, or where temporary files go when
there is no such place), nothing is synced, and it is gone when nobody has it any more.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref

from plainbox.clock import SYSTEM_CLOCK, Clock
from plainbox.session.files import FileOps, PathLike
from plainbox.session.storage import SessionStorage
from plainbox.tasks.identity import name_of_owner, owner_of_name
from plainbox.testing.files import Stopped

__all__ = ["MemoryStorage"]

_MEMORY = "/dev/shm"  # noqa: S108 - each storage has a private directory in it
_PREFIX = "plainbox-memory-"


class _Files(FileOps):
    """Files that are never synced, and that nobody writes to once the tester has ended."""

    def __init__(self) -> None:
        super().__init__(durable=False)
        self.ended = False

    def reach(self, point: str) -> None:
        if self.ended:
            raise Stopped


class MemoryStorage(SessionStorage):
    """The storage of one session, made with :meth:`create`, with everything that the other one does.

    ``durable`` is taken, as the other one takes it, and changes nothing: memory has nothing to sync to.
    With ``files=FaultyFiles()`` it has a medium that fails; :meth:`fail_next` is enough where the error alone matters.
    """

    def __init__(
        self, location: PathLike, *, durable: bool = False, files: FileOps | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        super().__init__(location, files=files if files is not None else _Files(), clock=clock)
        self._errors: list[BaseException] = []
        #: The storage that removes the files when nobody has it any more.
        self._maker: MemoryStorage | None = None

    @classmethod
    def create(
        cls,
        base_dir: PathLike | None = None,
        prefix: str = "pbox-",
        *,
        durable: bool = False,
        files: FileOps | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> MemoryStorage:
        """Return the storage of a new session, locked; what it keeps is gone with the last object that stands for it."""
        files = files if files is not None else _Files()
        home = _make_home() if base_dir is None else os.fspath(base_dir)
        storage = super().create(home, prefix, files=files, clock=clock)
        assert isinstance(storage, MemoryStorage)
        if base_dir is None:
            weakref.finalize(storage, _remove_home, home, os.getpid())
        return storage

    def again(self) -> MemoryStorage:
        """Return another storage of the same session, not locked: what the next program to open it has."""
        other = type(self)(self.location, clock=self.clock)
        other._maker = self if self._maker is None else self._maker
        return other

    def fail_next(self, error: BaseException) -> None:
        """Let the next :meth:`save_checkpoint` raise this and save nothing; called twice, the next two."""
        self._errors.append(error)

    def save_checkpoint(self, data: bytes) -> None:
        if self._errors:
            raise self._errors.pop(0)
        super().save_checkpoint(data)

    def end_tester(self) -> None:
        """Raise :class:`Stopped` as if the tester were killed here.

        Nothing is written after this, not even an end of the journal or of a log, and the lock is free. :meth:`again`
        then gives the storage for going on.
        """
        if isinstance(self._files, _Files):
            self._files.ended = True
        with self._mutex:
            if self._writer is not None:
                self._writer.abandon()
                self._writer = None
            self._lock.release()
            self._closed = "left by a tester that was killed"
        raise Stopped


def _make_home() -> str:
    """Make a private directory in memory, having removed those of processes that were killed before they could."""
    parent = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else tempfile.gettempdir()
    for name in os.listdir(parent):
        if name.startswith(_PREFIX):
            owner = owner_of_name(name)
            if owner is not None and not owner.alive:
                shutil.rmtree(os.path.join(parent, name), ignore_errors=True)
    return tempfile.mkdtemp(prefix=name_of_owner(_PREFIX), dir=parent)


def _remove_home(home: str, maker: int) -> None:
    if os.getpid() == maker:  # not in a child made by fork, which ends earlier
        with contextlib.suppress(OSError):
            shutil.rmtree(home)
