# SPDX-License-Identifier: Apache-2.0
"""The command as a user has it: real processes in a home of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest

__all__ = ["SLOW_PLAN", "Plainbox", "interrupted", "read_only", "start_slow", "write_provider"]

#: A plan whose second job goes on for long once it has made the file ``$BEGUN``.
SLOW_PLAN = (
    "id: ok\nplugin: shell\ncommand: echo fine\n\n"
    "id: slow\nplugin: shell\ncommand: touch $BEGUN; sleep 60\n\n"
    "unit: test plan\nid: plan\nname: Plan\ninclude:\n ok\n slow\n"
)


@attrs.frozen
class Plainbox:
    """Runs the command line with everything that it stores below one directory."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR", "PLAINBOX_AUDIT")
        }
        return {
            **kept,
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_DATA_DIRS": str(self.home / "no-data"),
            "XDG_CONFIG_DIRS": str(self.home / "no-config"),
            "LANG": "C.UTF-8",
        }

    @property
    def sessions(self) -> Path:
        return self.home / "state" / "plainbox" / "sessions"

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "plainbox.cli.main", *map(str, arguments)]

    def start(self, *arguments: str | Path, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
        )

    def run(self, *arguments: str | Path, code: int | None = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run to the end; any other exit code than ``code`` fails the test with what was printed."""
        process = self.start(*arguments, **variables)
        stdout, stderr = process.communicate(timeout=100)
        assert "Traceback" not in stderr, stderr
        if code is not None:
            assert process.returncode == code, f"exit {process.returncode}\n{stdout}\n{stderr}"
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def json(self, *arguments: str | Path) -> dict:
        return json.loads(self.run(*arguments, "--json").stdout)

    def jobs(self, session: str | None = None) -> dict[str, dict]:
        """Return the jobs of a session (the newest without an id) by their id."""
        shown = self.json("session", "show", *([session] if session else []))
        return {job["id"]: job for job in shown["jobs"]}


def write_provider(directory: Path, units: str, **files: str) -> Path:
    """Write a provider ``org.example:demo`` from the text of its unit file, and further files by relative path."""
    (directory / "units").mkdir(parents=True, exist_ok=True)
    (directory / "demo.provider").write_text(
        "[PlainBox Provider]\nname = org.example:demo\nversion = 1.0\nrelocatable = True\n"
    )
    (directory / "units" / "units.pxu").write_text(units)
    for relative, text in files.items():
        path = directory / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if relative.startswith("bin/"):
            path.chmod(0o755)
    return directory


def start_slow(plainbox: Plainbox, directory: Path, begun: Path) -> subprocess.Popen[str]:
    """Start a run of the slow plan in ``directory`` and return it in its second job."""
    begun.unlink(missing_ok=True)
    process = plainbox.start("run", "--no-input", "--provider", directory, "plan", BEGUN=str(begun))
    deadline = time.monotonic() + 60
    while not begun.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def interrupted(plainbox: Plainbox, directory: Path, tmp_path: Path) -> str:
    """Kill a run of the slow plan in its second job and return the id of its session."""
    process = start_slow(plainbox, directory, tmp_path / "begun")
    process.kill()
    process.communicate()
    return str(plainbox.json("session", "list")["sessions"][0]["id"])


def read_only(plainbox: Plainbox) -> list[str]:
    """Return what a command begins with that sees the repository on a medium that nobody can write to.

    Where nothing can be mounted, rights have to do, from here on.
    """
    place = str(plainbox.sessions)
    mount = f'mount --bind -o ro "{place}" "{place}" && exec "$@"'
    prefix = ["unshare", "-rm", "bash", "-c", mount, "bash"]
    if (
        subprocess.run([*prefix, "bash", "-c", f'! touch "{place}/x"'], check=False, capture_output=True).returncode
        == 0
    ):
        return prefix
    if os.geteuid() == 0:
        pytest.skip("a root without the right to mount may write everywhere")
    for path in [plainbox.sessions, *plainbox.sessions.rglob("*")]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    return []
