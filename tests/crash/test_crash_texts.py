# SPDX-License-Identifier: Apache-2.0
"""One session full of difficult texts, and one that has spoilt them."""

from __future__ import annotations

from pathlib import Path

from scale import Tally
from texts import Sample, lossy, run, through


def test_every_text_comes_back_exactly(tmp_path: Path) -> None:
    """What was put into any field is there after a kill, after a resume, and in the report."""
    figures = run(trials=1, seed=1, base=tmp_path)
    assert figures.good, figures.line()


def test_the_text_rig_notices_a_replaced_character(tmp_path: Path) -> None:
    """A session whose comments were taken for clean UTF-8 does not pass."""
    tally = Tally(trials=1)
    through(tally, Sample(2), tmp_path, spoil=lossy)
    assert not tally.figures("texts").good
