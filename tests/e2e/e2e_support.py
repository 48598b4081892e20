# SPDX-License-Identifier: Apache-2.0
"""The command as a user has it: real processes in a home of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import attrs

__all__ = ["Plainbox", "write_provider"]


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
