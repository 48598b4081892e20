# SPDX-License-Identifier: Apache-2.0
"""The clock that stands still agrees with the one of the machine."""

from __future__ import annotations

import pytest

from plainbox.clock import SYSTEM_CLOCK, Clock
from plainbox.testing import ManualClock


@pytest.fixture(params=["machine", "manual"])
def clock(request: pytest.FixtureRequest) -> Clock:
    return SYSTEM_CLOCK if request.param == "machine" else ManualClock()


def test_kinds_of_values(clock: Clock) -> None:
    """Both give seconds, whole nanoseconds, and an uptime that is not less than the monotonic clock says."""
    assert isinstance(clock.time(), float)
    assert isinstance(clock.monotonic_ns(), int)
    assert clock.uptime_s() >= clock.monotonic_ns() / 1e9 - 1e-3


def test_a_sleep_moves_all_three(clock: Clock) -> None:
    """After a sleep the wall clock, the monotonic clock and the uptime have gone on by at least that."""
    before = clock.monotonic_ns(), clock.uptime_s()
    clock.sleep(0.001)
    assert clock.monotonic_ns() - before[0] >= 1_000_000
    assert clock.uptime_s() - before[1] >= 0.0009


def test_time_does_not_go_back(clock: Clock) -> None:
    """A negative sleep is a ValueError."""
    with pytest.raises(ValueError):
        clock.sleep(-1)


def test_the_manual_clock_stands_still() -> None:
    """Only the test moves it, and what was slept is remembered."""
    clock = ManualClock(at=100.0, up_s=10.0)
    assert (clock.time(), clock.monotonic_ns(), clock.uptime_s()) == (100.0, 10_000_000_000, 10.0)
    clock.sleep(2.5)
    assert (clock.time(), clock.monotonic_ns(), clock.uptime_s()) == (102.5, 12_500_000_000, 12.5)
    assert clock.slept == [2.5]


def test_clocks_move_apart() -> None:
    """The wall clock can be set alone; during suspend the monotonic clock stands still."""
    clock = ManualClock(at=100.0, up_s=10.0)
    clock.set_wall(50.0)
    assert (clock.time(), clock.monotonic_ns(), clock.uptime_s()) == (50.0, 10_000_000_000, 10.0)
    clock.suspend(5.0)
    assert (clock.time(), clock.monotonic_ns(), clock.uptime_s()) == (55.0, 10_000_000_000, 15.0)
