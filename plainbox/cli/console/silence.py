# SPDX-License-Identifier: Apache-2.0
"""Jobs that print nothing for long: who watches a log, or ends what seems to hang, is told that they are alive.

The progress of a run uses it where there is no line that moves. It has a thread of its own, which sleeps until the next
line may be due; what it tells is shown and not kept.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import attrs

from plainbox.units import JobDefinition

__all__ = ["Silence", "SilentJob"]


@attrs.frozen
class SilentJob:
    """A job that runs for ``running_s`` and is silent for ``silent_s``; ``spoke`` says whether it has printed before."""

    job: JobDefinition
    number: int
    running_s: float
    silent_s: float
    spoke: bool


@attrs.define
class _Watched:
    job: JobDefinition
    number: int
    since_s: float
    heard_s: float
    told_s: float


class Silence:
    """Calls ``tell`` for every job that is silent for ``limit_s``, and again after each further ``limit_s`` of silence."""

    def __init__(self, limit_s: float, tell: Callable[[SilentJob], None]) -> None:
        self._limit_s = limit_s
        self._tell = tell
        self._watched: dict[str, _Watched] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="silence", daemon=True)

    def begin(self) -> None:
        """Watch, until :meth:`end`."""
        self._thread.start()

    def end(self) -> None:
        """Tell nothing any more."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def started(self, job: JobDefinition, number: int) -> None:
        """A job has begun."""
        now_s = time.monotonic()
        with self._lock:
            self._watched[job.id] = _Watched(job, number, now_s, now_s, now_s)

    def heard(self, job: JobDefinition) -> None:
        """A job has printed something."""
        watched = self._watched.get(job.id)
        if watched is not None:
            watched.heard_s = watched.told_s = time.monotonic()

    def finished(self, job: JobDefinition) -> None:
        """A job has ended."""
        with self._lock:
            self._watched.pop(job.id, None)

    def _run(self) -> None:
        # What begins while this sleeps is not due before this wakes up.
        pause_s = self._limit_s
        while not self._over.wait(max(pause_s, 0)):
            pause_s = self._look(time.monotonic())

    def _look(self, now_s: float) -> float:
        """Tell what is to be told; return in how many seconds something may be due again."""
        with self._lock:
            due = [each for each in self._watched.values() if now_s - each.told_s >= self._limit_s]
            for each in due:
                each.told_s = now_s
                spoke = each.heard_s > each.since_s
                silent = SilentJob(each.job, each.number, now_s - each.since_s, now_s - each.heard_s, spoke)
                self._tell(silent)
            oldest_s = min((each.told_s for each in self._watched.values()), default=now_s)
        return oldest_s + self._limit_s - now_s
