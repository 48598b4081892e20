# SPDX-License-Identifier: Apache-2.0
"""A wall clock that is set to and fro changes nothing about a session but the times that it tells."""

from __future__ import annotations

from pathlib import Path

import pytest
from clockjumps import run

from plainbox.session.journal import JournalWriter


def test_jumps_between_any_two_checkpoints(tmp_path: Path) -> None:
    """Order, durations and listing are as ever, and each jump is noted once."""
    figures = run(trials=60, seed=1, base=tmp_path)
    assert figures.good, figures.line()


def test_a_jump_that_is_not_noted_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that does not look at its clocks does not pass."""
    monkeypatch.setattr(JournalWriter, "_tell_time", JournalWriter._clock_fields)
    assert not run(trials=10, seed=1, base=tmp_path).good
