# SPDX-License-Identifier: Apache-2.0
"""Whole runs of the command, with real jobs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks import measure
from benchmarks.measure import Figure

_OUTPUT_BYTES = 200_000_000
_CPU_JOBS = 40


def _provider(home: Path) -> Path:
    directory = home / "runs"
    (directory / "units").mkdir(parents=True)
    (directory / "runs.provider").write_text(
        "[PlainBox Provider]\nname = org.example:runs\nversion = 1.0\nrelocatable = True\n"
    )
    units = []
    for count in (1, 500, 2000):
        units += [f"id: n{count}/job-{number:04d}\nplugin: shell\ncommand: true\n" for number in range(count)]
        units.append(f"unit: test plan\nid: plan-{count}\nname: {count} jobs\ninclude: n{count}/.*\n")
    units += [
        f"id: cpu/job-{number:02d}\nplugin: shell\ncommand: i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done\n"
        for number in range(_CPU_JOBS)
    ]
    units.append("unit: test plan\nid: plan-cpu\nname: Work\ninclude: cpu/.*\n")
    units.append(
        "id: output\nplugin: shell\ncommand: yes "
        f"{'0123456789' * 8} | head -c {_OUTPUT_BYTES}\n\n"
        f"id: one-line\nplugin: shell\ncommand: head -c {_OUTPUT_BYTES} /dev/zero | tr '\\0' x\n"
    )
    (directory / "units" / "units.pxu").write_text("\n".join(units))
    return directory


def figures(home: Path) -> Iterator[Figure]:
    provider = _provider(home)

    def run(what: str, runs: int) -> measure.Cost:
        return measure.command(home, "run", "-q", "--no-input", "--provider", provider, what, runs=runs)

    one = run("plan-1", 5)
    yield Figure("run of one job of true", one.wall_s, "s")
    costs = {count: run(f"plan-{count}", 3) for count in (500, 2000)}
    yield Figure("run of 500 jobs of true", costs[500].wall_s, "s", 2.5)
    yield Figure("  per job", 1000 * (costs[500].wall_s - one.wall_s) / 499, "ms")
    yield Figure("run of 2000 jobs of true", costs[2000].wall_s, "s", 10.0)
    yield Figure("  per job", 1000 * (costs[2000].wall_s - one.wall_s) / 1999, "ms")
    yield Figure("  peak memory", costs[2000].peak_mib, "MiB")
    stored = sorted((home / "state" / "plainbox" / "sessions").iterdir())[-1]
    yield Figure("  bytes stored for 2000 jobs, logs included", measure.size_bytes(stored) / 1e6, "MB", 4.0)
    yield from _side_by_side(home, provider)
    yield from _shells(home)
    for what in ("output", "one-line"):
        cost = run(what, 3)
        yield Figure(f"a job printing 200 MB ({what})", cost.wall_s, "s", 2.0)
        yield Figure("  peak memory", cost.peak_mib, "MiB", 80)


def _side_by_side(home: Path, provider: Path) -> Iterator[Figure]:
    def run(jobs: int, what: str) -> measure.Cost:
        return measure.command(home, "run", "-q", "--no-input", f"-j{jobs}", "--provider", provider, what, runs=3)

    alone, pair = run(1, "plan-cpu"), run(2, "plan-cpu")
    yield Figure(f"{_CPU_JOBS} jobs of work for the processor, -j 1", alone.wall_s, "s")
    yield Figure("  -j 2 on two cores, share of that time", pair.wall_s / alone.wall_s, "", 1 / 1.7)
    yield Figure("run of 500 jobs of true, -j 2", run(2, "plan-500").wall_s, "s", 2.5)


def _shells(home: Path) -> Iterator[Figure]:
    script = "for i in $(seq 500); do bash -c true; done"
    cost = measure.process(["bash", "-c", script], dict(os.environ), runs=3)
    yield Figure("for comparison: bash -c true, 500 times", cost.wall_s, "s")
