# SPDX-License-Identifier: Apache-2.0
"""The output of a job in an item: kept while the job runs, passed on again when the item is used.

Only short outputs are worth it: what is longer than ``MAX_LOG_BYTES`` makes the result one that is not kept. The order of
the pieces and their bytes stay what they were, their times do not.
"""

from __future__ import annotations

from dataclasses import dataclass

from plainbox.tasks.output import OutputSink, StreamName

__all__ = ["MAX_LOG_BYTES", "Piece", "Recorder", "read_log"]

MAX_LOG_BYTES = 4 * 1024 * 1024

_OUT, _ERR, _NOTE = b"o", b"e", b"n"


@dataclass(frozen=True)
class Piece:
    """Bytes that came together; ``kind`` is the letter that they have in the log."""

    kind: bytes
    data: bytes

    def pass_on(self, sink: OutputSink) -> None:
        """Give it to a sink, as it was given to the first one."""
        if self.kind == _NOTE:
            sink.note(self.data.decode("utf-8", "backslashreplace"))
        else:
            sink.write("stdout" if self.kind == _OUT else "stderr", self.data)


class Recorder:
    """A sink that keeps what it gets, up to ``MAX_LOG_BYTES``; ``overflowed`` says that there was more."""

    def __init__(self) -> None:
        self._log = bytearray()
        self.overflowed = False

    def write(self, stream: StreamName, data: bytes) -> None:
        self._keep(_OUT if stream == "stdout" else _ERR, data)

    def note(self, text: str) -> None:
        self._keep(_NOTE, text.encode("utf-8", "backslashreplace"))

    def log(self) -> bytes:
        """Return what :func:`read_log` reads."""
        return bytes(self._log)

    def _keep(self, kind: bytes, data: bytes) -> None:
        if self.overflowed:
            return
        self._log += b"%b %d\n" % (kind, len(data))
        self._log += data
        if len(self._log) > MAX_LOG_BYTES:
            self.overflowed = True
            self._log.clear()


def read_log(log: bytes) -> list[Piece]:
    """Return the pieces of a recorded log; :class:`ValueError` when it is none."""
    pieces = []
    place = 0
    while place < len(log):
        end = log.find(b"\n", place, place + 16)
        kind, _, size = log[place:end].partition(b" ")
        if end < 0 or kind not in (_OUT, _ERR, _NOTE) or not size.isdigit():
            raise ValueError("its log makes no sense")
        place = end + 1 + int(size)
        if place > len(log):
            raise ValueError("its log is cut short")
        pieces.append(Piece(kind, log[end + 1 : place]))
    return pieces
