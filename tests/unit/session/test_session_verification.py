# SPDX-License-Identifier: Apache-2.0
"""What is said about a stored session: good, torn, damaged or unreadable, and where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from store_rig import ck, full, journal_of, reopened, session_with

from plainbox.errors import CorruptedSessionError, StorageClosedError, StorageGoneError
from plainbox.session.iolog import IOLogWriter
from plainbox.session.repair.partial import PartialStorage, partial_storage
from plainbox.session.storage import SessionStorage
from plainbox.session.verification import Finding, Verification, verify
from plainbox.testing.files import FaultyFiles


@pytest.fixture
def storage(tmp_path: Path) -> SessionStorage:
    """A closed session with five results."""
    made = session_with(tmp_path, 5)
    made.close()
    return reopened(made)


def kinds(found: Verification, *, harmful: bool = True) -> list[str]:
    return [finding.kind for finding in found.findings if finding.harmful == harmful]


def finding(found: Verification, kind: str) -> Finding:
    [only] = [item for item in found.findings if item.kind == kind]
    return only


def content(path: str) -> dict[str, tuple[int, bytes | None]]:
    return {
        str(item): (item.lstat().st_mtime_ns, item.read_bytes() if item.is_file() else None)
        for item in sorted(Path(path).rglob("*"))
    }


def test_good_session_has_no_findings(storage: SessionStorage) -> None:
    """Its state, and how much is in it."""
    found = verify(storage)
    assert (found.state, found.findings, found.is_sound) == ("good", (), True)
    assert (found.generation, found.checkpoint, found.results) == (1, 6, 5)


def test_looking_changes_nothing(storage: SessionStorage) -> None:
    """No lock, no file, no time; and no call of the seam but to open the directory."""
    Path(storage.location, "lock").unlink()
    before = content(storage.location)
    files = FaultyFiles()
    verify(SessionStorage(storage.location, files=files), deep=True)
    assert content(storage.location) == before
    assert files.steps == []


def test_session_without_checkpoint_is_good(tmp_path: Path) -> None:
    """Nothing was acknowledged, so nothing can be lost."""
    storage = SessionStorage.create(tmp_path, files=FaultyFiles())
    storage.close()
    assert verify(storage).state == "good"


def test_running_session_is_good(tmp_path: Path) -> None:
    """A writer at work is no damage."""
    storage = session_with(tmp_path, 2)
    assert verify(reopened(storage)).state == "good"
    storage.close()


def test_missing_directory_raises(tmp_path: Path) -> None:
    """There is nothing to say anything about."""
    with pytest.raises(StorageGoneError):
        verify(SessionStorage(tmp_path / "none.session"))


def test_torn_tail(storage: SessionStorage) -> None:
    """The record in flight is told, with its place, and the session is sound."""
    path = journal_of(storage)
    size = path.stat().st_size
    with open(path, "ab") as file:
        file.write(b"PBJ1 12 0123456789abcdef 30 ")
    found = verify(storage)
    assert (found.state, found.is_sound) == ("torn", True)
    assert finding(found, "torn-tail").offset == size


def test_flipped_byte_is_named_with_its_place(storage: SessionStorage) -> None:
    """File, byte, record and checkpoint."""
    path = journal_of(storage)
    lines = path.read_bytes().splitlines(keepends=True)
    offset = sum(map(len, lines[:6]))
    data = bytearray(path.read_bytes())
    data[offset + 70] ^= 1
    path.write_bytes(data)
    found = verify(storage)
    assert found.state == "damaged"
    bad = finding(found, "damaged")
    assert (bad.file, bad.offset, bad.seq) == ("journal-000001.pbj", offset, 6)
    assert finding(found, "lost").checkpoints == (4,)
    assert found.as_dict()["findings"][0]["offset"] == offset
    with pytest.raises(CorruptedSessionError) as caught:
        storage.load_checkpoint()
    assert "session verify" in (caught.value.hint or "")
    assert "session salvage" in (caught.value.hint or "")


def test_lost_tail(storage: SessionStorage) -> None:
    """The hint tells how many records are missing."""
    path = journal_of(storage)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-3]))
    found = verify(storage)
    assert found.state == "damaged"
    assert "records 7 to 9" in finding(found, "lost").message


@pytest.mark.parametrize("left", [b"", b"\0" * 4096, os.urandom(3000), b"\n" * 100, b"PBJ1 0"])
def test_journal_that_holds_nothing_is_unreadable(storage: SessionStorage, left: bytes) -> None:
    """There is nothing that a salvage could use."""
    journal_of(storage).write_bytes(left)
    assert verify(storage).state == "unreadable"


def test_older_generation_does_not_matter(tmp_path: Path) -> None:
    """Damage in a file that was replaced is told and is no damage of the session."""
    storage = session_with(tmp_path, 3)
    storage.compact()
    journal_of(storage).write_bytes(b"no journal\n")
    found = verify(reopened(storage))
    assert found.state == "good"
    assert kinds(found, harmful=False) == ["superseded"]
    storage.close()


class TestLogs:
    @pytest.fixture
    def log(self, tmp_path: Path) -> tuple[SessionStorage, Path]:
        """A session with one result and its log."""
        storage = SessionStorage.create(tmp_path, files=FaultyFiles())
        storage.save_checkpoint(full(meta={"title": "logs"}, jobs={"job": {"sum": "0"}}))
        writer = IOLogWriter(storage.location, "job", 1, files=FaultyFiles(), background=False)
        writer.write("stdout", b"hello\n" * 100)
        reference = writer.close()
        storage.save_checkpoint(ck(res=[["job", 1, {"attempt": 1, "outcome": "pass", "log": reference}]]))
        storage.close()
        return reopened(storage), Path(storage.location) / reference["path"]

    def test_good(self, log: tuple[SessionStorage, Path]) -> None:
        """A log that is what was recorded."""
        assert verify(log[0], deep=True).state == "good"

    def test_missing(self, log: tuple[SessionStorage, Path]) -> None:
        """A log that is gone is damage, with the job that it was of."""
        log[1].unlink()
        found = verify(log[0])
        assert found.state == "damaged"
        assert finding(found, "log-missing").jobs == ("job",)

    def test_cut(self, log: tuple[SessionStorage, Path]) -> None:
        """A log that lost its end."""
        log[1].write_bytes(log[1].read_bytes()[:-20])
        assert kinds(verify(log[0])) == ["log-unfinished"]

    def test_grown(self, log: tuple[SessionStorage, Path]) -> None:
        """A log with more in it than was recorded."""
        log[1].write_bytes(log[1].read_bytes() + b"o 0 1 00000000\nx\n")
        assert verify(log[0]).state == "damaged"

    def test_changed_byte_takes_a_deep_look(self, log: tuple[SessionStorage, Path]) -> None:
        """Only reading all of a log finds what leaves its size alone."""
        data = log[1].read_bytes()
        log[1].write_bytes(data.replace(b"hello", b"hullo", 1))
        assert verify(log[0]).state == "good"
        assert kinds(verify(log[0], deep=True)) == ["log-differs"]

    def test_something_else_in_its_place(self, log: tuple[SessionStorage, Path]) -> None:
        """A link, a directory and a FIFO are told, not followed, not waited for."""
        for make in (lambda path: path.symlink_to("/etc/passwd"), Path.mkdir, os.mkfifo):
            log[1].unlink(missing_ok=True)
            make(log[1])
            for deep in (False, True):
                assert verify(log[0], deep=deep).state == "damaged"
            log[1].rmdir() if log[1].is_dir() and not log[1].is_symlink() else log[1].unlink()

    def test_log_without_a_result(self, log: tuple[SessionStorage, Path]) -> None:
        """A job that never got its record is named; that is no damage."""
        IOLogWriter(log[0].location, "other", 2, files=FaultyFiles(), background=False).close()
        found = verify(log[0])
        assert found.state == "good"
        assert finding(found, "log-unrecorded").jobs == ("other",)


class TestFiles:
    def test_links_are_told(self, storage: SessionStorage) -> None:
        """One in the place of a file of the session is damage."""
        Path(storage.location, "mine").symlink_to("/")
        assert verify(storage).state == "good"
        hint = Path(storage.location, "head.json")
        hint.rename(hint.with_name("other"))
        hint.symlink_to("other")
        found = verify(storage)
        assert found.state == "damaged"
        assert {item.file for item in found.findings if item.kind == "odd-file"} >= {"mine", "head.json"}

    def test_permissions_are_told(self, storage: SessionStorage) -> None:
        """Files that others may write to are worth knowing."""
        journal_of(storage).chmod(0o666)
        Path(storage.location).chmod(0o777)
        found = verify(storage)
        assert found.state == "good"
        assert [item.file for item in found.findings] == [".", "journal-000001.pbj"]


class TestPartial:
    def test_good_session_is_itself(self, storage: SessionStorage) -> None:
        """There is nothing partial about it."""
        assert partial_storage(storage) is storage

    def test_damaged_session_shows_what_is_left(self, storage: SessionStorage) -> None:
        """All that can be read, and no way to write."""
        path = journal_of(storage)
        data = bytearray(path.read_bytes())
        data[sum(map(len, path.read_bytes().splitlines(keepends=True)[:6])) + 70] ^= 1
        path.write_bytes(data)
        part = partial_storage(storage)
        assert isinstance(part, PartialStorage)
        assert part.load_checkpoint().count(b"return_code") == 4
        assert part.losses
        with pytest.raises(StorageClosedError):
            part.save_checkpoint(ck(meta={"title": "no"}))
        assert path.read_bytes() == bytes(data)

    def test_unusable_session_says_why(self, storage: SessionStorage) -> None:
        """Nothing is shown of what proves nothing."""
        journal_of(storage).write_bytes(b"")
        with pytest.raises(CorruptedSessionError):
            partial_storage(storage)
