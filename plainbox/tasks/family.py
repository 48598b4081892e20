# SPDX-License-Identifier: Apache-2.0
"""The processes of one job: whom it started, who is left, and how the rest is ended.

The leader of a job has a session of its own. A process of the job either stays in that session or leaves it on purpose
(a daemon). Since this process is a *child subreaper*, whoever loses its parent becomes our child, so that after the
end of the leader every process of the job is a child of ours or descends from one.

A child in our own session is somebody else's business: a process that was started here in the ordinary way. Of
the others, a child that is no leader of a running job and is not older than this job belongs to it - unless another
job runs that could have started it as well. Then it belongs to the one whose mark it carries in its environment;
one that carries none of the marks is left to the job that ends last. A part of Plainbox that starts a child in a
session of its own while jobs run would break this rule; it has to go through here.

All that holds for the process of a test run, whose children are all ours. A program that uses Plainbox as a library
has children of its own: there a family does not adopt, and whoever is neither in the leader's session nor carries its
mark is nobody's business.

Looking is cheap as long as nobody is left: three system calls. Only a job that left somebody pays for more.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from plainbox.processes import ProcessStat, read_stat, scan
from plainbox.tasks.identity import ProcessIdentity

if TYPE_CHECKING:
    SendProtected = Callable[[int, Sequence[int]], None]

__all__ = ["Family", "become_subreaper", "spawning"]

_log = logging.getLogger(__name__)

PR_SET_CHILD_SUBREAPER = 36
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.002, 0.05

# The families of the jobs that run now, by their leaders. Whoever looks for left processes holds the lock, so that it
# never meets a leader that was started and is not yet listed.
_families: dict[int, Family] = {}
_lock = threading.RLock()
_is_subreaper = False


def become_subreaper() -> None:
    """Make orphaned descendants children of this process. Once per process; without it only sessions are known."""
    global _is_subreaper
    if _is_subreaper:
        return
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        _log.warning("Daemons left by jobs cannot be found: %s", os.strerror(ctypes.get_errno()))
    _is_subreaper = True


def _start_afresh() -> None:
    """Forget what holds for the process that this one was forked from."""
    global _lock, _is_subreaper
    _families.clear()
    _lock = threading.RLock()
    _is_subreaper = False


os.register_at_fork(after_in_child=_start_afresh)


@contextmanager
def spawning() -> Iterator[type[Family]]:
    """Start the leader of a job inside of this, and make its family by calling what is given."""
    with _lock:
        yield Family


class Family:
    """The leader of a job and all that came from it. Made inside of :func:`spawning`, given up by :meth:`forget`."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        send_protected: SendProtected | None = None,
        *,
        mark: str | None = None,
        adopts: bool = True,
    ) -> None:
        """``send_protected`` sends a signal to processes that this one may not send any to. Without ``adopts`` only the
        session of the leader counts, and who carries the ``mark``.

        Raise :class:`ProcessLookupError` where /proc does not show processes."""
        stat = read_stat(process.pid)
        if stat is None:
            raise ProcessLookupError("nothing is known about a process that was just started; is /proc mounted?")
        self._process = process
        self._send_protected = send_protected
        self.leader = ProcessIdentity(process.pid, stat.process_group, stat.start_ticks)
        #: A variable of its environment, with the value, that no other job has: ``NAME=value``.
        self.mark = mark
        self._adopts = adopts
        #: Who has carried the mark: of the dead it cannot be seen any more.
        self._seen: set[tuple[int, int]] = set()
        _families[process.pid] = self

    def forget(self) -> None:
        """Stop to count as a running job."""
        with _lock:
            _families.pop(self.leader.pid, None)

    def anybody_left(self) -> bool:
        """Tell whether a process of the job lives, the leader included; dead ones are collected on the way."""
        if self._process.poll() is None:
            return True
        with suppress(ChildProcessError):
            while os.waitpid(-self.leader.process_group, os.WNOHANG)[0] != 0:
                pass
        return self._group_exists() or self.collect() or self._has_strays()

    def collect(self) -> bool:
        """Collect the orphans of the job that are dead; tell whether others live."""
        with _lock:
            adopted = [stat for stat in map(read_stat, _children()) if stat is not None and self._owns(stat)]
            for stat in adopted:
                if stat.ended:
                    with suppress(ChildProcessError):
                        os.waitpid(stat.pid, os.WNOHANG)
        return not all(stat.ended for stat in adopted)

    def members(self) -> list[ProcessStat]:
        """Return the living processes of the job, by a look at all processes of the machine."""
        with _lock:
            stats = {stat.pid: stat for stat in scan()}
            todo = [stat.pid for stat in stats.values() if self._is_root(stat)]
        children: dict[int, list[int]] = {}
        for stat in stats.values():
            children.setdefault(stat.parent, []).append(stat.pid)
        found: set[int] = set()
        while todo:
            pid = todo.pop()
            if pid not in found:
                found.add(pid)
                todo.extend(children.get(pid, ()))
        return [stats[pid] for pid in sorted(found) if not stats[pid].ended]

    def signal(self, number: signal.Signals) -> list[ProcessStat]:
        """Send a signal to every living process of the job and return them.

        The group is reached in one step, however fast it forks.
        """
        members = self.members()
        group = self.leader.process_group
        if any(stat.process_group == group for stat in members):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
        for stat in members:
            if stat.process_group != group:
                _send(stat, number)
        if self._send_protected is not None:
            protected = [stat for stat in members if _is_protected(stat)]
            whole = [-group] if any(stat.process_group == group for stat in protected) else []
            if protected:
                self._send_protected(number, whole + [stat.pid for stat in protected if stat.process_group != group])
        return members

    def await_end(
        self, kill_at_s: float, give_up_after_s: float, hurried: Callable[[], bool] = lambda: False
    ) -> list[ProcessStat]:
        """Wait until everybody has ended, sending SIGKILL from ``kill_at_s`` (monotonic) on, or once it is ``hurried``.

        Returns those who are still there ``give_up_after_s`` later: they cannot be ended.
        """
        give_up_at_s = max(kill_at_s, time.monotonic()) + give_up_after_s
        pause_s = FIRST_PAUSE_S
        while self.anybody_left():
            now_s = time.monotonic()
            if now_s >= give_up_at_s:
                return self.members()
            if now_s >= kill_at_s or hurried():
                self.signal(signal.SIGKILL)
                time.sleep(pause_s)
            else:
                time.sleep(min(pause_s, kill_at_s - now_s))
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        return []

    def _group_exists(self) -> bool:
        try:
            os.killpg(self.leader.process_group, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def _has_strays(self) -> bool:
        """Tell whether somebody lives who was not adopted. A leader that ended well has left nobody."""
        return not self._adopts and self._process.returncode != 0 and bool(self.members())

    def _is_root(self, stat: ProcessStat) -> bool:
        if stat.session == self.leader.pid or not self._adopts:
            return self._owns(stat)
        return stat.parent == os.getpid() and self._owns(stat)

    def _owns(self, child: ProcessStat) -> bool:
        """Tell whether a process, a child of this one when it is adopted, comes from the job."""
        if child.session == self.leader.pid:
            return True
        if not _is_older(self.leader, child) or child.pid in _families or child.session in _families:
            return False
        if not self._adopts:
            return self._is_marked(child)
        if child.session == os.getsid(0):
            return False
        possible = [family for family in _families.values() if family._adopts and _is_older(family.leader, child)]
        if len(possible) > 1:
            variables = _environment(child)
            possible = [family for family in possible if family.mark in variables] or possible
        return possible == [self]

    def _is_marked(self, stat: ProcessStat) -> bool:
        key = (stat.pid, stat.start_ticks)
        if key not in self._seen and self.mark is not None and self.mark in _environment(stat):
            self._seen.add(key)
        return key in self._seen


def _is_older(leader: ProcessIdentity, child: ProcessStat) -> bool:
    """Tell who was there first; within one tick of the clock the numbers decide, which are given out in order."""
    return (leader.start_ticks, leader.pid) < (child.start_ticks, child.pid)


def _environment(stat: ProcessStat) -> frozenset[str | None]:
    """Return the variables that a process was started with, as far as that can be seen."""
    try:
        with open(f"/proc/{stat.pid}/environ", "rb") as file:
            return frozenset(map(os.fsdecode, file.read().split(b"\0")))
    except OSError:
        return frozenset()


def _children() -> list[int]:
    """Return the numbers of the children of the main thread, dead ones too: orphans are given to that one."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    own = os.getpid()
    try:
        with open(f"/proc/self/task/{own}/children", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except FileNotFoundError:  # a kernel that was built without this file
        return [stat.pid for stat in scan() if stat.parent == own]


def _is_protected(stat: ProcessStat) -> bool:
    """Tell whether this process may send no signals to that one."""
    try:
        os.kill(stat.pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return False


def _send(stat: ProcessStat, number: signal.Signals) -> None:
    """Send a signal to this process, and not to another one that has got its number since."""
    now = read_stat(stat.pid)
    if now is not None and now.start_ticks == stat.start_ticks:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(stat.pid, number)
