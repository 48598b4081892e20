# SPDX-License-Identifier: Apache-2.0
"""A clock that stands still until the test moves it.

Hand one to a :class:`~plainbox.session.SessionStorage` (``clock=``): the journal, the logs and the runner of the session
then live in its time.
"""

from __future__ import annotations

from plainbox.clock import Clock

__all__ = ["ManualClock"]

_NS = 1_000_000_000


class ManualClock(Clock):
    """Begins at ``at``, seconds since the epoch, on a machine that has been up for ``up_s``.

    ``slept`` lists how long somebody has waited, in seconds.
    """

    def __init__(self, at: float = 1_750_000_000.0, *, up_s: float = 1000.0) -> None:
        self._wall = at
        self._up_ns = round(up_s * _NS)
        self._suspended_ns = 0
        self.slept: list[float] = []

    def time(self) -> float:
        return self._wall

    def monotonic_ns(self) -> int:
        return self._up_ns - self._suspended_ns

    def uptime_s(self) -> float:
        return self._up_ns / _NS

    def sleep(self, seconds: float) -> None:
        """Let the time pass, and return at once."""
        self.advance(seconds)
        self.slept.append(seconds)

    def advance(self, seconds: float) -> None:
        """Let the time pass: all clocks go on. Negative seconds raise :class:`ValueError`, as for a real sleep."""
        if seconds < 0:
            raise ValueError("time does not go back; set_wall() steps the wall clock")
        self._wall += seconds
        self._up_ns += round(seconds * _NS)

    def set_wall(self, at: float) -> None:
        """Step the wall clock alone, as a person or a time daemon does."""
        self._wall = at

    def suspend(self, seconds: float) -> None:
        """Let the machine sleep: the wall clock and the uptime go on, the monotonic clock stands still."""
        self.advance(seconds)
        self._suspended_ns += round(seconds * _NS)
