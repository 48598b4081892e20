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

import attrs

from plainbox.errors import (
    IncompatibleSessionError,
    LockedStorageError,
    SessionResumeError,
    StorageError,
    StorageFullError,
)
from plainbox.session.codec import JsonObject
from plainbox.session.directory import SUFFIX
from plainbox.session.files import FULL_ERRORS, PathLike
from plainbox.session.generation import MAX_GENERATION
from plainbox.session.repair.inspection import Inspection, inspect, open_session
from plainbox.session.repair.plan import Loss, Plan
from plainbox.session.repair.survey import oddities
from plainbox.session.repair.writing import Repair, odd_names
from plainbox.session.repository import SessionStorageRepository, argument_of
from plainbox.session.storage import SessionStorage

__all__ = ["Loss", "Salvage", "salvage"]

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


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


def salvage(
    storage: SessionStorage,
    *,
    dry_run: bool = False,
    into: str | None = None,
    repository: PathLike | None = None,
    deep: bool = False,
) -> Salvage:
    """Repair a session, or with ``into`` make another session of what is good in it and leave it alone.

    The other session is made in ``repository``, the user's own when none is given, and has the id ``into``. With
    ``dry_run`` nothing at all is written. With ``deep`` every byte of the logs is read, so that damage inside of one is
    found. The lock is taken for the time that it takes, unless only the copy is written.

    :raises LockedStorageError: somebody works with the session.
    :raises IncompatibleSessionError: another version wrote it; nothing was touched.
    :raises CorruptedSessionError: another program wrote it; nothing was touched.
    :raises StorageFullError: no space; the originals are as they were, salvage again when there is.
    :raises StorageError: the session cannot be read or written.
    :raises ValueError: ``into`` is no good id.
    """
    into = None if into is None else into.removesuffix(SUFFIX)
    if into is not None and not _ID.fullmatch(into):
        raise ValueError(f"{into!r} cannot be the id of a session: letters, digits and ._- are allowed")
    if into is None:
        _refuse_what_takes_a_hand(storage)
    if dry_run or into is not None:
        owner = storage.owner()
        if owner is not None:
            raise LockedStorageError(f"the session {storage.id} is in use by {owner}", pid=owner.pid)
        target = None if into is None else os.path.join(SessionStorageRepository(repository).location, into + SUFFIX)
        return _salvage(storage, dry_run=dry_run, target=target, deep=deep)
    try:
        storage.lock()
    except StorageError as error:
        error.hint = (
            error.hint
            or f"plainbox session salvage --into ID {argument_of(storage.location)} makes a copy of what is good"
        )
        raise
    try:
        return _salvage(storage, dry_run=False, target=None, deep=deep)
    finally:
        storage.unlock()


def _salvage(storage: SessionStorage, *, dry_run: bool, target: str | None, deep: bool) -> Salvage:
    """Repair the session, or make that at ``target``."""
    found = inspect(storage, deep=deep)
    _refuse_what_is_not_ours(found)
    into = None if target is None else SessionStorage(target).id
    outcome = Salvage(storage.id, storage.location, "sound", dry_run=dry_run, into=into)
    odd = into is None and odd_names(found)
    problems = found.log_problems or found.attachment_problems
    if found.error is None and not odd and (found.empty or not (problems or into)):
        return outcome
    if found.tree is None:
        return attrs.evolve(outcome, state="unusable", reason=str(found.error or "nothing was ever saved in it"))
    plan = Plan(found)
    repair = Repair(storage, found, plan)
    generation = 1 if into is not None else found.proven.generation + 1
    if generation > MAX_GENERATION:
        raise StorageError(
            f"no generation can follow number {found.proven.generation} of {storage.location}",
            hint="--into ID makes another session of what is good",
        )
    quarantine = None
    if not dry_run:
        with _plain_errors(storage):
            if target is None:
                quarantine = repair.in_place(generation)
            else:
                repair.elsewhere(target)
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


def _refuse_what_takes_a_hand(storage: SessionStorage) -> None:
    """Raise when something stands in the way that only somebody who knows why it is there can remove."""
    directory = open_session(storage)
    try:
        for oddity in oddities(directory):
            if oddity.remedy is not None:
                path = os.path.join(storage.location, oddity.file)
                raise StorageError(f"{path}: {oddity.message}", hint=f"{oddity.remedy}; then salvage again")
    finally:
        os.close(directory)


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
                hint="the session is as it was; make room on the file system and salvage again",
            ) from error
        if isinstance(error, StorageError | LockedStorageError):
            raise
        raise StorageError(f"the session {storage.id} cannot be salvaged", errno=error.errno) from error
