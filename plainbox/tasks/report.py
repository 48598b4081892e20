# SPDX-License-Identifier: Apache-2.0
"""What the execution of a job came to, as data: the value of its :class:`~plainbox.tasks.result.Result`.

The outcome in it is a candidate: for jobs whose verdict is a person's, the runner asks and decides.
"""

from __future__ import annotations

import signal as signals
from dataclasses import dataclass
from typing import Literal

from plainbox.tasks.identity import ProcessIdentity

__all__ = ["JobReport", "OutcomeCandidate", "judge"]

OutcomeCandidate = Literal["pass", "fail", "skip", "crash", "undecided"]


@dataclass(frozen=True)
class JobReport:
    """One execution of one job.

    ``return_code`` is negative for a death by a signal, whose number is in ``signal`` then, and None when the process
    never started or could not be ended. ``start_time`` is seconds of the wall clock, ``duration`` seconds of the
    monotonic one from the release of the command to the end of its process. ``leaked_processes`` counts the processes
    that outlived a command which ended by itself, and were ended; it is 0 when the whole job was ended from outside.
    ``leftovers`` are names of files in the temporary working directory, relative to it, at most 20.
    """

    outcome: OutcomeCandidate
    start_time: float
    duration: float
    return_code: int | None = None
    signal: int | None = None
    comments: str | None = None
    leaked_processes: int = 0
    timed_out: bool = False
    cancelled: bool = False
    leftovers: tuple[str, ...] = ()
    process: ProcessIdentity | None = None


def judge(return_code: int) -> tuple[OutcomeCandidate, str | None]:
    """Return the outcome that a return code stands for, and what there is to say about it."""
    if return_code == 0:
        return "pass", None
    if return_code > 0:
        return "fail", None
    return "crash", f"killed by {_signal_name(-return_code)} ({-return_code})"


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return "signal"
