# SPDX-License-Identifier: Apache-2.0
"""The process stops, or the machine does, at every step that the store takes."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from images_twins import TwoRecords
from invariants import let_go
from scale import Tally
from steps import ERRORS, Steps, error_faults, run, run_faults, stop_faults
from steps_tester import SCRIPTS, life
from steps_tester import Script as Life
from store_rig import agrees, ck, full, journal_of, reopened, result, results_of, second_reader

from plainbox.errors import CorruptedSessionError, StorageFullError
from plainbox.session import journal_reader
from plainbox.session.files import PathLike
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.storage import SessionStorage
from plainbox.testing.files import FaultyFiles, Stopped


@pytest.fixture(autouse=True)
def _one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torn tail is read several times, in case somebody is writing; after a crash nobody is."""
    monkeypatch.setattr(journal_reader, "_ATTEMPTS", 1)


class Progress:
    """What the script was told: where its session is and how many of its saves have returned."""

    def __init__(self) -> None:
        self.location: str | None = None
        self.saved = 0
        self.states: list[bytes | None] = [None]

    def save(self, storage: SessionStorage, data: bytes) -> None:
        storage.save_checkpoint(data)
        self.saved += 1
        self.states.append(reopened(storage).load_checkpoint())


def ordinary_life(base: Path, ops: FaultyFiles, progress: Progress) -> None:
    """Create, save, remark, replace the state, close, come back, go on, compact, close."""
    storage = SessionStorage.create(base, files=ops)
    progress.location = storage.location
    progress.save(storage, full(meta={"title": "life"}, want=["a", "b"]))
    progress.save(storage, result(1))
    storage.note("decision", {"job": "b"})
    progress.save(storage, ck(meta={"running_job_name": "b"}))
    progress.save(storage, full(meta={"title": "replaced"}, res=[["org.example::job-1", 1, {"return_code": 1}]]))
    progress.save(storage, result(2))
    storage.close()
    storage = SessionStorage(storage.location, files=ops)
    progress.save(storage, result(3))
    storage.note("watchdog", {}, now=True)
    storage.compact()
    progress.save(storage, ck(drop=[["org.example::job-3", 1]]))
    storage.close()


def full_disk(base: Path, ops: FaultyFiles, progress: Progress) -> None:
    """An append that runs out of space twice, half written, and succeeds later."""
    storage = SessionStorage.create(base, files=ops)
    progress.location = storage.location
    progress.save(storage, full(meta={"title": "full"}))
    progress.save(storage, result(1))
    ops.heal()
    ops.write_limit = 50
    ops.fail("pwrite", errno.ENOSPC, lambda number: number % 3 == 0)
    with pytest.raises(StorageFullError):
        storage.save_checkpoint(result(2))
    ops.heal()
    ops.write_limit = None
    progress.save(storage, result(3))
    storage.close()


def failed_sync(base: Path, ops: FaultyFiles, progress: Progress) -> None:
    """A sync that fails, so that the change ends up in a new generation."""
    storage = SessionStorage.create(base, files=ops)
    progress.location = storage.location
    progress.save(storage, full(meta={"title": "sync"}))
    progress.save(storage, result(1))
    ops.heal()
    ops.fail("fdatasync", errno.EIO, lambda number: number == 1)
    progress.save(storage, result(2))
    progress.save(storage, result(3))
    storage.close()


Script = Callable[[Path, FaultyFiles, Progress], None]


def run_until_stopped(script: Script, base: Path, ops: FaultyFiles) -> Progress:
    progress = Progress()
    with contextlib.suppress(Stopped):
        script(base, ops, progress)
    return progress


def rehearse(script: Script, base: Path, ops: FaultyFiles) -> Progress:
    """Run the script to its end; what it leaves is the model of all other runs."""
    progress = Progress()
    script(base, ops, progress)
    assert len(progress.states) > 3
    return progress


def load(storage: SessionStorage) -> bytes | None:
    try:
        return storage.load_checkpoint()
    except FileNotFoundError:
        return None


def check_survivor(base: Path, progress: Progress, model: Progress) -> None:
    """Everything acknowledged is there, nothing else but the change in flight, and the session can go on."""
    listed = SessionStorageRepository(base).get_storage_list()
    if progress.location is not None:
        assert [os.path.basename(item.location) for item in listed] == [os.path.basename(progress.location)]
    assert len(listed) <= 1
    if not listed:
        return
    storage = reopened(listed[0])
    assert not storage.is_locked()
    found = load(storage)
    possible = model.states[progress.saved : progress.saved + 2]
    assert found in possible
    if found is not None:
        generation = storage.journal_info().generation
        assert agrees(second_reader(journal_of(storage, generation).read_bytes()), found)
    storage.save_checkpoint(ck(meta={"after": True}))
    storage.close()
    again = load(reopened(storage))
    assert again is not None
    assert b'"after":true' in again
    assert not list(Path(storage.location).glob("*.tmp"))
    assert {item.name for item in Path(storage.location).iterdir()} <= {
        "lock",
        "io-logs",
        "head.json",
        journal_of(storage, storage.journal_info().generation).name,
    }


