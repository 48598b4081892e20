# SPDX-License-Identifier: Apache-2.0
"""The unit that goes on with sessions: systemd understands it, whatever the names of the places in it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainbox.errors import UsageError
from plainbox.session.files import FileOps
from plainbox.session.restart import SystemdRestart
from plainbox.session.systemd import ResumeUnit, environment_file, escape_instance, unescape_instance

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze") or not shutil.which("systemctl"), reason="systemd is not installed here"
)
ODD = "re po %n \"q\" 'x' ü [a]* \\ $HOME ${X} ;"


def verify(unit: Path, *options: str, runtime: Path) -> str:
    """Return what systemd has against a unit: nothing when it is good."""
    done = subprocess.run(
        ["systemd-analyze", *options, "verify", "--man=no", str(unit)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


@needs_systemd
@pytest.mark.parametrize("name", ["sessions", ODD])
@pytest.mark.parametrize("scope", ["system", "user"])
def test_systemd_accepts_the_unit(tmp_path: Path, name: str, scope: str) -> None:
    """The filled-in unit is verified without a word, in both scopes; a word that systemd does not know is told."""
    unit = ResumeUnit(scope, str(tmp_path / "root"))
    unit.install(str(tmp_path / name), FileOps())
    # By a path without odd characters, which the program itself does not understand.
    copy = tmp_path / "plainbox-resume@.service"
    shutil.copy(unit.path, copy)
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    options = ["--user"] if scope == "user" else []
    assert verify(copy, *options, runtime=runtime) == ""
    copy.write_text(copy.read_text().replace("WatchdogSec", "WatchdogSeconds"))
    assert "WatchdogSeconds" in verify(copy, *options, runtime=runtime)


@needs_systemd
def test_systemd_sees_what_is_armed(tmp_path: Path) -> None:
    """An instance is enabled for systemd exactly as long as its session is armed."""
    strategy = SystemdRestart("system", repository="/sessions", root=str(tmp_path))
    strategy.unit.install("/sessions", FileOps())
    session_id = "pbox-2031-01-02T03.04.05.678901_(1)"

    def state() -> str:
        name = f"plainbox-resume@{escape_instance(session_id)}.service"
        command = ["systemctl", f"--root={tmp_path}", "is-enabled", name]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    assert state() == "disabled"
    strategy.prime_application_restart("plainbox", session_id, "")
    assert state() == "enabled"
    strategy.diffuse_application_restart("plainbox", session_id)
    assert state() == "disabled"


@needs_systemd
@pytest.mark.parametrize("text", ["pbox-2031-01-02T03.04.05.678901", "a_(1)", ".x", "ü %i$", "a/b\\c", "x:y"])
def test_escaping_is_that_of_systemd(text: str) -> None:
    """Names of instances are those that systemd's own program gives."""
    done = subprocess.run(["systemd-escape", text], capture_output=True, text=True, check=True)
    assert escape_instance(text) == done.stdout.strip()


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_escaping_can_be_undone(text: str) -> None:
    """Every text comes back."""
    assert unescape_instance(escape_instance(text)) == text


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)) | st.sampled_from("\n\t\"'`$\\%")))
def test_shell_reads_environment_file(text: str) -> None:
    """A value comes back whole from a shell that reads the file."""
    script = environment_file({"VALUE": text}) + 'printf %s "$VALUE"'
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode() == text


def test_environment_that_systemd_refuses() -> None:
    """What would make systemd refuse the file, or the variable, is left out."""
    refused = {"A-B": "x", "1A": "x", "BELL": "\a", "BYTES": "\udcff", "": "x"}
    assert environment_file({**refused, "GOOD": "yes"}) == 'GOOD="yes"\n'


def test_place_that_no_unit_can_name() -> None:
    """A repository whose name has control characters is refused with something to do."""
    with pytest.raises(UsageError, match="cannot be named") as caught:
        ResumeUnit("system").text("/line\nbreak")
    assert caught.value.hint


def test_unit_serves_one_repository(tmp_path: Path) -> None:
    """The installed unit is for the sessions that it was installed for, and goes with its links."""
    unit = ResumeUnit("system", str(tmp_path))
    assert unit.installed() is None
    assert not unit.remove(FileOps())
    unit.install(str(tmp_path / ODD), FileOps())
    assert stat.S_IMODE(os.stat(unit.path).st_mode) == 0o644
    assert unit.serves(str(tmp_path / ODD))
    assert not unit.serves(str(tmp_path))
    strategy = SystemdRestart("system", repository=str(tmp_path / ODD), root=str(tmp_path))
    strategy.prime_application_restart("plainbox", "one", "")
    assert unit.remove(FileOps())
    assert unit.armed() == []
    assert unit.installed() is None


def test_after_the_network() -> None:
    """The system's unit waits for the network where something starts it, and starts it for nobody's sake."""
    lines = ResumeUnit("system").text("/sessions").splitlines()
    [after] = [line for line in lines if "network-online.target" in line]
    assert after.startswith("After=")
    assert "network" not in ResumeUnit("user").text("/sessions")
