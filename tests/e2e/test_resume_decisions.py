# SPDX-License-Identifier: Apache-2.0
"""What a person, the settings and the flags of ``plainbox resume`` decide about a run that was killed."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_support import write_provider

JOB = "org.example::victim"
#: Takes its tester down in its first attempts, and then passes.
VICTIM = (
    'echo x >> "$PLAINBOX_SESSION_SHARE/times"; test $(wc -l < "$PLAINBOX_SESSION_SHARE/times") -gt {times} && exit 0;'
)
VICTIM += " echo about to die; kill -9 $PPID; sleep 60"


@pytest.fixture
def killed(plainbox, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that runs a job which takes its tester down so many times, and a job after it."""

    def run(fields: str = "plugin: shell", *, times: int = 1, plan: str = "", **variables: str) -> Path:
        directory = write_provider(
            tmp_path / "victims",
            f"id: victim\n{fields}\ncommand: {VICTIM.format(times=times)}\n\nid: after\nplugin: shell\ncommand: true\n\n"
            f"unit: test plan\nid: plan\nname: Plan\n{plan}include:\n victim\n after\n",
        )
        plainbox.run("run", "--no-input", "--provider", directory, "plan", code=-9, **variables)
        return directory

    return run


def attempts(plainbox, job: str = JOB) -> list[tuple[str, str]]:
    return [(item["outcome"], item["origin"]) for item in plainbox.jobs()[job]["attempts"]]


# -- a person


@pytest.mark.parametrize(("choice", "code"), [("pass", 0), ("fail", 1), ("skip", 0)])
def test_outcome_by_hand(plainbox, killed, choice: str, code: int) -> None:
    """What a person says of the interrupted job is its outcome, with the person as origin, and the rest is run."""
    killed()
    done = plainbox.run("resume", "--no-input", "--outcome", choice, "--comment", "I was there", code=code)
    assert "I was there" in done.stderr
    assert attempts(plainbox) == [(choice, "operator")]
    jobs = plainbox.jobs()
    assert jobs[JOB]["comments"] == "I was there"
    assert jobs["org.example::after"]["outcome"] == "pass"


def test_rerun_by_hand(plainbox, killed) -> None:
    """A person can have the job run again; the attempt that was interrupted stays in the history."""
    killed()
    plainbox.run("resume", "--no-input", "--outcome", "rerun")
    assert attempts(plainbox) == [("crash", "operator"), ("pass", "run")]


def test_rerun_without_attempts(plainbox, killed) -> None:
    """When no attempt is left the command says so, and the job has crashed."""
    killed(times=9)
    for _ in range(2):
        plainbox.run("resume", "--no-input", "--outcome", "rerun", code=-9)
    done = plainbox.run("resume", "--no-input", "--outcome", "rerun", code=1)
    assert "no attempts are left" in done.stderr
    assert attempts(plainbox) == [("crash", "operator")] * 3


@pytest.mark.parametrize("choice", ["fail", "skip"])
def test_blocker(plainbox, killed, choice: str) -> None:
    """A job that the plan makes a blocker is not failed or skipped without a reason; the session stays as it was."""
    killed(plan="certification_status_overrides: apply blocker to victim\n")
    refused = plainbox.run("resume", "--no-input", "--outcome", choice, code=2)
    assert JOB in refused.stderr
    assert "comment" in refused.stderr
    assert plainbox.jobs()[JOB]["interrupted"]
    plainbox.run("resume", "--no-input", "--outcome", choice, "--comment", "no lamp", code=None)
    assert attempts(plainbox) == [(choice, "operator")]


def test_decision_without_an_interrupted_job(plainbox, provider) -> None:
    """Where no job was interrupted there is nothing to decide; a comment alone decides nothing."""
    directory = provider(
        "id: first\nplugin: shell\ncommand: true\n\nid: second\nplugin: shell\ncommand: kill -9 $PPID; sleep 60\n\n"
        "unit: test plan\nid: plan\nname: Plan\ninclude:\n first\n second\n"
    )
    plainbox.run("run", "--no-input", "--provider", directory, "plan", code=-9)
    assert "--outcome" in plainbox.run("resume", "--no-input", "--comment", "hm", code=2).stderr
    plainbox.run("resume", "--no-input", "--outcome", "pass")
    refused = plainbox.run("resume", "--no-input", "--outcome", "pass", code=2)
    assert "no session to go on with" in refused.stderr


def test_setting_that_retries(plainbox, killed) -> None:
    """With on_crash = retry every interrupted job is run again."""
    killed()
    plainbox.run("resume", "--no-input", PLAINBOX_CONF_SESSIONS__ON_CRASH="retry")
    assert attempts(plainbox) == [("crash", "resume"), ("pass", "run")]


