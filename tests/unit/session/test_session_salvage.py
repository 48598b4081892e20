# SPDX-License-Identifier: Apache-2.0
"""A damaged session is made usable again, and what could not be saved is told by name."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile_rig import DEPTH, nested
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_rig import ck, full, journal_of, reopened

from plainbox.errors import (
    CorruptedSessionError,
    IncompatibleSessionError,
    LockedStorageError,
    SessionError,
    StorageError,
    StorageFullError,
)
from plainbox.session.codec import encode_line
from plainbox.session.iolog import IOLogWriter, read_frames
from plainbox.session.salvage import Salvage, salvage
from plainbox.session.scan import remarks_of
from plainbox.session.storage import SessionStorage
from plainbox.session.verification import verify
from plainbox.session.walk import walk
from plainbox.testing.files import FaultyFiles, Stopped

JOBS = [f"org.example::job-{number}" for number in range(4)]


def started(storage: SessionStorage, job_id: str, attempt: int = 1) -> IOLogWriter:
    log = IOLogWriter(storage.location, job_id, attempt, files=FaultyFiles(), background=False, boot="boot")
    running = {job_id: {"attempt": attempt, "log": log.path}}
    storage.save_checkpoint(ck(meta={"running": running}, jobs={job_id: {"sum": "0" * 32, "attempts": 2}}))
    log.write("stdout", f"output of {job_id}\n".encode())
    return log


def ended(storage: SessionStorage, log: IOLogWriter, job_id: str, attempt: int = 1, outcome: str = "pass") -> None:
    result = {"attempt": attempt, "outcome": outcome, "origin": "run", "log": log.close()}
    storage.save_checkpoint(ck(meta={"running": {}}, res=[[job_id, attempt, result]]))


def life(base: Path, *, close: bool = False) -> SessionStorage:
    """A session of four jobs, each started and ended: checkpoint 1 is the dump, 2 starts job 0, 3 has its result."""
    storage = SessionStorage.create(base, files=FaultyFiles())
    definitions = {job_id: {"fields": {"plugin": "shell"}} for job_id in JOBS}
    entries = {job_id: {"sum": "0" * 32} for job_id in JOBS}
    storage.save_checkpoint(
        full(meta={"title": "life", "flags": ["incomplete"]}, jobs=entries, units=definitions, want=JOBS)
    )
    for job_id in JOBS:
        ended(storage, started(storage, job_id), job_id)
    if close:
        storage.close()
    else:
        storage._writer.abandon()  # type: ignore[union-attr]
        storage._writer = None
        storage.unlock()
    return storage


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where new sessions go."""
    monkeypatch.setenv("PLAINBOX_SESSION_REPO", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> SessionStorage:
    return life(tmp_path_factory.mktemp("salvage"))


def copied(original: SessionStorage, base: Path) -> SessionStorage:
    base.mkdir(parents=True, exist_ok=True)
    target = base / Path(original.location).name
    shutil.copytree(original.location, target)
    return SessionStorage(target, files=FaultyFiles())


def lines_of(storage: SessionStorage, generation: int = 1) -> list[bytes]:
    return journal_of(storage, generation).read_bytes().splitlines(keepends=True)


def line_of_checkpoint(storage: SessionStorage, number: int) -> int:
    found = [index for index, line in enumerate(lines_of(storage)) if f'"n":{number},' in line.decode()]
    return next(index for index in found if b'"t":"ck"' in lines_of(storage)[index])


def flip(storage: SessionStorage, line: int, place: int = 60) -> None:
    lines = lines_of(storage)
    damaged = bytearray(lines[line])
    damaged[place] ^= 1
    journal_of(storage).write_bytes(b"".join([*lines[:line], bytes(damaged), *lines[line + 1 :]]))


def outcomes(storage: SessionStorage) -> dict[tuple[str, int], str]:
    stored = json.loads(reopened(storage).load_checkpoint())
    return {(job_id, attempt): result["outcome"] for job_id, attempt, result in stored.get("res", [])}


def everything(path: str | Path) -> dict[str, tuple[bytes | None, int]]:
    return {
        str(item.relative_to(path)): (item.read_bytes() if item.is_file() else None, item.stat().st_mtime_ns)
        for item in sorted(Path(path).rglob("*"))
    }


def lost_results(done: Salvage) -> set[tuple[str | None, int | None]]:
    return {(loss.job, loss.attempt) for loss in done.losses if loss.kind == "result"}


ALL_PASS = {(job_id, 1): "pass" for job_id in JOBS}


@pytest.mark.parametrize("number", range(4))
def test_damaged_result_costs_that_result_alone(original: SessionStorage, tmp_path: Path, number: int) -> None:
    """The others are kept, the lost attempt is named, and as its output is there it is undecided."""
    storage = copied(original, tmp_path)
    flip(storage, line_of_checkpoint(storage, 3 + 2 * number))
    done = salvage(storage)
    assert outcomes(storage) == {**ALL_PASS, (JOBS[number], 1): "undecided"}
    assert lost_results(done) == {(JOBS[number], 1)}
    assert done.exit_code == 1
    [result] = [
        item for job_id, _, item in json.loads(reopened(storage).load_checkpoint())["res"] if job_id == JOBS[number]
    ]
    assert result["origin"] == "salvage"
    assert b"".join(frame.data for frame in read_frames(Path(storage.location) / result["log"]["path"])).startswith(
        b"output of"
    )


@pytest.mark.parametrize("number", range(4))
def test_damaged_start_costs_no_result(original: SessionStorage, tmp_path: Path, number: int) -> None:
    """The checkpoint is named; the attempt has its result, which came later."""
    storage = copied(original, tmp_path)
    flip(storage, line_of_checkpoint(storage, 2 + 2 * number))
    done = salvage(storage)
    assert outcomes(storage) == ALL_PASS
    assert lost_results(done) == set()
    [loss] = done.losses
    assert loss.message.startswith(f"checkpoint {2 + 2 * number} (journal-000001.pbj, byte ")


def test_result_without_output_is_run_again(original: SessionStorage, tmp_path: Path) -> None:
    """An attempt of which nothing is left is named, and has no result."""
    storage = copied(original, tmp_path)
    flip(storage, line_of_checkpoint(storage, 5))
    for log in Path(storage.location, "io-logs").glob("*job-1*"):
        log.unlink()
    done = salvage(storage)
    assert (JOBS[1], 1) not in outcomes(storage)
    assert lost_results(done) == {(JOBS[1], 1)}
    assert any("runs it again" in loss.message for loss in done.losses)


def test_originals_are_kept_and_a_second_run_has_nothing_to_do(original: SessionStorage, tmp_path: Path) -> None:
    """The damaged files are in the quarantine byte for byte."""
    storage = copied(original, tmp_path)
    flip(storage, 5)
    before = everything(storage.location)
    done = salvage(storage)
    after = everything(storage.location)
    for name in ("journal-000001.pbj", "head.json"):
        assert after[f"{done.quarantine}/{name}"][0] == before[name][0]
    assert after["journal-000001.pbj"] == before["journal-000001.pbj"]
    assert set(before) <= set(after)
    again = salvage(storage)
    assert (again.state, again.exit_code) == ("sound", 0)
    assert {name: item[0] for name, item in everything(storage.location).items() if name != "lock"} == {
        name: item[0] for name, item in after.items() if name != "lock"
    }


@pytest.mark.parametrize("into", [None, "another"])
def test_the_past_is_told_on(original: SessionStorage, tmp_path: Path, into: str | None) -> None:
    """Openings and notes are in what the salvage writes, each once."""
    storage = copied(original, tmp_path)
    storage.note("decision", {"job": "b"})
    storage.save_checkpoint(ck(meta={"title": "later"}))
    storage.note("another", {}, now=True)
    storage.unlock()
    before = [remark for record in storage.records() for remark in remarks_of(record)]
    assert [record.get("kind") for record in before] == [None, None, "decision", "another"]
    flip(storage, line_of_checkpoint(storage, 3))
    salvage(storage, into=into)
    if into:
        storage = SessionStorage(Path(storage.location).with_name(f"{into}.session"))
    after = [remark for record in reopened(storage).records() for remark in remarks_of(record)]
    assert after[:4] == before
    assert [record.get("kind") for record in after[4:]] == [None, "salvage"]


def test_dry_run_changes_nothing(original: SessionStorage, tmp_path: Path) -> None:
    """Not a byte, not a name, not a time; and it tells the same as the salvage after it."""
    storage = copied(original, tmp_path)
    flip(storage, 6)
    (Path(storage.location) / "lock").unlink()
    before = everything(tmp_path)
    files = FaultyFiles()
    planned = salvage(SessionStorage(storage.location, files=files), dry_run=True)
    assert everything(tmp_path) == before
    assert not [step for step in files.steps if step[0] not in ("open", "close")]
    assert planned.losses == salvage(storage).losses


def test_into_leaves_the_damaged_session_alone(original: SessionStorage, tmp_path: Path) -> None:
    """Another session appears, with its logs, and the damaged one is as it was."""
    storage = copied(original, tmp_path)
    flip(storage, line_of_checkpoint(storage, 5))
    before = everything(storage.location)
    done = salvage(storage, into="rescued")
    assert everything(storage.location) == before
    rescued = SessionStorage(tmp_path / "rescued.session", files=FaultyFiles())
    assert outcomes(rescued) == {**ALL_PASS, (JOBS[1], 1): "undecided"}
    assert verify(rescued, deep=True).state == "good"
    assert rescued.records()[0]["id"] == "rescued"
    assert done.into == "rescued"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
    with pytest.raises(StorageError, match="already"):
        salvage(storage, into="rescued")
    for bad in ("../x", "", ".hidden", "a/b"):
        with pytest.raises(ValueError, match="cannot be the id"):
            salvage(storage, into=bad)


def test_into_makes_the_session_in_the_repository(original: SessionStorage, tmp_path: Path) -> None:
    """Wherever the damaged one lies; the repository is made when it is missing, and the id ends before the suffix."""
    storage = copied(original, tmp_path / "elsewhere")
    flip(storage, line_of_checkpoint(storage, 5))
    before = everything(tmp_path / "elsewhere")
    done = salvage(storage, into="rescued.session", repository=tmp_path / "new" / "sessions")
    assert done.into == "rescued"
    assert verify(SessionStorage(tmp_path / "new" / "sessions" / "rescued.session"), deep=True).state == "good"
    assert everything(tmp_path / "elsewhere") == before
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="repository"):
        salvage(storage, into="rescued", repository=tmp_path / "file")


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="there is no other file system to write to")
def test_into_goes_across_file_systems(original: SessionStorage, tmp_path: Path) -> None:
    """The new session need not be where the damaged one is."""
    storage = copied(original, tmp_path)
    flip(storage, line_of_checkpoint(storage, 5))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as base:
        salvage(storage, into="rescued", repository=base)
        assert verify(SessionStorage(Path(base, "rescued.session")), deep=True).state == "good"


