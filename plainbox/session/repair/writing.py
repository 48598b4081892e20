# SPDX-License-Identifier: Apache-2.0
"""Writes what a salvage has planned: copies of the originals, closed logs, and the new generation.

Called by :mod:`plainbox.session.salvage`. What must stay true: no file of the session is changed before its copy is
durable, and until the new generation has its name the session reads as before.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

from plainbox import __version__
from plainbox.errors import CorruptedSessionError, SessionResumeError, StorageError
from plainbox.session.codec import JsonObject
from plainbox.session.directory import ATTACHMENTS, IO_LOGS, creation_time
from plainbox.session.generation import generation_name
from plainbox.session.hint import HINT_NAME
from plainbox.session.iolog_reader import LogReader, open_log, resolve_log_path
from plainbox.session.iolog_seal import seal_log
from plainbox.session.journal import JournalWriter
from plainbox.session.repair.copying import copy_file, copy_tree
from plainbox.session.repair.inspection import SALVAGE_NOTE, Inspection
from plainbox.session.repair.plan import Plan
from plainbox.session.repair.quarantine import UNFINISHED, drop_copies, keep_originals, set_aside
from plainbox.session.staging import staged_session
from plainbox.session.storage import SessionStorage

__all__ = ["Repair", "odd_names"]

_SALVAGED: Final = "-salvaged.iolog"
#: The remark in the journal names so many losses; of the others it says how many there are.
_NOTED: Final = 10_000


def odd_names(found: Inspection) -> list[str]:
    """Return what has the place of a file of the session and is none."""
    return [oddity.file for oddity in found.survey.oddities if oddity.harmful]


class Repair:
    """The way from a plan to a session that is good; the references to closed logs go into the tree of the plan."""

    def __init__(self, storage: SessionStorage, found: Inspection, plan: Plan) -> None:
        self._storage = storage
        self._files = storage.files
        self._found = found
        self._plan = plan
        #: The copies of logs that were not there before, complete or not.
        self._made: list[str] = []

    def in_place(self, generation: int) -> str:
        """Repair the session in its place; return where the originals are, below it."""
        files, location = self._files, self._storage.location
        names = [*(file.name for file in self._found.survey.files), HINT_NAME]
        odd = odd_names(self._found)
        quarantine = keep_originals(files, location, names, self._storage.clock.time())
        # No reader would trust the new generation with such a hint, and no log could be closed in such a place.
        first = [name for name in odd if name in (HINT_NAME, IO_LOGS)]
        set_aside(files, location, first, quarantine)
        try:
            with contextlib.suppress(FileExistsError):
                files.mkdir(os.path.join(location, IO_LOGS))
            self._close_logs(location)
            self._write_generation(location, generation)
        except Exception:
            made = os.path.lexists(os.path.join(location, generation_name(generation)))
            if not made and not first:
                self._drop_closed_copies(location)
                drop_copies(location, quarantine)
            raise
        set_aside(files, location, [name for name in odd if name not in first], quarantine)
        return quarantine

    def elsewhere(self, target: str) -> None:
        """Make a new session, visible when it is complete."""
        base = os.path.dirname(target)
        files, session_id = self._files, SessionStorage(target).id
        if os.path.lexists(target):
            raise StorageError(f"there is a session {session_id} already", hint="give another id")
        with staged_session(files, base, "salvage") as staged:
            self._copy_files(self._storage.location, staged.path)
            self._close_logs(staged.path)
            self._write_generation(staged.path, 1, session_id)
            staged.claim(target).release()

    def _copy_files(self, source: str, target: str) -> None:
        """Copy what belongs to the session beside its journal."""
        directory = self._files.open_directory(target)
        try:
            for name in (IO_LOGS, ATTACHMENTS, "session-share"):
                if not os.path.islink(os.path.join(source, name)):
                    copy_tree(self._files, os.path.join(source, name), name, dir_fd=directory)
            with contextlib.suppress(FileExistsError):
                self._files.mkdir(IO_LOGS, dir_fd=directory)
        finally:
            os.close(directory)

    # logs

    def _close_logs(self, location: str) -> None:
        for path, (job_id, attempt) in sorted(self._plan.to_close.items()):
            try:
                reference = self._closed_copy(location, path)
            except SessionResumeError:
                continue  # nothing in it is good; the original stays, and it is among the losses
            self._plan.tree.results[job_id][attempt] = {**self._plan.tree.results[job_id][attempt], "log": reference}
        for item in self._plan.undecided:
            if item.log is not None and item.log.finished:
                with contextlib.suppress(SessionResumeError):
                    reference = seal_log(location, item.log.path, files=self._files)
                    self._plan.tree.results[item.job_id][item.attempt]["log"] = reference

    def _drop_closed_copies(self, location: str) -> None:
        for name in self._made:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(location, name))

    def _closed_copy(self, location: str, path: str) -> JsonObject:
        """Write the good beginning of a log beside it as a log of its own, and return the reference to that."""
        files = self._files
        source = resolve_log_path(location, path)
        with open_log(source) as file:
            reader = LogReader(file, path)
            with contextlib.suppress(CorruptedSessionError):
                for _ in reader:
                    pass
        if reader.header is None:
            raise CorruptedSessionError(f"{path} is not the log of a job")
        name = f"{path.removesuffix('.iolog').removesuffix('-salvaged')}{_SALVAGED}"
        temporary = name + UNFINISHED
        self._made.append(temporary)
        files.reach("salvage.log")
        directory = files.open_directory(location)
        try:
            with contextlib.suppress(FileNotFoundError):
                files.unlink(temporary, dir_fd=directory)
            copy_file(files, path, directory, temporary, directory, size_bytes=reader.size_bytes)
            reference = seal_log(location, temporary, "the rest of this log is lost", files=files)
            if not os.path.lexists(os.path.join(location, name)):
                self._made.append(name)
            files.rename(temporary, name, dir_fd=directory)
        finally:
            os.close(directory)
        files.sync_directory(os.path.join(location, IO_LOGS))
        return {**reference, "path": name, "incomplete": True}

    # the journal

    def _write_generation(self, location: str, generation: int, session_id: str | None = None) -> None:
        found, storage = self._found, self._storage
        head = {key: value for key, value in found.proven.head.items() if key != "uuid" or session_id is None}
        created = head.get("created")
        writer = JournalWriter(
            location,
            self._files,
            created=created if isinstance(created, int | float) else creation_time(storage.id) or storage.clock.time(),
            environment=storage.environment,
            why="salvage",
            clock=storage.clock,
        )
        try:
            writer.note(SALVAGE_NOTE, self._remark())
            writer.start_over(
                self._plan.tree,
                found.proven.number + 1,
                generation=generation,
                head=head,
                past=found.proven.remarks,
                session_id=session_id,
            )
        finally:
            writer.abandon()

    def _remark(self) -> JsonObject:
        losses = [loss.as_dict() for loss in self._plan.losses[:_NOTED]]
        remark: JsonObject = {"by": f"plainbox {__version__}", "from": self._storage.id, "losses": losses}
        if len(self._plan.losses) > _NOTED:
            remark["more"] = len(self._plan.losses) - _NOTED
        return {**remark, "logs": self._plan.lost_logs[:_NOTED]}
