# SPDX-License-Identifier: Apache-2.0
"""Who a process is, in what others record: the leader of a job, and the owner of something with a name.

A number alone can be given to another process, a number with its start time cannot; both come from
:mod:`plainbox.processes`.
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass

from plainbox.processes import process_start_ticks, read_stat

__all__ = ["NameOwner", "ProcessIdentity", "name_of_owner", "owner_of_name"]


_OWNED = re.compile(r"[a-z-]+-(\d{1,10})-(\d{1,20})-")


@dataclass(frozen=True)
class ProcessIdentity:
    """The leader of a job. ``start_ticks`` is its start after boot, in clock ticks (field 22 of its stat)."""

    pid: int
    process_group: int
    start_ticks: int


@dataclass(frozen=True)
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
    return process_start_ticks(pid) or 0


def owner_of_name(name: str) -> NameOwner | None:
    """Return the owner that a name tells of, ``None`` when it tells of none."""
    match = _OWNED.match(name)
    return NameOwner(int(match[1]), int(match[2])) if match else None