def test_running_job_stays_for_the_resume(tmp_path: Path) -> None:
    """What ran at the end has no result, with the damage somewhere else; an unfinished log is not touched."""
    storage = SessionStorage.create(tmp_path, files=FaultyFiles())
    storage.save_checkpoint(full(meta={"title": "runs"}, jobs={job_id: {"sum": "0"} for job_id in JOBS}))
    ended(storage, started(storage, JOBS[0]), JOBS[0])
    log = started(storage, JOBS[1])
    log.flush()
    storage._writer.abandon()  # type: ignore[union-attr]
    storage.unlock()
    flip(storage, line_of_checkpoint(storage, 3))
    done = salvage(reopened(storage))
    assert lost_results(done) == {(JOBS[0], 1)}
    stored = json.loads(reopened(storage).load_checkpoint())
    assert stored["meta"]["running"] == {JOBS[1]: {"attempt": 1, "log": log.path}}
    assert outcomes(storage) == {(JOBS[0], 1): "undecided"}


def test_lost_tail_is_made_good_from_the_logs(original: SessionStorage, tmp_path: Path) -> None:
    """With the last four records gone, their jobs are undecided: their logs tell that they ran to the end."""
    storage = copied(original, tmp_path)
    journal_of(storage).write_bytes(b"".join(lines_of(storage)[:-4]))
    with pytest.raises(CorruptedSessionError):
        reopened(storage).load_checkpoint()
    done = salvage(storage)
    assert outcomes(storage) == {**ALL_PASS, (JOBS[2], 1): "undecided", (JOBS[3], 1): "undecided"}
    assert lost_results(done) == {(JOBS[2], 1), (JOBS[3], 1)}
    assert salvage(storage).exit_code == 0


