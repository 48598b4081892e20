# SPDX-License-Identifier: Apache-2.0
"""Odd terminals, files, places and orders: what a lab does to a program."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from e2e_support import SLOW_PLAN, interrupted


@pytest.fixture
def directory(provider) -> Path:
    return provider(SLOW_PLAN)


def test_report_into_what_is_no_file(plainbox, directory: Path, tmp_path: Path) -> None:
    """A device and a pipe are written into, a link is followed; none of them is replaced."""
    link, target, pipe = tmp_path / "link", tmp_path / "target", tmp_path / "pipe"
    target.write_text("old")
    link.symlink_to(target)
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
        reports = [item for place in (link, pipe, "/dev/null") for item in ("-o", f"text:{place}")]
        plainbox.run("run", "--no-input", "--provider", directory, "ok", *reports)
        assert "ok" in reader.communicate(timeout=30)[0]
    assert link.is_symlink()
    assert "ok" in target.read_text()
    assert pipe.is_fifo()
    assert Path("/dev/null").is_char_device()


def test_report_into_a_directory(plainbox, directory: Path, tmp_path: Path) -> None:
    """A place that no report can have is refused before anything runs."""
    done = plainbox.run("run", "--no-input", "--provider", directory, "ok", "-o", f"html:{tmp_path}", code=2)
    assert "is a directory" in done.stderr
    assert plainbox.json("session", "list")["sessions"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plan", "ok"], "named beside something else"),
        (["ok", "nosuchjob"], "'nosuchjob'"),
        (["["], "not a regular expression"),
        (["ok", "--exclude", "("], "not a regular expression"),
        (["ok", "--timeout", "-5"], "-5"),
        (["ok", "--timeout", "nan"], "nan"),
    ],
)
def test_words_that_mean_nothing(plainbox, directory: Path, words: list[str], message: str) -> None:
    """Words that cannot be meant are refused before there is a session."""
    done = plainbox.run("run", "--no-input", "--provider", directory, *words, code=2)
    assert message in done.stderr
    assert plainbox.json("session", "list")["sessions"] == []


def test_wrong_report_of_a_resume(plainbox, directory: Path, tmp_path: Path) -> None:
    """A resume that is called wrongly changes nothing."""
    interrupted(plainbox, directory, tmp_path)
    for _ in range(6):
        plainbox.run("resume", "--no-input", "-o", "nope:x", code=2)
    job = plainbox.jobs()["org.example::slow"]
    assert (job["outcome"], job["interrupted"]) == (None, True)
    done = plainbox.run("resume", "--no-input", code=1)
    assert "org.example::slow was interrupted" in done.stderr


def test_provider_that_has_moved(plainbox, directory: Path, tmp_path: Path) -> None:
    """A session goes on, and is shown, with its provider in another place; an empty place is no obstacle."""
    interrupted(plainbox, directory, tmp_path)
    moved = directory.rename(tmp_path / "moved")
    directory.mkdir()
    shown = plainbox.run("session", "show")
    assert "interrupted" in shown.stdout
    assert "cannot be used" in shown.stderr
    plainbox.run("resume", "--no-input", code=3)
    plainbox.run("resume", "--no-input", "--provider", moved, code=1)
    assert plainbox.jobs()["org.example::ok"]["outcome"] == "pass"


def test_running_session_hides_no_other(plainbox, directory: Path, tmp_path: Path) -> None:
    """A resume without a name takes the newest session that nobody runs."""
    session = interrupted(plainbox, directory, tmp_path)
    begun = tmp_path / "second"
    process = plainbox.start("run", "--no-input", "--provider", directory, "slow", BEGUN=str(begun))
    try:
        while not begun.exists():
            assert process.poll() is None
            time.sleep(0.02)
        done = plainbox.run("resume", "--no-input", code=1)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert f"Session: {session}" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(plainbox, directory: Path, closed: str) -> None:
    """A caller may close any of the standard streams."""
    script = f'exec "$@" {closed}'
    words = plainbox.command("run", "--no-input", "--provider", directory, "ok")
    done = subprocess.run(["bash", "-c", script, "bash", *words], env=plainbox.environment, check=False)
    assert done.returncode == 0
    assert plainbox.jobs()["org.example::ok"]["outcome"] == "pass"


def test_hang_up_that_is_ignored(plainbox, directory: Path, tmp_path: Path) -> None:
    """Under nohup a lost terminal does not end the run."""
    begun = tmp_path / "begun"
    words = plainbox.command("run", "--no-input", "--provider", directory, "slow")
    process = subprocess.Popen(["nohup", *words], env={**plainbox.environment, "BEGUN": str(begun)}, cwd=tmp_path)
    try:
        while not begun.exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 143


def test_place_that_cannot_be_used(plainbox, directory: Path, tmp_path: Path) -> None:
    """Trouble with the machine is told as such; it is no internal error."""
    file = tmp_path / "file"
    file.touch()
    words = ("run", "--no-input", "--provider", directory, "ok")
    done = plainbox.run(*words, code=None, PLAINBOX_SESSION_REPO=str(file))
    assert done.returncode in (3, 4)
    assert "internal error" not in done.stderr
    assert str(file) in done.stderr
