# SPDX-License-Identifier: Apache-2.0
"""Stores that are wrong in one way each, made of the real one: a rig that does not notice them is worth nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

from images_disk import DiskFiles
from steps_tester import Tester

from plainbox.session import scan as scan_module
from plainbox.session.codec import _HEADER, JsonObject, Line, _parse_body, encode_body, frame_body
from plainbox.session.files import Buffer
from plainbox.session.generation import LineEnd
from plainbox.session.iolog import IOLogWriter
from plainbox.session.jobs import JobState
from plainbox.session.journal import JournalWriter

__all__ = [
    "LateSync",
    "LogSyncLater",
    "NoDirectorySync",
    "NoFileSync",
    "NoTruncate",
    "SyncAgain",
    "TwoRecords",
    "careless_reader",
    "hint_first",
]


class NoFileSync(DiskFiles):
    """Never syncs a file."""

    def fdatasync(self, fd: int) -> None:
        self._done()


class NoDirectorySync(DiskFiles):
    """Never syncs a directory."""

    def fsync(self, fd: int) -> None:
        self._done()


class LateSync(DiskFiles):
    """Acknowledges first, and syncs what was written when the next write comes."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._owed: list[int] = []

    def fdatasync(self, fd: int) -> None:
        self._owed.append(fd)

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        owed, self._owed = self._owed, []
        for other in owed:
            with contextlib.suppress(OSError):
                super().fdatasync(other)
        return super().pwrite(fd, data, offset)


class SyncAgain(DiskFiles):
    """Asks once more for a sync that has failed, and believes the answer."""

    def fdatasync(self, fd: int) -> None:
        try:
            super().fdatasync(fd)
        except OSError:
            super().fdatasync(fd)


class NoTruncate(DiskFiles):
    """Leaves half a record where it is."""

    def ftruncate(self, fd: int, size: int) -> None:
        pass


class LogSyncLater(DiskFiles):
    """Syncs a log when the result that refers to it is durable, and not before."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._logs: list[object] = []

    def fdatasync(self, fd: int) -> None:
        if self.name_of(fd).endswith(".iolog"):
            self._logs.append(self._nodes[fd])
            return
        super().fdatasync(fd)
        for node in self._logs:
            node.sync()  # type: ignore[attr-defined]
        self._logs.clear()


class TwoRecords(Tester):
    """Stores the result of an attempt first, and then that it does not run any more."""

    def finish(self, job_state: JobState, outcome: str, log: IOLogWriter) -> None:
        self.take(job_state, outcome, log.close())
        self.checkpoint()
        self.forget_running(job_state)
        self.checkpoint()


@contextlib.contextmanager
def hint_first() -> Iterator[None]:
    """The hint claims a record that is not durable yet."""
    plain = JournalWriter._append

    def append(writer: JournalWriter, record: JsonObject) -> None:
        file = writer._file
        assert file is not None
        end = file.end
        line, line_sum = frame_body(end.seq + 1, end.sum, encode_body(record))
        file.end = LineEnd(end.size_bytes + len(line), end.seq + 1, line_sum)
        writer._update_hint()
        file.end = end
        plain(writer, record)

    with mock.patch.object(JournalWriter, "_append", append):
        yield


@contextlib.contextmanager
def careless_reader() -> Iterator[None]:
    """The reader takes a record whose checksum is wrong."""

    def decode_at(data: bytes, offset: int) -> tuple[Line, int]:
        header = _HEADER.match(data, offset)
        if header is None:
            raise ValueError("no record starts here")
        end = header.end() + int(header[4])
        body = data[header.end() : end]
        if len(body) != int(header[4]):
            raise ValueError("too short")
        return Line(int(header[2]), header[3].decode(), header[5].decode(), _parse_body(body)), end

    with mock.patch.object(scan_module, "decode_at", decode_at):
        yield
