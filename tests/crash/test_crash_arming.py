# SPDX-License-Identifier: Apache-2.0
"""A job that may end the machine begins when it is durable that its session goes on afterwards, and no earlier."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from arming import (
    ArmingDisk,
    Machine,
    armed_after_the_note,
    armed_after_the_release,
    forgetful,
    play,
    wrong_images,
    wrong_order,
    wrong_stops,
)


@pytest.mark.parametrize("durable", [True, False], ids=["durable", "careless"])
@pytest.mark.parametrize("flags", ["noreturn", "autorestart"])
@pytest.mark.parametrize("strategy", ["systemd", "desktop"])
def test_armed_before_the_command(strategy: str, flags: str, durable: bool, tmp_path: Path) -> None:
    """Armed, then noted, then let go; and whatever a loss of power leaves, no command is let go with nothing armed."""
    played = play(Machine(tmp_path / "machine", strategy, flags, durable))
    assert wrong_order(played) == []
    assert wrong_images(played) == []
    assert {released for _, released, _ in played.images} == ({True, False} if durable else {True})


@pytest.mark.parametrize("strategy", ["systemd", "desktop"])
def test_tester_that_ends_at_any_step(strategy: str, tmp_path: Path) -> None:
    """Nothing armed and not run, or armed and to be judged; and the next tester can rely on what it has found."""
    machine = Machine(tmp_path / "machine", strategy)
    steps = play(machine).steps
    trials, wrong = wrong_stops(machine, steps)
    assert wrong == []
    assert trials > 40


@pytest.mark.parametrize(
    ("call", "file"),
    [
        ("fsync", ".resume.env."),
        ("rename", "resume.env"),
        ("fsync", ".__respawn_checkbox."),
        ("symlink", "plainbox-resume@"),
        ("fsync", "default.target.wants"),
    ],
)
def test_arming_that_fails(call: str, file: str, tmp_path: Path) -> None:
    """A job that nothing would go on after is not run: it has crashed."""
    machine = Machine(tmp_path / "machine")
    disk = machine.set_up()
    disk.fail(call, errno.EIO, file=file)
    machine.run(disk)
    assert not disk.released
    assert not machine.proof.exists()
    stored = machine.stored()
    assert stored is not None
    assert stored.peek_metadata()["outcomes"] == {"crash": 1}


@pytest.mark.parametrize(
    ("twin", "disk"),
    [
        pytest.param(armed_after_the_release, ArmingDisk, id="after the release"),
        pytest.param(armed_after_the_note, ArmingDisk, id="after the note"),
        pytest.param(contextlib.nullcontext, forgetful("resume.env"), id="variables not synced"),
        pytest.param(contextlib.nullcontext, forgetful("__respawn"), id="commands not synced"),
        pytest.param(contextlib.nullcontext, forgetful(".session"), id="session directory not synced"),
        pytest.param(contextlib.nullcontext, forgetful("session-share"), id="share not synced"),
        pytest.param(contextlib.nullcontext, forgetful("default.target.wants"), id="links not synced"),
    ],
)
def test_twin_is_caught(
    twin: Callable[[], contextlib.AbstractContextManager[None]], disk: Callable[[Path], ArmingDisk], tmp_path: Path
) -> None:
    """Arming that comes too late, or that is not synced, is wrong in its order and on the disk."""
    with twin():
        played = play(Machine(tmp_path / "machine"), disk)
    assert wrong_order(played)
    assert wrong_images(played)
