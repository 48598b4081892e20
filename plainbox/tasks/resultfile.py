# SPDX-License-Identifier: Apache-2.0
"""The file to which a job appends what it has to say, read while the job writes.

Made by the place that runs the program, one for each execution; :mod:`plainbox.tasks.jobresult` knows what the lines
mean. The job is hostile. What must stay true: only the file that was made is read, whatever the job puts in its place;
reading never blocks, and neither a job that writes without end nor a line without end takes more than is bounded here.
"""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from plainbox.tasks.identity import name_of_owner
from plainbox.tasks.jobresult import LONGEST_LINE

if TYPE_CHECKING:
    from plainbox.tasks.users import Way

__all__ = ["MOST_BYTES", "RESULT_VARIABLE", "ResultFile"]

RESULT_VARIABLE = "PLAINBOX_RESULT"
MOST_BYTES = 16 * 1024 * 1024

POLL_S = 0.1
_REMEMBERED = 64
SLOWEST_POLL_S = 0.5
READ_SIZE = 1024 * 1024

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class ResultFile:
    """A new file; ``take`` gets its lines and ``note`` remarks. Its maker closes it, which removes it.

    ``way`` is how the program becomes another user. :class:`OSError` when the file cannot be made.
    """

    def __init__(self, take: Callable[[bytes], None], note: Callable[[str], None], way: Way | None = None) -> None:
        self._take = take
        self._note = note
        #: What the user that the program becomes has to get through on the way to the file.
        self._passable: str | None = None
        if way is None:
            self.path, self._descriptor = _directory.new_file()
        else:
            self._hand_over(way)
        self._offset = 0
        self._bytes_left = MOST_BYTES
        #: The end of what was read: by it a file is known that was begun anew and has grown again.
        self._last = b""
        #: The beginning of a line; one that is too long is passed on cut, and then skipped to its end.
        self._begun = b""
        self._skipping = False
        self._shortened = False
        self._pause_s = POLL_S
        self._due_s = time.monotonic() + POLL_S

    def _hand_over(self, way: Way) -> None:
        self._passable = tempfile.mkdtemp(prefix=name_of_owner("plainbox-job-"))
        try:
            way.let_through(self._passable)
            # Who can get through must know the name.
            self.path = os.path.join(self._passable, os.urandom(16).hex())
            self._descriptor = os.open(self.path, _FLAGS, 0o600)
            way.hand_over(self.path)
        except BaseException:
            shutil.rmtree(self._passable, ignore_errors=True)
            raise

    def poll(self) -> float:
        """Read what has come, when it is time; return in how many seconds to look again, at most."""
        now_s = time.monotonic()
        if now_s >= self._due_s:
            # A job that tells nothing is asked less often: it may be one that measures an idle machine.
            self._pause_s = POLL_S if self._read(READ_SIZE) else min(2 * self._pause_s, SLOWEST_POLL_S)
            self._due_s = now_s + self._pause_s
        return self._due_s - now_s

    def finish(self) -> None:
        """Read the rest, nobody writing any more."""
        while self._read(MOST_BYTES):
            pass
        if self._begun and not self._skipping:
            self._take(self._begun)
        self._begun = b""
        try:
            same = os.path.samestat(os.lstat(self.path), os.fstat(self._descriptor))
        except FileNotFoundError:
            same = False
        if not same:
            self._note("the job has replaced its result file: what it wrote to another one is not known")

    def close(self) -> None:
        """Remove the file; what the job may have put in its place goes with the directory."""
        os.close(self._descriptor)
        with suppress(OSError):
            os.unlink(self.path)
        if self._passable is not None:
            shutil.rmtree(self._passable, ignore_errors=True)

    def _read(self, most: int) -> bool:
        """Take at most ``most`` bytes; tell whether there were any."""
        size = os.fstat(self._descriptor).st_size
        if self._bytes_left <= 0:
            if size:
                # Nobody reads it any more, and it shall not fill the disk.
                os.ftruncate(self._descriptor, 0)
            return False
        if (
            size < self._offset
            or os.pread(self._descriptor, len(self._last), self._offset - len(self._last)) != self._last
        ):
            self._offset, self._begun, self._last, self._skipping = 0, b"", b"", False
            if not self._shortened:
                self._shortened = True
                self._note("the job has begun its result file anew: lines may be lost; append with >>")
        wanted = min(size - self._offset, most, self._bytes_left)
        if wanted <= 0:
            return False
        data = os.pread(self._descriptor, wanted, self._offset)
        self._offset += len(data)
        self._last = (self._last + data)[-_REMEMBERED:]
        self._bytes_left -= len(data)
        self._split(data)
        if self._bytes_left <= 0:
            self._begun = b""
            self._note(f"the job has written more than {MOST_BYTES} bytes to its result file: the rest is not read")
        return bool(data)

    def _split(self, data: bytes) -> None:
        *lines, begun = (self._begun + data).split(b"\n")
        self._begun = begun
        for line in lines:
            if not self._skipping and line.strip():
                self._take(line[: LONGEST_LINE + 1])
            self._skipping = False
        if len(begun) > LONGEST_LINE:
            if not self._skipping:
                self._take(begun[: LONGEST_LINE + 1])
            self._begun, self._skipping = b"", True


class _Directory:
    """Where the result files of this process are: nobody else can look into it, and it goes when the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._owner = 0
        self._path = ""

    def new_file(self) -> tuple[str, int]:
        name = f"result-{next(self._numbers)}"
        if self._owner == os.getpid():
            path = os.path.join(self._path, name)
            with suppress(FileNotFoundError, NotADirectoryError):  # somebody has cleared the place of temporary files
                return path, os.open(path, _FLAGS, 0o600)
        with self._lock:
            self._make()
            path = os.path.join(self._path, name)
            return path, os.open(path, _FLAGS, 0o600)

    def _make(self) -> None:
        if self._owner != os.getpid() or not os.path.isdir(self._path):
            self._path = tempfile.mkdtemp(prefix=name_of_owner("plainbox-job-"))
            self._owner = os.getpid()
            atexit.register(self._remove, self._owner, self._path)

    @staticmethod
    def _remove(owner: int, path: str) -> None:
        # A process that was forked off has this to do, too, and must not.
        if os.getpid() == owner:
            shutil.rmtree(path, ignore_errors=True)


_directory = _Directory()
