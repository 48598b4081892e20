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
from collections.abc import Iterator

from plainbox.processes import ProcessStat, group_alive, read_stat, scan
from plainbox.session.metadata import RunningAttempt

__all__ = ["end_leftovers"]

_log = logging.getLogger(__name__)

_GRACE_S = 5.0
_KILL_WAIT_S = 30.0
_PAUSE_S = 0.02
SHARE_VARIABLE = "PLAINBOX_SESSION_SHARE"


def end_leftovers(job_id: str, attempt: RunningAttempt, share_dir: str, *, grace_s: float = _GRACE_S) -> None:
    """End what an attempt of this boot has left running: SIGTERM, after ``grace_s`` SIGKILL; return when it is gone.

    Processes that cannot be ended are told in the log.
    """
    told: set[ProcessStat] = set()
    for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, _KILL_WAIT_S)):
        deadline = time.monotonic() + wait_s
        while left := list(_leftovers(attempt, share_dir)):
            if not told:
                _log.warning("Ending %d process(es) that %s has left running", len(left), job_id)
            for process in left:
                # A process that came in the meantime gets the signal too, the others get SIGTERM once.
                if number == signal.SIGKILL or process not in told:
                    _send(process, number)
            told.update(left)
            if time.monotonic() >= deadline:
                break
            time.sleep(_PAUSE_S)
        else:
            return
    _log.warning("Processes of %s cannot be ended: %s", job_id, ", ".join(str(item.pid) for item in left))


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


def _send(process: ProcessStat, number: signal.Signals) -> None:
    """Send a signal to this process, and not to another one that has got its number since."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        now = read_stat(process.pid)
        if now is not None and now.start_ticks == process.start_ticks:
            signal.pidfd_send_signal(descriptor, number)
    except OSError as error:
        _log.warning("Process %d cannot be ended: %s", process.pid, error.strerror)
    finally:
        os.close(descriptor)
