# SPDX-License-Identifier: Apache-2.0
"""What the execution of a job came to, as data: the value of its :class:`~plainbox.tasks.result.Result`.

The outcome in it is a candidate: for jobs whose verdict is a person's, the runner asks and decides.
"""

from __future__ import annotations

import signal as signals
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from plainbox.tasks.identity import ProcessIdentity

if TYPE_CHECKING:
    from plainbox.tasks.jobresult import JobItem

__all__ = ["CachedFrom", "JobReport", "OutcomeCandidate", "judge"]

OutcomeCandidate = Literal["pass", "fail", "skip", "crash", "undecided"]


@dataclass(frozen=True)
class CachedFrom:
    """The execution that a report was kept from: its invocation, when it ended, how many seconds it took."""

    key: str
    invocation_id: str
    created: float
    duration: float


@dataclass(frozen=True)
class JobReport:
    """One execution of one job.

    ``return_code`` is negative for a death by a signal, whose number is in ``signal`` then, and None when the process
    never started or could not be ended. ``start_time`` is seconds of the wall clock, ``duration`` seconds of the
    monotonic one from the release of the command to the end of its process. ``leaked_processes`` counts the processes
    that outlived a command which ended by itself, and were ended; it is 0 when the whole job was ended from outside.
    ``leftovers`` are names of files in the temporary working directory, relative to it, at most 20. With
    ``cached_from`` nothing has run: what an earlier execution came to counts again. ``items`` are what the job has told of
    itself beside its output. ``tries`` counts the attempts that an advice has made of the execution: this is the last.
    ``host`` is the other machine that it ran on.
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
    cached_from: CachedFrom | None = None
    items: tuple[JobItem, ...] = ()
    tries: int = 1
    host: str | None = None


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
