# SPDX-License-Identifier: Apache-2.0
"""The cycle collector while a session is read."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from plainbox.session.collector import collector_at_rest


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_the_collector_rests_in_the_block_and_nowhere_else() -> None:
    """Nested blocks are one, and an error ends it like anything else."""
    with collector_at_rest():
        with collector_at_rest():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(RuntimeError, match="inside"), collector_at_rest():
        raise RuntimeError("inside")
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    """Whoever has switched the collector off keeps it so."""
    gc.disable()
    with collector_at_rest():
        pass
    assert not gc.isenabled()


def test_what_was_made_counts_as_old_and_is_found_when_it_is_garbage() -> None:
    """A cycle made in the block is not looked at right afterwards, and no garbage stays for good."""
    made: list[list[object]] = []
    with collector_at_rest():
        made.append([])
        made[0].append(made[0])
    assert not any(item is made[0] for item in gc.get_objects(generation=0))
    assert gc.get_freeze_count() == 0
    made.clear()
    assert gc.collect() > 0


def test_what_somebody_has_frozen_stays_frozen() -> None:
    """A program that has frozen its objects before a fork finds them so after a session was read."""
    gc.freeze()
    try:
        with collector_at_rest():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
