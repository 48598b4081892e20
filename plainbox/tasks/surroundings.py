# SPDX-License-Identifier: Apache-2.0
"""What a job is given by whoever has it executed: everything about one execution that is not the job itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plainbox.tasks.identity import ProcessIdentity
from plainbox.tasks.output import CancelToken, OutputSink

__all__ = ["Surroundings"]


@dataclass(frozen=True)
class Surroundings:
    """The world of one execution.

    ``environment`` is the complete environment of the job. Without a ``working_directory`` the job gets a private one
    that is removed afterwards. ``started`` is called while the job's process exists and is held: its command runs
    only after ``started`` has returned; when that raises, the process ends without having run it. ``timeout_s``
    applies to jobs that name no limit of their own.
    """

    environment: Mapping[str, str]
    output: OutputSink
    started: Callable[[ProcessIdentity], None]
    working_directory: Path | None = None
    timeout_s: float | None = None
    #: Called by the loop that watches the process, at every turn: some seconds apart at the most, and often.
    tick: Callable[[], None] = lambda: None
    cancel: CancelToken = field(default_factory=CancelToken)
