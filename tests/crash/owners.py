# SPDX-License-Identifier: Apache-2.0
"""Many processes that want to write to one session: at most one does at any time, also when owners are killed.

Each process takes the lock, proves with a claim of its own (a file that only one can make) that nobody else has it, saves,
and gives the lock back; some are killed in the middle and replaced. The journal must hold every save that was
acknowledged, numbered without gap, and those of one process in its order.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import attrs
from kills_support import drain, is_running, start_child
from scale import Figures, Tally
from store_rig import agrees, ck, full, journal_of, second_reader

from plainbox.errors import LockedStorageError, SessionError, StorageClosedError
from plainbox.session.files import FileOps
from plainbox.session.storage import SessionStorage

__all__ = ["UnlockedFiles", "fight", "run", "try_in_child"]

_FIGHTERS = 8
_GARBAGE = (b"", b"\0" * 100, b'{"pid": 1}', b"[" * 5000, b'{"pid": "x", "start_ticks": -1}', os.urandom(64))


class UnlockedFiles(FileOps):
    """A planted bug: the lock is never really taken."""

    def flock(self, fd: int, operation: int) -> None:
        pass


def run(*, trials: int, seed: int, base: Path) -> Figures:
    """Let eight processes take the lock ``trials`` times together."""
    tally = Tally()
    kills = fight(tally, trials, seed, base)
    return tally.figures("owners", f"{_FIGHTERS} processes, {kills} killed")


def take_turns(
    location: str, claim: str, name: int, rounds: int, seed: int, files: FileOps | None, pipe: Connection
) -> None:
    """Own the session ``rounds`` times; say what was saved (``s``) and what must not be (``!``)."""
    chance = random.Random(seed)
    done = 0
    while done < rounds:
        storage = SessionStorage(location, files=files)
        try:
            storage.lock()
        except LockedStorageError:
            time.sleep(chance.uniform(0, 0.004))
            continue
        _claim(claim, pipe)
        try:
            storage.save_checkpoint(ck(res=[[f"org.example::job-{name}", done + 1, {"return_code": done}]]))
            os.write(pipe.fileno(), b"s %d %d\n" % (name, done + 1))
            done += 1
        except SessionError as error:
            os.write(pipe.fileno(), f"! {type(error).__name__}: {error}\n".encode())
            return
        finally:
            os.unlink(claim)
        if chance.random() < 0.5:
            storage.unlock()
        else:
            storage.close()


def _claim(claim: str, pipe: Connection) -> None:
    """Make the claim; one that a living process has made means that the session has two owners."""
    while True:
        try:
            fd = os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            with contextlib.suppress(OSError, ValueError):
                owner = int(Path(claim).read_text())
                if _stays(owner):
                    os.write(pipe.fileno(), b"! two owners: %d and %d\n" % (owner, os.getpid()))
            with contextlib.suppress(FileNotFoundError):
                os.unlink(claim)
        else:
            os.write(fd, b"%d" % os.getpid())
            os.close(fd)
            return


def _stays(pid: int) -> bool:
    """Tell whether the process lives on; one that was killed loses its lock a moment before it is gone."""
    deadline = time.monotonic() + 1
    while is_running(pid):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.001)
    return False


@attrs.define
class _Fighter:
    process: BaseProcess
    pipe: Connection
    name: int
    rounds: int


def fight(tally: Tally, rounds: int, seed: int, base: Path, files: FileOps | None = None) -> int:
    """Let the processes fight until the lock was taken so often; return how many of them were killed."""
    chance = random.Random(seed)
    storage = SessionStorage.create(base)
    storage.save_checkpoint(full(meta={"title": "fight"}))
    storage.close()
    claim = str(base / "claim")
    said: list[str] = []
    names = iter(range(10**6))

    def enter(rounds: int) -> _Fighter:
        name = next(names)
        arguments = (storage.location, claim, name, rounds, chance.randrange(2**32), files)
        return _Fighter(*start_child(take_turns, *arguments), name, rounds)

    def leave(fighter: _Fighter) -> int:
        fighter.process.join()
        lines = drain(fighter.pipe).decode().splitlines()
        said.extend(lines)
        return sum(line.startswith("s") for line in lines)

    fighters = [enter(rounds // _FIGHTERS or 1) for _ in range(_FIGHTERS)]
    kills = 0
    while fighters:
        time.sleep(chance.uniform(0, 0.05))
        # What stands in the lock file decides nothing.
        Path(storage.location, "lock").write_bytes(chance.choice(_GARBAGE))
        victim = chance.choice(fighters)
        if chance.random() < 0.3 and victim.process.is_alive():
            victim.process.kill()
            done = leave(victim)
            kills += victim.process.exitcode == -9
            fighters.remove(victim)
            if done < victim.rounds:
                fighters.append(enter(victim.rounds - done))
        for fighter in [item for item in fighters if not item.process.is_alive()]:
            leave(fighter)
            fighters.remove(fighter)
    _look_back(tally, storage.location, said, f"seed {seed}")
    tally.kills += kills
    return kills


def _look_back(tally: Tally, location: str, said: list[str], trial: str) -> None:
    saved = [tuple(map(int, line.split()[1:])) for line in said if line.startswith("s")]
    tally.trials += len(saved)
    tally.acknowledged += len(saved)
    tally.violations += [f"{trial}: {line[2:]}" for line in said if line.startswith("!")]
    storage = SessionStorage(location)
    tally.expect(not storage.is_locked(), f"{trial}: still locked")
    try:
        data = storage.load_checkpoint()
        records = storage.records()
    except SessionError as error:
        tally.unreadable += 1
        tally.violations.append(f"{trial}: {error}")
        return
    seen = second_reader(journal_of(storage, storage.journal_info().generation).read_bytes())
    tally.expect(agrees(seen, data), f"{trial}: the second reader does not agree")
    checkpoints = [record for record in records if record["t"] == "ck"]
    numbers = [record["n"] for record in checkpoints]
    tally.expect(numbers == list(range(numbers[0], numbers[0] + len(numbers))), f"{trial}: numbers with gaps")
    stored = [_who(record) for record in checkpoints]
    tally.lost += len(set(saved) - set(stored))
    tally.expect(len(stored) == len(set(stored)), f"{trial}: a save is there twice")
    for name in {name for name, _ in stored}:
        order = [attempt for other, attempt in stored if other == name]
        tally.expect(order == sorted(order), f"{trial}: the saves of process {name} are out of order")


def _who(record: dict[str, Any]) -> tuple[int, int]:
    [[job_id, attempt, _]] = record["res"]
    return int(job_id.rpartition("-")[2]), attempt


def try_in_child(location: str, pipe: Connection) -> None:
    """Own a session, fork, and say what happens to the child that tries to save."""
    storage = SessionStorage(location)
    storage.save_checkpoint(ck(meta={"by": "parent"}))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            storage.save_checkpoint(ck(meta={"by": "child"}))
        except StorageClosedError:
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    still_mine = storage.is_locked()
    storage.save_checkpoint(ck(meta={"after": "child"}))
    storage.close()
    os.write(pipe.fileno(), b"%d %d\n" % (os.waitstatus_to_exitcode(status), still_mine))
