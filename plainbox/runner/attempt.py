# SPDX-License-Identifier: Apache-2.0
"""One attempt at one job, from its log to what came of it, and how it talks with whoever owns the session.

The executor begins and finishes attempts in the thread that owns the session; in between another thread may run them.
What must stay true: an attempt has begun when the note that it runs is durable, and not before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs

from plainbox.session.iolog import IOLogWriter
from plainbox.session.jobs import JobState
from plainbox.session.metadata import RunningAttempt
from plainbox.tasks import CancelToken, JobItem, JobReport, StreamName, Surroundings
from plainbox.tasks import Result as TaskResult
from plainbox.tracing import Action
from plainbox.units import JobDefinition

__all__ = ["Attempt", "Wiring"]


@attrs.frozen
class Wiring:
    """What an attempt calls while it runs, in the thread that runs it.

    ``started`` returns when it is durable that the attempt runs; what it raises keeps the command from running. ``alone``
    says that no other job runs at the same time.
    """

    started: Callable[[Attempt], None]
    cancel: CancelToken
    output: Callable[[StreamName, bytes], None] | None = None
    item: Callable[[JobItem], None] = lambda item: None
    tick: Callable[[], None] = lambda: None
    alone: bool = True


@attrs.define(eq=False)
class Attempt:
    """An attempt that is prepared, runs, or has ended."""

    job_state: JobState
    number: int
    start_time: float
    log: IOLogWriter
    attachments: Path
    #: The action of the trace that its turn is, for the thread that runs it.
    action: Action | None = None
    surroundings: Surroundings | None = None
    #: What is known of its process once there is one.
    running: RunningAttempt | None = None
    #: Whether it is durable that it runs; it may have begun and not have been let go yet.
    begun: bool = False
    done: TaskResult | None = None

    @property
    def job(self) -> JobDefinition:
        return self.job_state.job

    @property
    def report(self) -> JobReport | None:
        """What is known of its end, ``None`` when it could not be carried out."""
        value = self.done.value if self.done is not None and self.done.exception is None else None
        return value if isinstance(value, JobReport) else None

    @property
    def counts(self) -> bool:
        """Whether it has come to something that the job has printed, or to the result of an earlier one that did."""
        return self.begun or (self.report is not None and self.report.cached_from is not None)

    def end_log(self) -> None:
        """Make the log complete and durable.

        An attempt that never began has printed nothing: the session does not keep an empty log of it.
        """
        if self.counts:
            self.log.close()
        else:
            self.log.discard()
