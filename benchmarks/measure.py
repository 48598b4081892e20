# SPDX-License-Identifier: Apache-2.0
"""Timing whole processes and calls: medians of several runs, peak memory, bytes written."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple


class Cost(NamedTuple):
    """Medians over the runs: seconds of the clock, seconds of the processors (children included), peak MiB."""

    wall_s: float
    cpu_s: float
    peak_mib: float


class Figure(NamedTuple):
    """One line of the table; ``goal`` is the most that it should be, in the same unit."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    note: str = ""


def environment(home: Path) -> dict[str, str]:
    """Return an environment in which everything that Plainbox stores is below ``home``."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_DATA_DIRS": str(home / "no-data"),
    }


def command(
    home: Path, *words: str | Path, runs: int = 5, code: int = 0, before: Callable[[], object] | None = None
) -> Cost:
    """Return what it costs to run ``plainbox`` with these words; ``before`` is called before each run."""
    program = Path(sys.executable).with_name("plainbox")
    return process([str(program), *map(str, words)], environment(home), runs=runs, code=code, before=before)


#: Runs a program from a small process: a child's peak memory counts from the moment of the fork, parent included.
_WATCHER = """
import json, os, subprocess, sys, time
started = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
wall_s = time.perf_counter() - started
code = os.waitstatus_to_exitcode(status)
print(json.dumps([code, wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
"""


def process(
    words: Sequence[str],
    variables: dict[str, str],
    *,
    runs: int,
    code: int = 0,
    before: Callable[[], object] | None = None,
) -> Cost:
    """Return what it costs to run a program; ``before`` is called before each run and not counted."""
    costs = []
    for _ in range(runs):
        if before is not None:
            before()
        watcher = [sys.executable, "-S", "-c", _WATCHER, *words]
        done = subprocess.run(watcher, env=variables, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        exit_code, *cost = json.loads(done.stdout)
        assert exit_code == code, f"{words}: exit {exit_code}"
        costs.append(Cost(*cost))
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


def call(function: Callable[[], object], *, runs: int = 5) -> float:
    """Return the median seconds of a call."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def size_bytes(directory: Path) -> int:
    """Return the bytes in all files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
