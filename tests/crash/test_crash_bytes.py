# SPDX-License-Identifier: Apache-2.0
"""Bytes that change behind the back of the store, and a reader that must not pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bytes import (
    Sample,
    check_cuts,
    check_flips,
    check_generations,
    check_hint,
    check_joins,
    check_large,
    check_log,
    run,
)
from images_twins import careless_reader
from invariants import one_look
from scale import Tally


@pytest.fixture(autouse=True)
def _one_look() -> Iterator[None]:
    with one_look():
        yield


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample.make(tmp_path, 36)


def assert_good(tally: Tally) -> None:
    assert tally.figures("bytes").good, tally


@pytest.mark.parametrize("offset", range(3))
def test_a_changed_byte_of_the_journal_is_noticed(sample: Sample, offset: int) -> None:
    """Loading raises, or gives what was acknowledged; damage before the last record shows without the hint."""
    tally = Tally()
    check_flips(sample, tally, step=9, offset=offset)
    assert_good(tally)


def test_each_byte_around_the_end_of_a_record_is_noticed(tmp_path: Path) -> None:
    """Line feeds and headers included, every byte of a short journal."""
    tally = Tally()
    check_flips(Sample.make(tmp_path, 2), tally)
    assert_good(tally)


def test_a_cut_leaves_a_clean_beginning_or_is_noticed(sample: Sample) -> None:
    """With the hint a cut is noticed, without it the state is that of the records that are left."""
    tally = Tally()
    check_cuts(sample, tally, step=3)
    assert_good(tally)


def test_lines_that_move_are_noticed(sample: Sample, tmp_path: Path) -> None:
    """Twice, left out, exchanged, of another session, followed by whatever."""
    tally = Tally()
    check_joins(sample, Sample.make(tmp_path, 36, "pbox-two"), tally)
    assert_good(tally)


def test_a_damaged_hint_means_nothing(sample: Sample) -> None:
    """A sound journal is loaded whatever has become of the hint."""
    tally = Tally()
    check_hint(sample, tally, step=4)
    assert_good(tally)


def test_generations_that_are_exchanged_are_noticed(tmp_path: Path) -> None:
    """Two that take each other's place, one too few, one of another session."""
    tally = Tally()
    check_generations(tmp_path, tally)
    assert_good(tally)


def test_a_changed_byte_of_a_log_is_noticed(tmp_path: Path) -> None:
    """The reference tells, and no reader sees a frame that was not written."""
    tally = Tally()
    check_log(tmp_path, tally, step=3)
    assert_good(tally)


def test_a_damaged_large_session_needs_no_more_memory(tmp_path: Path) -> None:
    """At most three times what a sound one takes."""
    tally = Tally()
    check_large(tmp_path, tally, jobs=400, count=60, seed=2)
    assert_good(tally)


def test_the_rig_of_bytes_does_everything(tmp_path: Path) -> None:
    """All of it, in a small measure."""
    assert run(trials=200, seed=5, base=tmp_path).good


def test_a_reader_that_ignores_checksums_is_caught(sample: Sample) -> None:
    """Results are altered, and nobody is told."""
    tally = Tally()
    with careless_reader():
        check_flips(sample, tally, step=25)
    assert tally.lost > 0
