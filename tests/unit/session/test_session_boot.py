# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plainbox.session import boot
from plainbox.session.boot import boot_id, boot_identity, group_alive, process_alive, process_start_ticks


@pytest.fixture(autouse=True)
def _no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLAINBOX_BOOT_ID_FILE", raising=False)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as child:
        yield child
        child.kill()


def test_the_boot_id_is_sixteen_digits_and_the_same_in_every_process() -> None:
    """Two processes of one boot agree."""
    other = subprocess.run(
        [sys.executable, "-c", "from plainbox.session.boot import boot_id; print(boot_id())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert re.fullmatch("[0-9a-f]{16}", boot_id())
    assert boot_id() == other


def test_the_boot_id_can_be_overridden_for_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content of a file takes the place of the system's, white space around it aside."""
    file = tmp_path / "boot"
    monkeypatch.setenv("PLAINBOX_BOOT_ID_FILE", str(file))
    seen = []
    for content in ("one", "one\n", "two"):
        file.write_text(content)
        seen.append(boot_id())
    assert seen[0] == seen[1] != seen[2]
    assert all(re.fullmatch("[0-9a-f]{16}", item) for item in seen)


def test_a_container_that_starts_again_is_another_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same kernel with another process 1 has another identity."""
    before = boot_identity()
    monkeypatch.setattr(boot, "process_start_ticks", lambda pid: 123456789)
    after = boot_identity()
    assert before.id != after.id
    assert not before.weak
    assert not after.weak


def test_without_a_kernel_boot_id_the_identity_is_weak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The boot time, which wanders by a second, identifies the boot to ten seconds."""
    monkeypatch.setattr(boot, "_KERNEL_BOOT_ID", tmp_path / "absent")
    monkeypatch.setattr(boot, "_PROC", tmp_path)
    ids = []
    for btime in (1700000001, 1700000002, 1700000060):
        (tmp_path / "stat").write_text(f"cpu 1 2 3\nbtime {btime}\n")
        assert boot_identity().weak
        ids.append(boot_id())
    assert ids[0] == ids[1] != ids[2]
    (tmp_path / "stat").unlink()
    assert boot_identity().weak


def test_start_ticks_tell_processes_apart(sleeper: subprocess.Popen[bytes]) -> None:
    """A process has the same start time whenever it is asked for, and none when it does not exist."""
    ticks = process_start_ticks(sleeper.pid)
    assert ticks is not None
    assert ticks == process_start_ticks(sleeper.pid)
    assert ticks >= (process_start_ticks(os.getpid()) or 0)
    assert process_start_ticks(2**22 + 1) is None
    assert process_alive(sleeper.pid, ticks)
    assert not process_alive(sleeper.pid, ticks + 1)


def test_a_hostile_process_name_does_not_confuse_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may hold blanks, parentheses and line feeds; the last parenthesis ends it."""
    (tmp_path / "77").mkdir()
    fields = ["S", "1", "77", "77", *["0"] * 15, "4242", "0"]
    (tmp_path / "77" / "stat").write_bytes(b"77 (a) S 9 9 (\n) b) " + " ".join(fields).encode() + b"\n")
    monkeypatch.setattr(boot, "_PROC", tmp_path)
    assert process_start_ticks(77) == 4242
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
        assert not process_alive(leader.pid, ticks)
        assert group_alive(leader.pid, ticks)
        os.killpg(leader.pid, signal.SIGKILL)
        leader.stdout.read()
        deadline = time.monotonic() + 30
        # A dying process closes its files a moment before it is dead.
        while group_alive(leader.pid, ticks):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert not group_alive(leader.pid, ticks)
