# SPDX-License-Identifier: Apache-2.0
"""Jobs that take rights away, nest directories, or move what belongs to the session: the session goes on, and is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_rig import DEPTH, ordinary_rights

UNITS = (
    "id: before\nplugin: shell\ncommand: echo before\n\n"
    "id: hostile\nplugin: shell\ncommand: . $DEED\n\n"
    "id: after\nplugin: shell\ncommand: echo after\n\n"
    "unit: test plan\nid: all\nname: All\ninclude:\n before\n hostile\n after\n"
)
KILL = "kill -KILL $PPID; sleep 60\n"
NEST = (
    "import os, sys\nos.makedirs(sys.argv[1], exist_ok=True)\nos.chdir(sys.argv[1])\n"
    f"for _ in range({DEPTH}):\n    os.mkdir('d')\n    os.chdir('d')\n"
)
RIGHTS = {
    "result": "mkdir -p $PLAINBOX_SESSION_SHARE/__result/x/y; chmod 0 $PLAINBOX_SESSION_SHARE/__result/x",
    "share": "chmod 0 $PLAINBOX_SESSION_SHARE",
    "logs": "chmod 0 $PLAINBOX_SESSION_SHARE/../io-logs",
}


@pytest.fixture
def command(plainbox, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the command with the rights of an ordinary user."""

    def run(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*ordinary_rights(), *plainbox.command(*arguments)],
            env={**plainbox.environment, "DEED": str(tmp_path / "deed")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=plainbox.home,
            timeout=100,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def deed(provider, tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that says what the job does, and returns the directory of its provider."""

    def write(text: str) -> Path:
        (tmp_path / "nest.py").write_text(NEST)
        (tmp_path / "deed").write_text(text.replace("NEST", f"{sys.executable} {tmp_path}/nest.py") + "\n")
        return provider(UNITS)

    return write


def passed(plainbox, outcome: str = "pass") -> bool:
    found = {job_id.partition("::")[2]: job["outcome"] for job_id, job in plainbox.jobs().items()}
    return found == {"before": "pass", "hostile": outcome, "after": "pass"}


@pytest.mark.parametrize("what", RIGHTS)
def test_rights_that_a_job_takes_away(plainbox, command, deed, what: str) -> None:
    """They come back: the run goes to its end, and all of it can be read."""
    command("run", "--no-input", "--provider", deed(RIGHTS[what]), "all")
    assert passed(plainbox)
    assert "good" in command("session", "verify", "--deep").stdout


@pytest.mark.parametrize("what", RIGHTS)
def test_rights_that_are_gone_at_a_resume(plainbox, command, deed, what: str) -> None:
    """They come back, too, when the job has taken its tester down; until then nobody calls the session damaged."""
    directory = deed(f"{RIGHTS[what]}; {KILL}")
    command("run", "--no-input", "--provider", directory, "all", code=-9)
    found = command("session", "verify", "--deep", code=3 if what == "logs" else 0)
    assert "damaged" not in found.stdout
    if what == "logs":
        assert "Permission denied" in found.stdout
        assert "chmod" in found.stderr
        assert "chmod" in command("session", "salvage", code=3).stderr
    command("resume", "--no-input", "--provider", directory, code=1)
    assert passed(plainbox, "crash")
    assert "good" in command("session", "verify", "--deep").stdout


def test_nested_directories(plainbox, command, deed) -> None:
    """Very deep ones are removed where the session needs the name, copied by a salvage, and go with the session."""
    command("run", "--no-input", "--provider", deed("NEST $PLAINBOX_SESSION_SHARE/__result"), "all")
    assert passed(plainbox)
    command("session", "remove", "--yes", "*")
    directory = deed(f"NEST $PLAINBOX_SESSION_SHARE/__result; NEST $PLAINBOX_SESSION_SHARE/made; {KILL}")
    command("run", "--no-input", "--provider", directory, "all", code=-9)
    command("resume", "--no-input", "--provider", directory, code=1)
    assert passed(plainbox, "crash")
    refused = command("session", "archive", code=3).stderr
    assert "nested too deeply" in refused
    assert len(refused) < 400
    command("session", "salvage", "--into", "another")
    command("session", "remove", "--yes", "*")
    assert os.listdir(plainbox.sessions) == []


def test_logs_that_a_job_moves(plainbox, command, deed) -> None:
    """A link in their place is never followed or removed: a resume says what to do, and goes on when that is done."""
    move = "cd $PLAINBOX_SESSION_SHARE/..; mv io-logs elsewhere; ln -s elsewhere io-logs"
    directory = deed(f"{move}; {KILL}")
    command("run", "--no-input", "--provider", directory, "all", code=-9)
    refused = command("resume", "--no-input", "--provider", directory, code=3)
    assert "put the directory that it leads to in its place" in refused.stderr
    [session] = plainbox.sessions.glob("*.session")
    assert (session / "io-logs").is_symlink()
    (session / "io-logs").unlink()
    (session / "elsewhere").rename(session / "io-logs")
    command("resume", "--no-input", "--provider", directory, code=1)
    assert passed(plainbox, "crash")
    assert "good" in command("session", "verify", "--deep").stdout


def test_logs_that_a_job_moves_in_a_run(plainbox, command, deed) -> None:
    """The run goes on, and what has taken their place is there under another name."""
    move = "cd $PLAINBOX_SESSION_SHARE/..; mv io-logs elsewhere; ln -s elsewhere io-logs"
    told = command("run", "--no-input", "--provider", deed(move), "all").stderr
    assert passed(plainbox)
    [aside] = plainbox.sessions.glob("*.session/io-logs.aside-*")
    assert aside.is_symlink()
    assert aside.name in told