@pytest.mark.parametrize(("setting", "outcome"), [("pass", "pass"), ("crash", "crash")])
def test_setting_about_reboots(plainbox, killed, setting: str, outcome: str) -> None:
    """With noreturn_same_boot = crash a job that is not to return has crashed when the machine was not started anew."""
    killed("plugin: shell\nflags: noreturn", PLAINBOX_CONF_SESSIONS__AUTO_RESUME="none")
    plainbox.run("resume", "--no-input", code=None, PLAINBOX_CONF_SESSIONS__NORETURN_SAME_BOOT=setting)
    assert attempts(plainbox) == [(outcome, "resume")]


# -- a job that takes its tester down each time


def test_three_openings(plainbox, killed) -> None:
    """A job that is to be retried and kills its tester each time has crashed at the third opening; the rest is run."""
    killed("plugin: shell\non-crash: retry", times=99)
    for _ in range(2):
        plainbox.run("resume", "--no-input", code=-9)
    done = plainbox.run("resume", "--no-input", code=1)
    assert "opened 3 times without a new result" in done.stderr
    assert attempts(plainbox) == [("crash", "resume")] * 3
    assert plainbox.jobs()["org.example::after"]["outcome"] == "pass"


def test_five_openings(plainbox, provider) -> None:
    """A session that never gets beyond its setup is given up at the fifth opening, says so, and can be insisted on."""
    directory = provider(
        "unit: setup job\nid: breaks\nplugin: shell\n"
        'command: test -e "$PLAINBOX_SESSION_SHARE/mended" && exit 0; kill -9 $PPID; sleep 60\n\n'
        "id: after\nplugin: shell\ncommand: true\n\n"
        "unit: test plan\nid: plan\nname: Plan\nsetup_include: breaks\ninclude: after\n"
    )
    plainbox.run("run", "--no-input", "--provider", directory, "plan", code=-9)
    for _ in range(4):
        plainbox.run("resume", "--no-input", code=-9)
    stuck = plainbox.run("resume", "--no-input", code=6)
    assert "again and again" in stuck.stderr
    assert "plainbox resume --insist" in stuck.stderr
    assert "given up: opened 5 times" in plainbox.run("session", "show").stdout
    assert "stuck" in [event["kind"] for event in plainbox.json("session", "show")["events"]]
    Path(plainbox.json("session", "list")["sessions"][0]["directory"], "session-share", "mended").touch()
    plainbox.run("resume", "--no-input", "--insist", code=None)
    assert plainbox.jobs()["org.example::after"]["outcome"] == "pass"


# -- other jobs than before


def test_changed_job(plainbox, killed) -> None:
    """A job that is defined in another way ends the resume, unless that is allowed; older results are marked."""
    directory = killed("plugin: shell\n_summary: One")
    units = directory / "units" / "units.pxu"
    plainbox.run("resume", "--no-input", "--outcome", "rerun", "--exclude", "x", code=2)
    text = units.read_text()
    units.write_text(text.replace("_summary: One", "_summary: Two"))
    refused = plainbox.run("resume", "--no-input", code=3)
    assert JOB in refused.stderr
    assert "--allow-changed" in refused.stderr
    assert "--allow-missing" not in refused.stderr
    plainbox.run("resume", "--no-input", "--allow-changed", code=1)
    # Judged by the definition of now: only what came before is about another one.
    assert not plainbox.jobs()[JOB]["stale_definition"]
    assert attempts(plainbox) == [("crash", "resume")]


def test_result_of_a_changed_job(plainbox, provider, tmp_path: Path) -> None:
    """A result of a job that has changed since stays, and is marked wherever it is shown."""
    units = (
        "id: first\nplugin: shell\n_summary: One\ncommand: true\n\nid: second\nplugin: shell\n"
        "command: kill -9 $PPID; sleep 60\n\nunit: test plan\nid: plan\nname: Plan\ninclude:\n first\n second\n"
    )
    directory = provider(units)
    plainbox.run("run", "--no-input", "--provider", directory, "plan", code=-9)
    (directory / "units" / "units.pxu").write_text(units.replace("One", "Two"))
    plainbox.run("resume", "--no-input", "--allow-changed", code=1)
    assert plainbox.jobs()["org.example::first"]["stale_definition"]
    assert "its definition has changed since" in plainbox.run("session", "show").stdout
    report = tmp_path / "report"
    plainbox.run("export", "-f", "json", "-o", report)
    assert '"stale_definition": true' in report.read_text()
    plainbox.run("export", "-f", "html", "-o", report)
    assert "definition has changed" in report.read_text()


def test_missing_job(plainbox, killed) -> None:
    """A job that is not there any more is named with its provider; without it the session goes on when that is allowed."""
    directory = killed()
    units = directory / "units" / "units.pxu"
    plan = units.read_text().partition("id: after")
    units.write_text("id: after" + plan[2])
    refused = plainbox.run("resume", "--no-input", code=3)
    assert f"{JOB} (provider org.example:demo)" in refused.stderr
    assert "--allow-missing" in refused.stderr
    plainbox.run("resume", "--no-input", "--allow-missing", code=None)
    assert attempts(plainbox) == [("not-supported", "resume")]
    assert plainbox.jobs()["org.example::after"]["outcome"] == "pass"


