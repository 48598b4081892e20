# SPDX-License-Identifier: Apache-2.0
"""A few rounds of the soak."""

from __future__ import annotations

from pathlib import Path

from scale import Tally
from soak import open_and_leak, run


def test_nothing_piles_up(tmp_path: Path) -> None:
    """Runs that are killed and resumed leave no process and no pile of files; a process leaks nothing by session."""
    figures = run(trials=4, seed=1, base=tmp_path)
    assert figures.good, figures.line()


def test_the_soak_notices_a_leak(tmp_path: Path) -> None:
    """A process that keeps a descriptor for each session does not pass."""
    tally = Tally()
    open_and_leak(tally, tmp_path / "leak")
    assert not tally.figures("soak").good
