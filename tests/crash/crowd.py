# SPDX-License-Identifier: Apache-2.0
"""Runs of several jobs at the same time that are killed, and killed again while they are gone on with.

Whatever was running has one result of its own afterwards, what was shown stays, nothing runs twice, and no process of an
interrupted attempt is left.
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from kills_support import Lab, is_running
from scale import Figures, Tally

__all__ = ["kill_crowds", "run"]

_JOBS = 16
_SIDE_BY_SIDE = 4


def run(*, trials: int, seed: int, base: Path) -> Figures:
    """Kill ``trials`` runs, each with up to four jobs at work."""
    tally = Tally()
    most = kill_crowds(tally, trials, seed, base)
    return tally.figures("crowd", f"{most} jobs killed at once at the most")


def kill_crowds(tally: Tally, trials: int, seed: int, base: Path) -> int:
    """Kill runs and their resumes, then let each session come to its end; return how many jobs one kill has met."""
    chance = random.Random(seed)
    goal, number, most = tally.trials + trials, 0, 0
    while tally.trials < goal:
        number += 1
        lab = Lab.at(base / str(number), _units(chance))
        trial = f"seed {seed}, crowd {number}"
        shown: set[str] = set()
        process = lab.started("-j", str(_SIDE_BY_SIDE))
        kills = interrupted = 0
        while _killed(process, chance.uniform(0, 0.5), shown):
            kills += 1
            met = _at_work(lab, tally, trial)
            most = max(most, met)
            interrupted += met
            if kills == 3 or chance.random() < 0.4:
                break
            process = lab.start("resume", "--no-input", "-j", str(_SIDE_BY_SIDE))
        tally.trials += kills
        tally.kills += kills
        lab.conclude(tally, shown, jobs=_JOBS, crashes=interrupted, trial=trial)
        left = [pid for pid in _written(lab) if is_running(pid)]
        tally.expect(not left, f"{trial}: processes are left: {left}")
    return most


def _units(chance: random.Random) -> str:
    """Return a plan of jobs of different lengths, some with locks and some that wait for others."""
    units = []
    for number in range(_JOBS):
        fields = [f"id: job-{number:02d}", "plugin: shell"]
        if number and chance.random() < 0.3:
            fields.append(f"after: job-{chance.randrange(number):02d}")
        if chance.random() < 0.3:
            fields.append(f"uses: {chance.choice(['one', 'two', 'one two'])}")
        pause = chance.choice(["0", "0.05", "0.2"])
        fields.append(f'command: echo {number:02d} >> "$LEDGER"; echo $$ >> "$LEDGER.pids"; echo out; sleep {pause}')
        units.append("\n".join(fields))
    units.append("unit: test plan\nid: quick\n_name: Quick\ninclude: job-.*\n")
    return "\n\n".join(units)


def _killed(process: subprocess.Popen[str], after_s: float, shown: set[str]) -> bool:
    """Kill the process after so long; return false when it had come to its end by itself."""
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.kill()
    _, stderr = process.communicate()
    shown |= Lab.shown(stderr)
    return process.returncode == -9


def _at_work(lab: Lab, tally: Tally, trial: str) -> int:
    """Return how many jobs a killed run had at work; each has a process, and none has a result."""
    [storage] = lab.stored()
    running = storage.peek_metadata()["meta"].get("running", {})
    tally.expect(len(running) <= _SIDE_BY_SIDE, f"{trial}: {len(running)} jobs at work")
    groups = [attempt.get("process_group") for attempt in running.values()]
    tally.expect(None not in groups and len(set(groups)) == len(groups), f"{trial}: process groups {groups}")
    return len(running)


def _written(lab: Lab) -> list[int]:
    pids = Path(f"{lab.ledger}.pids")
    return [int(pid) for pid in pids.read_text().split()] if pids.exists() else []
