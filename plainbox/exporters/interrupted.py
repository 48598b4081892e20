# SPDX-License-Identifier: Apache-2.0
"""An attempt that has been started and has no result, shown as what is known of it.

The view of a session puts it in the place of a result, so that every report tells the same: there is no outcome, the
comments say that the job was running, and what it had printed until then is read from the log, which has no end yet.
"""

from __future__ import annotations

import attrs

from plainbox.errors import CorruptedSessionError
from plainbox.session.metadata import RunningAttempt
from plainbox.session.outcome import OutcomeMetadata
from plainbox.session.result import DiskJobResult

__all__ = ["InterruptedResult"]


class InterruptedResult(DiskJobResult):
    """What is known of an attempt without a result; never part of a session."""

    __slots__ = ()

    @classmethod
    def of(cls, running: RunningAttempt, session_dir: str, *, goes_on: bool) -> InterruptedResult:
        """Return what is known of an attempt; ``goes_on`` says that the session is being run at this moment."""
        phrase = "is running" if goes_on else "was running when the session ended"
        known: dict[str, object] = {
            "comments": f"{phrase}, attempt {running.attempt}",
            "attempt": running.attempt,
            "start_time": running.start_time,
        }
        try:
            return cls({**known, "io_log_filename": running.log}, session_dir)
        except CorruptedSessionError:
            return cls(known, session_dir)  # a path that leads out of the session is not followed

    @property
    def metadata(self) -> OutcomeMetadata:
        label = "running" if (self.comments or "").startswith("is ") else "interrupted"
        return attrs.evolve(super().metadata, label=label, text=self.comments or "")