@pytest.mark.parametrize("script", [ordinary_life, full_disk, failed_sync])
def test_a_process_that_stops_at_any_step_loses_nothing_acknowledged(script: Script, tmp_path: Path) -> None:
    """Before each call, after it, and with half of a write done."""
    ops = FaultyFiles()
    model = rehearse(script, tmp_path / "model", ops)
    total = len(ops.steps)
    assert total > 30
    for step in range(1, total + 1):
        for how in ("before", "after", "half"):
            call = ops.steps[step - 1][0]
            if (how == "half" and call != "pwrite") or (how == "after" and call == "reach"):
                continue
            stopping = FaultyFiles()
            stopping.stop_at, stopping.how = step, how
            base = tmp_path / f"{step}-{how}"
            progress = run_until_stopped(script, base, stopping)
            check_survivor(base, progress, model)


def test_a_removal_that_stops_at_any_step_leaves_all_or_nothing(tmp_path: Path) -> None:
    """A session that is being removed is listed whole or not at all, and the leftovers can be cleared away."""
    for step in range(1, 8):
        base = tmp_path / str(step)
        storage = SessionStorage.create(base, files=FaultyFiles())
        storage.save_checkpoint(full(meta={"title": "gone"}))
        storage.close()
        ops = FaultyFiles()
        ops.stop_at = step
        removing = SessionStorage(storage.location, files=ops)
        with contextlib.suppress(Stopped):
            removing.remove()
        del removing
        repository = SessionStorageRepository(base)
        for item in repository:
            assert b'"title":"gone"' in item.load_checkpoint()
        repository.remove_leftovers(older_than_s=-1)
        assert [name for name in os.listdir(base) if name.startswith(".")] == []


