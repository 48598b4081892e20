# SPDX-License-Identifier: Apache-2.0
"""What a job is given by whoever has it executed: everything about one execution that is not the job itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from plainbox.tasks.equipment import Equipment
from plainbox.tasks.identity import ProcessIdentity
from plainbox.tasks.output import CancelToken, OutputSink

if TYPE_CHECKING:
    from plainbox.tasks.jobresult import JobItem
    from plainbox.tasks.process import Interruption
    from plainbox.tasks.report import OutcomeCandidate

__all__ = ["Surroundings"]


def _lost(interruption: Interruption) -> tuple[OutcomeCandidate, str]:
    return "crash", f"{interruption.host} was away while the job was running"


@dataclass(frozen=True)
class Surroundings:
    """The world of one execution.

    ``environment`` is the complete environment of the job. Without a ``working_directory`` the job gets a private one
    that is removed afterwards. ``started`` is called while the job's process exists and is held: its command runs
    only after ``started`` has returned; when that raises, the process ends without having run it. ``timeout_s``
    applies to jobs that name no limit of their own. ``once_durable`` takes what has to wait until the outcome is durable:
    an action that is called with True then, and with False when the outcome is lost.
    """

    environment: Mapping[str, str]
    output: OutputSink
    started: Callable[[ProcessIdentity], None]
    working_directory: Path | None = None
    timeout_s: float | None = None
    #: Called by the loop that watches the process, at every turn: some seconds apart at the most, and often.
    tick: Callable[[], None] = lambda: None
    cancel: CancelToken = field(default_factory=CancelToken)
    #: Whether somebody wants an end after this execution: then it is not the time to wait for others.
    stopping: Callable[[], bool] = lambda: False
    #: Takes every line that the job writes to its result file, as it is, while the job runs.
    on_line: Callable[[bytes], None] = lambda line: None
    #: Takes what these lines mean, while the job runs.
    on_item: Callable[[JobItem], None] = lambda item: None
    #: A directory of this execution alone for the files that it attaches; without one they are not kept.
    attachments_dir: Path | None = None
    #: Patterns of files in a private working directory that are attached, and how many bytes they may be together.
    attach: tuple[str, ...] = ()
    attach_bytes: int = 0
    #: The records of the session's resources, by their full ids.
    resources: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    #: What places on other machines are told of the files and variables of the job.
    equipment: Equipment | None = None
    #: Says what it means for the job that the machine it ran on was away and is back.
    judge_interruption: Callable[[Interruption], tuple[OutcomeCandidate, str]] = _lost
    #: Whoever keeps no outcomes has nothing to wait for.
    once_durable: Callable[[Callable[[bool], None]], None] = lambda action: action(True)
