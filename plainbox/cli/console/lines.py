# SPDX-License-Identifier: Apache-2.0
"""Lines of the output of jobs that run at the same time, so that no line has something of two of them.

The progress of a run keeps one :class:`Lines` for all its jobs.
"""

from __future__ import annotations

from plainbox.tasks import StreamName

__all__ = ["Lines"]

#: What is longer than this without an end of line is shown in pieces.
_LONGEST_BYTES = 16 * 1024


class Lines:
    """Cuts what jobs print into lines; what has no end yet waits."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[StreamName, bytes]] = {}

    def take(self, job_id: str, stream: StreamName, data: bytes) -> list[bytes]:
        """Return the lines that are complete with ``data``, without their ends."""
        waiting = self._waiting.setdefault(job_id, {})
        *lines, rest = (waiting.pop(stream, b"") + data).split(b"\n")
        if len(rest) > _LONGEST_BYTES:
            lines.append(rest)
        elif rest:
            waiting[stream] = rest
        return lines

    def rest(self, job_id: str) -> list[bytes]:
        """Return what a job that has ended has printed without an end of line."""
        return list(self._waiting.pop(job_id, {}).values())
