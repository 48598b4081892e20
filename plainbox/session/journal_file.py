# SPDX-License-Identifier: Apache-2.0
"""One generation of a journal, open to be appended to.

Used by the :class:`~plainbox.session.journal.JournalWriter`, which says what is written and what becomes of failures.
What must stay true: behind the acknowledged records there is nothing but the rest of a write that failed, and that is cut
off before the next one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from plainbox.errors import CorruptedSessionError, StorageFailedError, StorageFullError
from plainbox.session.codec import JsonObject, frame_body
from plainbox.session.files import FULL_ERRORS, FileOps
from plainbox.session.generation import LineEnd, generation_name, has_room, read_generation, write_lines
from plainbox.session.scan import Content, scan
from plainbox.session.tree import Tree

__all__ = ["JournalFile"]


class JournalFile:
    """The open file ``fd`` of a generation in the open ``directory``; ``end`` is behind its last acknowledged record.

    Without space a method raises :class:`StorageFullError`, and the file is as it was. Any other :class:`OSError` says that
    what is on the disk is not known any more: nothing may be added to it.
    """

    def __init__(self, files: FileOps, directory: int, location: str, generation: int, fd: int, end: LineEnd) -> None:
        self.fd = fd
        self.end = end
        self._files = files
        self._directory = directory
        self._location = location
        self._generation = generation
        stat = os.fstat(fd)
        self._inode = (stat.st_dev, stat.st_ino)
        #: Bytes may stand behind the last acknowledged record.
        self._tail_unknown = False

    @classmethod
    def make(
        cls, files: FileOps, directory: int, location: str, generation: int, records: Iterable[JsonObject]
    ) -> JournalFile:
        """Write a generation, complete and durable before it gets its name; without space there is no such file.

        :raises StorageFullError: also when the file would be longer than one that is read.
        :raises ValueError: a record cannot be stored; there is no such file.
        """
        name = generation_name(generation)
        temporary = name + ".tmp"
        fd: int | None = None
        named = False
        try:
            files.reach("generation.create")
            with contextlib.suppress(OSError):
                files.unlink(temporary, dir_fd=directory)
            fd = files.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, dir_fd=directory)
            files.reach("generation.write")
            end = write_lines(files, fd, records)
            files.reach("generation.sync")
            files.fdatasync(fd)
            files.reach("generation.rename")
            files.rename(temporary, name, dir_fd=directory)
            named = True
            files.reach("generation.sync-directory")
            files.fsync(directory)
        except (OSError, ValueError) as error:
            if fd is not None:
                with contextlib.suppress(OSError):
                    files.close(fd)
                if not named:
                    with contextlib.suppress(OSError):  # nothing reads it, and the next writer tries again
                        files.unlink(temporary, dir_fd=directory)
            if isinstance(error, OSError) and error.errno in FULL_ERRORS and not named:
                raise _cannot_grow(location, error) from error
            raise
        except BaseException:
            if fd is not None:
                os.close(fd)
            raise
        return cls(files, directory, location, generation, fd, end)

    def has_room(self, body: bytes) -> bool:
        """Tell whether a record can be appended: a file that is too long is not read any more."""
        return has_room(self.end.size_bytes, len(body))

    def append(self, body: bytes) -> None:
        """Append a record, for which there is room, and make it durable.

        :raises StorageFailedError: the file is not as it was left.
        """
        line, line_sum = frame_body(self.end.seq + 1, self.end.sum, body)
        self._check_untouched()
        self._write(line)
        self._files.reach("append.sync")
        self._files.fdatasync(self.fd)
        self._tail_unknown = False
        self.end = LineEnd(self.end.size_bytes + len(line), self.end.seq + 1, line_sum)

    def cut(self, *, unterminated: bool) -> None:
        """Cut off what follows the last good record, and end it with the line feed that it may lack."""
        try:
            self._files.reach("open.cut")
            self._files.ftruncate(self.fd, self.end.size_bytes)
            if unterminated:
                self._files.write_all(self.fd, b"\n", self.end.size_bytes)
        except OSError as error:
            if error.errno in FULL_ERRORS:
                raise _cannot_grow(self._location, error) from error
            raise
        self._files.reach("open.sync")
        self._files.fdatasync(self.fd)
        if unterminated:
            self.end = LineEnd(self.end.size_bytes + 1, self.end.seq, self.end.sum)

    def read_back(self) -> Tree:
        """Return the state that the acknowledged part proves.

        :raises CorruptedSessionError: it is not exactly what was written.
        """
        content = Content(tree=Tree())
        data, identity = read_generation(self._directory, self._generation)
        if identity[:2] != self._inode:
            raise CorruptedSessionError("it is another file")
        scan(data[: self.end.size_bytes], content, generation_name(self._generation))
        if (content.seq, content.sum) != (self.end.seq, self.end.sum):
            raise CorruptedSessionError("acknowledged records are missing")
        assert content.tree is not None
        return content.tree

    def _write(self, line: bytes) -> None:
        for last_try in (False, True):
            try:
                if self._tail_unknown:
                    self._files.reach("append.truncate")
                    self._files.ftruncate(self.fd, self.end.size_bytes)
                self._tail_unknown = True
                self._files.reach("append.write")
                self._files.write_all(self.fd, line, self.end.size_bytes)
            except OSError as error:
                if error.errno not in FULL_ERRORS:
                    raise
                if last_try:
                    self._restore_size()
                    raise _cannot_grow(self._location, error) from error
            else:
                return

    def _restore_size(self) -> None:
        with contextlib.suppress(OSError):  # otherwise the next append tries again before it writes
            self._files.reach("append.truncate")
            self._files.ftruncate(self.fd, self.end.size_bytes)
            self._tail_unknown = False

    def _check_untouched(self) -> None:
        size = os.fstat(self.fd).st_size
        expected = self.end.size_bytes
        try:
            named = os.stat(generation_name(self._generation), dir_fd=self._directory, follow_symlinks=False)
            same_file = (named.st_dev, named.st_ino) == self._inode
        except FileNotFoundError:
            same_file = False
        if not same_file or size < expected or (size > expected and not self._tail_unknown):
            raise StorageFailedError(f"somebody else changed the journal of {self._location}")


def _cannot_grow(location: str, error: OSError) -> StorageFullError:
    return StorageFullError(
        f"the session {location} cannot grow",
        errno=error.errno,
        hint="make room on its file system; everything that was acknowledged is kept",
    )
