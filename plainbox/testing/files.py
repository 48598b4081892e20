# SPDX-License-Identifier: Apache-2.0
"""The file seam with faults: records every call of the store, fails or shortens chosen ones, ends the process image.

Hand one to a session storage in the place of its :class:`~plainbox.session.files.FileOps` (``files=``). The files are real;
nothing is really synced, so that thousands of scripts run in seconds. What counts is the order of the calls.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from plainbox.session.files import Buffer, FileOps, PathLike

__all__ = ["CALLS", "FaultyFiles", "Stopped"]

CALLS = (
    "open",
    "close",
    "pwrite",
    "pwritev",
    "fdatasync",
    "fsync",
    "ftruncate",
    "rename",
    "unlink",
    "symlink",
    "mkdir",
    "flock",
)


class Stopped(BaseException):
    """The process image ended here. No code of a session catches it, so nothing is tidied up on the way."""


class FaultyFiles(FileOps):
    """Remembers every call of the seam, can fail or shorten chosen ones, and can stop the process image.

    What it remembers, each list in the order of the calls:

    * ``steps``: (call, file name) of every call and, as ``reach``, of every fail point;
    * ``points``: the fail points alone;
    * ``written``: (file name, bytes) of every write that was done.

    What it can be told, apart from :meth:`fail`:

    * ``stop_at``: the image stops at the step of this number, from 1; this and every later call raises
      :class:`Stopped`. ``how`` says whether that is ``before`` the call, ``after`` it, or with ``half`` of its bytes
      written;
    * ``write_limit``: no write takes more bytes than this;
    * ``interrupt_every``: every n-th write is interrupted by a signal before it has written anything.
    """

    def __init__(self, *, durable: bool = True) -> None:
        super().__init__(durable=durable)
        self.steps: list[tuple[str, str]] = []
        self.points: list[str] = []
        self.written: list[tuple[str, int]] = []
        self.stop_at: int | None = None
        self.how = "before"
        self.write_limit: int | None = None
        self.interrupt_every: int | None = None
        self._stopped = False
        self._faults: list[tuple[str, int, Callable[[int], bool], str]] = []
        self._counts: dict[str, int] = {}
        self._names: dict[int, str] = {}

    def fail(
        self, name: str, error_number: int, when: Callable[[int], bool] = lambda number: True, *, file: str = ""
    ) -> None:
        """Let the calls of that name fail whose number, from 1, is accepted by ``when``.

        Only those count that are about a file with ``file`` in its name. ``name`` is one of :data:`CALLS` or ``reach``.
        """
        self._faults.append((name, error_number, when, file))

    def heal(self) -> None:
        """Let nothing fail any more, and count the calls anew."""
        self._faults.clear()
        self._counts.clear()

    def forget(self) -> None:
        """Empty the lists; what is to fail still does."""
        self.steps.clear()
        self.points.clear()
        self.written.clear()

    def names(self, *wanted: str) -> list[tuple[str, str]]:
        """Return the recorded steps, those of the given calls only."""
        return [step for step in self.steps if not wanted or step[0] in wanted]

    def name_of(self, fd: int) -> str:
        """Return the name of an open file, with a slash at its end when it is a directory."""
        return self._names.get(fd, "?")

    def reach(self, point: str) -> None:
        self._step("reach", point)
        self.points.append(point)

    def _step(self, call: str, what: str) -> None:
        if self._stopped:
            raise Stopped
        self.steps.append((call, what))
        if self.stop_at is not None and len(self.steps) >= self.stop_at and self.how == "before":
            self._stopped = True
            raise Stopped
        number = self._counts[call] = self._counts.get(call, 0) + 1
        for name, error_number, when, file in self._faults:
            if name == call and file in what and when(number):
                raise OSError(error_number, os.strerror(error_number), what)

    def _after(self) -> None:
        if self.stop_at is not None and len(self.steps) >= self.stop_at and self.how != "before":
            self._stopped = True
            raise Stopped

    def open(self, path: PathLike, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
        self._step("open", os.path.basename(path))
        fd = super().open(path, flags, mode, dir_fd=dir_fd)
        self._names[fd] = os.path.basename(path)
        self._after()
        return fd

    def open_directory(self, path: PathLike, *, dir_fd: int | None = None) -> int:
        fd = super().open_directory(path, dir_fd=dir_fd)
        self._names[fd] = f"{os.path.basename(os.path.normpath(path))}/"
        return fd

    def close(self, fd: int) -> None:
        self._step("close", self.name_of(fd))
        super().close(fd)
        self._after()

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        name = self.name_of(fd)
        self._step("pwrite", name)
        if self.interrupt_every and self._counts["pwrite"] % self.interrupt_every == 0:
            raise InterruptedError
        if self.write_limit is not None and name != "head.json":
            data = memoryview(data)[: self.write_limit]
        if self.how == "half" and self.stop_at is not None and len(self.steps) >= self.stop_at:
            data = memoryview(data)[: len(data) // 2]
        count = super().pwrite(fd, data, offset)
        self.written.append((name, count))
        self._after()
        return count

    def pwritev(self, fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        name = self.name_of(fd)
        self._step("pwritev", name)
        if self.write_limit is not None:
            buffers = [memoryview(b"".join(buffers))[: self.write_limit]]
        count = super().pwritev(fd, buffers, offset)
        self.written.append((name, count))
        self._after()
        return count

    def fdatasync(self, fd: int) -> None:
        self._step("fdatasync", self.name_of(fd))
        self._after()

    def fsync(self, fd: int) -> None:
        self._step("fsync", self.name_of(fd))
        self._after()

    def ftruncate(self, fd: int, size: int) -> None:
        self._step("ftruncate", self.name_of(fd))
        super().ftruncate(fd, size)
        self._after()

    def rename(self, source: PathLike, target: PathLike, *, dir_fd: int | None = None) -> None:
        self._step("rename", os.path.basename(target))
        super().rename(source, target, dir_fd=dir_fd)
        self._after()

    def unlink(self, path: PathLike, *, dir_fd: int | None = None) -> None:
        self._step("unlink", os.path.basename(path))
        super().unlink(path, dir_fd=dir_fd)
        self._after()

    def symlink(self, target: PathLike, path: PathLike) -> None:
        self._step("symlink", os.path.basename(path))
        super().symlink(target, path)
        self._after()

    def mkdir(self, path: PathLike, mode: int = 0o700, *, dir_fd: int | None = None) -> None:
        self._step("mkdir", os.path.basename(path))
        super().mkdir(path, mode, dir_fd=dir_fd)
        self._after()

    def flock(self, fd: int, operation: int) -> None:
        self._step("flock", self.name_of(fd))
        super().flock(fd, operation)
        self._after()
