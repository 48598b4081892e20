# SPDX-License-Identifier: Apache-2.0
"""What the kernel says about processes: which one is it, when did it start, who is in its group.

The numbers come from ``/proc/PID/stat`` (the manual page proc_pid_stat(5) counts its fields from 1). A number alone is
given again to other processes, so a process is only ever recognised by its number together with its start time. The
session (who owns the lock), the tasks (who belongs to a job) and the runner (what has a job left running) all ask here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["ProcessStat", "group_alive", "process_start_ticks", "read_stat", "scan"]

#: Where the kernel shows its processes.
_PROC = "/proc"


@dataclass(frozen=True)
class ProcessStat:
    """What is needed of one process to say whose it is. ``name`` is what the process calls itself: hostile text.

    ``start_ticks`` is its start after boot, in clock ticks.
    """

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
    """Return what the kernel says about a process, ``None`` when there is no such process."""
    try:
        descriptor = os.open(f"{_PROC}/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
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
    try:
        return ProcessStat(
            pid=pid,
            name=text[start + 1 : end].decode("utf-8", "backslashreplace"),
            state=chr(fields[0][0]),
            parent=int(fields[1]),
            process_group=int(fields[2]),
            session=int(fields[3]),
            start_ticks=int(fields[19]),
        )
    except (ValueError, IndexError):
        return None


def process_start_ticks(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot; ``None`` when there is no such process."""
    stat = read_stat(pid)
    return None if stat is None else stat.start_ticks


def scan() -> Iterator[ProcessStat]:
    """Look at every process of this machine that can be seen. Takes milliseconds: only for when something is wrong."""
    for entry in os.listdir(_PROC):
        if entry.isdecimal():
            found = read_stat(int(entry))
            if found is not None:
                yield found


def group_alive(group: int, start_ticks: int) -> bool:
    """Tell whether the process group is still the one whose leader started then, with somebody in it to end.

    True only when a process with the number of the group leads it and has exactly that start time; so a number that
    the system has given to somebody else is never taken for the group. A leader that has ended but has not been
    waited for still proves the group; the answer then depends on whether a member runs. Call it only when the boot
    is the recorded one: start times repeat from boot to boot.
    """
    if group <= 1:
        return False
    leader = read_stat(group)
    if leader is None or leader.start_ticks != start_ticks or leader.process_group != group:
        return False
    return not leader.ended or any(member.process_group == group and not member.ended for member in scan())
