# SPDX-License-Identifier: Apache-2.0
"""Doubles of the seam, a second journal reader, and small builders for the tests of the session store."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from plainbox.session.files import Buffer, FileOps, PathLike
from plainbox.session.storage import SessionStorage

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
    "mkdir",
    "flock",
)


class Stopped(BaseException):
    """The process image ended here."""


class RecordingOps(FileOps):
    """Remembers every call of the seam, can fail or shorten chosen ones, and can stop the process image.

    Nothing is really synced, which keeps the tests fast; the order of the calls is what they look at.

    ``fail(name, error_number, when)``: the calls of that name whose number (from 1) is accepted by ``when`` fail.
    ``stop_at``: the image stops at that step (calls and fail points together); from then on every call stops.
    ``how``: ``before`` the call, ``after`` it, or with ``half`` of the bytes written.
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
        self._faults: list[tuple[str, int, Callable[[int], bool]]] = []
        self._counts: dict[str, int] = {}
        self._names: dict[int, str] = {}

    def fail(self, name: str, error_number: int, when: Callable[[int], bool] = lambda number: True) -> None:
        self._faults.append((name, error_number, when))

    def heal(self) -> None:
        self._faults.clear()
        self._counts.clear()

    def forget(self) -> None:
        self.steps.clear()
        self.points.clear()
        self.written.clear()

    def names(self, *wanted: str) -> list[tuple[str, str]]:
        """The recorded calls, those of the given kinds only."""
        return [step for step in self.steps if not wanted or step[0] in wanted]

    def name_of(self, fd: int) -> str:
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
        for name, error_number, when in self._faults:
            if name == call and when(number):
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

    def mkdir(self, path: PathLike, mode: int = 0o700, *, dir_fd: int | None = None) -> None:
        self._step("mkdir", os.path.basename(path))
        super().mkdir(path, mode, dir_fd=dir_fd)
        self._after()

    def flock(self, fd: int, operation: int) -> None:
        self._step("flock", self.name_of(fd))
        super().flock(fd, operation)
        self._after()


def ck(**parts: Any) -> bytes:
    """A change as the manager would hand it over."""
    return json.dumps({"t": "ck", **parts}).encode()


def full(**parts: Any) -> bytes:
    return json.dumps({"t": "full", **parts}).encode()


def result(number: int, outcome: str = "pass") -> bytes:
    """A change that holds the first result of job ``number``."""
    return ck(res=[[f"org.example::job-{number}", 1, {"outcome": outcome, "return_code": number}]])


def results_of(data: bytes) -> dict[str, int]:
    """Job id to return code, from a full representation."""
    return {job_id: stored["return_code"] for job_id, _, stored in json.loads(data).get("res", [])}


def session_with(base: Path, count: int, *, files: FileOps | None = None) -> SessionStorage:
    """A session with a first checkpoint and ``count`` results, still open."""
    storage = SessionStorage.create(base, files=files or RecordingOps())
    storage.save_checkpoint(full(meta={"title": "rig"}))
    for number in range(count):
        storage.save_checkpoint(result(number))
    return storage


def journal_of(storage: SessionStorage, generation: int = 1) -> Path:
    return Path(storage.location) / f"journal-{generation:06d}.pbj"


def reopened(storage: SessionStorage) -> SessionStorage:
    return SessionStorage(storage.location, files=RecordingOps())


LINE = re.compile(rb"(PBJ1 (\d+) ([0-9a-f]{16}) (\d+) )([0-9a-f]{16}) (.*)", re.DOTALL)


def second_reader(data: bytes) -> dict[str, Any] | None:
    """An independent reading of a journal: the state, or ``None`` for what must not be trusted.

    Written from the format alone and sharing nothing with the product.
    """
    lines: list[tuple[int, str, str, dict[str, Any]] | None] = []
    pieces = data.split(b"\n")
    for index, piece in enumerate(pieces):
        if index == len(pieces) - 1 and piece == b"":
            continue
        match = LINE.fullmatch(piece)
        good = None
        if match:
            body = match[6]
            if index == len(pieces) - 1:
                body = body[: int(match[4])]
            proper = all(field == str(int(field)).encode() for field in (match[2], match[4]))
            digest = hashlib.blake2b(match[1] + body, digest_size=8).hexdigest()
            if proper and len(body) == int(match[4]) and digest == match[5].decode():
                good = (int(match[2]), match[3].decode(), digest, json.loads(body))
        lines.append(good)
    while lines and lines[-1] is None:
        lines.pop()
    state: dict[str, Any] = {"meta": {}, "res": {}}
    last, number, based = "0" * 16, None, False
    for seq, line in enumerate(lines):
        if line is None or line[0] != seq or line[1] != last:
            return None
        last, payload = line[2], line[3]
        if (payload["t"] == "head") != (seq == 0):
            return None
        if payload["t"] == "full-end":
            based, number = True, payload["n"]
        if payload["t"] == "ck":
            if not based or payload["n"] != number + 1:
                return None
            number += 1
        if payload["t"] in ("full", "ck"):
            state["meta"].update(payload.get("meta", {}))
            for job_id, attempt in payload.get("drop", []):
                state["res"].pop((job_id, attempt), None)
            for job_id, attempt, stored in payload.get("res", []):
                state["res"][job_id, attempt] = stored
    return state if based else None


def agrees(state: dict[str, Any] | None, loaded: bytes) -> bool:
    """Whether the second reader saw the same metadata and results as the product."""
    value = json.loads(loaded)
    results = {(job_id, attempt): stored for job_id, attempt, stored in value.get("res", [])}
    return state is not None and state["meta"] == value.get("meta", {}) and state["res"] == results