def test_journal_gone_with_logs_left(original: SessionStorage, tmp_path: Path) -> None:
    """Nothing can be used, with or without the hint, and nothing is changed."""
    storage = copied(original, tmp_path)
    journal_of(storage).unlink()
    before = everything(Path(storage.location) / "io-logs")
    for _ in range(2):
        done = salvage(storage)
        assert (done.state, done.exit_code) == ("unusable", 3)
        (Path(storage.location) / "head.json").unlink(missing_ok=True)
    assert everything(Path(storage.location) / "io-logs") == before
    assert not (Path(storage.location) / "quarantine").exists()


def test_head_alone_costs_nothing(original: SessionStorage, tmp_path: Path) -> None:
    """The digest of the dump proves that all of it is there; the identity comes from the hint."""
    storage = copied(original, tmp_path)
    uuid = storage.records()[0]["uuid"]
    flip(storage, 0, 100)
    done = salvage(storage)
    assert (done.losses, done.exit_code) == ((), 0)
    assert outcomes(storage) == ALL_PASS
    assert reopened(storage).records()[0]["uuid"] == uuid


def test_end_of_the_dump_alone_costs_nothing(original: SessionStorage, tmp_path: Path) -> None:
    """All slices are there, and the writer began behind them."""
    storage = copied(original, tmp_path)
    assert b"full-end" in lines_of(storage)[2]
    flip(storage, 2)
    assert salvage(storage).losses == ()
    assert outcomes(storage) == ALL_PASS


