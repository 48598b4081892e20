# SPDX-License-Identifier: Apache-2.0
"""Which process is which: by its number and its start, never by the number alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plainbox import processes
from plainbox.processes import group_alive, process_start_ticks, read_stat, scan


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as child:
        yield child
        child.kill()


def test_start_ticks_tell_processes_apart(sleeper: subprocess.Popen[bytes]) -> None:
    """A process has the same start time whenever it is asked for, and none when it does not exist."""
    ticks = process_start_ticks(sleeper.pid)
    assert ticks is not None
    assert ticks == process_start_ticks(sleeper.pid)
    assert ticks >= (process_start_ticks(os.getpid()) or 0)
    assert process_start_ticks(2**22 + 1) is None


def test_a_hostile_process_name_does_not_confuse_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may hold blanks, parentheses and line feeds; the last parenthesis ends it."""
    (tmp_path / "77").mkdir()
    fields = ["S", "1", "77", "77", *["0"] * 15, "4242", "0"]
    (tmp_path / "77" / "stat").write_bytes(b"77 (a) S 9 9 (\n) b) " + " ".join(fields).encode() + b"\n")
    monkeypatch.setattr(processes, "_PROC", str(tmp_path))
    stat = read_stat(77)
    assert stat is not None
    assert (stat.name, stat.state, stat.process_group, stat.start_ticks) == ("a) S 9 9 (\n) b", "S", 77, 4242)
    (tmp_path / "77" / "stat").write_bytes(b"77 (short) S 1\n")
    assert process_start_ticks(77) is None


def test_a_group_is_recognised_by_its_leader_and_its_start(sleeper: subprocess.Popen[bytes]) -> None:
    """The number alone is never enough, nor is a process that does not lead a group."""
    ticks = process_start_ticks(sleeper.pid)
    assert ticks is not None
    assert group_alive(sleeper.pid, ticks)
    assert not group_alive(sleeper.pid, ticks + 1)
    assert not group_alive(1, process_start_ticks(1) or 0)
    assert not group_alive(0, 0)
    with subprocess.Popen(["sleep", "60"]) as member:
        assert not group_alive(member.pid, process_start_ticks(member.pid) or 0)
        member.kill()


def test_a_group_whose_leader_is_a_zombie_lives_as_long_as_a_member() -> None:
    """The leader that nobody has waited for proves the group; somebody in it must run."""
    code = "import os, time\nif os.fork() == 0: time.sleep(60)\nprint(os.getpid(), flush=True)\n"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout is not None
        ticks = process_start_ticks(leader.pid)
        assert ticks is not None
        leader.stdout.readline()
        os.waitid(os.P_PID, leader.pid, os.WEXITED | os.WNOWAIT)
        stat = read_stat(leader.pid)
        assert stat is not None
        assert stat.ended
        assert group_alive(leader.pid, ticks)
        os.killpg(leader.pid, signal.SIGKILL)
        leader.stdout.read()
        deadline = time.monotonic() + 30
        # A dying process closes its files a moment before it is dead.
        while group_alive(leader.pid, ticks):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert not group_alive(leader.pid, ticks)


def test_all_processes_are_seen(sleeper: subprocess.Popen[bytes]) -> None:
    """A look at all processes finds this one and its child, each with its own facts."""
    seen = {stat.pid: stat for stat in scan()}
    assert seen[sleeper.pid].parent == os.getpid()
    assert seen[sleeper.pid].process_group == seen[sleeper.pid].session == sleeper.pid
    assert seen[sleeper.pid].start_ticks >= seen[os.getpid()].start_ticks