def test_strict_environment(plainbox, killed) -> None:
    """Another version of a provider ends a strict resume, is told by session show, and is no obstacle otherwise."""
    directory = killed()
    definition = directory / "demo.provider"
    definition.write_text(definition.read_text().replace("1.0", "2.0"))
    refused = plainbox.run("resume", "--no-input", "--strict-environment", code=3)
    assert "providers.org.example:demo: 1.0 -> 2.0" in refused.stderr
    assert "without --strict-environment" in refused.stderr
    assert plainbox.jobs()[JOB]["interrupted"]
    plainbox.run("resume", "--no-input", code=1)
    shown = plainbox.json("session", "show")
    assert shown["openings"][-1]["changed"] == {"providers.org.example:demo": ["1.0", "2.0"]}
    assert "providers.org.example:demo was 1.0, is 2.0" in plainbox.run("session", "show").stdout


def test_strict_environment_after_a_reboot(plainbox, killed, tmp_path: Path) -> None:
    """Another boot of the same machine is the same environment."""
    boot = tmp_path / "boot"
    boot.write_text("first")
    killed(PLAINBOX_BOOT_ID_FILE=str(boot))
    boot.write_text("second")
    plainbox.run("resume", "--no-input", "--strict-environment", code=1, PLAINBOX_BOOT_ID_FILE=str(boot))
    assert "boot_id" in plainbox.json("session", "show")["openings"][-1]["changed"]


# -- on a terminal


class Terminal:
    """A command on a terminal, with answers typed as they are asked for."""

    def __init__(self, plainbox, *words: str | Path, **variables: str) -> None:
        self._master, child = pty.openpty()
        self._process = subprocess.Popen(
            plainbox.command(*words),
            env={**plainbox.environment, "TERM": "dumb", **variables},
            stdin=child,
            stdout=child,
            stderr=child,
            cwd=plainbox.home,
            start_new_session=True,
        )
        os.close(child)
        self.text = ""

    def answer(self, question: str, answer: str) -> None:
        self._read_until(lambda: question in self.text)
        self.text = self.text.partition(question)[2]
        os.write(self._master, answer.encode() + b"\n")

    def end(self) -> int:
        self._read_until(lambda: False)
        os.close(self._master)
        return self._process.wait(60)

    def _read_until(self, seen: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not seen():
            assert time.monotonic() < deadline, self.text
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the other end is closed
                return
            self.text += data.decode()


def interrupt(plainbox, provider) -> Path:
    directory = provider(
        "id: first\nplugin: shell\ncommand: test -e $PLAINBOX_SESSION_SHARE/x && exit 0; touch $PLAINBOX_SESSION_SHARE/x; "
        "kill -9 $PPID; sleep 60\n\nunit: test plan\nid: plan\nname: The plan\ninclude: first\n"
    )
    plainbox.run("run", "--no-input", "--provider", directory, "plan", code=-9)
    return directory


def test_offer(plainbox, provider) -> None:
    """A bare run on a terminal offers to go on with the interrupted session, and names it."""
    directory = interrupt(plainbox, provider)
    terminal = Terminal(plainbox, "run", "--provider", directory)
    terminal.answer("(The plan)? [Y/n]", "")
    assert terminal.end() == 1
    [session] = plainbox.json("session", "list")["sessions"]
    assert session["state"] == "complete"


@pytest.mark.parametrize("option", ["--title", "--exclude", "--match"])
def test_no_offer_for_a_request(plainbox, provider, option: str) -> None:
    """Who says what to run gets a new session, and is told how to go on with the interrupted one."""
    directory = interrupt(plainbox, provider)
    value = {"--title": "Mine", "--exclude": "nothing", "--match": "first"}[option]
    terminal = Terminal(plainbox, "run", "--provider", directory, option, value)
    terminal.end()
    assert f"has no use for {option}" in terminal.text
    assert "plainbox resume pbox-" in terminal.text
    sessions = plainbox.json("session", "list")["sessions"]
    assert len(sessions) == 2
    assert sessions[1]["state"] == "incomplete"


def test_offer_beside_a_broken_session(plainbox, provider) -> None:
    """A session that cannot be read is told, and the one behind it is offered."""
    directory = interrupt(plainbox, provider)
    [session] = plainbox.json("session", "list")["sessions"]
    for number, content in enumerate((b"", b"\0" * 500, b"PBJ1 what\n{}\n")):
        broken = Path(session["directory"]).with_name(f"pbox-2099-01-01T00.00.0{number}.000000.session")
        broken.mkdir()
        (broken / "journal-000001.pbj").write_bytes(content)
    terminal = Terminal(plainbox, "run", "--provider", directory)
    terminal.answer("(The plan)? [Y/n]", "y")
    assert terminal.end() == 1
    assert plainbox.jobs(session["id"])["org.example::first"]["outcome"] == "crash"
