# SPDX-License-Identifier: Apache-2.0
"""A run that is asked to stop: nothing is lost and it can be gone on with."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


@pytest.fixture
def started(plainbox, provider, tmp_path: Path):
    """A run of two jobs, the first of which has begun and waits for a file or a minute."""
    begun, go = tmp_path / "begun", tmp_path / "go"
    directory = provider(
        f"id: first\nplugin: shell\ncommand: touch {begun}; for i in $(seq 600); do test -e {go} && exit 0; "
        "sleep 0.1; done\n\n"
        "id: second\nplugin: shell\ncommand: true\n\n"
        "unit: test plan\nid: plan\nname: Plan\ninclude:\n first\n second\n"
    )
    process = plainbox.start("run", "--no-input", "--provider", directory, "plan")
    wait_for(begun)
    process.go = go
    yield process
    if process.poll() is None:
        process.kill()
        process.communicate()


def outcomes(plainbox) -> dict[str, str]:
    return {job_id.partition("::")[2]: job["outcome"] for job_id, job in plainbox.jobs().items()}


def test_first_interrupt(plainbox, started) -> None:
    """The first interrupt lets the job come to its end; the rest is left for a resume."""
    started.send_signal(signal.SIGINT)
    time.sleep(0.3)
    started.go.touch()
    _, stderr = started.communicate(timeout=60)
    assert started.returncode == 6
    assert "plainbox resume" in stderr
    assert outcomes(plainbox) == {"first": "pass", "second": None}
    plainbox.run("resume", "--no-input")
    assert outcomes(plainbox) == {"first": "pass", "second": "pass"}


def test_second_interrupt(plainbox, started) -> None:
    """The second interrupt ends the job."""
    started.send_signal(signal.SIGINT)
    time.sleep(0.3)
    started.send_signal(signal.SIGINT)
    _, stderr = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "plainbox resume" in stderr
    assert outcomes(plainbox) == {"first": "crash", "second": None}
    assert "SIGINT" in plainbox.jobs()["org.example::first"]["comments"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_terminated(plainbox, started, number: signal.Signals, code: int) -> None:
    """A request to terminate ends the job; what became of it is judged when the session goes on, and the rest is run."""
    started.send_signal(number)
    started.communicate(timeout=60)
    assert started.returncode == code
    assert outcomes(plainbox) == {"first": None, "second": None}
    assert plainbox.jobs()["org.example::first"]["interrupted"]
    plainbox.run("resume", "--no-input", code=1)
    assert outcomes(plainbox) == {"first": "crash", "second": "pass"}


def test_killed_in_bootstrap(plainbox, provider, tmp_path: Path) -> None:
    """A run that is killed before its selection goes on with the bootstrap and then makes the selection."""
    marker = tmp_path / "marker"
    directory = provider(
        f"id: res\nplugin: resource\non-crash: retry\n"
        f"command: test -e {marker} || {{ touch {marker}; kill -9 $PPID; sleep 60; }}; printf 'name: a\\n\\nname: b\\n'\n\n"
        "unit: template\ntemplate-resource: res\nid: made-{name}\nplugin: shell\ncommand: echo {name}\n\n"
        "unit: test plan\nid: plan\nname: Plan\nbootstrap_include: res\ninclude: made-.*\n"
    )
    plainbox.run("run", "--no-input", "--provider", directory, "plan", code=-9)
    plainbox.run("resume", "--no-input")
    assert outcomes(plainbox) == {"res": "pass", "made-a": "pass", "made-b": "pass"}


def test_resume_without_a_session(plainbox) -> None:
    """Where nothing was interrupted there is nothing to go on with."""
    done = plainbox.run("resume", "--no-input", code=2)
    assert "no session to go on with" in done.stderr


def test_resume_of_a_complete_session(plainbox, provider) -> None:
    """A complete session is not run again."""
    plainbox.run("run", "--no-input", "--provider", provider("id: a\nplugin: shell\ncommand: true\n"), "a")
    [session] = plainbox.json("session", "list")["sessions"]
    done = plainbox.run("resume", session["id"], code=2)
    assert "is complete" in done.stderr


@pytest.mark.parametrize(("boot", "outcome"), [("second", "pass"), ("first", "crash")])
def test_reboot_by_a_job(plainbox, provider, tmp_path: Path, boot: str, outcome: str) -> None:
    """A job that reboots returns at once; the shutdown ends the tester, and the boot id tells what came of it."""
    boot_file, begun = tmp_path / "boot-id", tmp_path / "begun"
    boot_file.write_text("first")
    directory = provider(
        f"id: reboots\nplugin: shell\nflags: noreturn expect-reboot\ncommand: touch {begun}\n\n"
        "id: next\nplugin: shell\ncommand: true\n\n"
        "unit: test plan\nid: plan\nname: Plan\ninclude:\n reboots\n next\n"
    )
    variables = {"PLAINBOX_BOOT_ID_FILE": str(boot_file)}
    process = plainbox.start("run", "--no-input", "--provider", directory, "plan", **variables)
    wait_for(begun)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert outcomes(plainbox) == {"reboots": None, "next": None}
    boot_file.write_text(boot)
    plainbox.run("resume", "--no-input", code=int(outcome != "pass"), **variables)
    assert outcomes(plainbox) == {"reboots": outcome, "next": "pass"}


@pytest.mark.parametrize("trap", ["", "trap 'exit 143' TERM; ", "trap 'exit 129' TERM; "])
def test_job_that_dies_in_the_shutdown(plainbox, provider, tmp_path: Path, trap: str) -> None:
    """A shutdown may end the job before its tester, also by what its shell does then: that is no result of the job."""
    pid_file = tmp_path / "pid"
    directory = provider(
        "id: victim\nplugin: shell\non-crash: retry\n"
        f"command: test -e {pid_file} && exit 0; {trap}echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; sleep 60\n"
    )
    process = plainbox.start("run", "--no-input", "--provider", directory, "victim")
    wait_for(pid_file)
    os.killpg(int(pid_file.read_text()), signal.SIGTERM)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    plainbox.run("resume", "--no-input")
    assert [item["outcome"] for item in plainbox.jobs()["org.example::victim"]["attempts"]] == ["crash", "pass"]


# -- on a terminal

PLAN = "\n\nid: next\nplugin: shell\ncommand: true\n\nunit: test plan\nid: plan\nname: Plan\ninclude:\n long\n next\n"


class Terminal:
    """A command that has a terminal of its own, as a person in front of it has it."""

    def __init__(self, plainbox, *words: str | Path, **variables: str) -> None:
        self._master, child = pty.openpty()
        self._process = subprocess.Popen(
            plainbox.command(*words),
            env={**plainbox.environment, "TERM": "xterm", **variables},
            stdin=child,
            stdout=child,
            stderr=child,
            cwd=plainbox.home,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(child)
        self.text = ""

    def interrupt(self, answer: str) -> None:
        """Press the keys and wait for what is said about it."""
        os.write(self._master, b"\x03")
        self._read(answer)

    def wait_for(self, text: str) -> None:
        self._read(text)

    def hang_up(self) -> int:
        os.close(self._master)
        return self._process.wait(60)

    def end(self, *, signal_number: int | None = None) -> int:
        if signal_number is not None:
            self._process.send_signal(signal_number)
        self._read(None)
        return self.hang_up()

    def _read(self, wanted: str | None) -> None:
        while wanted is None or wanted not in self.text:
            try:
                self.text += os.read(self._master, 65536).decode(errors="replace")
            except OSError:  # the other end is closed
                assert wanted is None, self.text
                return


@pytest.fixture
def on_terminal(plainbox, provider, tmp_path: Path):
    """Return a function that starts a run whose first job does a command, on a terminal, and waits for the job."""

    def start(command: str, flags: str = "simple", **variables: str) -> Terminal:
        begun = tmp_path / "begun"
        directory = provider(f"id: long\nplugin: shell\nflags: {flags}\ncommand: touch {begun}; {command}" + PLAN)
        terminal = Terminal(plainbox, "run", "--no-input", "--provider", directory, "plan", **variables)
        wait_for(begun)
        return terminal

    return start


def test_third_interrupt(plainbox, on_terminal) -> None:
    """Each interrupt is answered: the first waits for the job, the second ends it, the third kills it at once."""
    terminal = on_terminal("trap '' TERM; sleep 600 & while true; do sleep 1; done")
    terminal.interrupt("Stopping when this job has ended")
    terminal.interrupt("Ending this job now")
    terminal.interrupt("Killing this job")
    assert terminal.end() == 130
    assert outcomes(plainbox) == {"long": "crash", "next": None}
    assert "plainbox resume" in terminal.text
    assert "Traceback" not in terminal.text
    plainbox.run("resume", "--no-input", code=1)
    assert outcomes(plainbox) == {"long": "crash", "next": "pass"}


def test_interrupt_while_the_shutdown_is_awaited(plainbox, on_terminal, tmp_path: Path) -> None:
    """A job that has taken the machine down still works after the first interrupt: the shutdown may come."""
    boot_file = tmp_path / "boot-id"
    boot_file.write_text("first")
    variables = {"PLAINBOX_BOOT_ID_FILE": str(boot_file)}
    terminal = on_terminal("echo gone", "noreturn", **variables)
    terminal.wait_for("long has returned: waiting for the machine to go down, 5 min 00 s at most")
    terminal.interrupt("Stopping when the machine has gone down or 300 s are over; once more stops now")
    time.sleep(0.5)
    assert terminal.end(signal_number=signal.SIGTERM) == 143
    assert outcomes(plainbox) == {"long": None, "next": None}
    boot_file.write_text("second")
    plainbox.run("resume", "--no-input", **variables)
    assert outcomes(plainbox) == {"long": "pass", "next": "pass"}


def test_shutdown_that_is_not_waited_for(plainbox, on_terminal) -> None:
    """A person who does not wait for the end of the machine has ended the job, and the session goes on after it."""
    terminal = on_terminal("echo gone", "noreturn")
    terminal.wait_for("waiting for the machine to go down")
    terminal.interrupt("once more stops now")
    terminal.interrupt("Stopping now")
    assert terminal.end() == 130
    assert outcomes(plainbox) == {"long": "crash", "next": None}
    assert plainbox.jobs()["org.example::long"]["comments"] == "cancelled: SIGINT"
    assert "nothing has ended the test session" not in terminal.text
    plainbox.run("resume", "--no-input", code=1)
    assert outcomes(plainbox) == {"long": "crash", "next": "pass"}


def test_shutdown_that_is_awaited_without_a_terminal(plainbox, provider) -> None:
    """What is waited for is said without any interrupt, also in a log."""
    directory = provider("id: nr\nplugin: shell\nflags: noreturn\ncommand: true\n")
    process = plainbox.start("run", "--no-input", "--provider", directory, "nr")
    assert process.stderr is not None
    line = next(line for line in process.stderr if "waiting" in line)
    assert line.startswith("org.example::nr has returned: waiting for the machine to go down, 5 min 00 s at most")
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "plainbox resume" in stderr


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1"}, {"TERM": "dumb"}], ids=["plain", "forced", "dumb"])
def test_terminal_that_is_gone(plainbox, on_terminal, variables: dict[str, str]) -> None:
    """Whose terminal hangs up during a job finds the session as after any other end, and the code of a hang-up."""
    assert on_terminal("sleep 60", **variables).hang_up() == 129
    assert not list(plainbox.home.rglob("crash-*.txt"))
    assert outcomes(plainbox) == {"long": None, "next": None}
    plainbox.run("resume", "--no-input", code=1)
    assert outcomes(plainbox) == {"long": "crash", "next": "pass"}


@pytest.mark.parametrize("words", [(), ("-v",)])
def test_terminated_when_nobody_reads(plainbox, provider, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Without anybody who could read what is said the code is that of the signal."""
    begun = tmp_path / "begun"
    directory = provider(f"id: long\nplugin: shell\ncommand: touch {begun}; sleep 60" + PLAN)
    process = plainbox.start("run", "--no-input", "--provider", directory, "plan", *words)
    wait_for(begun)
    process.stdout.close()
    process.stderr.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert not list(plainbox.home.rglob("crash-*.txt"))
