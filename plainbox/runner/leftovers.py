# SPDX-License-Identifier: Apache-2.0
"""The processes that a job has left running when its tester was killed: found for certain, and ended.

A number alone proves nothing, the system gives it to others. A process is taken for a leftover of an attempt when it is in
the process group that the attempt was started with, whose leader has the number and the start time that were stored; or
when it carries the session share of this very session in its environment and is not older than the attempt. The second
finds those who have left the group or whose leader is gone. This process and those that it descends from never count: a
job may have started the tester again.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

from plainbox.processes import ProcessStat, group_alive, read_stat, scan
from plainbox.session.metadata import RunningAttempt
from plainbox.tasks.users import SUDO

__all__ = ["end_leftovers"]

_log = logging.getLogger(__name__)

_GRACE_S = 5.0
_KILL_WAIT_S = 30.0
_PAUSE_S = 0.02
SHARE_VARIABLE = "PLAINBOX_SESSION_SHARE"
_Key: TypeAlias = tuple[int, int]


def end_leftovers(
    job_id: str,
    attempt: RunningAttempt,
    share_dir: str,
    *,
    grace_s: float = _GRACE_S,
    tick: Callable[[], None] = lambda: None,
) -> list[ProcessStat]:
    """End what an attempt of this boot has left running: SIGTERM, after ``grace_s`` SIGKILL; return when it is gone.

    What cannot be ended is logged, once for each process, and returned; a process that the system protects from us is
    not waited for. ``tick`` is called again and again in the meantime.
    """
    told: set[_Key] = set()
    protected: dict[_Key, ProcessStat] = {}
    left: list[ProcessStat] = []
    for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, _KILL_WAIT_S)):
        deadline = time.monotonic() + wait_s
        while left := [item for item in _leftovers(attempt, share_dir) if _key(item) not in protected]:
            if not told:
                _log.warning("Ending %d process(es) that %s has left running", len(left), job_id)
            for process in left:
                # A process that came in the meantime gets the signal too, the others get SIGTERM once.
                if (number == signal.SIGKILL or _key(process) not in told) and not _send(process, number):
                    protected[_key(process)] = process
            told.update(map(_key, left))
            tick()
            if time.monotonic() >= deadline:
                break
            if not all(_key(item) in protected for item in left):
                time.sleep(_PAUSE_S)
        if not left:
            break
    stubborn = [item for item in left if _key(item) not in protected]
    for process in stubborn:
        _log.warning("Process %d of %s does not end", process.pid, job_id)
    return [*protected.values(), *stubborn]


def _key(process: ProcessStat) -> _Key:
    """Return what stays the same of a process as long as it lives."""
    return process.pid, process.start_ticks


def _leftovers(attempt: RunningAttempt, share_dir: str) -> Iterator[ProcessStat]:
    group, ticks = attempt.process_group, attempt.start_ticks
    if ticks is None:
        return
    group_is_ours = group is not None and group_alive(group, ticks)
    spared = _own_line()
    marker = f"{SHARE_VARIABLE}={share_dir}".encode("utf-8", "surrogateescape")
    for process in scan():
        if process.ended or process.pid in spared:
            continue
        in_group = group_is_ours and process.process_group == group
        if in_group or (process.start_ticks >= ticks and _carries(process.pid, marker)):
            yield process


def _own_line() -> set[int]:
    """Return the numbers of this process and of all that it descends from."""
    line: set[int] = set()
    stat = read_stat(os.getpid())
    while stat is not None and stat.pid not in line:
        line.add(stat.pid)
        stat = read_stat(stat.parent)
    return line


def _carries(pid: int, marker: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return marker in file.read().split(b"\0")
    except OSError:
        return False


def _send(process: ProcessStat, number: signal.Signals) -> bool:
    """Send a signal to this process, and not to another one that has got its number since.

    Return whether that is possible; a process that is gone needs none.
    """
    try:
        descriptor = os.pidfd_open(process.pid)
        try:
            now = read_stat(process.pid)
            if now is not None and now.start_ticks == process.start_ticks:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
    except ProcessLookupError:
        return True
    except PermissionError as error:
        # Jobs of another user were started by sudo.
        if os.geteuid() != 0 and SUDO.trouble("root") is None:
            SUDO.signal("root", number, [process.pid])
            return True
        _log.warning("Process %d cannot be ended: %s", process.pid, error.strerror)
        return False
    except OSError as error:
        _log.warning("Process %d cannot be ended: %s", process.pid, error.strerror)
        return False
    return True