def test_damaged_dump_is_bridged_from_the_older_generation(tmp_path: Path) -> None:
    """A compacted session that has both generations loses nothing with a slice of the dump."""
    storage = life(tmp_path)
    storage = reopened(storage)
    storage.compact()
    storage.save_checkpoint(ck(meta={"title": "later"}))
    storage._writer.abandon()  # type: ignore[union-attr]
    storage.unlock()
    path = journal_of(storage, 2)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:50] + b"\0" * 30 + lines[1][80:] + b"".join(lines[2:]))
    done = salvage(reopened(storage))
    assert done.losses == ()
    assert outcomes(storage) == ALL_PASS
    assert b'"title":"later"' in reopened(storage).load_checkpoint()


def test_damaged_first_dump_keeps_what_came_after(original: SessionStorage, tmp_path: Path) -> None:
    """The results are kept, what the dump had is named by its counts."""
    storage = copied(original, tmp_path)
    flip(storage, 1)
    done = salvage(storage)
    assert outcomes(storage) == ALL_PASS
    assert done.exit_code == 1
    assert any("not complete" in loss.message for loss in done.losses)


def test_exchanged_generation(original: SessionStorage, tmp_path: Path) -> None:
    """A file under another number is not trusted by readers, and put in its place; another session's is left out."""
    storage = copied(original, tmp_path / "number")
    journal_of(storage).rename(journal_of(storage, 3))
    with pytest.raises(CorruptedSessionError, match="exchanged"):
        storage.load_checkpoint()
    assert salvage(storage).losses == ()
    assert outcomes(storage) == ALL_PASS

    stranger = life(tmp_path / "stranger")
    storage = copied(original, tmp_path / "other")
    shutil.copy(journal_of(stranger), journal_of(storage, 2))
    assert salvage(storage).losses == ()
    assert outcomes(storage) == ALL_PASS
    assert reopened(storage).records()[0]["uuid"] == original.records()[0]["uuid"]

    storage = copied(original, tmp_path / "alone")
    shutil.copy(journal_of(stranger), journal_of(storage))
    with pytest.raises(CorruptedSessionError, match="exchanged"):
        storage.load_checkpoint()
    assert salvage(storage).state == "unusable"


