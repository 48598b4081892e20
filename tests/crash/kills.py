# SPDX-License-Identifier: Apache-2.0
"""Kill storm: real processes that save, acknowledge over a pipe, and are killed at a random moment.

Most trials kill the store alone, which acknowledges thousands of results a second; the rest kill the real command while
it runs a plan and while it resumes. Nothing that was acknowledged may be missing, nothing may be there twice.
"""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from kills_support import Lab, drain, quick_units, start_child
from scale import Figures, Tally
from store_rig import agrees, ck, full, journal_of, results_of, second_reader

from plainbox.errors import SessionError
from plainbox.session.storage import SessionStorage

__all__ = ["run", "kill_stores", "kill_commands", "acknowledge_first", "two_records"]

#: A kill comes within that time; of writers that do not sync, which are much faster, within less.
_LONGEST_S, _LONGEST_RELAXED_S = 0.2, 0.1
_KILLS_PER_SESSION = 10
_JOBS = 12


def run(*, trials: int, seed: int, base: Path) -> Figures:
    """Kill ``trials`` processes, one in eight of them a command."""
    commands = trials // 8
    tally = Tally()
    kill_stores(tally, trials - commands, seed, base / "stores")
    stored = tally.acknowledged
    kill_commands(tally, commands, seed, base / "commands")
    return tally.figures("kills", f"{stored} by the store, {tally.acknowledged - stored} by the command")


# -- the store


def _entry(number: int) -> list[Any]:
    return [f"org.example::job-{number}", 1, {"outcome": "pass", "return_code": number}]


def write_results(location: str, first: int, seed: int, durable: bool, pipe: Connection) -> None:
    """Say of each job that it runs, then give its result in one record with the end of that, and acknowledge it."""
    os.write(pipe.fileno(), b"+")
    storage = SessionStorage(location, durable=durable)
    chance = random.Random(seed)
    for number in itertools.count(first):
        storage.save_checkpoint(ck(meta={"running": {_entry(number)[0]: {"attempt": 1}}}))
        storage.save_checkpoint(ck(meta={"running": {}}, res=[_entry(number)]))
        os.write(pipe.fileno(), b"%d\n" % number)
        match chance.randrange(200):
            case 0:
                storage.compact()
            case 1:
                storage.close()
                storage = SessionStorage(location, durable=durable)
            case 2:
                storage.note("remark", {"number": number})


def acknowledge_first(location: str, first: int, seed: int, durable: bool, pipe: Connection) -> None:
    """A planted bug: the acknowledgement goes out before the record does."""
    os.write(pipe.fileno(), b"+")
    storage = SessionStorage(location, durable=durable)
    for number in itertools.count(first):
        os.write(pipe.fileno(), b"%d\n" % number)
        storage.save_checkpoint(ck(res=[_entry(number)]))


def two_records(location: str, first: int, seed: int, durable: bool, pipe: Connection) -> None:
    """A planted bug: the result and the end of its job are two records."""
    os.write(pipe.fileno(), b"+")
    storage = SessionStorage(location, durable=durable)
    for number in itertools.count(first):
        storage.save_checkpoint(ck(meta={"running": {_entry(number)[0]: {"attempt": 1}}}))
        storage.save_checkpoint(ck(res=[_entry(number)]))
        storage.save_checkpoint(ck(meta={"running": {}}))
        os.write(pipe.fileno(), b"%d\n" % number)


def kill_stores(tally: Tally, trials: int, seed: int, base: Path, writer: Any = write_results) -> None:
    """Kill ``trials`` writers; each goes on with the session that the last one has left, ten times in a row."""
    chance = random.Random(seed)
    location, held = "", 0
    for trial in range(trials):
        if trial % _KILLS_PER_SESSION == 0:
            storage = SessionStorage.create(base)
            storage.save_checkpoint(full(meta={"title": "storm"}))
            storage.close()
            location, held = storage.location, 0
        # The end of a process takes nothing away from what the system has, synced or not: every other writer syncs.
        durable = trial % 2 == 0
        process, pipe = start_child(writer, location, held, chance.randrange(2**32), durable)
        began = os.read(pipe.fileno(), 1)
        assert began == b"+", "the writer has not begun"
        # What is said meanwhile waits in the pipe: a parent that wakes up for it would kill just after it.
        time.sleep(chance.uniform(0, _LONGEST_S if durable else _LONGEST_RELAXED_S))
        process.kill()
        process.join()
        acknowledged = held + drain(pipe).count(b"\n")
        tally.trials += 1
        tally.kills += 1
        tally.acknowledged += acknowledged - held
        found = _examine(tally, location, acknowledged, f"seed {seed}, store kill {trial}")
        if found is None:
            return
        held = found


def _examine(tally: Tally, location: str, acknowledged: int, trial: str) -> int | None:
    """Check what a killed writer has left; return how many results there are, ``None`` when nobody can tell."""
    storage = SessionStorage(location)
    tally.expect(not storage.is_locked(), f"{trial}: still locked")
    try:
        data = storage.load_checkpoint()
        again = SessionStorage(location).load_checkpoint()
    except SessionError as error:
        tally.unreadable += 1
        tally.violations.append(f"{trial}: {error} ({location})")
        return None
    found = sorted(results_of(data).values())
    tally.lost += len(set(range(acknowledged)) - set(found))
    tally.expect(found == list(range(len(found))), f"{trial}: the results are not without gap")
    tally.expect(len(found) <= acknowledged + 1, f"{trial}: {len(found)} results, {acknowledged} acknowledged")
    tally.expect(data == again, f"{trial}: a second load says something else")
    journal = journal_of(storage, storage.journal_info().generation).read_bytes()
    seen = second_reader(journal)
    tally.expect(agrees(seen, data), f"{trial}: the second reader does not agree")
    for job_id in (seen or {}).get("meta", {}).get("running", {}):
        tally.expect(job_id not in results_of(data), f"{trial}: {job_id} runs and has a result")
    return len(found)


# -- the command


def kill_commands(tally: Tally, trials: int, seed: int, base: Path) -> None:
    """Kill runs and their resumes, then let the session come to its end; ``trials`` counts the kills."""
    chance = random.Random(seed)
    goal, number = tally.trials + trials, 0
    while tally.trials < goal:
        number += 1
        lab = Lab.at(base / str(number), quick_units(_JOBS))
        trial = f"seed {seed}, command {number}"
        shown: set[str] = set()
        kills = _kill(lab.started(), chance.uniform(0, 0.35), shown)
        while kills and chance.random() < 0.5 and kills < 3:
            more = _kill(lab.start("resume", "--no-input"), chance.uniform(0, 0.45), shown)
            kills += more
            if not more:
                break
        tally.trials += kills
        tally.kills += kills
        lab.conclude(tally, shown, jobs=_JOBS, crashes=kills, trial=trial)


def _kill(process: subprocess.Popen[str], after_s: float, shown: set[str]) -> int:
    """Kill the process after so long; return 1, or 0 when it had come to its end by itself."""
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.kill()
    _, stderr = process.communicate()
    shown |= Lab.shown(stderr)
    return int(process.returncode == -9)