class PowerLossOps(FaultyFiles):
    """Knows what is on the disk for certain: contents since their last sync, names since their directory's."""

    def __init__(self) -> None:
        super().__init__()
        self.contents: dict[int, bytes] = {}
        self.entries: dict[int, dict[str, int]] = {}
        self._kept: list[int] = []

    def open(self, path: PathLike, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
        fd = super().open(path, flags, mode, dir_fd=dir_fd)
        self._kept.append(os.dup(fd))  # so that no inode number is used twice
        return fd

    def open_directory(self, path: PathLike, *, dir_fd: int | None = None) -> int:
        fd = super().open_directory(path, dir_fd=dir_fd)
        self._kept.append(os.dup(fd))
        return fd

    def fdatasync(self, fd: int) -> None:
        super().fdatasync(fd)
        self.contents[os.fstat(fd).st_ino] = os.pread(fd, os.fstat(fd).st_size, 0)

    def fsync(self, fd: int) -> None:
        super().fsync(fd)
        self.entries[os.fstat(fd).st_ino] = {entry.name: entry.inode() for entry in os.scandir(fd)}

    def image(self, base: Path, target: Path, *, names_lost: bool) -> None:
        """Build what a power loss leaves: unsynced contents are lost, unsynced names too or none of them."""
        directories = {base.stat().st_ino: base} if base.exists() else {}
        directories |= {item.stat().st_ino: item for item in base.rglob("*") if item.is_dir()}

        def build(inode: int, place: Path) -> None:
            place.mkdir(parents=True)
            now = {item.name: item.stat().st_ino for item in directories[inode].iterdir()}
            for name, child in (self.entries.get(inode, {}) if names_lost else now).items():
                if child in directories:
                    build(child, place / name)
                elif name == "head.json" and now.get(name) == child:
                    # Never synced, so it may be on the disk already; that is the harder case for the reader.
                    (place / name).write_bytes((directories[inode] / name).read_bytes())
                else:
                    (place / name).write_bytes(self.contents.get(child, b""))

        if base.exists():
            build(base.stat().st_ino, target)

    def forget_files(self) -> None:
        for fd in self._kept:
            os.close(fd)
        self._kept.clear()


class NoFileSync(PowerLossOps):
    def fdatasync(self, fd: int) -> None:
        FaultyFiles.fdatasync(self, fd)


class NoDirectorySync(PowerLossOps):
    def fsync(self, fd: int) -> None:
        FaultyFiles.fsync(self, fd)


def power_losses(script: Script, tmp_path: Path, make: type[PowerLossOps]) -> None:
    rehearsal = make()
    model = rehearse(script, tmp_path / "model", rehearsal)
    rehearsal.forget_files()
    for step in range(1, len(rehearsal.steps) + 1):
        if rehearsal.steps[step - 1][0] == "reach":
            continue
        ops = make()
        ops.stop_at, ops.how = step, "after"
        base = tmp_path / str(step)
        progress = run_until_stopped(script, base, ops)
        for names_lost in (True, False):
            target = tmp_path / f"{step}-{names_lost}"
            ops.image(base, target, names_lost=names_lost)
            check_survivor(target, progress, model)
        ops.forget_files()


@pytest.mark.parametrize("script", [ordinary_life, failed_sync])
def test_a_power_loss_at_any_step_loses_nothing_acknowledged(script: Script, tmp_path: Path) -> None:
    """Whatever was not synced is gone; what was acknowledged is there all the same."""
    power_losses(script, tmp_path, PowerLossOps)


@pytest.mark.parametrize("broken", [NoFileSync, NoDirectorySync])
def test_the_power_loss_rig_notices_a_missing_sync(broken: type[PowerLossOps], tmp_path: Path) -> None:
    """A store that forgot to sync its files, or its directories, does not pass."""
    with pytest.raises((AssertionError, CorruptedSessionError)):
        power_losses(ordinary_life, tmp_path, broken)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_tester_that_stops_at_any_call_loses_nothing(script: Life, tmp_path: Path) -> None:
    """Attempts, logs, retries, made jobs, compaction, closing: every sixth place to stop, and what must hold after it."""
    tally = Tally()
    run_faults(stop_faults(script, tmp_path / "rehearsal")[::6], tmp_path, tally)
    assert tally.figures("steps").good, tally


@pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
def test_a_call_that_fails_costs_nothing_acknowledged(error: int, tmp_path: Path) -> None:
    """The error is reported as what it is, the session goes on when it is over, or the store says that it never will."""
    tally = Tally()
    faults = [fault for fault in error_faults(life, tmp_path / "rehearsal") if fault.error == error]
    run_faults(faults[error % 16 :: 16], tmp_path, tally)
    assert tally.figures("steps").good, tally


def test_the_rig_of_steps_tries_what_it_is_asked_for(tmp_path: Path) -> None:
    """So many faults, chosen by the seed."""
    figures = run(trials=20, seed=3, base=tmp_path)
    assert (figures.good, figures.trials) == (True, 20)


def test_a_tester_that_stores_the_end_of_an_attempt_in_two_records_is_caught(tmp_path: Path) -> None:
    """Between the two an attempt runs that has its result."""
    tally = Tally()
    run_faults(stop_faults(life, tmp_path / "rehearsal", TwoRecords)[::12], tmp_path, tally, TwoRecords)
    assert any("runs and has a result" in violation for violation in tally.violations)


def test_a_store_that_leaves_half_a_record_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk without a truncation afterwards: the journal does not end where it should."""
    monkeypatch.setattr(Steps, "ftruncate", lambda self, fd, size: None)
    tally = Tally()
    faults = [fault for fault in error_faults(life, tmp_path / "rehearsal") if fault.error == errno.ENOSPC]
    run_faults([fault for fault in faults if fault.for_ever][::6], tmp_path, tally)
    assert not tally.figures("steps").good


@pytest.mark.parametrize("tail", [b"PBJ1 half a record", None], ids=["torn", "unterminated"])
def test_a_torn_tail_that_cannot_be_cut_durably_is_left_behind(tail: bytes | None, tmp_path: Path) -> None:
    """The sync after the cut fails: it is not asked for again, the session goes on in a new generation."""
    storage = SessionStorage.create(tmp_path, files=FaultyFiles())
    storage.save_checkpoint(full(meta={"title": "torn"}))
    storage.save_checkpoint(result(1))
    let_go(storage)
    journal = journal_of(storage)
    journal.write_bytes(journal.read_bytes()[:-1] if tail is None else journal.read_bytes() + tail)
    ops = FaultyFiles()
    ops.fail("fdatasync", errno.EIO, lambda number: number == 1)
    storage = SessionStorage(storage.location, files=ops)
    storage.save_checkpoint(result(2))
    assert ops.names("fdatasync")[0] == ("fdatasync", journal.name)
    assert ("fdatasync", journal.name) not in ops.names("fdatasync")[1:]
    assert storage.journal_info().generation == 2
    assert set(results_of(storage.load_checkpoint()).values()) == {1, 2}
    assert [record["data"]["errno"] for record in storage.records() if record.get("kind") == "sync-failed"] == [
        errno.EIO
    ]
    storage.close()