def test_newer_version_and_other_programs_are_left_alone(original: SessionStorage, tmp_path: Path) -> None:
    """Neither is touched: the errors say whose they are."""
    newer = copied(original, tmp_path / "newer")
    head = {**original.records()[0], "schema": "plainbox.session/99"}
    journal_of(newer).write_bytes(encode_line(0, "0" * 16, head) + b"".join(lines_of(original)[1:]))
    other = tmp_path / "x.session"
    other.mkdir()
    (other / "session").write_bytes(b"\x1f\x8b")
    for storage, kind in ((newer, IncompatibleSessionError), (SessionStorage(other), CorruptedSessionError)):
        before = {name: item[0] for name, item in everything(storage.location).items() if name != "lock"}
        with pytest.raises(kind):
            salvage(storage)
        assert {name: item[0] for name, item in everything(storage.location).items() if name != "lock"} == before


def test_busy_session_is_refused(original: SessionStorage, tmp_path: Path) -> None:
    """Whoever works with the session keeps it, also from a dry run."""
    storage = copied(original, tmp_path)
    flip(storage, 5)
    owner = reopened(storage)
    owner.lock()
    for options in ({}, {"dry_run": True}, {"into": "copy"}):
        with pytest.raises(LockedStorageError):
            salvage(storage, **options)  # type: ignore[arg-type]
    owner.close()


def test_read_only_directory(original: SessionStorage, tmp_path: Path) -> None:
    """The error says so and names the way out."""
    storage = copied(original, tmp_path)
    flip(storage, 5)
    files = FaultyFiles()
    files.fail("open", errno.EROFS)
    with pytest.raises(StorageError, match="Read-only") as caught:
        salvage(SessionStorage(storage.location, files=files))
    assert f"--into ID {storage.id} " in (caught.value.hint or "")
    away = copied(original, tmp_path / "a b")
    with pytest.raises(StorageError) as caught:
        salvage(SessionStorage(away.location, files=files))
    assert f"--into ID '{away.location}' " in (caught.value.hint or "")


@pytest.mark.parametrize("call", range(1, 7))
def test_full_disk_leaves_the_originals(original: SessionStorage, tmp_path: Path, call: int) -> None:
    """Whichever write finds no space: the error says so, the session is as it was, and can be salvaged later."""
    storage = copied(original, tmp_path)
    flip(storage, 7)
    before = everything(storage.location)
    files = FaultyFiles()
    files.fail("pwrite", errno.ENOSPC, lambda number: number >= call)
    full_disk = SessionStorage(storage.location, files=files)
    with contextlib.suppress(StorageFullError):
        salvage(full_disk)
        assert call > 4, "the disk was full, and nobody noticed"
    after = everything(storage.location)
    assert all(after[name][0] == item[0] for name, item in before.items() if name not in ("lock", "head.json"))
    salvage(storage)
    assert len(outcomes(storage)) == 4


@pytest.mark.parametrize("file", ["head.json", "iolog", "journal-000002"])
def test_full_disk_keeps_no_copies(original: SessionStorage, tmp_path: Path, file: str) -> None:
    """What a salvage has made before the disk was full is gone again, however often it is tried."""
    storage = copied(original, tmp_path)
    flip(storage, line_of_checkpoint(storage, 5))
    [log] = Path(storage.location, "io-logs").glob("*job-3*")
    log.write_bytes(log.read_bytes()[:-40])
    (Path(storage.location) / "lock").touch()
    before = everything(storage.location).keys()
    for _ in range(2):
        files = FaultyFiles()
        files.fail("pwrite", errno.ENOSPC, file=file)
        with pytest.raises(StorageFullError) as caught:
            salvage(SessionStorage(storage.location, files=files))
        assert "as it was" in (caught.value.hint or "")
        assert everything(storage.location).keys() == before
    salvage(storage)
    assert verify(storage, deep=True).state == "good"


