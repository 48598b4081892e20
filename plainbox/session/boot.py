# SPDX-License-Identifier: Apache-2.0
"""Which start of the machine is this, and is that process still the one that was started then?

Used when a session is opened (who owns the lock), when a job starts (what to record about it) and on resume (did the
machine restart, is something left of the interrupted job). Process numbers are used again by the system, so a process
is only ever recognised by its number together with its start time; the wall clock is never consulted.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import attrs

__all__ = ["BootIdentity", "boot_id", "boot_identity", "group_alive", "process_start_ticks"]

_KERNEL_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_PROC: Final = Path("/proc")


@attrs.frozen
class BootIdentity:
    """``id`` is equal exactly as long as the machine, or the container, has not been started again.

    A ``weak`` identity comes from the boot time alone: two different values may still mean the same boot when the
    clock was set in between.
    """

    id: str
    weak: bool = False


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def _boot_time_s() -> int:
    for line in (_PROC / "stat").read_bytes().splitlines():
        if line.startswith(b"btime "):
            return int(line.split()[1])
    return 0


def boot_identity() -> BootIdentity:
    """Return the identity of this boot.

    The kernel's boot id alone is the same for every start of a container on one machine, so the start time of process
    1 belongs to the identity. ``PLAINBOX_BOOT_ID_FILE`` names a file whose content replaces both.
    """
    override = os.environ.get("PLAINBOX_BOOT_ID_FILE")
    if override:
        return BootIdentity(_digest(Path(override).read_text(encoding="utf-8", errors="replace").strip()))
    try:
        kernel = _KERNEL_BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        kernel = ""
    if kernel:
        return BootIdentity(_digest(f"{kernel} {process_start_ticks(1)}"))
    try:
        boot_time_s = _boot_time_s()
    except (OSError, ValueError):
        boot_time_s = 0
    # The kernel derives this figure from the wall clock, so it wanders by a second or so.
    return BootIdentity(_digest(f"btime {round(boot_time_s, -1)}"), weak=True)


def boot_id() -> str:
    """Return the 16 hex digits of :func:`boot_identity`."""
    return boot_identity().id


@attrs.frozen
class _ProcessStat:
    state: str
    group: int
    start_ticks: int


def _process_stat(pid: int) -> _ProcessStat | None:
    try:
        content = (_PROC / str(pid) / "stat").read_bytes()
        # The second field is the command's name in parentheses and may hold anything, parentheses included.
        fields = content[content.rindex(b")") + 2 :].split()
        return _ProcessStat(fields[0].decode("ascii"), int(fields[2]), int(fields[19]))
    except (OSError, ValueError, IndexError):
        return None


def process_start_ticks(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot; ``None`` when there is no such process."""
    stat = _process_stat(pid)
    return None if stat is None else stat.start_ticks


def process_alive(pid: int, start_ticks: int) -> bool:
    """Tell whether the process that started then still runs under this number; a zombie does not run."""
    stat = _process_stat(pid)
    return stat is not None and stat.start_ticks == start_ticks and stat.state not in "ZX"


def group_alive(group: int, start_ticks: int) -> bool:
    """Tell whether the process group is still the one whose leader started then, with somebody in it to end.

    True only when a process with the number of the group leads it and has exactly that start time; so a number that
    the system has given to somebody else is never taken for the group. A leader that has ended but has not been
    waited for still proves the group; the answer then depends on whether a member runs. Call it only when the boot
    is the recorded one: start times repeat from boot to boot.
    """
    if group <= 1:
        return False
    leader = _process_stat(group)
    if leader is None or leader.start_ticks != start_ticks or leader.group != group:
        return False
    if leader.state not in "ZX":
        return True
    for entry in os.listdir(_PROC):
        if entry.isdigit() and int(entry) != group:
            member = _process_stat(int(entry))
            if member is not None and member.group == group and member.state not in "ZX":
                return True
    return False
