# SPDX-License-Identifier: Apache-2.0
"""What sets up a machine: the scripts that the Makefile calls, with stand-ins for the programs that change a system."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Machine:
    """A directory of stand-in programs that are found before the real ones."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.programs = directory / "programs"
        self.programs.mkdir()
        self.calls = directory / "calls"
        self.install("sudo", "exit 1")

    def install(self, name: str, script: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", str(ROOT / ".ci" / script), *arguments],
            env={"PATH": f"{self.programs}:/usr/bin:/bin", "HOME": str(self.directory), **variables},
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def called(self) -> str:
        return self.calls.read_text() if self.calls.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def _debian(machine: Machine, *, user: int, apt: str = "") -> None:
    machine.install("id", f"echo {user}")
    machine.install("dpkg-query", 'case $* in *there*) printf "install ok installed" ;; *) exit 1 ;; esac')
    machine.install("apt-get", f'echo "$@" >> {machine.calls}\n{apt}')


class TestDebianPackages:
    def test_nothing_is_missing(self, machine: Machine) -> None:
        """Where every package is installed, nothing happens and nothing is said."""
        _debian(machine, user=0)
        done = machine.run("debian-packages", "there", "there-too")
        assert (done.returncode, done.stdout, done.stderr, machine.called) == (0, "", "", "")

    def test_root_installs(self, machine: Machine) -> None:
        """As root, exactly the missing packages are installed."""
        _debian(machine, user=0)
        assert machine.run("debian-packages", "there", "one", "two").returncode == 0
        assert machine.called.splitlines()[-1].endswith(" one two")
        assert "there" not in machine.called

    def test_user_is_told(self, machine: Machine) -> None:
        """Somebody who may not install is told the command, and the build goes on."""
        _debian(machine, user=1000)
        done = machine.run("debian-packages", "one", "two")
        assert done.returncode == 0
        assert "sudo apt-get install one two" in done.stderr
        assert machine.called == ""

    def test_installing_fails(self, machine: Machine) -> None:
        """A package that cannot be installed, for want of a network perhaps, is named, and the build goes on."""
        _debian(machine, user=0, apt="exit 100")
        done = machine.run("debian-packages", "one")
        assert done.returncode == 0
        assert "could not be installed: one" in done.stderr


class TestMakeVenv:
    def _python(self, machine: Machine, *, name: str = "python3") -> Path:
        """Install a Python that has no ensurepip until a file appears, as Debian's without python3-venv."""
        pip = machine.directory / "ensurepip-is-there"
        machine.install(
            name,
            f'case $* in *ensurepip*) [ -e {pip} ] ;; "-m venv"*) echo "$@" >> {machine.calls} ;;'
            f' *) exec {sys.executable} "$@" ;; esac',
        )
        return pip

    def test_makes_it(self, machine: Machine) -> None:
        """With a complete Python the environment is made at once."""
        self._python(machine).touch()
        assert machine.run("make-venv", "env").returncode == 0
        assert machine.called == "-m venv --clear env\n"

    def test_installs_what_debian_ships_apart(self, machine: Machine) -> None:
        """Without ensurepip, Debian's package for exactly this Python is installed, then the environment is made."""
        pip = self._python(machine)
        _debian(machine, user=0, apt=f"case $* in *install*) touch {pip} ;; esac")
        done = machine.run("make-venv", "env")
        assert done.returncode == 0, done.stderr
        assert f"python3.{sys.version_info.minor}-venv" in machine.called
        assert machine.called.endswith("-m venv --clear env\n")

    def test_says_what_is_missing(self, machine: Machine) -> None:
        """Where it cannot be installed, the message names the package, and nothing is made."""
        self._python(machine)
        _debian(machine, user=1000)
        done = machine.run("make-venv", "env")
        assert done.returncode == 1
        assert f"python3.{sys.version_info.minor}-venv" in done.stderr
        assert not (machine.directory / "env").exists()

    def test_named_python_is_too_old(self, machine: Machine) -> None:
        """A Python that the caller names and that is too old is an error; no other one takes its place."""
        self._python(machine).touch()
        machine.install("old-python", "exit 1")
        done = machine.run("make-venv", "env", PYTHON="old-python")
        assert done.returncode == 1
        assert "old-python" in done.stderr


def test_second_make_installs_nothing(tmp_path: Path) -> None:
    """Once the environment is complete, ``make run`` only runs."""
    for age, name in enumerate((".venv/.base", ".venv/.python", "setup.cfg")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "-f", str(ROOT / "Makefile"), "run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("\n") == 1
    assert "plainbox run --no-input" in done.stdout
