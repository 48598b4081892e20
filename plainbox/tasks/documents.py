# SPDX-License-Identifier: Apache-2.0
"""What the two ends of a channel tell each other, as data: who the far end is, what to run, how it ended.

Each becomes a JSON object and is made of one again. :class:`Hello` and :class:`~plainbox.tasks.process.Ending` come from
the far end, which may be hostile: every field is looked at, and anything else than expected is
:class:`~plainbox.errors.TransportLost`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import cast

from plainbox.errors import RemoteError, SerializationError, TaskError, TransportLost
from plainbox.processes import ProcessStat, read_stat
from plainbox.tasks.deadline import Deadline
from plainbox.tasks.frames import PROTOCOL, parse_json
from plainbox.tasks.identity import ProcessIdentity
from plainbox.tasks.place import Program
from plainbox.tasks.process import Ending
from plainbox.tasks.serialization.records import ExceptionRecord, rebuild, record_of

__all__ = [
    "FarFile",
    "Hello",
    "Load",
    "ending_content",
    "ending_from",
    "failure_content",
    "hello_from",
    "identity_from",
    "load_from",
    "machine_identity",
    "needed_files",
    "own_hello",
    "result_document",
    "result_from",
]

LONGEST_TEXT = 4096
MOST_PROCESSES = 10_000
MOST_LEFTOVERS = 100


@dataclass(frozen=True)
class Hello:
    """Who the far end is. ``process`` is the worker; ``clock`` seconds of its wall clock; ``directory`` its own one."""

    python: tuple[int, ...]
    implementation: str
    executable: str
    host: str
    machine_id: str
    boot_id: str
    process: ProcessIdentity
    clock: float
    directory: str
    store: str


@dataclass(frozen=True)
class FarFile:
    """A file that a load needs: kept under its digest, and taken apart into a directory ``DIGEST.d`` if it is a zip to
    ``unpack``."""

    digest: str
    size: int
    unpack: bool = False


@dataclass(frozen=True)
class Load:
    """What the worker is to do: run ``program``, or take the invocation of the file ``bundle`` on.

    With ``keeps_files`` what the job attaches comes back, and what ``attach`` and ``attach_bytes`` say; see
    :class:`~plainbox.tasks.surroundings.Surroundings`. ``limits`` are resource limits by their names without RLIMIT;
    ``path`` goes behind the worker's own module path. ``remaining_s`` is left of ``limit_s``.
    Without ``silence_s`` only the end of the connection counts as a loss.
    """

    program: Program | None = None
    bundle: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: str | None = None
    keeps_files: bool = False
    attach: tuple[str, ...] = ()
    attach_bytes: int = 0
    limits: Mapping[str, int] = field(default_factory=dict)
    nice: int = 0
    path: tuple[str, ...] = ()
    remaining_s: float | None = None
    limit_s: float | None = None
    grace_s: float | None = None
    beat_s: float = 5.0
    silence_s: float | None = None
    files: tuple[FarFile, ...] = ()

    @property
    def deadline(self) -> Deadline | None:
        """The moment at which it must be over, for whoever asks now that it has come."""
        if self.remaining_s is None:
            return None
        return Deadline(time.monotonic() + self.remaining_s, self.limit_s or self.remaining_s, self.grace_s)

    def content(self) -> dict[str, object]:
        """Return what :func:`load_from` makes a load of."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values["environment"], values["limits"] = dict(self.environment), dict(self.limits)
        values["program"] = None if self.program is None else asdict(self.program)
        values["files"] = [asdict(file) for file in self.files]
        return values


def load_from(content: Mapping[str, object]) -> Load:
    """Return the load that our side has sent; TypeError or ValueError when it is none."""
    values = dict(content)
    program = cast("dict[str, object] | None", values.get("program"))
    if program is not None:
        values["program"] = Program(
            tuple(cast("list[str]", program["argv"])), cast("str | None", program["user"]), bool(program.get("pty"))
        )
    for name in ("attach", "path"):
        values[name] = tuple(cast("list[str]", values[name]))
    values["files"] = tuple(FarFile(**each) for each in cast("list[dict[str, object]]", values["files"]))  # type: ignore[arg-type]
    load = Load(**values)  # type: ignore[arg-type]
    if (load.program is None) == (load.bundle is None):
        raise ValueError("a load is a program or a bundle")
    return load


def machine_identity() -> tuple[str, str]:
    """Return the id of this machine and of its boot, "" for what is not known."""
    return _line("/etc/machine-id"), _line("/proc/sys/kernel/random/boot_id")


def own_hello(directory: str, store: str) -> dict[str, object]:
    """Return what the worker says of itself."""
    machine_id, boot_id = machine_identity()
    stat = read_stat(os.getpid())
    return {
        "protocol": PROTOCOL,
        "python": list(sys.version_info[:3]),
        "implementation": sys.implementation.name,
        "executable": sys.executable,
        "host": os.uname().nodename,
        "machine_id": machine_id,
        "boot_id": boot_id,
        "process": {
            "pid": os.getpid(),
            "process_group": os.getpgrp(),
            "start_ticks": 0 if stat is None else stat.start_ticks,
        },
        "clock": time.time(),
        "directory": directory,
        "store": store,
    }


def hello_from(content: Mapping[str, object]) -> Hello:
    """Return who the far end says it is."""
    found = _Fields(content, "its greeting")
    if found.text("protocol") != PROTOCOL:
        raise TransportLost(f"the far end speaks {found.text('protocol')!r}, and this side {PROTOCOL}")
    python = tuple(_Fields.whole(part, "its Python version") for part in found.items("python", 3))
    return Hello(
        python=python,
        implementation=found.text("implementation"),
        executable=found.text("executable"),
        host=found.text("host"),
        machine_id=found.text("machine_id"),
        boot_id=found.text("boot_id"),
        process=identity_from(found.mapping("process")),
        clock=found.number("clock"),
        directory=found.text("directory"),
        store=found.text("store"),
    )


