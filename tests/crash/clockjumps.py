# SPDX-License-Identifier: Apache-2.0
"""The wall clock is set to and fro between any two checkpoints.

By an hour, by ten years, to the beginning of 1970. The session must load, in the order in which it was saved, with no
time that runs backwards where time was measured, and with a note of every jump.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path

from invariants import Ledger, check_invariants, let_go, one_look
from scale import Figures, Tally
from store_rig import ck, full

from plainbox.session.repository import SessionStorageRepository
from plainbox.session.storage import SessionStorage
from plainbox.session.tree import canonical_full
from plainbox.testing import ManualClock
from plainbox.testing.files import FaultyFiles

__all__ = ["JUMPS_S", "run"]

_HOUR_S = 3600.0
_TEN_YEARS_S = 10 * 365.25 * 86400
#: What the wall clock is moved by; ``None`` sets it to the beginning of 1970.
JUMPS_S = (_HOUR_S, -_HOUR_S, _TEN_YEARS_S, -_TEN_YEARS_S, None)
_CHECKPOINTS = 8


def _jump(clock: ManualClock, by_s: float | None) -> None:
    clock.set_wall(0.0 if by_s is None else max(0.0, clock.time() + by_s))


def _one(base: Path, before: dict[int, float | None], tally: Tally, where: str, clock: ManualClock) -> None:
    """Make a session of some checkpoints, the clock set before those that ``before`` names."""
    storage = SessionStorage.create(base, files=FaultyFiles(), clock=clock)
    ledger = Ledger(name=Path(storage.location).name)
    wanted: dict[str, object] = {"t": "full", "meta": {"title": "0"}, "res": []}
    jumps = 0
    for number in range(_CHECKPOINTS):
        clock.advance(1.0)
        if number in before:
            wall = clock.time()
            _jump(clock, before[number])
            jumps += number > 0 and abs(clock.time() - wall) > 60
        if number == _CHECKPOINTS // 2:
            # The next process cannot know of a jump that happened when nobody was there.
            jumps -= number in before and abs(clock.time() - wall) > 60
            location = storage.location
            let_go(storage)
            storage = SessionStorage(location, files=FaultyFiles(), clock=clock)
        result = {"outcome": "pass", "start_time": clock.time(), "execution_duration": 1.0}
        wanted["meta"] = {"title": str(number)}
        wanted["res"] = [*wanted["res"], [f"job-{number}", 1, result]]  # type: ignore[misc]
        ledger.intend(canonical_full(full(**{key: value for key, value in wanted.items() if key != "t"})))
        if number:
            storage.save_checkpoint(ck(meta=wanted["meta"], res=[[f"job-{number}", 1, result]]))
        else:
            storage.save_checkpoint(full(meta=wanted["meta"], res=wanted["res"]))
        ledger.confirm()
    records = storage.records()
    noted = [note for record in records for note in record.get("notes", ()) if note["kind"] == "clock-jump"]
    noted += [record for record in records if record["t"] == "note" and record["kind"] == "clock-jump"]
    tally.expect(len(noted) == jumps, f"{where}: {jumps} jumps, {len(noted)} noted")
    numbers = [record["n"] for record in records if record["t"] == "ck"]
    tally.expect(numbers == sorted(numbers), f"{where}: checkpoints {numbers}")
    times = [record["m"] for record in records if "m" in record]
    tally.expect(times == sorted(times), f"{where}: the steady clock has gone back")
    let_go(storage)
    listed = [[item.id for item in SessionStorageRepository(base).get_storage_list()] for _ in range(3)]
    tally.expect(listed[0] == listed[1] == listed[2], f"{where}: the order of a listing changes")
    check_invariants(base, ledger, tally, where)
    tally.acknowledged += ledger.saves


def run(*, trials: int, seed: int, base: Path) -> Figures:
    """Make ``trials`` sessions: each jump before each checkpoint first, then several jumps in one session."""
    rng = random.Random(seed)
    single: list[dict[int, float | None]] = [{number: jump} for number in range(_CHECKPOINTS) for jump in JUMPS_S]
    tally = Tally()
    with tempfile.TemporaryDirectory(dir=base) as name, one_look():
        for number in range(trials):
            several = {at: rng.choice(JUMPS_S) for at in rng.sample(range(_CHECKPOINTS), rng.randint(2, 5))}
            before = single[number] if number < len(single) else several
            place = Path(name, str(number))
            _one(place, before, tally, f"jumps {before}", ManualClock())
            tally.trials += 1
            shutil.rmtree(place)
    return tally.figures("clockjumps", f"sessions of {_CHECKPOINTS} checkpoints")
