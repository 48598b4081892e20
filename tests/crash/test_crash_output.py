# SPDX-License-Identifier: Apache-2.0
"""A short version of output without end."""

from __future__ import annotations

from pathlib import Path

import pytest
from output import DecodingEngine, HoardingEngine, print_much, run
from scale import Tally

from plainbox.tasks import ExecutionEngine


def test_much_output_is_kept_exactly_in_little_memory(tmp_path: Path) -> None:
    """Every byte of both streams is kept, or as many as the limit says; a log that is cut yields its whole frames."""
    figures = run(trials=64, seed=1, base=tmp_path)
    assert figures.good, figures.line()


@pytest.mark.parametrize("engine", [DecodingEngine, HoardingEngine])
def test_the_output_rig_notices(engine: type[ExecutionEngine], tmp_path: Path) -> None:
    """A tester that takes output for text, or keeps it in memory, does not pass."""
    tally = Tally()
    print_much(tally, 48, tmp_path / "much", engine=engine)
    assert not tally.figures("output").good