def identity_from(content: Mapping[str, object]) -> ProcessIdentity:
    """Return the process that the far end tells of."""
    found = _Fields(content, "a process")
    return ProcessIdentity(found.integer("pid"), found.integer("process_group"), found.integer("start_ticks"))


def needed_files(content: Mapping[str, object], files: Sequence[FarFile]) -> list[str]:
    """Return the digests that the far end asks for, each of them one of ``files``."""
    known = {file.digest for file in files}
    wanted = _Fields(content, "the files that it needs").items("digests", len(known))
    if len(set(map(str, wanted))) != len(wanted) or not known.issuperset(map(str, wanted)):
        raise TransportLost("the far end asks for files that it was not told of")
    return list(map(str, wanted))


def ending_content(ending: Ending) -> dict[str, object]:
    """Return what :func:`ending_from` makes an ending of."""
    return {"ending": asdict(ending)}


def failure_content(error: BaseException) -> dict[str, object]:
    """Return the header of a result that says why there is none."""
    record = record_of(error, _is_plain)
    return {"failure": record.serialized(), "hint": getattr(error, "hint", None)}


def result_document(header: Mapping[str, object], body: bytes = b"") -> bytes:
    """Return the document of a result: an object, and bytes that it says more about."""
    return json.dumps(header).encode("ascii") + b"\n" + body


def result_from(document: bytes) -> tuple[Mapping[str, object], bytes]:
    """Return object and bytes of a result; raise the error that it tells of, which is never one that ends a program."""
    text, _, body = document.partition(b"\n")
    header = parse_json(text)
    if "failure" not in header:
        return header, body
    try:
        error = rebuild(ExceptionRecord.deserialize(header["failure"]), lambda module, name: None)
    except SerializationError as bad:
        raise TransportLost(f"the far end failed and does not say how: {bad}") from None
    if isinstance(error, TaskError):
        error.hint = _Fields(header, "its failure").optional_text("hint")
    raise error if isinstance(error, Exception) else RemoteError(f"{type(error).__name__}: {error}")


def ending_from(content: Mapping[str, object]) -> Ending:
    """Return how the program ended, by what the far end says."""
    found = _Fields(_Fields(content, "its result").mapping("ending"), "its result")
    ended_by = found.optional_text("ended_by")
    if ended_by not in (None, "deadline", "cancel"):
        raise TransportLost(f"the far end says that the job was ended by {ended_by!r}")
    return Ending(
        process=identity_from(found.mapping("process")),
        return_code=None if found.content.get("return_code") is None else found.integer("return_code", -1024, 65535),
        ended_by=ended_by,  # type: ignore[arg-type]
        start_time=found.number("start_time"),
        duration=found.number("duration"),
        left=_stats(found, "left"),
        survivors=_stats(found, "survivors"),
        leftovers=tuple(_Fields.string(name, "a file") for name in found.items("leftovers", MOST_LEFTOVERS)),
    )


def _stats(found: _Fields, name: str) -> tuple[ProcessStat, ...]:
    stats = (_Fields(item, "a process") for item in found.items(name, MOST_PROCESSES))
    return tuple(
        ProcessStat(
            pid=each.integer("pid"),
            name=each.text("name"),
            state=each.text("state"),
            parent=each.integer("parent"),
            process_group=each.integer("process_group"),
            session=each.integer("session"),
            start_ticks=each.integer("start_ticks"),
        )
        for each in stats
    )


class _Fields:
    """The fields of an object that somebody else has made: each one is asked for by what it must be."""

    def __init__(self, content: object, what: str) -> None:
        if not isinstance(content, dict):
            raise TransportLost(f"the far end says nothing sensible about {what}")
        self.content = cast("dict[str, object]", content)
        self._what = what

    def text(self, name: str) -> str:
        return self.string(self.content.get(name), f"{name} of {self._what}")

    def optional_text(self, name: str) -> str | None:
        return None if self.content.get(name) is None else self.text(name)

    def integer(self, name: str, low: int = 0, high: int = 1 << 63) -> int:
        return self.whole(self.content.get(name), f"{name} of {self._what}", low, high)

    def number(self, name: str) -> float:
        value = self.content.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e12:
            raise TransportLost(f"the far end says nothing sensible about {name} of {self._what}")
        return float(value)

    def mapping(self, name: str) -> Mapping[str, object]:
        return _Fields(self.content.get(name), f"{name} of {self._what}").content

    def items(self, name: str, most: int) -> list[object]:
        value = self.content.get(name)
        if not isinstance(value, list) or len(value) > most:
            raise TransportLost(f"the far end says nothing sensible about {name} of {self._what}")
        return value

    @staticmethod
    def string(value: object, what: str) -> str:
        if not isinstance(value, str) or len(value) > LONGEST_TEXT:
            raise TransportLost(f"the far end says nothing sensible about {what}")
        return value

    @staticmethod
    def whole(value: object, what: str, low: int = 0, high: int = 1 << 63) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise TransportLost(f"the far end says nothing sensible about {what}")
        return value


def _is_plain(args: object) -> bool:
    return isinstance(args, tuple) and all(arg is None or isinstance(arg, (str, int, float)) for arg in args)


def _line(path: str) -> str:
    try:
        return Path(path).read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
