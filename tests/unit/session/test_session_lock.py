# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from store_rig import full, reopened, result, results_of, session_with

from plainbox.errors import LockedStorageError, StorageClosedError, StorageError, StorageFailedError, StorageGoneError
from plainbox.session.lock import lock_owner
from plainbox.session.storage import SessionStorage
from plainbox.testing.files import FaultyFiles

#: Saves results for ever, each number acknowledged on stdout after the save has returned.
WRITER = """
import json, sys
from plainbox.session.storage import SessionStorage
storage = SessionStorage(sys.argv[1])
number = int(sys.argv[2])
while True:
    result = {"t": "ck", "res": [[f"org.example::job-{number}", 1, {"return_code": number}]]}
    storage.save_checkpoint(json.dumps(result).encode())
    print(number, flush=True)
    number += 1
"""

#: Fights for the session: as often as it gets the lock, it adds one result that nobody else has.
FIGHTER = """
import json, sys
from plainbox.session.storage import LockedStorageError, SessionStorage
won = 0
while won < int(sys.argv[3]):
    storage = SessionStorage(sys.argv[1], durable=False)
    try:
        job_id = f"fighter-{sys.argv[2]}-{won}"
        storage.save_checkpoint(json.dumps({"t": "ck", "res": [[job_id, 1, {"return_code": won}]]}).encode())
        won += 1
    except LockedStorageError:
        pass
    finally:
        storage.close()
"""


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_second_process_is_turned_away_until_the_owner_dies(tmp_path: Path) -> None:
    """The error names the owner; after SIGKILL the next save simply works, and nothing acknowledged is missing."""
    storage = session_with(tmp_path, 0)
    storage.close()
    with python(WRITER, storage.location, 0) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "0\n"
            mine = SessionStorage(storage.location)
            with pytest.raises(LockedStorageError, match=f"process {child.pid}, started") as caught:
                mine.save_checkpoint(result(-1))
            assert caught.value.pid == child.pid
            owner = mine.owner()
            assert owner is not None
            assert owner.pid == child.pid
            with pytest.raises(LockedStorageError):
                mine.break_lock()
            with pytest.raises(LockedStorageError):
                mine.remove()
        finally:
            child.send_signal(signal.SIGKILL)
        acknowledged = {0, *(int(line) for line in child.stdout.read().split())}
    assert child.returncode == -signal.SIGKILL
    assert not mine.is_locked()
    mine.save_checkpoint(ck_marker())
    found = set(results_of(mine.load_checkpoint()).values())
    assert acknowledged <= found
    assert len(found - acknowledged) <= 2  # the marker, and a change that was in flight
    mine.close()


def ck_marker() -> bytes:
    return result(1_000_000)


def test_processes_that_fight_for_a_session_never_lose_a_change(tmp_path: Path) -> None:
    """Every change that any of them was told is durable is there, and the numbers have no gap."""
    storage = session_with(tmp_path, 0)
    storage.close()
    fighters = [python(FIGHTER, storage.location, number, 15) for number in range(3)]
    for fighter in fighters:
        fighter.communicate()
        assert fighter.returncode == 0
    assert len(results_of(storage.load_checkpoint())) == 45
    numbers = [record["n"] for record in storage.records() if record["t"] == "ck"]
    assert numbers == list(range(2, 47))


def test_a_writer_killed_at_random_moments_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """SIGKILL in the middle of things, again and again, on the same session."""
    storage = session_with(tmp_path, 0)
    storage.close()
    first = 0
    acknowledged: set[int] = set()
    for round_number in range(4):
        with python(WRITER, storage.location, first) as child:
            assert child.stdout is not None
            for _ in range(3 + 7 * round_number):
                child.stdout.readline()
            child.kill()
            acknowledged |= set(range(first, first + 3 + 7 * round_number))
            acknowledged |= {int(line) for line in child.stdout.read().split()}
        found = set(results_of(storage.load_checkpoint()).values())
        assert acknowledged <= found
        first = max(found) + 1
        acknowledged = found


