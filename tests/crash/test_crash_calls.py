# SPDX-License-Identifier: Apache-2.0
"""A sample of the failing system calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import SILENT, Bench, Fault, obstacle, run, spread
from scale import Tally

_PROBLEM = obstacle()


@pytest.mark.skipif(_PROBLEM is not None, reason=str(_PROBLEM))
def test_failing_calls_cost_nothing_shown(tmp_path: Path) -> None:
    """Whatever call of the store fails or never returns, the session goes on from where it was."""
    figures = run(trials=5, seed=1, base=tmp_path)
    assert figures.good, figures.line()


def test_a_small_sample_has_each_effect() -> None:
    """However few faults are tried, and however rare some are, nothing happens twice before everything has once."""
    faults = [Fault("run", "write", "signal=KILL", number) for number in range(100)]
    faults += [Fault("run", "write", effect, 1) for effect in ("error=EIO", "error=ENOSPC")]
    assert {fault.effect for fault in spread(faults, 3, 1)} == {"signal=KILL", "error=EIO", "error=ENOSPC"}
    assert spread(faults, 50, 1) != spread(faults, 50, 2)


@pytest.mark.skipif(_PROBLEM is not None, reason=str(_PROBLEM))
def test_the_failing_calls_notice_an_error_that_is_not_looked_at(tmp_path: Path) -> None:
    """A store that takes a failed write for a good one does not pass."""
    tally = Tally()
    bench = Bench(tmp_path, ("-c", SILENT))
    for number in (7, 10):
        bench.try_all(tally, [Fault("run", "pwrite64", "error=ENOSPC", number)])
        if not tally.figures("calls").good:
            break
    assert not tally.figures("calls").good
