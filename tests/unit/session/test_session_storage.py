# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from store_rig import ck, full, journal_of, reopened, result, results_of, session_with

from plainbox.errors import (
    CorruptedSessionError,
    LockedStorageError,
    SessionError,
    StorageClosedError,
    StorageError,
    StorageFailedError,
    StorageGoneError,
)
from plainbox.session import journal_reader
from plainbox.session import storage as storage_module
from plainbox.session.facts import facts_of
from plainbox.session.generation import FileIdentity, read_generation
from plainbox.session.iolog import IOLogWriter
from plainbox.session.manager import SessionManager
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.storage import SessionStorage
from plainbox.session.tree import canonical_full
from plainbox.testing.files import FaultyFiles

STAMP = r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{6}"


def make(base: Path, prefix: str = "pbox-") -> SessionStorage:
    return SessionStorage.create(base, prefix, files=FaultyFiles())


# Making and removing


def test_create_makes_one_private_directory(tmp_path: Path) -> None:
    """The directory has its logs folder and its lock, the user alone may enter, and missing parents are made."""
    base = tmp_path / "state" / "sessions"
    storage = make(base)
    assert [entry.name for entry in base.iterdir()] == [Path(storage.location).name]
    assert re.fullmatch(rf"pbox-{STAMP}\.session", Path(storage.location).name)
    assert storage.id == Path(storage.location).name.removesuffix(".session")
    assert sorted(os.listdir(storage.location)) == ["io-logs", "lock"]
    for path in (base.parent, base, Path(storage.location), Path(storage.location) / "io-logs"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((Path(storage.location) / "lock").stat().st_mode) == 0o600


def test_files_of_a_session_are_private(tmp_path: Path) -> None:
    """Journal and hint are for the user alone."""
    storage = session_with(tmp_path, 1)
    for name in ("journal-000001.pbj", "head.json"):
        assert stat.S_IMODE((Path(storage.location) / name).stat().st_mode) == 0o600


def test_the_prefix_becomes_a_slug(tmp_path: Path) -> None:
    """Only ASCII letters, digits and -_. stay as they are, so no prefix leads out of the repository."""
    assert Path(make(tmp_path, "a/b c").location).name.startswith("a_b_c2")
    assert Path(make(tmp_path, "../ä").location).name.startswith(".._" + "_2")
    assert {Path(item).parent for item in map(str, tmp_path.iterdir())} == {tmp_path}


def test_create_makes_the_directory_durable_before_and_after_it_has_its_name(tmp_path: Path) -> None:
    """The directory is synced, renamed, and then its parent is synced."""
    ops = FaultyFiles()
    storage = SessionStorage.create(tmp_path, files=ops)
    name = Path(storage.location).name
    syncs = ops.names("fsync", "rename")
    assert [call for call, _ in syncs] == ["fsync", "rename", "fsync"]
    assert syncs[0][1].startswith(".new-")
    assert syncs[1:] == [("rename", name), ("fsync", tmp_path.name + "/")]


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    """Two sessions of the same moment have different names."""

    class TakenOps(FaultyFiles):
        taken = 2

        def rename(self, source: str | Path, target: str | Path, *, dir_fd: int | None = None) -> None:
            if self.taken:
                self.taken -= 1
                os.makedirs(os.path.join(target, "somebody"))
            super().rename(source, target, dir_fd=dir_fd)

    storage = SessionStorage.create(tmp_path, files=TakenOps())
    assert re.fullmatch(rf"pbox-{STAMP}_\(2\)\.session", Path(storage.location).name)


def test_processes_that_create_at_once_get_distinct_complete_directories(tmp_path: Path) -> None:
    """However many are made in one repository at the same time, each is whole."""
    code = """
import sys
from plainbox.session.storage import SessionStorage
for _ in range(60):
    print(SessionStorage.create(sys.argv[1], durable=False).location)
"""
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    made = [line for child in children for line in child.communicate()[0].split()]
    assert len(set(made)) == 180
    assert {str(path) for path in tmp_path.iterdir()} == set(made)
    assert all(sorted(os.listdir(path)) == ["io-logs", "lock"] for path in made)


@pytest.mark.parametrize("call", ["mkdir", "fsync", "rename", "flock", "open"])
def test_a_creation_that_fails_leaves_nothing(tmp_path: Path, call: str) -> None:
    """The error passes with its number, and the repository is as empty as before."""
    ops = FaultyFiles()
    ops.fail(call, errno.EACCES, lambda number: number == 1)
    with pytest.raises(OSError) as caught:
        SessionStorage.create(tmp_path, files=ops)
    assert caught.value.errno == errno.EACCES
    assert list(tmp_path.iterdir()) == []


def test_remove_takes_everything_away(tmp_path: Path) -> None:
    """The directory is gone, a second removal is silent, and saving afterwards is an error."""
    storage = session_with(tmp_path, 1)
    (Path(storage.location) / "io-logs" / "a.iolog").write_text("x")
    storage.remove()
    assert list(tmp_path.iterdir()) == []
    storage.remove()
    with pytest.raises(StorageClosedError):
        storage.save_checkpoint(result(1))
    with pytest.raises(StorageGoneError):
        storage.load_checkpoint()
    reopened(storage).remove()
    storage.close()


def test_remove_follows_no_link(tmp_path: Path) -> None:
    """What a link in the session points to stays."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    storage = make(tmp_path / "repository")
    (Path(storage.location) / "io-logs" / "link").symlink_to(outside)
    storage.remove()
    assert (outside / "precious").exists()


# Loading and saving


def test_a_session_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    """Loading raises FileNotFoundError, which is not the error of a directory that is gone."""
    storage = make(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        storage.load_checkpoint()
    assert not isinstance(caught.value, StorageGoneError)
    assert not storage.has_checkpoint()
    storage.save_checkpoint(full())
    assert storage.has_checkpoint()


def test_what_was_saved_is_loaded_in_canonical_form(tmp_path: Path) -> None:
    """A whole state comes back as its canonical bytes, and changes are folded into it."""
    storage = make(tmp_path)
    state = full(
        meta={"title": "x", "app_blob": "YQ=="},
        jobs={"b": {"sum": "1", "attempts": 3, "via": None}, "a": {"sum": "2", "attempts": 2, "via": "b"}},
        res=[["b", 1, {"outcome": "fail", "comments": "\ud800\u2028\0"}]],
        want=["b", "a"],
        must=["a"],
        units={"a": {"id": "a"}},
        sys={"cpu": [1, 2.5]},
    )
    storage.save_checkpoint(state)
    assert storage.load_checkpoint() == canonical_full(state)
    storage.save_checkpoint(ck(res=[["b", 2, {"outcome": "pass"}]], meta={"title": "y"}, gone=["a"], must=[]))
    assert json.loads(reopened(storage).load_checkpoint()) == {
        "t": "full",
        "meta": {"title": "y", "app_blob": "YQ=="},
        "jobs": {"b": {"sum": "1", "attempts": 3, "via": None}},
        "res": [["b", 1, {"outcome": "fail", "comments": "\ud800\u2028\0"}], ["b", 2, {"outcome": "pass"}]],
        "want": ["b", "a"],
        "sys": {"cpu": [1, 2.5]},
    }


@pytest.mark.parametrize("data", ["text", bytearray(b"{}"), None, {"t": "ck"}])
def test_only_bytes_are_saved(tmp_path: Path, data: object) -> None:
    """Anything else is a TypeError and touches nothing."""
    storage = make(tmp_path)
    with pytest.raises(TypeError):
        storage.save_checkpoint(data)  # type: ignore[arg-type]
    assert not storage.has_checkpoint()


@pytest.mark.parametrize(
    "data", [b"", b"\x1f\x8b\x08\0", b"{}", b"[1]", b'{"t":"head"}', b'{"t":"full","res":{}}', b"\xff"]
)
def test_foreign_bytes_are_refused(tmp_path: Path, data: bytes) -> None:
    """What is neither a change nor a state is a ValueError and touches nothing."""
    storage = make(tmp_path)
    with pytest.raises(ValueError, match="not a checkpoint"):
        storage.save_checkpoint(data)
    assert not storage.has_checkpoint()


def test_a_state_saved_again_is_the_same(tmp_path: Path) -> None:
    """Saving what was loaded changes nothing that can be loaded."""
    storage = session_with(tmp_path, 5)
    state = storage.load_checkpoint()
    storage.save_checkpoint(state)
    assert storage.load_checkpoint() == state
    assert reopened(storage).load_checkpoint() == state


def test_loading_needs_no_right_to_write_and_makes_nothing(tmp_path: Path) -> None:
    """Reading beside a writer leaves the directory exactly as it was."""
    storage = session_with(tmp_path, 2)
    before = {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(storage.location)}
    other = reopened(storage)
    other.load_checkpoint()
    other.peek_metadata()
    other.journal_info()
    assert {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(storage.location)} == before


def test_errors_of_the_system_pass_through_a_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that may not be read keeps its error number."""
    storage = session_with(tmp_path, 1)

    def refuse(path: str) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(storage._files, "open_directory", refuse)
    with pytest.raises(PermissionError):
        storage.load_checkpoint()
    with pytest.raises(StorageError) as caught:
        storage.peek_metadata()
    assert caught.value.errno == errno.EACCES


def test_close_ends_writing_and_can_be_repeated(tmp_path: Path) -> None:
    """After close the lock is free and saving is an error, but loading works."""
    with session_with(tmp_path, 1) as storage:
        assert storage.is_locked()
    assert not storage.is_locked()
    storage.close()
    with pytest.raises(StorageClosedError):
        storage.save_checkpoint(result(1))
    with pytest.raises(StorageClosedError):
        storage.note("late", {}, now=True)
    assert len(results_of(storage.load_checkpoint())) == 1
    assert storage.records()[-1]["t"] == "close"


def test_close_of_a_session_that_wrote_nothing_writes_nothing(tmp_path: Path) -> None:
    """Looking at a session and closing it again leaves its journal alone."""
    storage = session_with(tmp_path, 1)
    storage.close()
    before = journal_of(storage).read_bytes()
    other = reopened(storage)
    other.load_checkpoint()
    other.lock()
    other.close()
    assert journal_of(storage).read_bytes() == before


def test_a_clean_end_that_finds_no_room_is_an_end_all_the_same(tmp_path: Path) -> None:
    """Everything was durable before, so close does not raise, and the lock is free."""
    ops = FaultyFiles()
    storage = session_with(tmp_path, 2, files=ops)
    ops.fail("pwrite", errno.ENOSPC)
    storage.close()
    assert not storage.is_locked()
    assert len(results_of(reopened(storage).load_checkpoint())) == 2


def test_a_load_before_the_first_save_is_not_done_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening for writing trusts what the same object has just read, unless the file has changed since."""
    storage = session_with(tmp_path, 3)
    storage.close()
    scans = []
    real = storage_module.JournalReader._read
    monkeypatch.setattr(storage_module.JournalReader, "_read", lambda self, make: scans.append(1) or real(self, make))
    one = reopened(storage)
    one.load_checkpoint()
    one.save_checkpoint(result(3))
    one.close()
    assert len(scans) == 1
    two = reopened(storage)
    two.load_checkpoint()
    with reopened(storage) as three:
        three.save_checkpoint(result(4))
    scans.clear()
    two.save_checkpoint(result(5))
    assert len(scans) == 1
    assert len(results_of(two.load_checkpoint())) == 6


def test_a_failed_opening_leaves_the_session_unlocked(tmp_path: Path) -> None:
    """A session that cannot be written to is not kept from others."""
    storage = session_with(tmp_path, 3)
    storage.close()
    os.truncate(journal_of(storage), 100)
    other = reopened(storage)
    with pytest.raises(CorruptedSessionError):
        other.save_checkpoint(result(3))
    assert not other.is_locked()


def test_a_location_is_a_str_or_a_path(tmp_path: Path) -> None:
    """Both name the same session; bytes are refused."""
    location = tmp_path / "a.session"
    assert SessionStorage(location).location == SessionStorage(str(location)).location == str(location)
    assert SessionStorage(f"{location}/").id == "a"
    with pytest.raises(TypeError):
        SessionStorage(os.fsencode(location))  # type: ignore[arg-type]


# Listing


def test_the_metadata_can_be_peeked_at(tmp_path: Path) -> None:
    """Metadata and how many jobs ended with which outcome, by the last attempt of each."""
    storage = make(tmp_path)
    assert storage.peek_metadata() == {"meta": {}, "outcomes": {}}
    storage.save_checkpoint(full(meta={"title": "peek", "flags": ["incomplete"]}))
    storage.save_checkpoint(ck(res=[["a", 1, {"outcome": "fail"}], ["b", 1, {"outcome": "pass"}], ["c", 1, {}]]))
    storage.save_checkpoint(ck(res=[["a", 2, {"outcome": "pass"}]]))
    assert reopened(storage).peek_metadata() == {
        "meta": {"title": "peek", "flags": ["incomplete"]},
        "outcomes": {"pass": 2},
    }


def test_an_unreadable_session_is_told_in_a_sentence(tmp_path: Path) -> None:
    """Damage, the checkpoint of another program and a missing directory all raise a SessionError."""
    damaged = session_with(tmp_path, 1)
    journal_of(damaged).write_bytes(b"rubbish")
    foreign = make(tmp_path)
    (Path(foreign.location) / "session").write_bytes(b"\x1f\x8b")
    for storage, text in (
        (damaged, "is damaged at byte 0"),
        (foreign, "is not a Plainbox session"),
        (SessionStorage(tmp_path / "gone.session"), "does not exist"),
    ):
        with pytest.raises(SessionError, match=text):
            reopened(storage).peek_metadata()


def test_the_journal_info_needs_no_journal_that_can_be_read(tmp_path: Path) -> None:
    """Creation comes from the head, or from the name when the head is unreadable."""
    storage = session_with(tmp_path, 3)
    info = storage.journal_info()
    assert info.generation == 1
    assert info.size_bytes == journal_of(storage).stat().st_size
    assert info.created is not None
    assert info.last_change is not None
    assert abs(info.last_change - info.created) < 60
    journal_of(storage).write_bytes(b"rubbish")
    assert storage.journal_info().created == info.created
    assert make(tmp_path).journal_info().generation == 0


def test_the_repository_lists_the_youngest_first(tmp_path: Path) -> None:
    """Age is what the journal says, then what the name says; hidden ones, links, files and others do not count."""
    repository = SessionStorageRepository(tmp_path)
    made = [make(tmp_path) for _ in range(4)]
    for storage in made[:3]:
        storage.save_checkpoint(full())
        storage.close()
    assert [item.location for item in repository] == [item.location for item in reversed(made)]
    journal_of(made[1]).write_bytes(b"rubbish")
    assert [item.location for item in repository] == [item.location for item in reversed(made)]
    renamed = tmp_path / "zzz.session"
    os.rename(made[0].location, renamed)
    (tmp_path / "link.session").symlink_to(made[1].location)
    (tmp_path / "file.session").write_text("x")
    (tmp_path / ".hidden.session").mkdir()
    (tmp_path / "other").mkdir()
    expected = [made[3].location, made[2].location, made[1].location, str(renamed)]
    assert [item.location for item in repository.get_storage_list()] == expected
    last = repository.get_last_storage()
    assert last is not None
    assert last.location == made[3].location


def test_a_missing_repository_is_empty_and_other_errors_pass(tmp_path: Path) -> None:
    """No directory means no sessions; a file in its place is an error that says so and keeps the cause."""
    repository = SessionStorageRepository(tmp_path / "nothing")
    assert repository.get_storage_list() == []
    assert repository.get_last_storage() is None
    repository.remove_leftovers()
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot be used") as caught:
        SessionStorageRepository(tmp_path / "file").get_storage_list()
    assert caught.value.errno == errno.ENOTDIR


def test_a_session_that_vanishes_while_listing_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may remove a session between two looks."""
    first, second = make(tmp_path), make(tmp_path)
    real = SessionStorage.journal_info

    def remove_first(storage: SessionStorage) -> storage_module.JournalInfo:
        first.remove()
        return real(storage)

    monkeypatch.setattr(SessionStorage, "journal_info", remove_first)
    assert [item.location for item in SessionStorageRepository(tmp_path)] == [second.location]


def test_the_default_repository_is_in_the_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """``PLAINBOX_SESSION_REPO`` wins over the XDG state directory."""
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    monkeypatch.delenv("PLAINBOX_SESSION_REPO", raising=False)
    assert SessionStorageRepository().location == "/xdg/plainbox/sessions"
    monkeypatch.setenv("PLAINBOX_SESSION_REPO", "/elsewhere")
    assert SessionStorageRepository().location == "/elsewhere"


def test_leftovers_of_the_living_stay(tmp_path: Path) -> None:
    """Only old, unlocked leftovers are cleared away."""
    dead, living = tmp_path / ".new-dead", make(tmp_path / "x")
    dead.mkdir()
    hidden = tmp_path / ".removed-living"
    os.rename(living.location, hidden)
    repository = SessionStorageRepository(tmp_path)
    repository.remove_leftovers()
    assert dead.exists()
    repository.remove_leftovers(older_than_s=-1)
    assert not dead.exists()
    assert hidden.exists()


def test_threads_that_save_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """Saves from several threads end up one after the other, all of them."""
    import threading

    storage = session_with(tmp_path, 0)
    threads = [
        threading.Thread(target=lambda start=start: [storage.save_checkpoint(result(start + n)) for n in range(20)])
        for start in (0, 100, 200)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results_of(storage.load_checkpoint())) == 60


def test_a_removed_session_cannot_be_taken_from_its_owner(tmp_path: Path) -> None:
    """Removing a session that somebody uses is refused and changes nothing."""
    storage = session_with(tmp_path, 1)
    with pytest.raises(LockedStorageError):
        reopened(storage).remove()
    storage.save_checkpoint(result(1))
    assert len(results_of(storage.load_checkpoint())) == 2


# Looking and loading


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The generations that are read, one item for each time."""
    seen: list[int] = []

    def read(directory: int, generation: int) -> tuple[bytes, FileIdentity]:
        seen.append(generation)
        return read_generation(directory, generation)

    monkeypatch.setattr(journal_reader, "read_generation", read)
    return seen


# Durable from some moment on


def careless(base: Path, *outputs: bytes) -> tuple[SessionStorage, FaultyFiles, list[str]]:
    """A session that syncs nothing, with a result for each output, and the names of their logs."""
    ops = FaultyFiles(durable=False)
    storage = SessionStorage.create(base, files=ops)
    storage.save_checkpoint(full(meta={"title": "careless"}))
    names = []
    for number, output in enumerate(outputs):
        log = IOLogWriter(storage.location, f"org.example::job-{number}", 1, files=ops, background=False)
        log.write("stdout", output)
        said = {"outcome": "pass", "attempt": 1, "log": log.close()}
        storage.save_checkpoint(ck(res=[[f"org.example::job-{number}", 1, said]]))
        names.append(os.path.basename(log.path))
    return storage, ops, names


def test_logs_are_synced_before_the_journal_that_refers_to_them(tmp_path: Path) -> None:
    """Each log once, that of the attempt in hand too, then the names of all that leads to them, and then the record."""
    storage, ops, names = careless(tmp_path / "base", b"one", b"two")
    running = IOLogWriter(storage.location, "org.example::armed", 1, files=ops, background=False)
    ops.forget()
    storage.make_durable()
    storage.make_durable()
    session, base = f"{os.path.basename(storage.location)}/", "base/"
    synced = ops.names("fdatasync", "fsync")
    logs = sorted([*names, os.path.basename(running.path)])
    expected = [*(("fdatasync", name) for name in logs), ("fsync", "io-logs/"), ("fsync", session), ("fsync", base)]
    assert synced[: len(expected)] == expected
    assert synced[len(expected)] == ("fsync", f"{tmp_path.name}/")
    ops.forget()
    storage.save_checkpoint(result(5))
    assert [name for _, name in ops.names("fdatasync")] == ["journal-000001.pbj.tmp"]


def test_logs_of_a_careless_tester_are_synced_by_the_next_one(tmp_path: Path) -> None:
    """Who goes on with a session cannot know whether its logs were synced."""
    storage, _, names = careless(tmp_path, b"one")
    storage.close()
    ops = FaultyFiles()
    again = SessionStorage(storage.location, files=ops)
    again.make_durable()
    assert [name for _, name in ops.names("fdatasync")] == names


def test_logs_that_were_synced_are_not_synced_again(tmp_path: Path) -> None:
    """A session that was durable from the beginning has nothing to make up for but its way from the root."""
    ops = FaultyFiles()
    storage = session_with(tmp_path, 1, files=ops)
    log = IOLogWriter(storage.location, "org.example::job", 1, files=ops, background=False)
    log.close()
    ops.forget()
    storage.make_durable()
    assert ops.names("fdatasync") == []
    assert ("fsync", f"{tmp_path.name}/") in ops.steps


def test_only_logs_are_synced(tmp_path: Path) -> None:
    """What jobs have put between the logs, or in their place, is not opened."""
    storage, ops, names = careless(tmp_path, b"one")
    logs = Path(storage.location, "io-logs")
    (logs / "link.iolog").symlink_to("/dev/null")
    (logs / "directory.iolog").mkdir()
    os.mkfifo(logs / "fifo.iolog")
    ops.forget()
    storage.make_durable()
    assert [name for _, name in ops.names("fdatasync")] == names

    shutil.rmtree(logs)
    for leads_to in (None, tmp_path):
        if leads_to is not None:
            logs.symlink_to(leads_to)
        ops = FaultyFiles()
        SessionStorage(storage.location, files=ops).make_durable()
        assert ops.names("fdatasync") == []
        assert "io-logs/" not in [name for _, name in ops.names("fsync")]


@pytest.mark.parametrize(
    ("call", "file"), [("fdatasync", ".iolog"), ("fsync", "io-logs"), ("fsync", ".session"), ("fsync", "base")]
)
def test_what_could_not_be_made_durable_is_never_said_to_be(tmp_path: Path, call: str, file: str) -> None:
    """A sync that has failed once proves nothing when it is asked for again."""
    storage, ops, _ = careless(tmp_path / "base", b"one")
    ops.fail(call, errno.EIO, file=file)
    for _ in range(2):
        with pytest.raises(StorageFailedError, match="cannot be made durable"):
            storage.make_durable()
        ops.heal()
    # What comes now is synced.
    ops.forget()
    storage.save_checkpoint(result(5))
    assert ops.durable
    assert ops.names("fdatasync")


@pytest.mark.parametrize("number", [1, 2])
def test_log_without_rights_is_passed_by(tmp_path: Path, number: int) -> None:
    """A job that takes the right to a log away does not keep the session from going on; the other logs are synced."""
    storage, ops, names = careless(tmp_path, b"one", b"two")
    ops.heal()
    ops.fail("open", errno.EACCES, lambda count: count == number, file=".iolog")
    ops.forget()
    storage.make_durable()
    assert [name for _, name in ops.names("fdatasync")] == [sorted(names)[2 - number]]


def test_way_to_a_session_that_may_not_be_listed(tmp_path: Path) -> None:
    """Directories above that are somebody else's are passed by."""
    storage, ops, _ = careless(tmp_path / "above" / "base")
    ops.fail("fsync", errno.EACCES, file="above")
    storage.make_durable()
    assert ("fsync", f"{tmp_path.name}/") in ops.steps


def test_a_session_that_was_looked_at_is_not_read_again(tmp_path: Path, readings: list[int]) -> None:
    """Loading uses what the look has read, also when somebody has changed what the look returned."""
    with session_with(tmp_path, 3) as written:
        pass
    storage = reopened(written)
    storage.peek_metadata()["meta"]["title"] = "changed"
    data = storage.load_checkpoint()
    assert readings == [1]
    assert json.loads(data)["meta"] == {"title": "rig"}
    assert storage.load_checkpoint() == data
    assert readings == [1, 1]


def test_a_journal_that_has_grown_is_read_again(tmp_path: Path, readings: list[int]) -> None:
    """A look by one object does not hide what another one has written since."""
    written = session_with(tmp_path, 1)
    storage = reopened(written)
    storage.peek_metadata()
    written.save_checkpoint(result(7))
    assert "org.example::job-7" in results_of(storage.load_checkpoint())
    storage.peek_metadata()
    written.save_checkpoint(full(meta={"title": "other"}))
    assert json.loads(storage.load_checkpoint())["meta"] == {"title": "other"}
    written.close()
    assert len(readings) == 4


def test_one_session_at_most_is_kept_in_memory(tmp_path: Path, readings: list[int]) -> None:
    """A listing that looks at many sessions does not collect them."""
    stored = []
    for _ in range(3):
        with session_with(tmp_path, 1) as written:
            stored.append(reopened(written))
    for storage in stored:
        storage.peek_metadata()
    assert [storage._kept is not None for storage in stored] == [False, False, True]
    stored[0].load_checkpoint()
    stored[2].load_checkpoint()
    assert len(readings) == 4


def test_a_journal_beyond_all_measure_is_not_read(tmp_path: Path) -> None:
    """A huge file in the place of a journal is a session that cannot be read, with the reason."""
    storage = session_with(tmp_path, 1)
    storage.unlock()
    os.truncate(journal_of(storage), 200 * 1024**3)
    with pytest.raises(CorruptedSessionError, match="longer than"):
        SessionStorage(storage.location).peek_metadata()
    facts = facts_of(SessionStorage(storage.location))
    assert facts.state == "unreadable"


def test_deep_nesting_is_told_and_costs_no_other_session(tmp_path: Path) -> None:
    """Values nested as deeply as a record can hold are listed; resuming such a session ends in an error of ours."""
    deep: dict = {}
    for _ in range(900):
        deep = {"a": deep}
    storage = SessionStorage.create(tmp_path)
    storage.save_checkpoint(full(meta={"title": "deep"}, jobs={"a": {"sum": "0"}}, res=[["a", 1, {"x": deep}]]))
    storage.unlock()
    assert facts_of(SessionStorage(storage.location)).title == "deep"
    with pytest.raises(CorruptedSessionError):
        SessionManager.load_session([], SessionStorage(storage.location))
