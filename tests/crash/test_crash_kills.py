# SPDX-License-Identifier: Apache-2.0
"""Short runs of the kill storm, and of its planted bugs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kills import acknowledge_first, kill_commands, kill_stores, run, two_records
from scale import Tally


def test_killed_stores_lose_nothing_acknowledged(tmp_path: Path) -> None:
    """A store that is killed at any moment has everything that it has acknowledged, and at most one result more."""
    tally = Tally()
    kill_stores(tally, 16, 1, tmp_path)
    figures = tally.figures("kills")
    assert figures.good, figures.line()
    assert figures.acknowledged > 100


def test_killed_commands_lose_nothing_shown(tmp_path: Path) -> None:
    """A run that is killed again and again ends with one result for each job, and no job has run twice."""
    tally = Tally()
    kill_commands(tally, 3, 1, tmp_path)
    figures = tally.figures("kills")
    assert figures.good, figures.line()


@pytest.mark.parametrize("bug", [acknowledge_first, two_records])
def test_the_kill_storm_notices_a_wrong_order(bug: Callable[..., None], tmp_path: Path) -> None:
    """A writer that acknowledges too early, or says in two records what belongs together, does not pass."""
    tally = Tally()
    for seed in range(20):
        kill_stores(tally, 6, seed, tmp_path / str(seed), bug)
        if not tally.figures("kills").good:
            break
    assert not tally.figures("kills").good


def test_a_kill_storm_without_kills_is_not_good(tmp_path: Path) -> None:
    """Having tried nothing proves nothing."""
    assert not run(trials=0, seed=0, base=tmp_path).good
