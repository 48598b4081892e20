# SPDX-License-Identifier: Apache-2.0
"""Makes a damaged session usable again, and tells by name what could not be saved.

Called by ``plainbox session salvage``. The good lines of all generations become a new generation; the damaged files are
copied to ``quarantine/`` first. What must stay true:

* Nothing is deleted, and no file of the session is changed before its copy in the quarantine is durable.
* Until the new generation has its name the session reads as before, so a salvage that stops anywhere can be repeated.
* No result appears that was not submitted: what has lost its result and kept its output is ``undecided``.
* What was running at the end stays for the resume to judge.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Final

import attrs

from plainbox import __version__
from plainbox.errors import (
    CorruptedSessionError,
    IncompatibleSessionError,
    LockedStorageError,
    SessionResumeError,
    StorageError,
    StorageFullError,
)
from plainbox.session.codec import JsonObject
from plainbox.session.directory import IO_LOGS, SUFFIX, creation_time, remove_tree
from plainbox.session.files import FULL_ERRORS
from plainbox.session.generation import MAX_GENERATION
from plainbox.session.hint import HINT_NAME
from plainbox.session.iolog import seal_log
from plainbox.session.iolog_reader import LogHead, LogReader, open_log, resolve_log_path
from plainbox.session.journal import JournalWriter
from plainbox.session.lock import SessionLock
from plainbox.session.outcome import Outcome
from plainbox.session.repair.copying import copy_file, copy_tree
from plainbox.session.repair.inspection import SALVAGE_NOTE, Inspection, LogProblem, LostAttempt, inspect, is_resource
from plainbox.session.repair.quarantine import UNFINISHED, keep_originals
from plainbox.session.repair.reconstruction import attempt_number, running_attempts
from plainbox.session.result import is_moment
from plainbox.session.storage import SessionStorage
from plainbox.session.tree import Tree

__all__ = ["Loss", "Salvage", "kept_part", "salvage"]

_SALVAGED: Final = "-salvaged.iolog"
#: The remark in the journal names so many losses; of the others it says how many there are.
_NOTED: Final = 10_000
_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


@attrs.frozen
class Loss:
    """Something that was acknowledged and is not there any more.

    ``kind``: ``checkpoints``, ``result`` (of ``attempt`` at ``job``) or ``log``. ``file`` is where it was, or what is left.
    """

    kind: str
    message: str
    job: str | None = None
    attempt: int | None = None
    file: str | None = None

    def as_dict(self) -> JsonObject:
        return {name: value for name, value in attrs.asdict(self).items() if value is not None}


@attrs.frozen
class Salvage:
    """What a salvage has done, or with ``dry_run`` would do.

    ``state``: ``sound`` (there is nothing to do), ``repaired`` or ``unusable`` (nothing of the session can be used, and
    nothing was done). ``quarantine`` is where the originals are, below ``directory``; ``into`` the id of the new session.
    """

    session: str
    directory: str
    state: str
    dry_run: bool = False
    losses: tuple[Loss, ...] = ()
    jobs: int = 0
    results: int = 0
    undecided: int = 0
    generation: int = 0
    resumable: bool = False
    quarantine: str | None = None
    into: str | None = None
    reason: str | None = None

    @property
    def exit_code(self) -> int:
        """0: nothing is lost; 1: what is lost is named; 3: nothing can be used."""
        return 3 if self.state == "unusable" else 1 if self.losses else 0

    def as_dict(self) -> JsonObject:
        return {**attrs.asdict(self, recurse=False), "losses": [loss.as_dict() for loss in self.losses]}


def salvage(storage: SessionStorage, *, dry_run: bool = False, into: str | None = None, deep: bool = False) -> Salvage:
    """Repair a session, or with ``into`` make another session of what is good in it and leave it alone.

    With ``dry_run`` nothing at all is written. With ``deep`` every byte of the logs is read, so that damage inside of one
    is found. The lock is taken for the time that it takes, unless only the copy is written.

    :raises LockedStorageError: somebody works with the session.
    :raises IncompatibleSessionError: another version wrote it; nothing was touched.
    :raises CorruptedSessionError: another program wrote it; nothing was touched.
    :raises StorageFullError: no space; the originals are as they were, salvage again when there is.
    :raises StorageError: the session cannot be read or written.
    :raises ValueError: ``into`` is no good id.
    """
    if into is not None and not _ID.fullmatch(into):
        raise ValueError(f"{into!r} cannot be the id of a session: letters, digits and ._- are allowed")
    if dry_run or into is not None:
        owner = storage.owner()
        if owner is not None:
            raise LockedStorageError(f"the session {storage.id} is in use by {owner}", pid=owner.pid)
        return _salvage(storage, dry_run=dry_run, into=into, deep=deep)
    try:
        storage.lock()
    except StorageError as error:
        error.hint = error.hint or f"plainbox session salvage --into ID {storage.id} makes a copy of what is good in it"
        raise
    try:
        return _salvage(storage, dry_run=False, into=None, deep=deep)
    finally:
        storage.unlock()


def _salvage(storage: SessionStorage, *, dry_run: bool, into: str | None, deep: bool) -> Salvage:
    found = inspect(storage, deep=deep)
    _refuse_what_is_not_ours(found)
    outcome = Salvage(storage.id, storage.location, "sound", dry_run=dry_run, into=into)
    if found.empty or (found.error is None and not found.log_problems and into is None):
        return outcome
    if found.tree is None:
        return attrs.evolve(outcome, state="unusable", reason=str(found.error))
    plan = _Plan(storage, found)
    generation = 1 if into is not None else found.proven.generation + 1
    if generation > MAX_GENERATION:
        raise StorageError(
            f"no generation can follow number {found.proven.generation} of {storage.location}",
            hint="--into ID makes another session of what is good",
        )
    quarantine = None
    if not dry_run:
        with _plain_errors(storage):
            if into is None:
                quarantine = plan.carry_out(generation)
            else:
                plan.carry_out_into(into)
    tree = plan.tree
    return attrs.evolve(
        outcome,
        state="repaired",
        losses=tuple(plan.losses),
        jobs=len(tree.jobs),
        results=sum(map(len, tree.results.values())) - len(plan.undecided),
        undecided=len(plan.undecided),
        generation=generation,
        resumable=plan.is_resumable,
        quarantine=quarantine,
    )


def _refuse_what_is_not_ours(found: Inspection) -> None:
    """Raise what says that another version or another program wrote the session, or that it cannot be read."""
    for file in found.survey.files:
        if file.incompatible is not None:
            raise file.incompatible
    error = found.error
    foreign = found.survey.foreign and error is not None
    if error is not None and (foreign or isinstance(error, IncompatibleSessionError | StorageError)):
        raise error


@contextlib.contextmanager
def _plain_errors(storage: SessionStorage) -> Iterator[None]:
    """Turn what the system says while a session is written into an error of the store."""
    try:
        yield
    except SessionResumeError:
        raise
    except OSError as error:
        if error.errno in FULL_ERRORS:
            raise StorageFullError(
                f"there is no space to salvage {storage.id}",
                errno=error.errno,
                hint="nothing was changed; make room on its file system and salvage again",
            ) from error
        if isinstance(error, StorageError | LockedStorageError):
            raise
        raise StorageError(f"the session {storage.id} cannot be salvaged", errno=error.errno) from error


def kept_part(storage: SessionStorage, found: Inspection) -> tuple[Tree, tuple[Loss, ...]]:
    """Return the state that a salvage would make, and what it would name as lost."""
    plan = _Plan(storage, found)
    return plan.tree, tuple(plan.losses)


# -- what is to be done


class _Plan:
    """The new state, the logs that it needs, and what is lost; making it writes nothing."""

    def __init__(self, storage: SessionStorage, found: Inspection) -> None:
        assert found.tree is not None
        self._storage = storage
        self._files = storage.files
        self._found = found
        self.tree: Tree = found.tree
        self.losses: list[Loss] = []
        self.undecided: list[LostAttempt] = []
        self._lost_logs: list[str] = []
        #: Logs of which a copy is to be made that ends with its last good frame: path -> (job id, attempt).
        self._to_close: dict[str, tuple[str, int]] = {}
        if found.error is not None:
            for gap in found.proven.losses:
                self.losses.append(Loss("checkpoints", f"{gap.cost} ({gap.file}, byte {gap.offset})", file=gap.file))
        for item in found.lost:
            self._plan_lost(item)
        for problem in found.log_problems:
            self._plan_log(problem)
        if found.error is not None:
            _complete(self.tree)

    @property
    def is_resumable(self) -> bool:
        flags, program = self.tree.meta.get("flags"), self.tree.meta.get("app_id")
        return (
            program is not None
            and isinstance(flags, list)
            and bool({"incomplete", "setting_up"}.intersection(map(str, flags)))
        )

    def _plan_lost(self, item: LostAttempt) -> None:
        tree, log = self.tree, item.log
        what = f"the result of attempt {item.attempt} at {item.job_id}"
        known = item.job_id in tree.jobs or item.job_id in tree.want or item.job_id in tree.results
        if log is not None and known:
            after = "; its output is there, and it is undecided now"
            tree.results.setdefault(item.job_id, {})[item.attempt] = _undecided(item, log)
            self.undecided.append(item)
            if not log.finished:
                self._to_close[log.path] = item.job_id, item.attempt
            self._end_running(item)
        elif log is not None:
            after = f"; its output is in {log.path}, and the session does not know the job any more"
        elif max(tree.results.get(item.job_id, ()), default=0) > item.attempt:
            after = "; a later attempt has its result"
        else:
            after = "; nothing is left of its output, and a resume runs it again"
        file = log.path if log is not None else None
        self.losses.append(Loss("result", what + after, job=item.job_id, attempt=item.attempt, file=file))

    def _end_running(self, item: LostAttempt) -> None:
        running = running_attempts(self.tree)
        if item.job_id in running and attempt_number(running[item.job_id]) == item.attempt:
            del running[item.job_id]
            self.tree.meta["running"] = running

    def _plan_log(self, problem: LogProblem) -> None:
        self._lost_logs.append(problem.path)
        what = f"the log of attempt {problem.attempt} at {problem.job_id}: {problem.message}"
        if problem.kind in ("unfinished", "differs") and not is_resource(self.tree, problem.job_id):
            # Half of what a resource job has printed is worse than none: a resume runs it again.
            self._to_close[problem.path] = problem.job_id, problem.attempt
            what += "; what comes before the damage is kept"
        self.losses.append(Loss("log", what, job=problem.job_id, attempt=problem.attempt, file=problem.path))

    # -- doing it

    def carry_out(self, generation: int) -> str:
        """Repair the session in its place; return where the originals are, below it."""
        location = self._storage.location
        names = [*(file.name for file in self._found.survey.files), HINT_NAME]
        quarantine = keep_originals(self._files, location, names, self._storage.clock.time())
        self._close_logs(location)
        self._write_generation(location, generation)
        return quarantine

    def carry_out_into(self, session_id: str) -> None:
        """Make a new session, visible when it is complete."""
        files, source = self._files, os.path.normpath(self._storage.location)
        base = os.path.dirname(source)
        target = os.path.join(base, session_id + SUFFIX)
        if os.path.lexists(target):
            raise StorageError(f"there is a session {session_id} already", hint="give another id")
        temporary = os.path.join(base, f".new-{os.urandom(16).hex()}")
        lock = SessionLock(temporary, files)
        files.reach("salvage.directory")
        files.mkdir(temporary)
        try:
            directory = files.open_directory(temporary)
            try:
                lock.acquire_new(directory)
                self._copy_files(source, directory)
                files.fsync(directory)
            finally:
                os.close(directory)
            self._close_logs(temporary)
            self._write_generation(temporary, 1, session_id)
            files.reach("salvage.rename")
            files.rename(temporary, target)
            files.sync_directory(base)
        except OSError:
            remove_tree(temporary)
            raise
        finally:
            lock.release()

    def _copy_files(self, source: str, directory: int) -> None:
        """Copy what belongs to the session beside its journal."""
        for name in (IO_LOGS, "session-share", "blobs"):
            if not os.path.islink(os.path.join(source, name)):
                copy_tree(self._files, os.path.join(source, name), name, dir_fd=directory)
        with contextlib.suppress(FileExistsError):
            self._files.mkdir(IO_LOGS, dir_fd=directory)

    # logs

    def _close_logs(self, location: str) -> None:
        for path, (job_id, attempt) in sorted(self._to_close.items()):
            try:
                reference = self._closed_copy(location, path)
            except SessionResumeError:
                continue  # nothing in it is good; the original stays, and it is among the losses
            self.tree.results[job_id][attempt] = {**self.tree.results[job_id][attempt], "log": reference}
        for item in self.undecided:
            if item.log is not None and item.log.finished:
                with contextlib.suppress(SessionResumeError):
                    reference = seal_log(location, item.log.path, files=self._files)
                    self.tree.results[item.job_id][item.attempt]["log"] = reference

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
        files.reach("salvage.log")
        directory = files.open_directory(location)
        try:
            with contextlib.suppress(FileNotFoundError):
                files.unlink(temporary, dir_fd=directory)
            copy_file(files, path, directory, temporary, directory, size_bytes=reader.size_bytes)
            reference = seal_log(location, temporary, "the rest of this log is lost", files=files)
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
                self.tree,
                found.proven.number + 1,
                generation=generation,
                head=head,
                past=found.proven.remarks,
                session_id=session_id,
            )
        finally:
            writer.abandon()

    def _remark(self) -> JsonObject:
        losses = [loss.as_dict() for loss in self.losses[:_NOTED]]
        remark: JsonObject = {"by": f"plainbox {__version__}", "from": self._storage.id, "losses": losses}
        if len(self.losses) > _NOTED:
            remark["more"] = len(self.losses) - _NOTED
        return {**remark, "logs": self._lost_logs[:_NOTED]}


def _undecided(item: LostAttempt, log: LogHead) -> JsonObject:
    result: JsonObject = {
        "attempt": item.attempt,
        "comments": "the result of this attempt was lost; what the job printed is there",
        "origin": "salvage",
        "outcome": Outcome.UNDECIDED.value,
    }
    if log.start_time is not None and is_moment(log.start_time):
        result["start_time"] = log.start_time
    if log.boot_id is not None:
        result["boot_id"] = log.boot_id
    return result


def _complete(tree: Tree) -> None:
    """Give every job that the state speaks of an entry and a definition, however little they say.

    What was lost of them comes back from the providers when the session goes on.
    """
    spoken_of = {*tree.results, *tree.want, *tree.must, *running_attempts(tree)}
    for job_id in spoken_of:
        tree.jobs.setdefault(job_id, {})
        tree.units.setdefault(job_id, {"fields": {}})
