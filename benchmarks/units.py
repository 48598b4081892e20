# SPDX-License-Identifier: Apache-2.0
"""Start-up, and finding one's way among thousands of units."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks import measure
from benchmarks.generate import write_provider
from benchmarks.measure import Figure


def figures(home: Path) -> Iterator[Figure]:
    cost = measure.command(home, "--help", runs=11)
    yield Figure("plainbox --help", cost.wall_s, "s", 0.1)
    provider = home / "large"
    write_provider(provider, 1)
    cost = measure.command(home, "list", "jobs", "--provider", provider)
    yield Figure("list the jobs of 1163 jobs, 832 plans, 359 templates, cold", cost.wall_s, "s", 0.8)
    yield Figure("  peak memory", cost.peak_mib, "MiB", 80)
    cost = measure.command(home, "expand", _largest_plan(home, provider), "--provider", provider)
    yield Figure("expand a large plan of them", cost.wall_s, "s", 0.25)


def _largest_plan(home: Path, provider: Path) -> str:
    """Return the id of the plan with the longest text."""
    from plainbox.providers import Catalogue
    from plainbox.units import TestPlanUnit

    plans = Catalogue.load([provider], installed=False).of_kind(TestPlanUnit)
    return max(plans, key=lambda plan_id: len(str(plans[plan_id].data)))