def test_every_odd_file_is_set_aside(original: SessionStorage, tmp_path: Path) -> None:
    """What verify calls damage is none after a salvage, also in a session that loads."""
    storage = copied(original, tmp_path)
    place = Path(storage.location)
    shutil.copy(journal_of(storage), tmp_path / "old")
    storage.compact()
    storage.unlock()
    journal_of(storage).unlink(missing_ok=True)
    journal_of(storage).symlink_to(tmp_path / "old")
    os.mkfifo(place / "more.pbj")
    stored = reopened(storage).load_checkpoint()
    assert verify(storage).state == "damaged"
    done = salvage(storage)
    assert (done.state, done.exit_code) == ("repaired", 0)
    assert {"journal-000001.pbj", "more.pbj"} <= set(os.listdir(place / str(done.quarantine)))
    assert verify(storage).state == "good"
    assert reopened(storage).load_checkpoint() == stored
    assert salvage(storage).state == "sound"


@pytest.mark.parametrize("instead", [True, False])
def test_lost_directory_of_logs_is_made_again(original: SessionStorage, tmp_path: Path, instead: bool) -> None:
    """The logs are lost, that is told once, and there is a directory for new ones; a file in its place is set aside."""
    storage = copied(original, tmp_path)
    logs = Path(storage.location, "io-logs")
    shutil.rmtree(logs)
    if instead:
        logs.write_text("what is this?")
    done = salvage(storage)
    assert done.exit_code == 1
    assert Path(storage.location, str(done.quarantine), "io-logs").is_file() == instead
    assert verify(storage).state == "good"
    assert logs.is_dir()


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("name", ["io-logs", "lock"])
def test_link_that_takes_a_hand_is_left_alone(
    original: SessionStorage, tmp_path: Path, name: str, dry_run: bool
) -> None:
    """No log is called lost that may be behind a link: verify and salvage say what is to be done, and it helps."""
    storage = copied(original, tmp_path)
    place, away = Path(storage.location, name), tmp_path / "away"
    place.touch()
    place.rename(away)
    place.symlink_to(away)
    found = verify(storage)
    assert found.state == "damaged"
    [remedy] = [item.remedy for item in found.findings if item.remedy]
    before = everything(storage.location)
    with pytest.raises(StorageError, match=f"{name}: it is a symbolic link") as caught:
        salvage(storage, dry_run=dry_run)
    assert remedy in (caught.value.hint or "")
    assert everything(storage.location) == before
    place.unlink()
    if name == "io-logs":
        away.rename(place)
    assert verify(storage).state == "good"
    assert salvage(storage).state == "sound"


def test_odd_files_alone_are_no_session(tmp_path: Path) -> None:
    """Where nothing was ever saved there is nothing to repair, and salvage agrees with verify that it is not sound."""
    storage = SessionStorage.create(tmp_path, files=FaultyFiles())
    storage.unlock()
    assert salvage(storage).state == "sound"
    Path(storage.location, "more.pbj").symlink_to("/")
    assert verify(storage).state == "damaged"
    assert salvage(storage).exit_code == 3


def test_odd_files_do_not_stop_it(original: SessionStorage, tmp_path: Path) -> None:
    """A link in the place of the hint moves to the quarantine; a FIFO as the newest generation is passed over."""
    storage = copied(original, tmp_path)
    hint = Path(storage.location) / "head.json"
    hint.unlink()
    hint.symlink_to("/etc/passwd")
    os.mkfifo(journal_of(storage, 2))
    with pytest.raises(CorruptedSessionError):
        storage.load_checkpoint()
    done = salvage(storage)
    assert outcomes(storage) == ALL_PASS
    assert (Path(storage.location) / str(done.quarantine) / "head.json").is_symlink()
    assert salvage(storage).state == "sound"


def test_highest_number_cannot_be_followed(original: SessionStorage, tmp_path: Path) -> None:
    """A file with the highest number that a name can have needs another session."""
    storage = copied(original, tmp_path)
    (Path(storage.location) / "journal-999999999999.pbj").write_bytes(b"x")
    with pytest.raises(StorageError, match="no generation"):
        salvage(storage)
    salvage(storage, into="rescued")
    assert outcomes(SessionStorage(tmp_path / "rescued.session")) == ALL_PASS


