# SPDX-License-Identifier: Apache-2.0
"""What a session costs as it grows: checkpoints, bytes, planning, resuming."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import measure
from benchmarks.measure import Figure
from plainbox.session import JobResultBuilder, SessionManager, SessionState, SessionStorageRepository
from plainbox.session.metadata import RunningAttempt
from plainbox.session.planner import Planner
from plainbox.units import JobDefinition, Unit

_GOAL_BYTES = {1000: 2_000_000, 10_000: None}


def jobs(count: int) -> list[Unit]:
    """Return jobs that look like those of real providers."""
    return [
        JobDefinition(
            {
                "id": f"org.example.group-{number // 100}/job-{number:05d}",
                "_summary": f"Check number {number} of many, with a summary of ordinary length",
                "plugin": "shell",
                "command": "true",
                "category_id": "com.canonical.plainbox::disk",
            }
        )
        for number in range(count)
    ]


def result(number: int) -> JobResultBuilder:
    return JobResultBuilder(
        outcome="pass",
        return_code=0,
        execution_duration=0.01 * number,
        start_time=1_800_000_000.0 + number,
        boot_id="0123456789abcdef",
        origin="run",
        log={
            "path": f"io-logs/org.example.group_job-{number:05d}-01234567.1.iolog",
            "size": 300,
            "frames": 1,
            "out": 20,
            "err": 0,
            "digest": "0123456789abcdef0123456789abcdef",
        },
    )


def run(home: Path, count: int) -> tuple[SessionManager, list[float], list[float]]:
    """Give every job of a session its result with the two checkpoints of a run; return wall and CPU seconds of each."""
    repository = SessionStorageRepository(home / f"sessions-{count}")
    state = SessionState(jobs(count))
    state.update_desired_job_list(state.job_list)
    manager = SessionManager.create_with_state(state, repository)
    manager.checkpoint()
    wall, cpu = [], []
    for number, job in enumerate(state.run_list):
        state.metadata.running = {job.id: RunningAttempt(1, 1_800_000_000.0 + number, "0123456789abcdef", 4711, 815)}
        state.job_state_map[job.id].attempts -= 1
        _timed(manager, wall, cpu)
        state.metadata.running = {}
        state.update_job_result(job, result(number).get_result(manager.storage.location))
        _timed(manager, wall, cpu)
    return manager, wall, cpu


def _timed(manager: SessionManager, wall: list[float], cpu: list[float]) -> None:
    started, used = time.perf_counter(), time.process_time()
    manager.checkpoint()
    cpu.append(time.process_time() - used)
    wall.append(time.perf_counter() - started)


def figures(home: Path) -> Iterator[Figure]:
    first_cpu: float | None = None
    for count in (100, 1000, 10_000):
        manager, wall, cpu = run(home, count)
        last = cpu[-200:]
        first_cpu = first_cpu or statistics.median(last)
        yield Figure(f"one checkpoint, {count} jobs with results: CPU", 1000 * statistics.median(last), "ms", 1.0)
        yield Figure("  with the disk", 1000 * statistics.median(wall[-200:]), "ms")
        yield Figure("  compared with 100 jobs", statistics.median(last) / first_cpu, "x", 1.5)
        manager.close()
        stored = measure.size_bytes(Path(manager.storage.location))
        yield Figure(f"  bytes of the journal of {count} jobs", stored / 1e6, "MB", count * 2e-3)
        yield from _resume(manager.storage.location, count)
        yield Figure(f"  taking in one result, {count} jobs", 1000 * _taking_in(count), "ms")
    yield from _planner()


def _resume(location: str, count: int) -> Iterator[Figure]:
    """Resume in a process of its own each time, as a user does; its memory includes the units and the interpreter."""
    seconds, peaks = [], []
    for _ in range(5):
        words = [sys.executable, "-c", _RESUME, location, str(count)]
        done = subprocess.run(words, capture_output=True, check=True, cwd=Path(__file__).parents[1])
        taken, peak = json.loads(done.stdout)
        seconds.append(taken)
        peaks.append(peak)
    goals = (0.6, 150) if count == 10_000 else (None, None)
    yield Figure(f"  resume of {count} results", statistics.median(seconds), "s", goals[0])
    yield Figure("    peak memory of the process", statistics.median(peaks), "MiB", goals[1])


_RESUME = """
import json, resource, sys, time
from benchmarks.sessions import jobs
from plainbox.session import SessionManager, SessionStorage
units = jobs(int(sys.argv[2]))
started = time.perf_counter()
SessionManager.load_session(units, SessionStorage(sys.argv[1]))
taken = time.perf_counter() - started
print(json.dumps([taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def _taking_in(count: int) -> float:
    state = SessionState(jobs(count))
    state.update_desired_job_list(state.job_list)
    seconds = []
    for number, job in enumerate(state.run_list[-200:] + state.run_list[-200:]):
        outcome = result(number).get_result()
        started = time.perf_counter()
        state.update_job_result(job, outcome)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _planner() -> Iterator[Figure]:
    count = 10_000
    shapes = {
        "three dependencies each": lambda n: [f"j{(n * 7919 + k) % n}" for k in range(3)] if n > 3 else [],
        "a chain": lambda n: [f"j{n - 1}"] if n else [],
        "a chain the other way round": lambda n: [f"j{n + 1}"] if n < count - 1 else [],
    }
    for name, depends in shapes.items():
        known = {
            f"j{n}": JobDefinition(
                {"id": f"j{n}", "plugin": "shell", "command": "true", "depends": " ".join(depends(n))}
            )
            for n in range(count)
        }
        started = time.perf_counter()
        Planner(known).plan(list(known.values()))
        yield Figure(f"plan of {count} jobs, {name}", time.perf_counter() - started, "s", 0.3)
