# SPDX-License-Identifier: Apache-2.0
"""The same again and again: run, kill, resume, remove; open, save, close. Nothing may pile up.

The command is looked at from outside: files below its home and its temporary directory, processes that carry its mark. What
a process that works with many sessions piles up inside - descriptors, threads, memory - is counted by that process.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

from kills_support import Lab, drain, quick_units, start_child
from scale import Figures, Tally

from plainbox.session.storage import SessionStorage

__all__ = ["open_and_close", "open_and_leak", "run", "run_and_kill"]

_JOBS = 6
#: What a killed tester leaves waits for the next one; there is a cache, too. None of it grows with the rounds.
_SPARE_FILES = 16
_ROUNDS_INSIDE = 60
#: What the interpreter and the allocator may take before it evens out.
_GROWTH_KIB = 8 * 1024


def run(*, trials: int, seed: int, base: Path, minutes: float | None = None) -> Figures:
    """Do ``trials`` rounds, or go on for so many minutes."""
    tally = Tally()
    base.mkdir(exist_ok=True)
    kills = run_and_kill(tally, trials, seed, base / "command", minutes=minutes)
    open_and_close(tally, base / "inside", rounds=min(_ROUNDS_INSIDE, 4 * trials))
    return tally.figures("soak", f"{kills} killed")


def run_and_kill(tally: Tally, trials: int, seed: int, base: Path, *, minutes: float | None = None) -> int:
    """Run, kill, resume and remove a session again and again; return how many runs were killed."""
    chance = random.Random(seed)
    lab = Lab.at(base, quick_units(_JOBS))
    before: Counter[str] = Counter()
    kills = rounds = 0
    ends = None if minutes is None else time.monotonic() + 60 * minutes
    while rounds < trials if ends is None else time.monotonic() < ends:
        rounds += 1
        lab.ledger.write_text("")
        process = lab.started()
        time.sleep(chance.uniform(0, 0.12))
        process.kill()
        _, stderr = process.communicate()
        killed = process.returncode == -9
        kills += killed
        tally.kills += killed
        trial = f"seed {seed}, round {rounds}"
        shown = Lab.shown(stderr)
        tally.trials += 1
        lab.conclude(tally, shown, jobs=_JOBS, crashes=int(killed), trial=trial)
        left = _processes(lab)
        tally.expect(not left, f"{trial}: processes are left: {left}")
        for storage in lab.stored():
            storage.remove()
        _age(lab.plainbox.home / "tmp")
        files = _files(lab.plainbox.home)
        before = before or files
        more = files - before
        tally.expect(sum(more.values()) <= _SPARE_FILES, f"{trial}: files pile up: {dict(more)}")
        if len(tally.violations) > 20:
            break
    return kills


def _files(home: Path) -> Counter[str]:
    """How many files and directories there are in each directory below the home."""
    return Counter(str(path.parent.relative_to(home)) for path in home.rglob("*"))


def _age(directory: Path) -> None:
    """Let what is there be two hours old: the next run leaves alone what is young."""
    then = time.time() - 7200
    for path in directory.iterdir():
        os.utime(path, (then, then), follow_symlinks=False)


def _processes(lab: Lab) -> list[str]:
    """The processes that have the ledger of this lab in their environment; some take a moment to be gone."""
    mark = f"LEDGER={lab.ledger}".encode()
    for _ in range(200):
        left = [pid for pid in filter(str.isdecimal, os.listdir("/proc")) if mark in _environment(pid)]
        if not left:
            return []
        time.sleep(0.01)
    return left


def _environment(pid: str) -> list[bytes]:
    try:
        return Path("/proc", pid, "environ").read_bytes().split(b"\0")
    except OSError:
        return []


# -- inside of one process


def work_inside(base: str, rounds: int, leak: bool, pipe: Connection) -> None:
    """Make, leave, load and remove sessions; say how many descriptors, threads and KiB there are, twice."""
    from manager_rig import job, records

    from plainbox.session.iolog import IOLogWriter
    from plainbox.session.manager import SessionManager
    from plainbox.session.repository import SessionStorageRepository

    units = [job("one"), job("two"), job("resource", plugin="resource")]
    kept = []
    for number in range(2 * rounds):
        manager = SessionManager.create_with_unit_list(units, SessionStorageRepository(base))
        manager.checkpoint()
        assert manager.state is not None
        log = IOLogWriter(manager.storage.location, units[0].id, 1)
        log.write("stdout", b"hello\n")
        log.close()
        manager.state.update_job_result(units[2], records("name: a", "name: b"))
        manager.checkpoint()
        manager.close()
        again = SessionManager.load_session(units, SessionStorage(manager.storage.location))
        again.checkpoint()
        again.destroy()
        if leak:
            kept.append(os.open(base, os.O_RDONLY))
        if number in (rounds - 1, 2 * rounds - 1):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            kib = pages * os.sysconf("SC_PAGE_SIZE") // 1024
            counts = len(os.listdir("/proc/self/fd")), threading.active_count(), kib
            os.write(pipe.fileno(), b"%d %d %d\n" % counts)


def open_and_close(tally: Tally, base: Path, *, leak: bool = False, rounds: int = _ROUNDS_INSIDE) -> None:
    """Count what a process holds after so many sessions, and after as many again."""
    base.mkdir()
    process, pipe = start_child(work_inside, str(base), rounds, leak)
    lines = drain(pipe).decode().splitlines()
    process.join()
    tally.trials += 2 * rounds
    if len(lines) != 2:
        tally.violations.append("inside: the worker has failed")
        return
    first, second = (tuple(map(int, line.split())) for line in lines)
    tally.expect(second[0] <= first[0], f"inside: {first[0]} descriptors, then {second[0]}")
    tally.expect(second[1] <= first[1], f"inside: {first[1]} threads, then {second[1]}")
    tally.expect(second[2] <= first[2] + _GROWTH_KIB, f"inside: {first[2]} KiB, then {second[2]} KiB")
    tally.expect(not os.listdir(base), f"inside: left behind: {os.listdir(base)}")


def open_and_leak(tally: Tally, base: Path) -> None:
    """A planted bug: a descriptor stays open for each session."""
    open_and_close(tally, base, leak=True, rounds=5)
