# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from plainbox.session import boot
from plainbox.session.boot import boot_id, boot_identity


@pytest.fixture(autouse=True)
def _no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLAINBOX_BOOT_ID_FILE", raising=False)


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
