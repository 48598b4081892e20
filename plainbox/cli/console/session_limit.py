# SPDX-License-Identifier: Apache-2.0
"""The time that a run may take as a whole: when it is over, what runs is ended, and the session can be gone on with.

``run`` and ``resume`` use it around a run; each of them begins to count anew.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Final, Self

from plainbox.cli.output import duration, say
from plainbox.runner.stop import StopRequest

__all__ = ["EXIT_LIMIT", "SessionLimit"]

#: What timeout(1) says, too.
EXIT_LIMIT: Final = 124


class SessionLimit:
    """Stops a run after ``limit_s`` seconds, ``None`` for never. Use it as a context manager around the run."""

    def __init__(self, stop: StopRequest, limit_s: float | None) -> None:
        self._stop = stop
        self._limit_s = limit_s
        self._timer = None if limit_s is None else threading.Timer(limit_s, self._end)
        #: Whether the limit is what has stopped the run.
        self.is_over = False

    def __enter__(self) -> Self:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        if not self._stop.cancel.cancelled:
            self.is_over = True
            say(f"The limit of the session ({duration(self._limit_s)}) is over: ending what runs.")
            self._stop.now("the session's limit is over")
