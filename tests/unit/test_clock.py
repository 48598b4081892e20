# SPDX-License-Identifier: Apache-2.0
"""A session lives in the time of its clock, and a wall clock that jumps costs it nothing."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainbox.clock import SYSTEM_CLOCK
from plainbox.session import SessionStorage
from plainbox.testing import ManualClock, MemoryStorage, ScriptedEngine, ScriptedJob, run_session

YEAR_S = 365 * 86400.0
UNITS = "".join(f"id: job-{number}\nplugin: shell\ncommand: true\n\n" for number in range(4))


def result(number: int) -> bytes:
    return json.dumps({"t": "ck", "res": [["a", number, {"outcome": "pass"}]]}).encode()


def test_the_clock_of_the_machine() -> None:
    """The system clock says what the system says."""
    assert abs(SYSTEM_CLOCK.time() - time.time()) < 60
    assert SYSTEM_CLOCK.monotonic_ns() <= time.monotonic_ns()
    assert SYSTEM_CLOCK.uptime_s() <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert SessionStorage("/nonexistent").clock is SYSTEM_CLOCK


def test_a_session_has_the_time_of_its_clock() -> None:
    """The name, the head, the records and the log of a session all tell the time of the one clock."""
    at = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC).timestamp()
    clock = ManualClock(at=at)
    storage = MemoryStorage.create(clock=clock)
    engine = ScriptedEngine({"job-1": ScriptedJob(duration_s=90)}, clock=clock)
    manager = run_session(UNITS, storage=storage, engine=engine)
    assert storage.id == "pbox-2031-02-03T04.05.06.000000"
    head, *records = storage.records()
    assert (head["created"], head["at"]) == (at, at)
    assert {record["w"] for record in records if "w" in record} == {at, at + 90}
    assert manager.state is not None
    results = [manager.state.job_state_map[f"org.example::job-{number}"].result for number in range(4)]
    assert [item.start_time for item in results] == [at, at, at + 90, at + 90]
    assert [item.execution_duration for item in results] == [0, 90, 0, 0]


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0, -YEAR_S, 10 * YEAR_S, -1_750_000_000.0])
def test_the_wall_clock_is_set_between_two_checkpoints(step_s: float) -> None:
    """The session loads, its order is that of the checkpoints, and a note tells of the jump."""
    clock = ManualClock()
    storage = MemoryStorage.create(clock=clock)
    storage.save_checkpoint(result(1))
    clock.set_wall(clock.time() + step_s)
    storage.save_checkpoint(result(2))
    clock.advance(5)
    storage.save_checkpoint(result(3))
    storage.close()
    again = storage.again()
    assert [attempt for _, attempt, _ in json.loads(again.load_checkpoint())["res"]] == [1, 2, 3]
    changes = [record for record in again.records() if record["t"] == "ck"]
    assert [record["n"] for record in changes] == [2, 3]
    [note] = changes[0]["notes"]
    assert (note["kind"], note["data"]) == ("clock-jump", {"by_s": step_s})
    assert "notes" not in changes[1]


def test_the_wall_clock_is_set_back_while_a_job_runs() -> None:
    """A job that sees the clock set back by a year has the duration that it took; all results are there in their order."""
    clock = ManualClock()
    storage = MemoryStorage.create(clock=clock)
    back = ScriptedJob(calls=lambda: clock.set_wall(clock.time() - YEAR_S), duration_s=2.5)
    engine = ScriptedEngine({"job-1": back}, clock=clock)
    manager = run_session(UNITS, storage=storage, engine=engine)
    assert manager.state is not None
    results = [manager.state.job_state_map[f"org.example::job-{number}"].result for number in range(4)]
    assert [item.outcome for item in results] == ["pass"] * 4
    assert [item.execution_duration for item in results] == [0, 2.5, 0, 0]
    order = [item[0] for record in storage.records() for item in record.get("res", [])]
    assert order == engine.executed == [f"org.example::job-{number}" for number in range(4)]
    kinds = [note["kind"] for record in storage.records() for note in record.get("notes", [])]
    assert kinds == ["clock-jump"]


def test_a_suspended_machine_is_a_jump() -> None:
    """Two hours of suspend are noted: the wall clock went on without the monotonic one."""
    clock = ManualClock()
    storage = MemoryStorage.create(clock=clock)
    storage.save_checkpoint(result(1))
    clock.suspend(7200)
    storage.save_checkpoint(result(2))
    [note] = storage.records()[-1]["notes"]
    assert note["data"] == {"by_s": 7200.0}


@settings(max_examples=30)
@given(st.lists(st.sampled_from([0.0, 1.0, 3600.0, -3600.0, YEAR_S, -YEAR_S, 10 * YEAR_S, -10 * YEAR_S]), max_size=8))
def test_any_steps_of_the_clock(steps: list[float]) -> None:
    """Whatever the wall clock does between checkpoints, what is loaded is what was stored, in the order of storing."""
    clock = ManualClock()
    storage = MemoryStorage.create(clock=clock)
    for number, step_s in enumerate(steps, 1):
        storage.save_checkpoint(result(number))
        clock.set_wall(max(0.0, clock.time() + step_s))
    storage.save_checkpoint(result(len(steps) + 1))
    loaded = json.loads(storage.again().load_checkpoint())
    assert [attempt for _, attempt, _ in loaded["res"]] == list(range(1, len(steps) + 2))
