# SPDX-License-Identifier: Apache-2.0
"""One look at a whole session: does it load, what do its good lines prove, are the logs what was recorded.

The facts behind :mod:`~plainbox.session.verification`, which tells them, and :mod:`~plainbox.session.salvage`, which
acts on them. Takes no lock and writes nothing.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from typing import Final

import attrs

from plainbox.errors import (
    BrokenReferenceToExternalFile,
    CorruptedSessionError,
    SessionError,
    StorageError,
    StorageGoneError,
)
from plainbox.session.codec import JsonObject
from plainbox.session.generation import MAX_JOURNAL_BYTES
from plainbox.session.iolog_reader import read_log_head, resolve_log_path, verify
from plainbox.session.journal_reader import JournalReader
from plainbox.session.repair.attachments import AttachmentProblem, attachment_problems
from plainbox.session.repair.reconstruction import (
    Attempt,
    Reconstruction,
    attempt_number,
    reconstruct,
    running_attempts,
)
from plainbox.session.repair.survey import LogHead, Survey, survey, unrecorded_logs
from plainbox.session.storage import SessionStorage
from plainbox.session.tree import Tree

__all__ = ["SALVAGE_NOTE", "Inspection", "LogProblem", "LostAttempt", "inspect", "is_resource", "open_session"]

#: The kind of the remark in which a salvage tells what it has done; its ``logs`` are known to be lost from then on.
SALVAGE_NOTE: Final = "salvage"


@attrs.frozen
class LogProblem:
    """A log that is not what its result says. ``kind``: ``missing``, ``unfinished``, ``differs`` or ``invalid``."""

    job_id: str
    attempt: int
    path: str
    kind: str
    message: str


@attrs.frozen
class LostAttempt:
    """An attempt that has lost its result, and what is left of its output."""

    job_id: str
    attempt: int
    log: LogHead | None = None


@attrs.define
class Inspection:
    """``tree`` is the state: the stored one when the session loads, else what its good lines prove, ``None`` when they
    prove nothing. ``error`` says why it does not load; ``empty`` that there was never anything to load.
    """

    survey: Survey
    proven: Reconstruction
    tree: Tree | None
    error: SessionError | None
    torn: bool
    empty: bool
    log_problems: list[LogProblem]
    unrecorded: list[LogHead]
    lost: list[LostAttempt]
    attachment_problems: list[AttachmentProblem]


def inspect(storage: SessionStorage, *, deep: bool = False) -> Inspection:
    """Look at a session; with ``deep`` every byte of its logs and attachments is read.

    :raises StorageGoneError: the directory does not exist.
    :raises StorageError: it cannot be opened.
    """
    directory = open_session(storage)
    try:
        found = survey(directory)
        tree, error, torn = _load(directory, storage, found)
        proven = reconstruct(found, directory, storage.id)
        empty = tree is None and error is None
        if error is not None:
            tree = proven.tree
        state = tree if tree is not None else Tree()
        known = set(_known_lost(proven.remarks))
        try:
            problems = [item for item in _log_problems(storage.location, state, deep=deep) if item.path not in known]
        except PermissionError as refused:
            # That something may not be read says nothing about what it is.
            problems, error = [], error or _unreadable(storage.location, refused)
        attached = [item for item in attachment_problems(storage.location, state, deep=deep) if item.path not in known]
        unrecorded = unrecorded_logs(directory, _recorded_logs(state))
        if empty and unrecorded:
            empty, error = False, CorruptedSessionError(f"{storage.location} has lost its journal", kind="lost-tail")
        lost = (
            _lost_attempts(proven, state, unrecorded, storage.location)
            if error is not None and tree is not None
            else []
        )
    finally:
        os.close(directory)
    return Inspection(found, proven, tree, error, torn, empty, problems, unrecorded, lost, attached)


def open_session(storage: SessionStorage) -> int:
    """Open the directory of a session; errors as in :func:`inspect`."""
    try:
        return storage.files.open_directory(storage.location)
    except FileNotFoundError:
        raise StorageGoneError(f"the session directory {storage.location} does not exist") from None
    except OSError as error:
        raise StorageError(f"the session {storage.location} cannot be opened", errno=error.errno) from error


def _load(directory: int, storage: SessionStorage, found: Survey) -> tuple[Tree | None, SessionError | None, bool]:
    if any(file.size_bytes > MAX_JOURNAL_BYTES for file in found.files):
        message = f"the journal of {storage.location} is longer than {MAX_JOURNAL_BYTES} bytes and was not read"
        return None, StorageError(message), False
    try:
        loaded = JournalReader(directory, storage.location).load()
    except SessionError as error:
        return None, error, False
    except OSError as error:
        return None, StorageError(f"the journal of {storage.location} cannot be read", errno=error.errno), False
    if loaded is None:
        return None, None, False
    position, tree = loaded
    return tree, None, position.torn or position.unterminated


# -- logs


def _results(tree: Tree) -> Iterator[tuple[str, int, JsonObject, str]]:
    """Yield (job id, attempt, reference, path) of every log that a result refers to."""
    for job_id, attempts in sorted(tree.results.items()):
        for attempt, result in sorted(attempts.items()):
            reference = result.get("log")
            if isinstance(reference, dict):
                yield job_id, attempt, reference, str(reference.get("path"))


def _recorded_logs(tree: Tree) -> set[str]:
    running = {str(entry.get("log")) for entry in running_attempts(tree).values()}
    return running | {path for *_, path in _results(tree)}


def _log_problems(location: str, tree: Tree, *, deep: bool) -> Iterator[LogProblem]:
    for job_id, attempt, reference, path in _results(tree):
        trouble = _trouble(location, reference, deep=deep)
        if trouble is not None:
            yield LogProblem(job_id, attempt, path, *trouble)


def _trouble(location: str, reference: JsonObject, *, deep: bool) -> tuple[str, str] | None:
    try:
        path = resolve_log_path(location, reference.get("path"))
        size = os.stat(path, follow_symlinks=False).st_size
        if size != reference.get("size"):
            head = read_log_head(os.fspath(path), str(reference.get("path")))
            if head is not None and not head.finished and not reference.get("incomplete"):
                return "unfinished", f"it has {size} of {reference.get('size')} bytes and no end"
            return "differs", f"it has {size} bytes, {reference.get('size')} were recorded"
        if deep:
            verify(path, reference)
    except (FileNotFoundError, BrokenReferenceToExternalFile):
        return "missing", "it does not exist"
    except CorruptedSessionError as error:
        return "invalid" if error.offset is None else "differs", str(error)
    except PermissionError:
        raise
    except OSError as error:
        return "invalid", f"it cannot be read: {error.strerror}"
    return None


def _unreadable(location: str, error: OSError) -> StorageError:
    hint = f"give yourself the right to it: chmod -R u+rwX {shlex.quote(location)}"
    return StorageError(f"{error.filename or location} cannot be read", errno=error.errno, hint=hint)


def _known_lost(notes: list[JsonObject]) -> Iterator[str]:
    for note in notes:
        data = note.get("data")
        if note.get("kind") == SALVAGE_NOTE and isinstance(data, dict) and isinstance(data.get("logs"), list):
            yield from map(str, data["logs"])


def is_resource(tree: Tree, job_id: str) -> bool:
    """Tell whether a job is a resource job, as far as its stored definition says."""
    definition = tree.units.get(job_id)
    fields = definition.get("fields") if isinstance(definition, dict) else None
    return isinstance(fields, dict) and fields.get("plugin") == "resource"


# -- lost attempts


def _lost_attempts(proven: Reconstruction, tree: Tree, unrecorded: list[LogHead], location: str) -> list[LostAttempt]:
    """Return the attempts that are known to have been made and have no result, by job and number.

    Known are those that ran when a gap began, those below the number of another one, and those that left output. What
    was running at the end has no result because it never came to one, unless its log is finished.
    """
    if not proven.losses:
        return []
    running = {(job_id, attempt_number(entry)): entry for job_id, entry in running_attempts(tree).items()}
    logs: dict[Attempt, LogHead] = {}
    for log in unrecorded:
        if log.finished or log.has_output:
            logs.setdefault((log.job_id, log.attempt), log)
    for attempt, entry in running.items():
        head = _log_of_running(location, entry)
        if head is not None and head.finished:
            logs[attempt] = head
    made = {*(attempt for attempt in proven.suspects if attempt not in running), *logs}
    for job_id, attempts in tree.results.items():
        highest = max(attempts, default=0)
        made.update((job_id, number) for number in range(1, min(highest, 1000)) if number not in attempts)
    return [
        LostAttempt(*attempt, logs.get(attempt))
        for attempt in sorted(made)
        if attempt[1] not in tree.results.get(attempt[0], ()) and not proven.was_taken_back(attempt)
    ]


def _log_of_running(location: str, entry: JsonObject) -> LogHead | None:
    path = entry.get("log")
    if not isinstance(path, str):
        return None
    try:
        real = resolve_log_path(location, path)
    except CorruptedSessionError:
        return None
    return read_log_head(os.fspath(real), path)
