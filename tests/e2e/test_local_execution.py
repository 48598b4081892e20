# SPDX-License-Identifier: Apache-2.0
"""Jobs on this machine as people run them: other users, terminals, silence, limits, and what is left behind."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_support import Plainbox, write_provider
from sudo_rig import ASKING, PASSWORD, SILENT, OrdinaryUser, ordinary_user
from sudo_rig import missing as no_ordinary_user

with_sudo = pytest.mark.skipif(no_ordinary_user() is not None, reason=str(no_ordinary_user()))

ROOT_JOBS = """\
id: own
plugin: shell
command: id -un

id: root
plugin: shell
user: root
environ: WANTED
command:
 id -un; hello; echo "wanted=$WANTED secret=$SECRET normal=$NORMAL_USER"
 echo from-root > "$PLAINBOX_SESSION_SHARE/found"

id: again
plugin: shell
user: root
after: root
command: id -u; cat "$PLAINBOX_SESSION_SHARE/found"
"""


def command_of(user: OrdinaryUser, *arguments: str) -> list[str]:
    write_provider(user.directory / "demo", ROOT_JOBS, **{"bin/hello": "#!/bin/sh\necho hello\n"})
    (user.directory / "demo").chmod(0o755)
    words = ("run", "--provider", str(user.directory / "demo"), "own", "root", "again", *arguments)
    return user.words(sys.executable, "-m", "plainbox.cli.main", *words)


def environment_of(user: OrdinaryUser) -> dict[str, str]:
    own = dict.fromkeys(("HOME", "TMPDIR", "XDG_CONFIG_DIRS", "XDG_DATA_DIRS"), str(user.directory))
    return {**own, "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb", "WANTED": "yes", "SECRET": "hidden"}


@with_sudo
def test_sudo_without_a_password() -> None:
    """Jobs of root run by sudo, with what is meant for them and without the other variables of the user."""
    with ordinary_user(SILENT) as user:
        done = subprocess.run(
            command_of(user, "--no-input", "-v"),
            env=environment_of(user),
            cwd=user.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "root\nhello\nwanted=yes secret= normal=daemon\n" in done.stderr
        assert "0\nfrom-root\n" in done.stderr


@with_sudo
def test_nobody_to_ask() -> None:
    """Without a person such jobs are skipped with the reason, and the others run."""
    with ordinary_user(ASKING) as user:
        done = subprocess.run(
            command_of(user, "--no-input"),
            env=environment_of(user),
            cwd=user.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        assert re.search(r"passed +org.example::own", done.stderr)
        assert re.search(r"skipped +org.example::root", done.stderr)
        assert "the job runs as 'root', and sudo does not do that without a password" in done.stderr


def on_terminal(command: list[str], user: OrdinaryUser, answers: list[bytes]) -> tuple[int, str]:
    """Run a command on a terminal, type an answer whenever a password is wanted; return exit code and screen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        env=environment_of(user),
        cwd=user.directory,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=_take_terminal,
        start_new_session=True,
    )
    os.close(theirs)
    screen, typed = b"", 0
    try:
        while select.select([ours], [], [], 60)[0]:
            try:
                screen += os.read(ours, 65536)
            except OSError:
                break
            if screen.count(b"password for daemon: ") > typed and answers:
                typed += 1
                os.write(ours, answers.pop(0))
    finally:
        os.close(ours)
        process.wait(60)
    return process.returncode, screen.decode()


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@with_sudo
def test_password_is_asked_for_once() -> None:
    """On a terminal the password is asked for before the first job that needs it, and then never again."""
    with ordinary_user(ASKING) as user:
        code, screen = on_terminal(command_of(user), user, [b"wrong\n", PASSWORD.encode() + b"\n"])
        assert code == 0, screen
        assert screen.count("password for daemon: ") == 2
        assert "incorrect password" in screen
        assert len(re.findall(r"passed +org.example::(own|root|again)", screen)) == 3
        assert PASSWORD not in screen
        found = subprocess.run(
            ["grep", "-rlF", PASSWORD, user.directory], capture_output=True, text=True, check=False
        ).stdout
        assert found == ""


@with_sudo
def test_interrupt_instead_of_a_password() -> None:
    """Whoever interrupts the question stops the run; the job is not taken for skipped."""
    with ordinary_user(ASKING) as user:
        code, screen = on_terminal(command_of(user), user, [b"\x03"])
        assert code == 130, screen
        assert "2 not started" in screen
        assert "plainbox resume" in screen


LIMITED = """\
id: first
plugin: shell
command: true

id: endless
plugin: shell
command: sleep 60

id: last
plugin: shell
command: true
"""


@pytest.mark.parametrize("way", ["option", "setting"])
def test_session_limit(plainbox: Plainbox, tmp_path: Path, way: str) -> None:
    """When the limit of the session is over, what runs is ended, and a resume goes on behind it."""
    provider = write_provider(tmp_path / "demo", LIMITED)
    limit = ["--session-timeout", "2"] if way == "option" else []
    if not limit:
        folder = plainbox.home / ".config"
        folder.mkdir()
        (folder / "plainbox.conf").write_text("[sessions]\ntimeout = 2\n")
    done = plainbox.run("run", "--no-input", "--provider", provider, "first|endless|last", *limit, code=124)
    assert "The limit of the session (2.0 s) is over" in done.stderr
    jobs = plainbox.jobs()
    assert jobs["org.example::endless"]["outcome"] == "crash"
    plainbox.run("resume", "--no-input", code=1)
    assert plainbox.jobs()["org.example::last"]["outcome"] == "pass"


def test_silent_job(plainbox: Plainbox, tmp_path: Path) -> None:
    """A job that prints nothing for the time of the setting is told of."""
    (plainbox.home / ".config").mkdir()
    (plainbox.home / ".config" / "plainbox.conf").write_text("[sessions]\nheartbeat = 1\n")
    provider = write_provider(tmp_path / "demo", "id: quiet\nplugin: shell\ncommand: echo some; sleep 2.5\n")
    done = plainbox.run("run", "--no-input", "--provider", provider, "quiet")
    assert re.search(r"\[1/1\] running  org.example::quiet  \(\d\.\d s, no output for \d\.\d s\)", done.stderr)


def test_pty(plainbox: Plainbox, tmp_path: Path) -> None:
    """A job with the flag pty writes to a terminal, and what it wrote is kept as it was."""
    provider = write_provider(
        tmp_path / "demo", "id: shown\nplugin: shell\nflags: pty\ncommand: test -t 1 && test -t 2 && echo shown\n"
    )
    done = plainbox.run("run", "--no-input", "-v", "--provider", provider, "shown")
    assert "shown\n" in done.stderr


def test_leaked_processes(plainbox: Plainbox, tmp_path: Path) -> None:
    """How many processes a job has left running is a number in the report."""
    provider = write_provider(tmp_path / "demo", "id: leaky\nplugin: shell\ncommand: sleep 60 & sleep 61 &\n")
    report = tmp_path / "report.json"
    plainbox.run("run", "--no-input", "--provider", provider, "leaky", "-o", f"json:{report}")
    assert '"leaked_processes": 2' in json.dumps(json.loads(report.read_text()))
