# SPDX-License-Identifier: Apache-2.0
"""Start-up, and finding one's way among thousands of units."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import measure
from benchmarks.generate import JOBS, PLANS, TEMPLATES, write_provider
from benchmarks.measure import Figure

LARGE = 4000
_RESTED_S = 2.5  # a file is kept in the cache when its last change is two seconds ago


def figures(home: Path) -> Iterator[Figure]:
    cost = measure.command(home, "--help", runs=11)
    yield Figure("plainbox --help", cost.wall_s, "s", 0.1)
    real, large = home / "real", home / "large"
    write_provider(real)
    write_provider(large, size=LARGE)
    time.sleep(_RESTED_S)
    yield from _listing(home, real, f"{JOBS} jobs, {PLANS} plans, {TEMPLATES} templates")
    cost = measure.command(home, "expand", _largest_plan(home, real), "--provider", real)
    yield Figure("expand a large plan of them", cost.wall_s, "s", 0.25)
    yield from _listing(home, large, f"{LARGE} units")
    cost = measure.command(home, "lint", large)
    yield Figure(f"lint of {LARGE} units", cost.wall_s, "s", 3.0)
    yield Figure("  peak memory", cost.peak_mib, "MiB")


def _listing(home: Path, provider: Path, what: str) -> Iterator[Figure]:
    def forget() -> None:
        shutil.rmtree(home / ".cache", ignore_errors=True)

    words = ("list", "jobs", "--provider", provider)
    # Cold is the first time: the cache is made, too.
    cold = measure.command(home, *words, before=forget)
    warm = measure.command(home, *words, runs=11)
    yield Figure(f"list the jobs of {what}, cold", cold.wall_s, "s", 0.8)
    yield Figure("  peak memory", cold.peak_mib, "MiB", 80)
    yield Figure("  warm", warm.wall_s, "s", 0.2)
    yield Figure("  peak memory", warm.peak_mib, "MiB", 80)


def _largest_plan(home: Path, provider: Path) -> str:
    """Return the id of the plan with the longest text."""
    from plainbox.providers import Catalogue
    from plainbox.units import TestPlanUnit

    plans = Catalogue.load([provider], installed=False).of_kind(TestPlanUnit)
    return max(plans, key=lambda plan_id: len(str(plans[plan_id].data)))
