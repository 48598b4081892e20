# SPDX-License-Identifier: Apache-2.0
"""The storage in memory keeps every promise of the one on a disk: one script over both, with equal bytes and errors."""

from __future__ import annotations

import errno
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from store_rig import ck, full, result

from plainbox.errors import LockedStorageError, StorageClosedError, StorageFullError, StorageGoneError
from plainbox.session import SessionStorage
from plainbox.testing import FaultyFiles, ManualClock, MemoryStorage, Stopped

Make: TypeAlias = Callable[..., SessionStorage]

AT = 1_750_000_000.0


def on_disk(base: Path, **options: object) -> SessionStorage:
    return SessionStorage.create(base, durable=False, clock=ManualClock(AT), **options)  # type: ignore[arg-type]


def in_memory(base: Path, **options: object) -> SessionStorage:
    return MemoryStorage.create(clock=ManualClock(AT), **options)  # type: ignore[arg-type]


def again(storage: SessionStorage) -> SessionStorage:
    if isinstance(storage, MemoryStorage):
        return storage.again()
    return SessionStorage(storage.location, durable=False, clock=storage.clock)


@pytest.fixture(params=[on_disk, in_memory])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    return lambda **options: request.param(tmp_path, **options)


# -- the contract of both


def story(storage: SessionStorage) -> list[object]:
    """A session from its beginning to its end; what can be seen of it on the way."""
    seen: list[object] = []

    def look() -> None:
        other = again(storage)
        try:
            seen.append(other.load_checkpoint())
        except OSError as error:
            seen.append((type(error).__name__, error.errno))
        seen.append((other.has_checkpoint(), other.is_locked(), other.peek_metadata(), other.journal_info().generation))

    def attempt(action: Callable[[], object]) -> None:
        try:
            seen.append(action())
        except Exception as error:
            seen.append((type(error).__name__, getattr(error, "errno", None), getattr(error, "exit_code", None)))

    look()
    attempt(lambda: storage.save_checkpoint("text"))  # type: ignore[arg-type]
    attempt(lambda: storage.save_checkpoint(b"no json"))
    attempt(lambda: storage.save_checkpoint(b'{"t": "other"}'))
    attempt(lambda: storage.save_checkpoint(ck(res=[["a", 0, {}]])))
    look()
    storage.save_checkpoint(full(meta={"title": "story", "flags": ["x"]}, want=["b", "a"]))
    storage.save_checkpoint(result(1))
    storage.note("remark", {"job": "a"})
    storage.save_checkpoint(result(2, "fail"))
    look()
    attempt(lambda: again(storage).save_checkpoint(result(3)))
    attempt(lambda: again(storage).break_lock())
    attempt(lambda: again(storage).remove())
    storage.note("watchdog", {"after_s": 1}, now=True)
    storage.compact()
    storage.save_checkpoint(ck(drop=[["org.example::job-1", 1]]))
    look()
    storage.unlock()
    look()
    other = again(storage)
    other.save_checkpoint(result(4))
    other.close()
    attempt(lambda: other.save_checkpoint(result(5)))
    attempt(lambda: other.note("late", {}))
    look()
    storage.save_checkpoint(result(5))
    look()
    seen.append([{key: value for key, value in record.items() if key not in _OWN} for record in storage.records()])
    storage.remove()
    storage.remove()
    seen.append(os.path.exists(storage.location))
    attempt(lambda: storage.save_checkpoint(result(6)))
    attempt(lambda: again(storage).load_checkpoint())
    return seen


#: What is another one in each session.
_OWN = ("uuid", "parent")


def test_the_same_story_in_both(tmp_path: Path) -> None:
    """A script of every call gives the same bytes, records, answers and errors, whichever storage it is about."""
    assert story(in_memory(tmp_path)) == story(on_disk(tmp_path))


def test_the_story_of_a_failing_medium(tmp_path: Path) -> None:
    """With the same faults both raise the same errors, keep the same state and make the same calls."""

    def told(make: Callable[..., SessionStorage]) -> list[object]:
        ops = FaultyFiles()
        storage = make(tmp_path, files=ops)
        ops.forget()
        storage.save_checkpoint(result(1))
        ops.fail("pwrite", errno.ENOSPC)
        with pytest.raises(StorageFullError) as full_error:
            storage.save_checkpoint(result(2))
        ops.heal()
        storage.save_checkpoint(result(3))
        ops.fail("fdatasync", errno.EIO, lambda number: number == 1)
        storage.save_checkpoint(result(4))
        steps = [step for step in ops.steps if ".session" not in step[1]]
        return [full_error.value.errno, storage.load_checkpoint(), steps]

    assert told(in_memory) == told(on_disk)


