# SPDX-License-Identifier: Apache-2.0
"""Signals that stop a run in order; ``run`` and ``resume`` are under them as long as a session can be in their way.

An interrupt is a person's wish, and the first one lets come to its end what is being done. The other signals come from
outside, perhaps with the end of the machine. The handler only notes and says what was asked; the run finds it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Final, ParamSpec, Self, TypeVar

from plainbox.cli.output import say
from plainbox.runner.stop import StopRequest

__all__ = ["EXIT_STOPPED", "StopSignals"]

P = ParamSpec("P")
T = TypeVar("T")

EXIT_STOPPED: Final = 6
_EXIT_CODES: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


class StopSignals:
    """Lets signals stop a run: the first interrupt after the current job, anything else now, one more without delay.

    Use it as a context manager, also within itself: the first end of one is the end of all. After a run that has ended
    at once further signals are ignored: the session is stored, and little is left to do.
    """

    def __init__(self, stop: StopRequest) -> None:
        self._stop = stop
        self._received: list[int] = []
        self._previous: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self._asking = False

    def __enter__(self) -> Self:
        if not self._previous:
            # What is ignored on purpose (nohup, background jobs of a script) stays ignored.
            wanted = [number for number in _EXIT_CODES if signal.getsignal(number) is not signal.SIG_IGN]
            self._previous = {number: signal.signal(number, self._handle) for number in wanted}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            # Once the run has ended on request, what comes now comes too late, and must not change how it is told.
            signal.signal(number, signal.SIG_IGN if self._stop.cancel.cancelled else handler)
        self._previous = {}

    def exit_code(self) -> int:
        """Return the code of a run that was stopped: that of the signal, or the one of a stop between jobs."""
        return _EXIT_CODES[self._received[-1]] if self._stop.cancel.cancelled and self._received else EXIT_STOPPED

    def tell_stopped(self, session_id: str) -> int:
        """Say that the run was stopped and how to go on with it; return the exit code."""
        say(f"Stopped before the end. Go on with: plainbox resume {session_id}")
        return self.exit_code()

    def asking(self, ask: Callable[P, T]) -> Callable[P, T | None]:
        """Return the same question to a person, which any signal ends without an answer; it stops the run at once."""

        def ask_until_stopped(*args: P.args, **kwargs: P.kwargs) -> T | None:
            try:
                try:
                    self._asking = True
                    return ask(*args, **kwargs)
                finally:
                    self._asking = False
            except KeyboardInterrupt:
                return None

        return ask_until_stopped

    def _handle(self, number: int, frame: FrameType | None) -> None:
        stop, name = self._stop, signal.Signals(number).name
        what, them = ("the running jobs", "them") if stop.several else ("this job", "it")
        was_first, was_running = not self._received, not stop.cancel.cancelled
        self._received.append(number)
        if number != signal.SIGINT:
            stop.suspend(name)
        elif was_first and not self._asking:
            stop.after_this_job()
            awaited, ends = (
                stop.awaits or f"{what} {'have' if stop.several else 'has'} ended",
                "stops" if stop.awaits else f"ends {them}",
            )
            _tell_at_once(f"Stopping when {awaited}; once more {ends} now.")
        elif was_running:
            stop.now(name)
            _tell_at_once("Stopping now." if stop.awaits else f"Ending {what} now; once more kills {them}.")
        elif not stop.cancel.hurried:
            stop.at_once(name)
            if not stop.awaits:
                _tell_at_once(f"Killing {what}.")
        if self._asking and was_running:
            # Whoever reads what is typed goes on with that after a signal, unless something is raised.
            raise KeyboardInterrupt


def _tell_at_once(text: str) -> None:
    """Write from within a signal handler: the stream itself may be in the middle of a write."""
    with contextlib.suppress(OSError):
        os.write(2, f"\n{text}\n".encode("ascii"))
