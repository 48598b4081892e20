# SPDX-License-Identifier: Apache-2.0
"""Each scenario with a disk that is full, read-only or interfered with, once."""

from __future__ import annotations

from pathlib import Path

import pytest
from disk import SCENARIOS, SilentFiles, can_mount, fill_the_store
from scale import Tally


@pytest.mark.parametrize("name", SCENARIOS)
def test_trouble_with_the_disk(name: str, tmp_path: Path) -> None:
    """The command says what is wrong, loses nothing that it had shown, and goes on when the trouble is over."""
    tally = Tally(trials=1)
    SCENARIOS[name](tally, tmp_path / name)
    figures = tally.figures("disk")
    assert figures.good, figures.line()


@pytest.mark.skipif(not can_mount(), reason="a planted bug below the seam needs a file system of its own: run as root")
def test_the_disk_rig_notices_a_write_that_never_was(tmp_path: Path) -> None:
    """A store that takes a write without space for a good one does not pass."""
    tally = Tally(trials=1)
    fill_the_store(tally, tmp_path / "disk", SilentFiles())
    assert not tally.figures("disk").good
