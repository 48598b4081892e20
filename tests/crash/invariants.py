# SPDX-License-Identifier: Apache-2.0
"""What must hold of a stored session after every fault, whatever the fault was.

A rig keeps a :class:`Ledger` of what the store was asked for and what it has acknowledged, lets something happen, and
asks :func:`check_invariants`. What must stay true: the checks look at the disk alone, through fresh objects and through a
second reader that shares nothing with the product.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
from scale import Tally
from store_rig import agrees, ck, journal_of, second_reader

from plainbox.errors import PlainboxError, SessionError
from plainbox.session import SessionManager, SessionSuspendHelper
from plainbox.session import journal_reader as journal_reader_module
from plainbox.session.files import FileOps
from plainbox.session.iolog import resolve_log_path, verify
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.storage import SessionStorage
from plainbox.session.tree import canonical_full
from plainbox.units import Unit

__all__ = ["Ledger", "check_invariants", "check_state", "complain", "let_go", "one_look"]

_LAYOUT = re.compile(r"lock|head\.json|journal-\d{6}\.pbj(\.tmp)?|io-logs(/[^/]+\.iolog)?|session-share|blobs")
_AFTERWARDS = "the session went on"


@attrs.define
class Ledger:
    """What a store was asked to keep and what it said; states are canonical full representations.

    ``name`` is known once the making of the session has returned. A state that is only ``intended`` may be there or not.
    """

    name: str | None = None
    acknowledged: bytes | None = None
    intended: list[bytes] = attrs.field(factory=list)
    saves: int = 0

    def intend(self, state: bytes) -> None:
        self.intended.append(state)

    def confirm(self) -> None:
        """The last intended state is acknowledged."""
        self.acknowledged = self.intended[-1]
        self.intended.clear()
        self.saves += 1


def complain(tally: Tally, where: str, what: str) -> None:
    """Note what is wrong, and where."""
    tally.violations.append(f"{where}: {what}")


@contextlib.contextmanager
def one_look() -> Iterator[None]:
    """Read a torn tail once, and leave the judgement to the rig.

    Readers wait for a writer that may be in the middle of it; after a fault there is none. The audit that all other tests
    run with would find out first what the rig is to find.
    """
    with mock.patch.object(journal_reader_module, "_ATTEMPTS", 1), mock.patch.dict(os.environ, PLAINBOX_AUDIT="0"):
        yield


def let_go(storage: SessionStorage) -> None:
    """Do what the kernel does at the end of a process: close the descriptors, nothing else."""
    writer, storage._writer = storage._writer, None
    if writer is not None:
        for fd in writer._take_descriptors():
            os.close(fd)
    fd, storage._lock._fd = storage._lock._fd, None
    if fd is not None:
        os.close(fd)


def check_invariants(
    base: Path, ledger: Ledger, tally: Tally, where: str, *, units: Sequence[Unit] = (), go_on: bool = True
) -> None:
    """Check the one session in ``base`` against the ledger, and put down what is wrong.

    ``units`` are those to load the session with. With ``go_on`` it is written to afterwards, the way the next process
    would; the directory is changed by that.
    """
    stored = SessionStorageRepository(base).get_storage_list()
    names = [os.path.basename(storage.location) for storage in stored]
    if len(names) > 1 or (ledger.name is not None and names != [ledger.name]):
        tally.unreadable += 1
        complain(tally, where, f"sessions {names} instead of {ledger.name}")
        return
    if not stored:
        return
    location = stored[0].location
    _check_layout(Path(location), tally, where)
    if stored[0].is_locked():
        complain(tally, where, "the lock has outlived its owner")
    found = _load(location, tally, where)
    if isinstance(found, Exception):
        tally.unreadable += 1
        complain(tally, where, f"cannot be loaded: {found}")
        return
    if found != ledger.acknowledged and found not in ledger.intended:
        missing = _missing(ledger.acknowledged, found)
        tally.lost += missing
        complain(tally, where, f"{missing} results lost" if missing else "a state that nobody has asked for")
        return
    if found is not None:
        check_state(location, found, tally, where, units=units)
    if go_on:
        _go_on(location, found, tally, where)


def check_state(location: str, found: bytes, tally: Tally, where: str, *, units: Sequence[Unit] = ()) -> None:
    """Check what must hold of a session that says ``found``: its journal, its attempts, its logs, its state in memory."""
    storage = SessionStorage(location, files=_undisturbed())
    document = json.loads(found)
    generation = storage.journal_info().generation
    if not agrees(second_reader(journal_of(storage, generation).read_bytes()), found):
        complain(tally, where, "the second reader has read something else")
    attempts = [(job_id, attempt) for job_id, attempt, _ in document.get("res", [])]
    if len(attempts) != len(set(attempts)):
        complain(tally, where, "an attempt is there twice")
    for job_id, running in document.get("meta", {}).get("running", {}).items():
        if (job_id, running["attempt"]) in attempts:
            complain(tally, where, f"attempt {running['attempt']} of {job_id} runs and has a result")
    for job_id, _, result in document.get("res", []):
        _check_log(location, job_id, result, tally, where)
    if storage.load_checkpoint() != found:
        complain(tally, where, "a second load gives something else")
    if units:
        _check_in_memory(storage, found, units, tally, where)


def _undisturbed() -> FileOps:
    return FileOps(durable=False)


def _load(location: str, tally: Tally, where: str) -> bytes | Exception | None:
    try:
        return SessionStorage(location, files=_undisturbed()).load_checkpoint()
    except SessionError as error:
        return error
    except FileNotFoundError:
        return None


def _missing(acknowledged: bytes | None, found: bytes | None) -> int:
    """Return how many acknowledged results are not there as they were."""
    if acknowledged is None:
        return 0
    there = {json.dumps(item, sort_keys=True) for item in json.loads(found or b"{}").get("res", [])}
    wanted = {json.dumps(item, sort_keys=True) for item in json.loads(acknowledged).get("res", [])}
    return len(wanted - there) + (found is None)


def _check_layout(location: Path, tally: Tally, where: str) -> None:
    for path in location.rglob("*"):
        name = path.relative_to(location).as_posix()
        if not _LAYOUT.fullmatch(name):
            complain(tally, where, f"{name} does not belong there")


def _check_log(location: str, job_id: str, result: dict[str, Any], tally: Tally, where: str) -> None:
    reference = result.get("log")
    if reference is None:
        return
    try:
        verify(resolve_log_path(location, reference["path"]), reference)
    except (PlainboxError, OSError) as error:
        complain(tally, where, f"the log of {job_id}: {error}")


def _check_in_memory(storage: SessionStorage, found: bytes, units: Sequence[Unit], tally: Tally, where: str) -> None:
    try:
        manager = SessionManager.load_session(list(units), storage)
    except (PlainboxError, OSError) as error:
        complain(tally, where, f"cannot be resumed: {error}")
        return
    assert manager.state is not None
    again = canonical_full(SessionSuspendHelper().suspend(manager.state, storage.location))
    if again != found:
        complain(tally, where, "the state in memory is not what is stored")


def _go_on(location: str, found: bytes | None, tally: Tally, where: str) -> None:
    storage = SessionStorage(location, files=_undisturbed())
    try:
        storage.save_checkpoint(ck(meta={"title": _AFTERWARDS}))
        storage.close()
        again = SessionStorage(location, files=_undisturbed()).load_checkpoint()
    except (PlainboxError, OSError) as error:
        tally.unreadable += 1
        complain(tally, where, f"cannot be continued: {error}")
        return
    wanted = json.loads(found or b'{"t": "full"}')
    wanted.setdefault("meta", {})["title"] = _AFTERWARDS
    if json.loads(again) != wanted:
        complain(tally, where, "after going on, the session says something else")
    names = {path.name for path in Path(location).glob("journal-*")}
    if names != {journal_of(storage, storage.journal_info().generation).name}:
        complain(tally, where, f"going on has left {sorted(names)}")