def test_who_may_write(make: Make) -> None:
    """One storage object at a time, of this process or another one; when it lets go the next one can."""
    storage = make()
    with pytest.raises(LockedStorageError):
        again(storage).lock()
    code = "import sys; from plainbox.session import SessionStorage; SessionStorage(sys.argv[1]).lock()"
    other = subprocess.run([sys.executable, "-c", code, storage.location], capture_output=True, text=True)
    assert "LockedStorageError" in other.stderr
    storage.close()
    again(storage).lock()


def test_a_storage_that_is_gone(make: Make) -> None:
    """After the removal nobody finds the session, and that is no empty session."""
    storage = make()
    other = again(storage)
    storage.remove()
    for action in (other.load_checkpoint, other.lock, other.has_checkpoint):
        with pytest.raises(StorageGoneError):
            action()


# -- what only the one in memory does


def test_it_never_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call of it reaches the disk."""
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda fd: pytest.fail("a sync"))
    storage = MemoryStorage.create()
    storage.save_checkpoint(result(1))
    storage.compact()
    storage.close()


def test_it_is_gone_with_the_last_one_who_has_it() -> None:
    """The files stay while any storage of the session is there, and no longer."""
    storage = MemoryStorage.create()
    storage.save_checkpoint(result(1))
    location = Path(storage.location)
    other = storage.again()
    storage.close()
    del storage
    gc.collect()
    assert json.loads(other.load_checkpoint())["res"]
    third = other.again()
    del other
    gc.collect()
    assert third.has_checkpoint()
    del third
    gc.collect()
    assert not location.parent.exists()


@pytest.mark.parametrize("end", ["sys.exit(3)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_nothing_is_left_behind(end: str) -> None:
    """It is gone with its process too; what a killed process has left, the next one removes."""
    code = f"""
import os, signal, sys
from plainbox.testing import MemoryStorage
storage = MemoryStorage.create()
child = os.fork()
if child == 0:
    sys.exit()
os.waitpid(child, 0)
assert os.path.isdir(storage.location)
print(storage.location, flush=True)
{end}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    home = Path(done.stdout.strip()).parent
    MemoryStorage.create()
    assert not home.exists()


def test_its_files_are_private() -> None:
    """Nobody else can look into it."""
    storage = MemoryStorage.create()
    assert Path(storage.location).stat().st_mode & 0o777 == 0o700
    assert Path(storage.location).parent.stat().st_mode & 0o777 == 0o700


def test_a_save_that_fails() -> None:
    """The errors come in their order, each once; nothing of a failed save is stored."""
    storage = MemoryStorage.create()
    storage.save_checkpoint(result(1))
    before = storage.load_checkpoint()
    first, second = StorageFullError("no room"), LockedStorageError("in use")
    storage.fail_next(first)
    storage.fail_next(second)
    for error in (first, second):
        with pytest.raises(type(error)) as raised:
            storage.save_checkpoint(result(2))
        assert raised.value is error
    assert storage.load_checkpoint() == before
    storage.save_checkpoint(result(2))
    assert storage.load_checkpoint() != before


def test_a_tester_that_is_killed() -> None:
    """What was acknowledged is there, nothing else is written, and the session can be gone on with."""
    storage = MemoryStorage.create()
    storage.save_checkpoint(result(1))
    storage.note("never told", {})
    journal = Path(storage.location, "journal-000001.pbj").read_bytes()
    with pytest.raises(Stopped):
        storage.end_tester()
    storage.close()
    with pytest.raises(StorageClosedError, match="killed"):
        storage.save_checkpoint(result(2))
    assert Path(storage.location, "journal-000001.pbj").read_bytes() == journal
    other = storage.again()
    other.save_checkpoint(result(2))
    assert len(json.loads(other.load_checkpoint())["res"]) == 2


def test_it_can_lie_elsewhere(tmp_path: Path) -> None:
    """With a directory given it is made there and stays: for looking at what a test has stored."""
    location = MemoryStorage.create(tmp_path).location
    gc.collect()
    assert os.path.dirname(location) == str(tmp_path)
    assert os.path.isdir(location)
