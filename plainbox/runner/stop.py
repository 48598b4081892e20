# SPDX-License-Identifier: Apache-2.0
"""Asking a run to stop: after the current job, or at once.

Signal handlers call it, so nothing here blocks, writes or raises.
"""

from __future__ import annotations

from plainbox.tasks import CancelToken

__all__ = ["StopRequest"]


class StopRequest:
    """What was asked of one run so far; the stronger request wins."""

    def __init__(self) -> None:
        self.cancel = CancelToken()
        self._requested = False

    @property
    def requested(self) -> bool:
        """Whether no further job should be started."""
        return self._requested or self.cancel.cancelled

    def after_this_job(self) -> None:
        """Let the current job come to its end, then stop."""
        self._requested = True

    def now(self, reason: str) -> None:
        """End the current job and stop."""
        self._requested = True
        self.cancel.cancel(reason)