class TestLogs:
    def test_log_without_end_gets_a_closed_copy(self, original: SessionStorage, tmp_path: Path) -> None:
        """The good frames are kept in a copy that the result refers to, the original stays, and that is all."""
        storage = copied(original, tmp_path)
        [log] = Path(storage.location, "io-logs").glob("*job-2*")
        log.write_bytes(log.read_bytes()[:-40])
        assert verify(storage).state == "damaged"
        done = salvage(storage)
        assert [loss.kind for loss in done.losses] == ["log"]
        assert log.exists()
        assert outcomes(storage) == ALL_PASS
        assert verify(storage, deep=True).state == "good"
        assert salvage(storage, deep=True).state == "sound"

    def test_damage_inside_of_a_log_is_found_with_deep(self, original: SessionStorage, tmp_path: Path) -> None:
        """A flipped byte that leaves the size alone."""
        storage = copied(original, tmp_path)
        [log] = Path(storage.location, "io-logs").glob("*job-2*")
        data = bytearray(log.read_bytes())
        data[data.index(b"output of")] ^= 1
        log.write_bytes(data)
        assert verify(storage).state == "good"
        assert verify(storage, deep=True).state == "damaged"
        assert salvage(storage, deep=True).exit_code == 1
        assert verify(storage, deep=True).state == "good"

    def test_missing_log_is_named_once(self, original: SessionStorage, tmp_path: Path) -> None:
        """Nothing brings it back; from then on it is known."""
        storage = copied(original, tmp_path)
        [log] = Path(storage.location, "io-logs").glob("*job-2*")
        log.unlink()
        assert verify(storage).state == "damaged"
        done = salvage(storage)
        assert [(loss.kind, loss.job) for loss in done.losses] == [("log", JOBS[2])]
        assert salvage(storage).exit_code == 0
        assert verify(storage).state == "good"


def test_salvage_that_stops_at_any_step_can_be_repeated(original: SessionStorage, tmp_path: Path) -> None:
    """A second one ends where an undisturbed one does, and until then the session reads as before or is repaired."""
    damaged = copied(original, tmp_path / "damaged")
    flip(damaged, line_of_checkpoint(damaged, 5))
    [log] = Path(damaged.location, "io-logs").glob("*job-3*")
    log.write_bytes(log.read_bytes()[:-40])
    model = copied(damaged, tmp_path / "model")
    files = FaultyFiles()
    losses = salvage(SessionStorage(model.location, files=files)).losses
    expected = reopened(model).load_checkpoint()
    assert len(files.steps) > 30
    for step in range(1, len(files.steps) + 1):
        call = files.steps[step - 1][0]
        for how in ("before", "after", "half"):
            if (how == "half" and call != "pwrite") or (how == "after" and call == "reach"):
                continue
            storage = copied(damaged, tmp_path / f"{step}-{how}")
            stopping = FaultyFiles()
            stopping.stop_at, stopping.how = step, how
            with contextlib.suppress(Stopped):
                salvage(SessionStorage(storage.location, files=stopping))
            with contextlib.suppress(CorruptedSessionError):
                assert reopened(storage).load_checkpoint() == expected
            again = salvage(storage)
            assert again.state == "sound" or again.losses == losses
            assert reopened(storage).load_checkpoint() == expected
            assert not list(Path(storage.location).rglob("*.tmp"))
            shutil.rmtree(tmp_path / f"{step}-{how}")


# -- whatever happens to the journal


def _flip(data: bytes, place: int, size: int) -> bytes:
    return data[:place] + bytes(byte ^ 0x41 for byte in data[place : place + size]) + data[place + size :]


