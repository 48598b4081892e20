# SPDX-License-Identifier: Apache-2.0
"""A resume that is asked to stop while it settles what was interrupted: it ends in order, and changes nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_support import Plainbox

from plainbox.providers import Catalogue
from plainbox.runner import Selection, SessionRun
from plainbox.session.metadata import RunningAttempt
from plainbox.session.repository import SessionStorageRepository

#: What a resume says when it begins to end what was left running.
ENDING = "Ending 1 process(es)"
NEVER_ENDS = "trap '' TERM; echo $$ > {pid}.new; mv {pid}.new {pid}; while :; do read -t 0.1 line <> <(:); done"


def read_until(process: subprocess.Popen[str], wanted: str) -> str:
    """Return what a process says up to the line with a text."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if wanted in line:
            return said
    raise AssertionError(said)


@pytest.fixture
def session(plainbox: Plainbox, provider, tmp_path: Path) -> Iterator[str]:
    """The id of a session whose tester was killed, and whose job runs on and ignores every polite request."""
    pid_file = tmp_path / "pid"
    directory = provider(
        f"id: stays\nplugin: shell\ncommand: {NEVER_ENDS.format(pid=pid_file)}\n\n"
        "id: next\nplugin: shell\ncommand: true\n\n"
        "unit: test plan\nid: plan\nname: Plan\ninclude:\n stays\n next\n"
    )
    process = plainbox.start("run", "--no-input", "--provider", directory, "plan")
    deadline = time.monotonic() + 60
    while not pid_file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    pid = int(pid_file.read_text())
    [storage] = SessionStorageRepository(plainbox.sessions)
    yield storage.id
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def outcomes(plainbox: Plainbox) -> dict[str, str | None]:
    return {job_id.partition("::")[2]: job["outcome"] for job_id, job in plainbox.jobs().items()}


@pytest.mark.parametrize("words", [(), ("--auto",)], ids=["by hand", "auto"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_ended_while_leftovers_end(
    plainbox: Plainbox, session: str, words: tuple[str, ...], number: signal.Signals, code: int
) -> None:
    """A signal from outside ends a resume in order: it says how to go on, and has neither judged nor counted anything."""
    for _ in range(2):
        process = plainbox.start("resume", *words, session)
        read_until(process, ENDING)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == code, stderr
        assert f"Stopped before the end. Go on with: plainbox resume {session}" in stderr
        assert outcomes(plainbox) == {"stays": None, "next": None}
        assert plainbox.jobs()["org.example::stays"]["interrupted"]
        [storage] = SessionStorageRepository(plainbox.sessions)
        assert storage.peek_metadata()["meta"].get("resume_count", 0) == 0


def test_interrupts_while_leftovers_end(plainbox: Plainbox, session: str) -> None:
    """The second interrupt stops a resume at once; the first lets it judge what was interrupted, and nothing runs then."""
    process = plainbox.start("resume", "--no-input", session)
    read_until(process, ENDING)
    process.send_signal(signal.SIGINT)
    read_until(process, "Stopping when what was interrupted has its result; once more stops now.")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Stopping now." in stderr
    assert f"Go on with: plainbox resume {session}" in stderr
    assert outcomes(plainbox) == {"stays": None, "next": None}

    process = plainbox.start("resume", "--no-input", session)
    read_until(process, ENDING)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 6, stderr
    assert "org.example::stays was interrupted: " in stderr
    assert f"Go on with: plainbox resume {session}" in stderr
    assert outcomes(plainbox) == {"stays": "crash", "next": None}

    plainbox.run("resume", "--no-input", code=1)
    assert outcomes(plainbox) == {"stays": "crash", "next": "pass"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_question_that_is_left(plainbox: Plainbox, provider, number: signal.Signals, code: int) -> None:
    """A signal at the question what became of a job ends the resume in order; the question is asked again next time."""
    directory = provider("id: look\nplugin: manual\nsummary: Look\npurpose: p\nsteps: s\nverification: v\n")
    selection = Selection(patterns=("org.example::look",), providers=(str(directory),))
    repository = SessionStorageRepository(plainbox.sessions)
    with SessionRun.start(Catalogue.load([directory]), selection, repository=repository) as run:
        run.prepare()
        run.state.metadata.running = {"org.example::look": RunningAttempt(1)}
        run.manager.checkpoint()
    master, child = pty.openpty()
    process = subprocess.Popen(
        plainbox.command("resume"),
        env={**plainbox.environment, "TERM": "dumb"},
        stdin=child,
        stdout=child,
        stderr=child,
        cwd=plainbox.home,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(child)
    text = ""
    while "What became of it?" not in text:
        text += os.read(master, 65536).decode()
    process.send_signal(number)
    with contextlib.suppress(OSError):  # the other end is closed
        while True:
            text += os.read(master, 65536).decode()
    os.close(master)
    assert process.wait(60) == code, text
    assert "Go on with: plainbox resume" in text
    assert "Traceback" not in text
    assert plainbox.jobs()["org.example::look"]["interrupted"]
