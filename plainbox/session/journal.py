# SPDX-License-Identifier: Apache-2.0
"""The journal of a session: an append-only, checksummed, chained log in generations.

``journal-000001.pbj`` and so on; the file with the highest number is current. :class:`JournalReader` is for anybody,
:class:`JournalWriter` for the one owner of the session's lock.

What must stay true:

* One record in flight: the next one is written only after the sync of the last one. So a torn tail holds nothing
  that was acknowledged. For the same reason a note never shares a sync with a change as a line of its own; it
  travels inside the change.
* After a failed sync nobody knows what is on disk, and a second sync of the same descriptor may succeed without
  having written anything. So it is never asked again: the proven beginning of the file is read back and becomes,
  with the change in hand, the next generation.
* What is acknowledged can be read: no file grows beyond what a reader takes. What has no room any more goes into the next
  generation, which holds the state alone, or is refused.
* An error before the record is durable leaves the file as it was, as far as the system lets us; the next append
  makes sure of it before it writes.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Iterable
from typing import Final

from plainbox import __version__
from plainbox.clock import SYSTEM_CLOCK, Clock
from plainbox.errors import CorruptedSessionError, StorageFailedError, StorageFullError
from plainbox.session.codec import MAX_PAYLOAD_BYTES, JsonObject, encode_body
from plainbox.session.dump import dump, trimmed
from plainbox.session.files import FileOps
from plainbox.session.generation import LineEnd, generation_name, generations, is_current, session_is_full
from plainbox.session.hint import HINT_NAME, Hint, write_hint
from plainbox.session.journal_file import JournalFile
from plainbox.session.journal_reader import JournalReader, Position
from plainbox.session.scan import SCHEMA, remarks_of
from plainbox.session.tree import Tree, fold

__all__ = ["JournalReader", "JournalWriter", "Position"]

_log = logging.getLogger(__name__)

_COMPACT_BYTES: Final = 8 * 1024 * 1024
_COMPACT_RATIO: Final = 4
_CLOCK_JUMP_S: Final = 60.0


class JournalWriter:
    """Appends to the journal of one session. The caller holds the lock and calls from one thread at a time.

    ``environment`` and ``why`` go into the ``open`` records, ``created`` is when the session was. After a
    :class:`StorageFailedError` every later call raises one.
    """

    def __init__(
        self,
        location: str,
        files: FileOps,
        *,
        created: float,
        environment: JsonObject | None = None,
        why: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._file: JournalFile | None = None
        self._hint_fd: int | None = None
        self._directory = -1
        self._location = location
        self._session_id = os.path.basename(location).removesuffix(".session")
        self._files = files
        self._created = created
        self._environment = environment or {}
        self._why = why
        self._head: JsonObject = {}
        self._generation = 0
        self._number = 0
        #: A sync of the current file failed; nothing may be added to it any more.
        self._abandoned = False
        #: The size of a record that had no room, neither in the current file nor in a new one.
        self._refused_bytes: int | None = None
        self._failure: str | None = None
        self._notes: list[JsonObject] = []
        #: What the current file tells of openings and notes; the next generation goes on telling it.
        self._past: list[JsonObject] = []
        self._clock = clock
        #: What the wall and the monotonic clock said at the last checkpoint, in seconds.
        self._last_reading: tuple[float, float] | None = None
        self._directory = files.open_directory(location)

    # What the storage calls

    def open(self, known: Position | None = None) -> None:
        """Continue the current generation, its torn tail cut off; without one, be ready to make the first.

        ``known`` is what an earlier reading proved; it saves reading again when the file has not changed since.
        After an error the writer is of no use; closing it is all that is left.
        """
        self._drop_leftovers()
        if known is None or not is_current(self._directory, known.generation, known.identity):
            known = JournalReader(self._directory, self._location, alone=True).position()
        if known is None:
            return
        self._files.reach("open.journal")
        fd = self._files.open(generation_name(known.generation), os.O_RDWR, dir_fd=self._directory)
        end = LineEnd(known.size_bytes, known.seq, known.sum)
        file = JournalFile(self._files, self._directory, self._location, known.generation, fd, end)
        self._adopt(file, known.generation, known.head)
        self._number = known.number
        self._past = list(known.remarks)
        if known.torn or known.unterminated:
            self._cut(unterminated=known.unterminated)
        self._commit(self._open_record("resume"))
        self._compact_if_worth_it()

    def append(self, change: JsonObject) -> None:
        """Make one change durable: one write and one sync. Without a journal it becomes the first generation.

        :raises StorageFullError: no space, or more than a session can hold; the file ends where it did, and the writer can
            be used again.
        :raises StorageFailedError: the medium failed, also for a new file, or somebody else wrote to the journal.
        :raises ValueError: the change cannot be stored; nothing was written.
        """
        self._check_usable()
        record = {**change, "t": "ck", "n": self._number + 1, **self._tell_time()}
        if self._notes:
            record["notes"] = list(self._notes)
        self._commit(record)
        self._notes.clear()

    def replace(self, tree: Tree) -> None:
        """Make the whole state durable as a new generation, counted as a checkpoint; errors as in :meth:`append`."""
        self._check_usable()
        self._tell_time()
        self._start_generation(tree, self._number + 1, "full")

    def compact(self) -> None:
        """Write the state as a new generation without counting it as a checkpoint."""
        self._check_usable()
        if self._generation:
            self._start_generation(self._read_back(), self._number, "compact")

    def start_over(
        self,
        tree: Tree,
        number: int,
        *,
        generation: int,
        head: JsonObject,
        past: Iterable[JsonObject] = (),
        session_id: str | None = None,
    ) -> None:
        """Make the state durable as ``generation``, whatever the files before it hold: the beginning after a salvage.

        ``head`` is what is known of the session, ``past`` its openings and notes; ``number`` counts the state as a
        checkpoint; errors as in :meth:`append`. With ``session_id`` the session is another one from here on.
        """
        self._check_usable()
        self._past = list(past)
        self._drop_leftovers()
        self._generation, self._head = generation - 1, head
        if session_id is not None:
            self._session_id = session_id
        self._start_generation(tree, number, "salvage")

    def note(self, kind: str, data: JsonObject, *, now: bool = False) -> None:
        """Put a remark into the journal, with the next change or, on request, at once."""
        self._check_usable()
        remark: JsonObject = {"kind": kind, "data": data, **self._clock_fields()}
        encode_body(remark)  # refused here, not when it is too late to tell whose it was
        if now and self._generation:
            self._commit({**remark, "t": "note"})
        else:
            self._notes.append(remark)

    def close(self, summary: JsonObject | None = None) -> None:
        """Mark the clean end, drop the generations that the current one replaced, and close the files.

        ``summary`` is what a listing says of the session, so that it need not read the rest. Everything was durable
        before, so trouble here is logged and nothing more; the next writer cleans up.
        """
        try:
            if self._file is not None and self._failure is None and not self._abandoned:
                notes, self._notes = self._notes, []
                for remark in notes:
                    self._append({**remark, "t": "note"})
                told = {} if summary is None else {"summary": summary}
                self._append({"t": "close", "why": "end", **told, **self._clock_fields()})
                self._drop_old_generations()
        except OSError as error:
            _log.warning("The journal of %s has no clean end: %s", self._location, error)
        finally:
            self._notes.clear()
            self._close_files()

    def abandon(self) -> None:
        """Close the files and leave the journal as it is."""
        self._close_files()

    # One record

    def _commit(self, record: JsonObject) -> None:
        """Append a record durably; when that file cannot be trusted with it, carry on in the next generation."""
        if self._file is None or self._abandoned:
            self._carry_on(record)
            return
        try:
            self._append(record)
        except StorageFullError as error:
            self._note_full(error)
            raise
        except StorageFailedError as error:
            self._failure = self._failure or error.message
            raise
        except OSError as error:
            self._abandon_file(error)
            self._carry_on(record)

    def _abandon_file(self, error: OSError) -> None:
        """Add nothing to the current file any more, and let the next generation tell why there is one."""
        self._abandoned = True
        failure: JsonObject = {"gen": self._generation, "errno": error.errno}
        self._notes.append({"kind": "sync-failed", "data": failure, **self._clock_fields()})

    def _append(self, record: JsonObject) -> None:
        """Append a record durably or raise; an :class:`OSError` that is no storage error means: do not go on here."""
        body = encode_body(record)
        assert self._file is not None
        if len(body) > MAX_PAYLOAD_BYTES or not self._file.has_room(body):
            self._carry_on_shorter(record, len(body))
            return
        self._file.append(body)
        self._number = record.get("n", self._number)
        self._past += remarks_of(record)
        self._update_hint()

    def _cut(self, *, unterminated: bool) -> None:
        assert self._file is not None
        try:
            self._file.cut(unterminated=unterminated)
        except StorageFullError as error:
            self._note_full(error)
            raise
        except OSError as error:
            self._abandon_file(error)

    # A generation

    def _carry_on(self, record: JsonObject) -> None:
        """Fold the record into what is proven on disk and write that as the next generation."""
        tree = self._read_back() if self._generation else Tree()
        if record["t"] == "ck":
            fold(tree, record)
        elif record["t"] == "note":
            self._notes.append(record)
        why = "recover" if self._abandoned else "full"
        self._start_generation(tree, record.get("n", self._number), why)

    def _carry_on_shorter(self, record: JsonObject, size_bytes: int) -> None:
        """Carry on where the state alone may have room; where it had none, nothing as long is tried again."""
        if self._refused_bytes is not None and size_bytes >= self._refused_bytes:
            raise session_is_full()
        try:
            self._carry_on(record)
        except StorageFullError as error:
            if error.errno is None:  # not for want of space on the disk
                self._refused_bytes = size_bytes
            raise

    def _read_back(self) -> Tree:
        """Return the state that the current file proves; it must be exactly what we wrote."""
        assert self._file is not None
        try:
            return self._file.read_back()
        except CorruptedSessionError as error:
            self._failure = f"the journal of {self._location} cannot be read back: {error}"
            raise StorageFailedError(self._failure) from error
        except OSError as error:
            raise self._poison(error) from error

    def _start_generation(self, tree: Tree, number: int, why: str) -> None:
        """Write the state as the next generation, complete before it gets its name, and continue there."""
        generation = self._generation + 1
        head = self._next_head(generation)
        notes = [{**remark, "t": "note"} for remark in self._notes]
        # Whoever only compacts has told its opening, with all there is to tell of it, in the file before.
        opening = [self._open_record(why if self._generation else "create")] if why != "compact" else []
        past = [*trimmed(self._past), *opening, *notes]
        records = dump(head, tree, number, past, self._clock_fields())
        try:
            file = JournalFile.make(self._files, self._directory, self._location, generation, records)
        except StorageFullError as error:
            self._note_full(error)
            raise
        except ValueError:
            raise
        except OSError as error:
            raise self._poison(error) from error
        except BaseException:
            # Whether the new file has its name is not known here, so the old one must not grow any more.
            self._failure = f"writing a new generation of {self._location} was interrupted"
            raise
        self._adopt(file, generation, head)
        self._number = number
        self._past = past
        self._notes.clear()
        self._update_hint()

    def _next_head(self, generation: int) -> JsonObject:
        end = LineEnd() if self._file is None else self._file.end
        parent = {"gen": self._generation, "seq": end.seq, "sum": end.sum}
        # What a later version has put into the head stays there.
        return {
            "opt": [],
            "uuid": os.urandom(16).hex(),
            "created": self._created,
            **self._head,
            "t": "head",
            "schema": SCHEMA,
            "req": [],
            "id": self._session_id,
            "gen": generation,
            "base": True,
            "parent": parent if self._generation else None,
            "at": round(self._clock.time(), 6),
            "by": f"plainbox {__version__}",
        }

    def _compact_if_worth_it(self) -> None:
        assert self._file is not None
        size_bytes = self._file.end.size_bytes
        if size_bytes <= _COMPACT_BYTES:
            return
        tree = self._read_back()
        if size_bytes > _COMPACT_RATIO * len(tree.as_bytes()):
            with contextlib.suppress(StorageFullError):  # the longer journal is as good as the shorter one
                self._start_generation(tree, self._number, "compact")

    def _drop_old_generations(self) -> None:
        for generation in generations(self._directory):
            if generation < self._generation:
                self._files.reach("close.unlink")
                self._unlink_quietly(generation_name(generation))

    def _drop_leftovers(self) -> None:
        """Delete what writers that are dead now did not finish; the lock is ours, so nobody else is at it."""
        for name in os.listdir(self._directory):
            if name.endswith(".pbj.tmp"):
                self._unlink_quietly(name)

    # Records that are not the caller's

    def _open_record(self, why: str) -> JsonObject:
        return {
            "t": "open",
            "pid": os.getpid(),
            "env": self._environment,
            "why": self._why or why,
            "from": SCHEMA,
            **self._clock_fields(),
        }

    def _tell_time(self) -> JsonObject:
        """Return the clock fields of a checkpoint, and note when the wall clock has jumped since the last one."""
        fields = self._clock_fields()
        wall, monotonic_s = fields["w"], fields["m"] / 1e6
        if self._last_reading is not None:
            jump_s = (wall - self._last_reading[0]) - (monotonic_s - self._last_reading[1])
            if abs(jump_s) > _CLOCK_JUMP_S:
                self._notes.append({"kind": "clock-jump", "data": {"by_s": round(jump_s, 3)}, **fields})
        self._last_reading = wall, monotonic_s
        return fields

    def _clock_fields(self) -> JsonObject:
        return {"w": round(self._clock.time(), 6), "m": self._clock.monotonic_ns() // 1000}

    # Files and failures

    def _adopt(self, file: JournalFile, generation: int, head: JsonObject) -> None:
        """Make ``file`` the one that is written to."""
        old, self._file = self._file, file
        self._generation, self._head = generation, head
        self._abandoned = False
        self._refused_bytes = None
        if old is not None:
            self._close_quietly(old.fd)

    def _update_hint(self) -> None:
        if self._file is None or not self._files.durable:
            return
        end = self._file.end
        with contextlib.suppress(OSError):  # a hint that lags behind means nothing, and the record is safe
            self._files.reach("append.hint")
            if self._hint_fd is None:
                self._hint_fd = self._files.open(HINT_NAME, os.O_RDWR | os.O_CREAT, dir_fd=self._directory)
            hint = Hint(self._head["uuid"], self._generation, end.seq, end.sum, end.size_bytes)
            write_hint(self._files, self._hint_fd, hint)

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise StorageFailedError(self._failure)

    def _poison(self, error: OSError) -> StorageFailedError:
        message = f"the storage of the session {self._location} failed"
        self._failure = f"{message} before: {os.strerror(error.errno or errno.EIO)}"
        return StorageFailedError(message, errno=error.errno, hint="look at the medium and the kernel's messages")

    def _note_full(self, error: StorageFullError) -> None:
        if not any(remark["kind"] == "storage-full" for remark in self._notes):
            self._notes.append({"kind": "storage-full", "data": {"errno": error.errno}, **self._clock_fields()})

    def _unlink_quietly(self, name: str) -> None:
        with contextlib.suppress(OSError):  # nothing reads it, and the next writer tries again
            self._files.unlink(name, dir_fd=self._directory)

    def _close_quietly(self, fd: int) -> None:
        with contextlib.suppress(OSError):  # what matters was synced; an error here cannot be acted upon
            self._files.close(fd)

    def _close_files(self) -> None:
        for fd in self._take_descriptors():
            self._close_quietly(fd)

    def _take_descriptors(self) -> list[int]:
        fd = None if self._file is None else self._file.fd
        open_now = [fd for fd in (fd, self._hint_fd, self._directory) if fd is not None and fd >= 0]
        self._file = self._hint_fd = None
        self._directory = -1
        return open_now

    def __del__(self) -> None:
        for fd in self._take_descriptors():
            os.close(fd)
