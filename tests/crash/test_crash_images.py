# SPDX-License-Identifier: Apache-2.0
"""A loss of power at every call, image by image; and stores that must not pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from images import examine, run, wandering
from images_disk import DiskFiles
from images_twins import (
    LateSync,
    LogSyncLater,
    NoDirectorySync,
    NoFileSync,
    SyncAgain,
    TwoRecords,
    hint_first,
)
from scale import Tally
from steps_tester import SCRIPTS, Script, failed_sync, life


@pytest.mark.parametrize("script", SCRIPTS)
def test_whatever_the_disk_has_kept_nothing_acknowledged_is_lost(script: Script, tmp_path: Path) -> None:
    """Of each uncertain sector any version, of each directory any state: all of it can be opened and continued."""
    tally = Tally()
    examine([script], tmp_path, tally, limit=350, of_a_moment=4)
    assert tally.figures("images").good, tally
    assert tally.trials > 80


def test_random_doings_survive_a_loss_of_power(tmp_path: Path) -> None:
    """Sessions of random jobs, values, closings and bad syncs."""
    tally = Tally()
    examine([wandering(number) for number in range(3)], tmp_path, tally, limit=300, of_a_moment=8)
    assert tally.figures("images").good, tally


def test_the_rig_counts_its_images(tmp_path: Path) -> None:
    """As many images as asked for, the same ones for the same seed."""
    figures = run(trials=60, seed=1, base=tmp_path)
    assert (figures.good, figures.trials) == (True, 60)


@pytest.mark.parametrize(
    ("disk", "script"),
    [
        (NoFileSync, life),
        (NoDirectorySync, life),
        (LateSync, life),
        (SyncAgain, failed_sync),
        (LogSyncLater, life),
    ],
)
def test_a_store_that_syncs_wrongly_is_caught(disk: type[DiskFiles], script: Script, tmp_path: Path) -> None:
    """A sync that is left out, that comes too late or that is asked for again."""
    tally = Tally()
    examine([script], tmp_path, tally, limit=600, of_a_moment=16, disk=disk)
    assert not tally.figures("images").good


def test_a_hint_that_claims_too_much_is_caught(tmp_path: Path) -> None:
    """A hint that is written before its record is durable makes a sound session unreadable."""
    tally = Tally()
    with hint_first():
        examine([life], tmp_path, tally, limit=600, of_a_moment=16)
    assert tally.unreadable > 0


def test_a_result_apart_from_the_end_of_its_attempt_is_caught(tmp_path: Path) -> None:
    """A result in one record and the end of the attempt in the next leave an attempt that runs and has ended."""
    tally = Tally()
    examine([life], tmp_path, tally, limit=600, of_a_moment=4, tester=TwoRecords)
    assert any("runs and has a result" in violation for violation in tally.violations)
