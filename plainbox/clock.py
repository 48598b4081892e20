# SPDX-License-Identifier: Apache-2.0
"""What time it is: the seam between Plainbox and the clocks of the machine.

A session storage carries one, and everything that writes into the session reads it from there: the journal, the logs,
the runner. What must stay true: an order is never taken from :meth:`Clock.time`, which people and daemons set to and
fro; and what must be waited for in the outside world (processes, a lock of somebody else) is not timed with this.
"""

from __future__ import annotations

import time

__all__ = ["SYSTEM_CLOCK", "Clock"]


class Clock:
    """The clocks of this machine. A subclass with another idea of the time goes wherever this one does."""

    def time(self) -> float:
        """Return the wall clock: seconds since the epoch, which may jump in both directions."""
        return time.time()

    def monotonic_ns(self) -> int:
        """Return nanoseconds since some moment in the past; they never go back, and stand still during suspend."""
        return time.monotonic_ns()

    def uptime_s(self) -> float:
        """Return for how long the machine has been up, suspend included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def sleep(self, seconds: float) -> None:
        """Wait so long."""
        time.sleep(seconds)


SYSTEM_CLOCK = Clock()
