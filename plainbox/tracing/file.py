# SPDX-License-Identifier: Apache-2.0
"""The trace file: the spans of the runs of a session, one line for each, in the order in which they ended.

The tracer writes it, ``plainbox trace`` reads it. Each line is written whole and at once, and nothing waits for the
medium: a killed run loses no span that had ended, a power loss may. What must stay true: the file never grows beyond
its limit, and a run does not notice whatever is wrong with it.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from typing import TYPE_CHECKING

from plainbox.tracing.record import as_line

if TYPE_CHECKING:
    from plainbox.tracing.action import Action

    _Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]

__all__ = ["MOST_BYTES", "MOST_WAITING", "TRACE_NAME", "TraceFile"]

#: The name of the file in the directory of a session.
TRACE_NAME = "trace.jsonl"
#: What comes when the file has this size is counted, not kept: enough for some 25 000 jobs.
MOST_BYTES = 32 * 1024 * 1024
#: So many spans are kept in memory until the place of the file is known.
MOST_WAITING = 2048

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class TraceFile:
    """Appends spans to a file that is private to the user; until its place is known they wait in memory."""

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        logger: _Logger,
        service_name: str = "plainbox",
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._logger = logger
        self._service_name = service_name
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._descriptor: int | None = None
        self._size = 0
        self._left_out = 0
        self._path = path

    def export(self, action: Action) -> None:
        """Write a span. :class:`OSError` when that fails: then the file is closed."""
        line = as_line(action, self._service_name)
        with self._lock:
            if self._descriptor is None and self._path is not None:
                self._open(self._path)
            if self._descriptor is not None:
                self._write(line)
            elif len(self._waiting) < MOST_WAITING:
                self._waiting.append(line)
            else:
                self._left_out += 1

    def set_file(self, path: str | os.PathLike[str]) -> None:
        """Write to ``path`` what waits and what will come; a file that is named already stays."""
        with self._lock:
            if self._path is None:
                self._path = path
                self._open(path)

    def close(self, limit_s: float) -> None:
        """Close the file. What has no file by then is dropped."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
            if self._left_out and self._path is not None:
                self._logger.warning(
                    "%s is not complete: there was no room for %d spans", os.fspath(self._path), self._left_out
                )

    def _open(self, path: str | os.PathLike[str]) -> None:
        descriptor = os.open(path, _FLAGS, 0o600)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(f"{os.fspath(path)} is not a regular file")
            self._size = status.st_size
            # A line that a former run could not finish must not spoil the first one of this.
            if self._size and os.pread(descriptor, 1, self._size - 1) != b"\n":
                self._size += os.write(descriptor, b"\n")
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        waiting, self._waiting = self._waiting, []
        for line in waiting:
            self._write(line)

    def _write(self, line: bytes) -> None:
        assert self._descriptor is not None
        if self._size + len(line) > self._most_bytes:
            self._left_out += 1
            return
        written = os.write(self._descriptor, line)
        self._size += written
        if written < len(line):
            raise OSError(f"{os.fspath(self._path or '')}: no space left on device")
