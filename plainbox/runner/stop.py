# SPDX-License-Identifier: Apache-2.0
"""Asking a run to stop: after the current job, now, or without waiting for anybody.

Signal handlers ask, so asking neither blocks, writes nor raises.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from plainbox.tasks import CancelToken

__all__ = ["StopRequest"]


class StopRequest:
    """What was asked of one run so far; the stronger request wins."""

    def __init__(self, tick: Callable[[], None] = lambda: None) -> None:
        self.cancel = CancelToken()
        self._requested = False
        self._suspending = False
        #: Called again and again while somebody waits for a job or for something else.
        self.tick = tick
        #: Whether several jobs may run at the same time, for whoever tells a person what a request does.
        self.several = False
        #: What else than the end of a job a run waits for before it stops, in the words of "when ...".
        self.awaits: str | None = None

    @property
    def requested(self) -> bool:
        """Whether no further job should be started."""
        return self._requested or self.cancel.cancelled

    @property
    def suspending(self) -> bool:
        """Whether the run was ended from outside, perhaps with the machine: what became of its job is not known."""
        return self._suspending

    @contextlib.contextmanager
    def awaiting(self, what: str) -> Iterator[None]:
        """Note that something else than a job is waited for, for whoever tells a person what a request does."""
        self.awaits = what
        try:
            yield
        finally:
            self.awaits = None

    def after_this_job(self) -> None:
        """Let the current job come to its end, then stop."""
        self._requested = True

    def now(self, reason: str) -> None:
        """End the current job and stop."""
        self._requested = True
        self.cancel.cancel(reason)

    def at_once(self, reason: str) -> None:
        """End the current job without giving it any time, and stop."""
        self.now(reason)
        self.cancel.hurry()

    def suspend(self, reason: str) -> None:
        """End the current job and stop, because the program or the machine comes to its end.

        The attempt gets no result: whoever goes on with the session judges it by what is known then.
        """
        self._suspending = True
        self.now(reason)

    def wait(self, limit_s: float) -> bool:
        """Wait until somebody asks for anything, at most so long; return whether somebody did."""
        return self._wait(limit_s, lambda: self.requested)

    def wait_for_end(self, limit_s: float) -> bool:
        """Wait until somebody ends the current job, at most so long; return whether somebody did.

        A request to stop after this job is none: the job is what is waited for.
        """
        return self._wait(limit_s, lambda: self.cancel.cancelled)

    def _wait(self, limit_s: float, asked: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + limit_s
        while not asked():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            self.tick()
            time.sleep(min(left_s, 0.1))
        return True