MUTATIONS: list[Callable[[bytes, int, int], bytes]] = [
    _flip,
    lambda data, place, size: data[:place],
    lambda data, place, size: data[:place] + data[place + size :],
    lambda data, place, size: data[:place] + b"\0" * size + data[place + size :],
    lambda data, place, size: data[:place] + data[place : place + size] * 2 + data[place + size :],
    lambda data, place, size: data[place:] + data[:place],
    lambda data, place, size: data[:place] + b"\n" + data[place:],
    lambda data, place, size: data[: place + 1] + data[place + 2 :],
]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    mutations=st.lists(
        st.tuples(st.sampled_from(MUTATIONS), st.floats(0, 1), st.integers(1, 700)), min_size=1, max_size=3
    ),
    hint=st.booleans(),
)
def test_no_result_appears_that_was_not_submitted(
    original: SessionStorage, tmp_path_factory: pytest.TempPathFactory, mutations: Any, hint: bool
) -> None:
    """Whatever becomes of the journal: documented errors, submitted results, and a repair that is done once."""
    storage = copied(original, tmp_path_factory.mktemp("mutated"))
    path = journal_of(storage)
    data = path.read_bytes()
    for mutate, where, size in mutations:
        data = mutate(data, int(where * len(data)), size)
    path.write_bytes(data)
    if not hint:
        (Path(storage.location) / "head.json").unlink()
    state = verify(storage).state
    try:
        loadable = outcomes(storage)
    except SessionError:
        loadable = None
    assert (state in ("good", "torn")) == (loadable is not None)
    done = salvage(storage)
    if done.state == "unusable":
        assert state == "unreadable"
        return
    kept = outcomes(storage)
    assert set(kept) <= set(ALL_PASS)
    assert {kept[attempt] for attempt in kept} <= {"pass", "undecided"}
    assert loadable is None or kept == loadable
    assert set(ALL_PASS) - set(kept) <= lost_results(done) or done.losses or not hint
    assert salvage(storage).state == "sound"
    assert verify(storage).state in ("good", "torn")
    shutil.rmtree(Path(storage.location).parent)


def test_every_flipped_byte(original: SessionStorage, tmp_path: Path) -> None:
    """Of each byte of the journal: nothing but the record that it is in can be lost."""
    lines = lines_of(original)
    data = b"".join(lines)
    storage = copied(original, tmp_path)
    starts = [sum(map(len, lines[:index])) for index in range(len(lines) + 1)]
    for offset in range(0, len(data), 37):
        journal_of(storage).write_bytes(_flip(data, offset, 1))
        index = next(number for number, start in enumerate(starts) if start > offset) - 1
        done = salvage(storage, dry_run=True)
        if done.state == "sound":
            assert offset == len(data) - 1
            continue
        assert len(lost_results(done)) <= 1
        is_result = b'"res"' in lines[index]
        assert bool(lost_results(done)) == (is_result and offset != starts[index + 1] - 1), (offset, index)


def test_file_made_of_headers_takes_no_longer(tmp_path: Path, original: SessionStorage) -> None:
    """Lines that all claim to be as long as can be are looked at once each, not each to the end of the file."""
    storage = copied(original, tmp_path)
    trap = b"PBJ1 5 " + b"0" * 16 + b" 16777216 " + b"0" * 16 + b" {\n"
    within = trap.replace(b"\n", b" ")
    path = journal_of(storage)
    path.write_bytes(path.read_bytes()[:3000] + trap * 20_000 + within * 20_000 + path.read_bytes()[3000:])
    assert verify(storage).state == "damaged"
    assert salvage(storage).exit_code == 1


def test_journal_beyond_all_measure_is_refused(tmp_path: Path, original: SessionStorage) -> None:
    """A sparse file of a terabyte is told, and not read."""
    storage = copied(original, tmp_path)
    os.truncate(journal_of(storage), 1 << 40)
    assert verify(storage).state == "unreadable"
    with pytest.raises(StorageError, match="longer than"):
        salvage(storage)


def test_into_copies_directories_of_any_depth(original: SessionStorage, tmp_path: Path) -> None:
    """What a job has nested in the share is copied, however deep it is."""
    storage = copied(original, tmp_path / "damaged")
    flip(storage, line_of_checkpoint(storage, 5))
    made = tmp_path / "rescued.session" / "session-share" / "made"
    with nested(Path(storage.location, "session-share", "made")):
        salvage(storage, into="rescued")
        directory = os.open(made, os.O_RDONLY)
        deepest = max((step.depth, step.name) for step in walk(directory))
        os.close(directory)
        SessionStorage(tmp_path / "rescued.session").remove()
    assert deepest == (DEPTH, "file")
    assert os.listdir(tmp_path) == ["damaged"]
