# SPDX-License-Identifier: Apache-2.0
"""A short run of the kills of runs with several jobs at work."""

from __future__ import annotations

from pathlib import Path

from crowd import kill_crowds
from scale import Tally


def test_killed_crowds_lose_nothing_shown(tmp_path: Path) -> None:
    """Of a run with several jobs at work that is killed again and again every job has one result, and none ran twice."""
    tally = Tally()
    most = kill_crowds(tally, 8, 3, tmp_path)
    figures = tally.figures("crowd")
    assert figures.good, figures.line()
    assert most > 1