def test_a_second_storage_in_the_same_process_is_turned_away(tmp_path: Path) -> None:
    """One process can be in its own way, too, and is told so."""
    storage = session_with(tmp_path, 1)
    other = reopened(storage)
    with pytest.raises(LockedStorageError, match="in this process") as caught:
        other.save_checkpoint(result(1))
    assert caught.value.pid == os.getpid()
    assert isinstance(caught.value, OSError)
    assert len(results_of(other.load_checkpoint())) == 1
    storage.close()
    other.save_checkpoint(result(1))
    other.close()


def test_a_storage_that_is_dropped_drops_its_lock(tmp_path: Path) -> None:
    """Forgetting to close costs nothing but the clean end."""
    storage = session_with(tmp_path, 1)
    other = reopened(storage)
    assert other.is_locked()
    del storage
    assert not other.is_locked()
    other.save_checkpoint(result(1))


def test_unlock_gives_the_session_to_somebody_else_and_back(tmp_path: Path) -> None:
    """After unlock the next save takes the lock again, if it is free, and goes on after what others wrote."""
    storage = session_with(tmp_path, 1)
    storage.unlock()
    other = reopened(storage)
    other.save_checkpoint(result(1))
    with pytest.raises(LockedStorageError):
        storage.lock()
    other.unlock()
    storage.lock()
    assert storage.is_locked()
    storage.save_checkpoint(result(2))
    assert results_of(storage.load_checkpoint()).keys() == {f"org.example::job-{n}" for n in range(3)}


def test_a_child_process_does_not_inherit_the_lock(tmp_path: Path) -> None:
    """A job that outlives its tester does not keep the session locked."""
    storage = session_with(tmp_path, 1)
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        try:
            names = [os.readlink(link.path) for link in os.scandir(f"/proc/{child.pid}/fd")]
            assert not [name for name in names if storage.location in name]
            storage.close()
            reopened(storage).save_checkpoint(result(1))
        finally:
            child.kill()


def test_a_fork_owns_nothing(tmp_path: Path) -> None:
    """The child cannot save, does not keep the lock, and does not release it when it ends."""
    code = """
import os, sys
from plainbox.session.storage import SessionStorage, StorageClosedError
storage = SessionStorage(sys.argv[1])
storage.save_checkpoint(b'{"t":"ck","meta":{"parent":1}}')
read_end, write_end = os.pipe()
pid = os.fork()
if pid == 0:
    try:
        storage.save_checkpoint(b'{"t":"ck","meta":{"child":1}}')
    except StorageClosedError:
        os.write(write_end, b"refused ")
    storage.close()
    del storage
    os.write(write_end, b"done")
    os.read(0, 1)
    os._exit(0)
while b"done" not in (said := os.read(read_end, 100)):
    pass
storage.save_checkpoint(b'{"t":"ck","meta":{"after":1}}')
other = SessionStorage(sys.argv[1])
print(said.decode(), other.is_locked())
del storage
print(other.is_locked(), flush=True)
os.read(0, 1)
"""
    storage = session_with(tmp_path, 0)
    storage.close()
    done = subprocess.run([sys.executable, "-c", code, storage.location], input="x", capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] in (["refused done True", "False"], ["done True", "False"])
    assert b'"child"' not in storage.load_checkpoint()


def test_break_lock_clears_what_dead_writers_left(tmp_path: Path) -> None:
    """Unfinished files go, everything else stays, and the lock is as free as before."""
    storage = session_with(tmp_path, 1)
    storage.close()
    leftover = Path(storage.location) / "journal-000002.pbj.tmp"
    leftover.write_text("half")
    other = reopened(storage)
    other.break_lock()
    assert not leftover.exists()
    assert not other.is_locked()
    assert len(results_of(other.load_checkpoint())) == 1


