# SPDX-License-Identifier: Apache-2.0
"""A sample of the failing system calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import SILENT, Bench, Fault, obstacle, run
from scale import Tally

_PROBLEM = obstacle()


@pytest.mark.skipif(_PROBLEM is not None, reason=str(_PROBLEM))
def test_failing_calls_cost_nothing_shown(tmp_path: Path) -> None:
    """Whatever call of the store fails or never returns, the session goes on from where it was."""
    figures = run(trials=10, seed=1, base=tmp_path)
    assert figures.good, figures.line()


@pytest.mark.skipif(_PROBLEM is not None, reason=str(_PROBLEM))
def test_the_failing_calls_notice_an_error_that_is_not_looked_at(tmp_path: Path) -> None:
    """A store that takes a failed write for a good one does not pass."""
    tally = Tally()
    faults = [Fault("run", "pwrite64", "error=ENOSPC", number) for number in (7, 10)]
    Bench(tmp_path, ("-c", SILENT)).try_all(tally, faults)
    assert not tally.figures("calls").good
