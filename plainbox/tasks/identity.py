# SPDX-License-Identifier: Apache-2.0
"""Who a process is: a number alone can be given to another process, a number with its start time cannot.

The numbers come from ``/proc/PID/stat`` (the manual page proc_pid_stat(5) counts its fields from 1).
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator

import attrs

__all__ = ["NameOwner", "ProcessIdentity", "ProcessStat", "name_of_owner", "owner_of_name", "read_stat", "scan"]


_OWNED = re.compile(r"[a-z-]+-(\d{1,10})-(\d{1,20})-")


@attrs.frozen
class ProcessIdentity:
    """The leader of a job. ``start_ticks`` is its start after boot, in clock ticks (field 22 of its stat)."""

    pid: int
    process_group: int
    start_ticks: int


@attrs.frozen
class ProcessStat:
    """What is needed of one process to say whose it is. ``name`` is what the process calls itself: hostile text."""

    pid: int
    name: str
    state: str
    parent: int
    process_group: int
    session: int
    start_ticks: int

    @property
    def ended(self) -> bool:
        """True for a zombie: nothing runs any more, only its parent has not asked yet."""
        return self.state in "ZXx"


def read_stat(pid: int) -> ProcessStat | None:
    """Return what the kernel says about a process, None when there is no such process."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        text = os.read(descriptor, 4096)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    # The name stands in parentheses and may hold any byte, a parenthesis and a blank included.
    start, end = text.find(b"("), text.rfind(b")")
    fields = text[end + 2 :].split()
    name = text[start + 1 : end].decode("utf-8", "backslashreplace")
    return ProcessStat(
        pid=pid,
        name=name,
        state=chr(fields[0][0]),
        parent=int(fields[1]),
        process_group=int(fields[2]),
        session=int(fields[3]),
        start_ticks=int(fields[19]),
    )


def scan() -> Iterator[ProcessStat]:
    """Look at every process of this machine that can be seen. Takes milliseconds: only for when something is wrong."""
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            found = read_stat(int(entry))
            if found is not None:
                yield found


@attrs.frozen
class NameOwner:
    """The process that a name was given by; see :func:`name_of_owner`."""

    pid: int
    start_ticks: int

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        now = read_stat(self.pid)
        return now is not None and now.start_ticks == self.start_ticks and not now.ended


def name_of_owner(prefix: str) -> str:
    """Return the beginning of a name for something that this process makes and removes again.

    Whoever finds it later can tell with :func:`owner_of_name` whether anybody is left who will remove it.
    """
    pid = os.getpid()
    return f"{prefix}{pid}-{_start_ticks(pid)}-"


@functools.lru_cache(maxsize=2)
def _start_ticks(pid: int) -> int:
    own = read_stat(pid)
    return own.start_ticks if own is not None else 0


def owner_of_name(name: str) -> NameOwner | None:
    """Return the owner that a name tells of, ``None`` when it tells of none."""
    match = _OWNED.match(name)
    return NameOwner(int(match[1]), int(match[2])) if match else None