def test_asking_for_the_owner_does_not_get_in_the_way(tmp_path: Path) -> None:
    """A question that is just being asked delays the one who wants the lock, it does not turn it away."""
    storage = session_with(tmp_path, 1)
    storage.close()

    class AskedOps(FaultyFiles):
        asked = 2

        def flock(self, fd: int, operation: int) -> None:
            if self.asked:
                self.asked -= 1
                raise BlockingIOError(errno.EAGAIN, "locked")
            super().flock(fd, operation)

    SessionStorage(storage.location, files=AskedOps()).save_checkpoint(result(1))


def test_a_lock_file_that_was_exchanged_is_locked_again(tmp_path: Path) -> None:
    """A lock on a file that nobody finds any more guards nothing, so the one that is there is taken."""
    storage = session_with(tmp_path, 1)
    storage.close()
    lock = Path(storage.location) / "lock"

    class ExchangingOps(FaultyFiles):
        done = False

        def flock(self, fd: int, operation: int) -> None:
            if not self.done:
                self.done = True
                lock.unlink()
                lock.touch()
            super().flock(fd, operation)

    mine = SessionStorage(storage.location, files=ExchangingOps())
    mine.lock()
    assert mine.is_locked()
    with pytest.raises(LockedStorageError):
        reopened(storage).lock()


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOLCK, StorageFailedError), (errno.ENOTSUP, StorageFailedError), (errno.EIO, StorageError)],
)
def test_a_file_system_that_cannot_lock_is_named(tmp_path: Path, number: int, kind: type[StorageError]) -> None:
    """Without a lock there is no writing, and the message says why."""
    storage = session_with(tmp_path, 1)
    storage.close()
    ops = FaultyFiles()
    ops.fail("flock", number)
    with pytest.raises(kind) as caught:
        SessionStorage(storage.location, files=ops).save_checkpoint(result(1))
    assert caught.value.errno == number


def test_a_read_only_medium_turns_writers_away_and_lets_readers_in(tmp_path: Path) -> None:
    """EROFS comes from the lock, before anything else is tried; loading needs no lock."""
    storage = session_with(tmp_path, 1)
    storage.close()
    ops = FaultyFiles()
    ops.fail("open", errno.EROFS)
    reader = SessionStorage(storage.location, files=ops)
    with pytest.raises(StorageError) as caught:
        reader.save_checkpoint(result(1))
    assert caught.value.errno == errno.EROFS
    assert len(results_of(reader.load_checkpoint())) == 1


def test_a_full_disk_does_not_keep_a_session_from_being_locked(tmp_path: Path) -> None:
    """The owner's text is for people; without it the lock is a lock all the same."""
    storage = session_with(tmp_path, 1)
    storage.close()
    ops = FaultyFiles()
    ops.fail("pwrite", errno.ENOSPC)
    mine = SessionStorage(storage.location, files=ops)
    mine.lock()
    owner = lock_owner(storage.location)
    assert owner is not None
    assert owner.pid is None
    assert str(owner) == "another process"


def test_locking_what_is_not_there_says_so(tmp_path: Path) -> None:
    """A session directory that is gone is StorageGoneError, which is a FileNotFoundError."""
    storage = SessionStorage(tmp_path / "nothing.session")
    for attempt in (storage.lock, lambda: storage.save_checkpoint(full()), storage.load_checkpoint):
        with pytest.raises(StorageGoneError) as caught:
            attempt()
        assert isinstance(caught.value, FileNotFoundError)
    assert storage.owner() is None
    storage.close()
    with pytest.raises(StorageClosedError):
        storage.lock()


def test_something_else_in_the_place_of_the_lock(tmp_path: Path) -> None:
    """A FIFO makes nobody wait: nobody owns such a session, nobody can, and it can be removed."""
    storage = SessionStorage.create(tmp_path)
    storage.save_checkpoint(full(meta={"title": "t"}))
    storage.unlock()
    place = Path(storage.location, "lock")
    place.unlink()
    os.mkfifo(place)
    other = SessionStorage(storage.location)
    assert other.owner() is None
    assert b'"title":"t"' in other.load_checkpoint()
    with pytest.raises(StorageError, match=r"cannot be locked.*not a regular file"):
        other.lock()
    other.remove()
    assert not Path(storage.location).exists()
