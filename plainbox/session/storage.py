# SPDX-License-Identifier: Apache-2.0
"""One stored session.

::

    <repository>/<id>.session/
        lock                     who may write
        journal-000001.pbj       the state, generation by generation
        head.json                how far the journal was when it was last acknowledged
        io-logs/                 the output of each attempt
        attachments/             the files that attempts have attached

Used by the session manager (save, load, remove) and by whatever looks at stored sessions. What must stay true: a
directory becomes visible complete and disappears whole; what :meth:`SessionStorage.save_checkpoint` has accepted is
durable when it returns; reading needs no lock and changes nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

import attrs

from plainbox.clock import SYSTEM_CLOCK, Clock
from plainbox.errors import (
    CorruptedSessionError,
    LockedStorageError,
    SessionError,
    StorageClosedError,
    StorageError,
    StorageFailedError,
    StorageFullError,
    StorageGoneError,
)
from plainbox.session.codec import JsonObject, parse_object
from plainbox.session.directory import IO_LOGS, SUFFIX, creation_time, hide_session, remove_tree, sync_names
from plainbox.session.files import NOT_REGULAR, FileOps, PathLike, deferred_signals
from plainbox.session.generation import generation_name, generations, read_head
from plainbox.session.journal import JournalReader, JournalWriter, Position
from plainbox.session.lock import LockOwner, SessionLock, lock_owner
from plainbox.session.repository import SessionStorageRepository, damage_hint, usable_repository
from plainbox.session.staging import make_session
from plainbox.session.tree import Tree, check_change, tree_of

__all__ = [
    "SessionStorage",
    "SessionStorageRepository",
    "JournalInfo",
    "CorruptedSessionError",
    "LockedStorageError",
    "StorageError",
    "StorageClosedError",
    "StorageFailedError",
    "StorageFullError",
    "StorageGoneError",
]

_T = TypeVar("_T")

#: The storage that keeps a tree: one at most, since a listing looks at many sessions and asks none of them again.
_keeper: weakref.ref[SessionStorage] | None = None


@attrs.frozen
class JournalInfo:
    """What a listing says about a stored session without reading its journal.

    ``created`` and ``last_change`` are seconds since the epoch, ``None`` when unknown; ``generation`` is 0 and
    ``size_bytes`` 0 before the first checkpoint.
    """

    created: float | None
    last_change: float | None
    size_bytes: int
    generation: int


class SessionStorage:
    """One session on disk. Making the object touches nothing; the lock is taken with the first save.

    ``environment`` and ``why`` go into the ``open`` record of the journal when this object starts to write: set them
    before the first save. ``durable=False`` leaves out every sync, for sessions that are thrown away.

    Methods may be called from several threads; saves wait for each other. In a child made by fork every save raises
    :class:`StorageClosedError`.
    """

    def __init__(
        self,
        location: PathLike,
        *,
        durable: bool = True,
        files: FileOps | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        path = os.fspath(location)
        if not isinstance(path, str):
            raise TypeError(f"the location of a session is a str or a Path, not {type(location).__name__}")
        self._location = path
        self._files = FileOps(durable=durable) if files is None else files
        self._clock = clock
        self._lock = SessionLock(path, self._files)
        self._mutex = threading.Lock()
        self._writer: JournalWriter | None = None
        self._known: Position | None = None
        #: What the last look has read, for whoever loads the session next.
        self._kept: tuple[Position, Tree] | None = None
        self._pending_notes: list[tuple[str, JsonObject]] = []
        #: Whether there may be logs that nobody has synced: who has worked with the session before is not known.
        self._careless = True
        self._made_durable = False
        self._sync_failure: str | None = None
        self._closed: str | None = None
        self._pid = os.getpid()
        self.environment: JsonObject = {}
        self.why: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._location}>"

    def __enter__(self) -> SessionStorage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def location(self) -> str:
        """The directory of the session."""
        return self._location

    @property
    def id(self) -> str:
        """The name of the directory without its suffix."""
        return os.path.basename(os.path.normpath(self._location)).removesuffix(SUFFIX)

    @property
    def files(self) -> FileOps:
        """The seam to the file system: whoever writes into the session goes through it too."""
        return self._files

    @property
    def clock(self) -> Clock:
        """The clock of everything that is written into the session."""
        return self._clock

    # Making and removing

    @classmethod
    def create(
        cls,
        base_dir: PathLike,
        prefix: str = "pbox-",
        *,
        durable: bool = True,
        files: FileOps | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> SessionStorage:
        """Make the directory of a new session, lock it and return its storage.

        ``base_dir`` is made, for the user alone, when it is missing. The name is the prefix, everything but ASCII
        letters, digits and ``-_.`` replaced by ``_``, with the time in UTC, and ``_(n)`` when that is taken.

        :raises StorageError: no session can be made there.
        """
        ops = FileOps(durable=durable) if files is None else files
        with usable_repository(os.fspath(base_dir)):
            location, lock = make_session(ops, os.fspath(base_dir), prefix, clock.time())
        storage = cls(location, files=ops, clock=clock)
        storage._lock = lock
        storage._careless = not ops.durable
        return storage

    def remove(self) -> None:
        """Delete the session with everything in it; what cannot be deleted is logged. Twice is as good as once.

        :raises LockedStorageError: another process uses it; nothing was changed.
        """
        with self._mutex:
            if self._closed == "removed":
                return
            self._check_process()
            if self._writer is not None:
                self._writer.abandon()
                self._writer = None
            try:
                self._lock.acquire()
            except StorageGoneError:
                self._closed = "removed"
                return
            except StorageError as error:
                # Something else stands in the place of the lock: nobody can own it, and it goes with the rest.
                if error.errno not in NOT_REGULAR:
                    raise
            try:
                hidden = hide_session(self._files, self._location)
            except OSError as error:
                self._lock.release()
                raise StorageError(f"the session {self._location} cannot be removed", errno=error.errno) from error
            self._closed = "removed"
            self._files.reach("remove.tree")
            remove_tree(hidden)
            self._lock.release()

    # Loading and saving

    def load_checkpoint(self) -> bytes:
        """Return the full representation of the last acknowledged state, in canonical bytes.

        :raises FileNotFoundError: no checkpoint was ever made; as :class:`StorageGoneError`, the directory is gone.
        :raises CorruptedSessionError: what is stored is not what was acknowledged.
        :raises IncompatibleSessionError: a later version wrote it.
        """
        return self.load_tree().as_bytes()

    def load_tree(self) -> Tree:
        """Return the last acknowledged state as it is folded from the journal; errors as in :meth:`load_checkpoint`."""
        tree = self._load()
        self._kept = None
        return tree

    def save_checkpoint(self, data: bytes) -> None:
        """Make a change (``"t": "ck"``) or a whole state (``"t": "full"``) durable; on return it is.

        An error of the store says that nothing of it was acknowledged. SIGINT, SIGTERM and SIGHUP wait for the end of
        it: what their handlers raise comes after the checkpoint is durable. To save it again then does no harm.

        :raises TypeError: not bytes.
        :raises ValueError: neither of the two; nothing was written.
        :raises LockedStorageError: another process, or another storage object, is the writer.
        :raises StorageFullError: no space; save again when there is.
        :raises StorageFailedError: the medium failed or somebody interfered. Once something was saved through this
            object, it will not save again.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"a checkpoint is bytes, not {type(data).__name__}")
        change, full = _parse_checkpoint(data)
        with deferred_signals(), self._mutex:
            writer = self._writing()
            if full is not None:
                writer.replace(full)
            else:
                writer.append(change)

    def note(self, kind: str, data: JsonObject, *, now: bool = False) -> None:
        """Put a remark into the journal together with the next change, or with ``now`` on its own and at once."""
        with deferred_signals(), self._mutex:
            if now:
                self._writing().note(kind, data, now=True)
                return
            self._check_open()
            if self._writer is not None:
                self._writer.note(kind, data)
            else:
                self._pending_notes.append((kind, data))

    def make_durable(self) -> None:
        """Sync from here on, also when the session was made without; the next checkpoint makes all before it durable.

        :raises StorageFailedError: the medium refuses, now or at an earlier call: nobody knows then what is on it.
        """
        with self._mutex:
            self._check_open()
            if self._made_durable:
                return
            if self._sync_failure is not None:
                # A second sync may succeed without having written anything.
                raise StorageFailedError(f"{self._sync_failure}: that has failed before")
            self._files.durable = True
            try:
                # What a result refers to comes before it: the bytes of the journal are synced with the next record.
                if self._careless:
                    self._sync_logs()
                self._files.sync_directory(self._location)
                sync_names(self._files, self._location)
            except OSError as error:
                self._sync_failure = f"{self._location} cannot be made durable"
                raise StorageFailedError(self._sync_failure, errno=error.errno) from error
            self._made_durable = True

    def _sync_logs(self) -> None:
        """Sync all logs, and then their names; what stands there and is no file is nobody's log.

        What a job has taken the rights from is passed by: the session shall go on all the same.
        """
        directory = os.path.join(self._location, IO_LOGS)
        if os.path.islink(directory) or not os.path.isdir(directory):
            return
        with contextlib.suppress(PermissionError):
            with os.scandir(directory) as entries:
                logs = [entry.path for entry in entries if entry.is_file(follow_symlinks=False)]
            for path in sorted(logs):
                with contextlib.suppress(PermissionError):
                    self._sync_log(path)
            self._files.sync_directory(directory)

    def _sync_log(self, path: str) -> None:
        fd = self._files.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            self._files.fdatasync(fd)
        finally:
            self._files.close(fd)

    def compact(self) -> None:
        """Write the state as a new generation, so that the journal is as short as it can be."""
        with deferred_signals(), self._mutex:
            self._writing().compact()

    def has_checkpoint(self) -> bool:
        """Tell whether there is a checkpoint to load, good or damaged."""
        directory = self._open_directory()
        try:
            return bool(generations(directory))
        finally:
            os.close(directory)

    def records(self) -> list[JsonObject]:
        """Return what the records of the current generation say, oldest first, verified."""
        with self._mutex:
            return self._read(JournalReader.records)

    def journal_info(self) -> JournalInfo:
        """Return what a listing needs, without a lock and without reading the journal."""
        directory = self._open_directory()
        try:
            head = read_head(directory) or {}
            created = head.get("created")
            current = (generations(directory) or [0])[-1]
            stat = os.stat(generation_name(current), dir_fd=directory) if current else None
        finally:
            os.close(directory)
        return JournalInfo(
            created=float(created) if isinstance(created, int | float) else creation_time(self.id),
            last_change=stat.st_mtime if stat else None,
            size_bytes=stat.st_size if stat else 0,
            generation=current,
        )

    def closing_summary(self) -> JsonObject | None:
        """Return what :meth:`close` was told of the session; ``None`` when the journal, proven good, does not tell it."""
        return self._read(JournalReader.summary)

    def peek_metadata(self) -> dict[str, JsonObject]:
        """Return ``meta``, the metadata of the session, and ``outcomes``, how many jobs ended with which one.

        Both are empty before the first checkpoint. Needs no lock; the last result of each job counts.

        :raises SessionError: the session cannot be read; the message says why in one sentence.
        """
        try:
            tree = self._load(keep=True)
        except SessionError:
            raise
        except FileNotFoundError:
            return {"meta": {}, "outcomes": {}}
        except OSError as error:
            raise StorageError(f"the session {self._location} cannot be read", errno=error.errno) from error
        last = (attempts[max(attempts)].get("outcome") for attempts in tree.results.values() if attempts)
        return {
            "meta": dict(tree.meta),
            "outcomes": dict(Counter(str(outcome) for outcome in last if outcome is not None)),
        }

    # The lock

    def lock(self) -> None:
        """Become the writer of the session, or raise :class:`LockedStorageError`; saving does so by itself."""
        with self._mutex:
            self._check_open()
            self._lock.acquire()

    def unlock(self) -> None:
        """End writing and give the lock back; the next save takes it again."""
        with deferred_signals(), self._mutex:
            self._stop_writing()

    def close(self, summary: JsonObject | None = None) -> None:
        """End writing for good: later saves raise :class:`StorageClosedError`, loading still works.

        ``summary`` is for :meth:`closing_summary`; it must be small and agree with the last checkpoint.
        """
        with deferred_signals(), self._mutex:
            self._stop_writing(summary)
            self._closed = self._closed or "closed"

    def is_locked(self) -> bool:
        """Tell whether somebody, this object included, is the writer now."""
        return self.owner() is not None

    def owner(self) -> LockOwner | None:
        """Return what is known about the writer, ``None`` when there is none."""
        return lock_owner(self._location)

    def break_lock(self) -> None:
        """Remove what dead writers left behind; a living one raises :class:`LockedStorageError` and stays."""
        with self._mutex:
            self._check_open()
            held = self._lock.held
            self._lock.acquire()
            try:
                for name in os.listdir(self._location):
                    path = os.path.join(self._location, name)
                    if name.endswith(".tmp") and not os.path.isdir(path):
                        self._files.unlink(path)
            finally:
                if not held:
                    self._lock.release()

    # Inside

    def _load(self, *, keep: bool = False) -> Tree:
        """Return the state, read anew unless the last look has kept it and the journal has not changed since."""
        with self._mutex:
            found = self._read(self._recall)
            if found is None:
                raise FileNotFoundError(errno.ENOENT, "the session has no checkpoint yet", self._location)
            self._known, tree = found
            if keep:
                self._keep(found)
            return tree

    def _recall(self, reader: JournalReader) -> tuple[Position, Tree] | None:
        if self._kept is not None:
            with contextlib.suppress(OSError):
                if reader.is_current(self._kept[0]):
                    return self._kept
        return reader.load()

    def _keep(self, found: tuple[Position, Tree]) -> None:
        global _keeper
        other = _keeper() if _keeper is not None else None
        if other is not None:
            other._kept = None
        self._kept, _keeper = found, weakref.ref(self)

    def _read(self, reading: Callable[[JournalReader], _T]) -> _T:
        directory = self._open_directory()
        try:
            return reading(JournalReader(directory, self._location, alone=self._lock.held))
        except CorruptedSessionError as error:
            error.hint = error.hint or damage_hint(self._location)
            raise
        finally:
            os.close(directory)

    def _open_directory(self) -> int:
        try:
            return self._files.open_directory(self._location)
        except FileNotFoundError:
            raise StorageGoneError(f"the session directory {self._location} does not exist") from None

    def _writing(self) -> JournalWriter:
        """Return the writer, made and locked when there is none yet."""
        self._check_open()
        if self._writer is not None:
            return self._writer
        held = self._lock.held
        self._lock.acquire()
        writer: JournalWriter | None = None
        try:
            writer = JournalWriter(
                self._location,
                self._files,
                created=creation_time(self.id) or self._clock.time(),
                environment=self.environment,
                why=self.why,
                clock=self._clock,
            )
            writer.open(self._known)
            for kind, data in self._pending_notes:
                writer.note(kind, data)
        except FileNotFoundError as error:
            self._give_up(writer, held)
            raise StorageGoneError(f"the session directory {self._location} is incomplete: {error}") from error
        except BaseException:
            self._give_up(writer, held)
            raise
        self._pending_notes.clear()
        self._known = self._kept = None
        self._writer = writer
        return writer

    def _give_up(self, writer: JournalWriter | None, held: bool) -> None:
        if writer is not None:
            writer.abandon()
        if not held:
            self._lock.release()

    def _stop_writing(self, summary: JsonObject | None = None) -> None:
        writer, self._writer = self._writer, None
        if self._pid == os.getpid():
            if writer is not None:
                writer.close(summary)
            self._lock.release()

    def _check_open(self) -> None:
        self._check_process()
        if self._closed is not None:
            raise StorageClosedError(f"the session {self._location} was {self._closed}")

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise StorageClosedError(f"the session {self._location} belongs to process {self._pid}, not to this child")


def _parse_checkpoint(data: bytes) -> tuple[JsonObject, Tree | None]:
    """Return the change, and the state when the bytes hold a whole one."""
    try:
        change = parse_object(data)
        kind = change.get("t")
        if kind not in ("ck", "full"):
            raise ValueError(f"it says {kind!r} where 'ck' or 'full' is expected")
        if kind == "full":
            return change, tree_of(change)
        check_change(change)
    except ValueError as error:
        raise ValueError(f"this is not a checkpoint of a session: {error}") from error
    return change, None
