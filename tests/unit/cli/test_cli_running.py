# SPDX-License-Identifier: Apache-2.0
"""Running from the command line: exit codes, what is said while it runs, reports, going on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from plainbox.errors import StorageError
from plainbox.session.manager import SessionManager

GOOD = "\nid: good\nplugin: shell\ncommand: echo hello\n"
BAD = "\nid: bad\nplugin: shell\ncommand: echo why >&2; exit 1\n"
PLAN = "\nunit: test plan\nid: plan\n_name: The plan\ninclude: .*\n"


@pytest.mark.parametrize(
    ("units", "words", "code"),
    [
        (GOOD, ("good",), 0),
        (GOOD + BAD, ("good", "bad"), 1),
        (GOOD + "\nid: dies\nplugin: shell\ncommand: kill -9 $$\n", ("dies",), 1),
        (GOOD + "\nid: orphan\nplugin: shell\ncommand: true\ndepends: nobody\n", ("orphan", "good"), 0),
        (GOOD, ("nobody",), 2),
        (GOOD, (), 2),
        (GOOD + PLAN, ("plan", "--exclude", ".*"), 5),
        (GOOD, ("good", "-o", "pdf:x"), 2),
        (GOOD, ("good", "-o", "json"), 2),
        (GOOD, ("good", "--exclude", "("), 2),
        (GOOD, ("good", "--timeout", "soon"), 2),
    ],
)
def test_exit_codes(run, provider, units: str, words: tuple[str, ...], code: int) -> None:
    """The exit code says whether all passed, something failed, or nothing was run and why."""
    done = run("run", "--no-input", "--provider", provider(units), *words)
    assert done.code == code, done.err
    assert done.out == ""


def test_what_is_said(run, provider) -> None:
    """A line for each job when its result is there, the reason for what did not pass, a sum, and where it all is."""
    done = run("run", "--no-input", "--provider", provider(GOOD + BAD + PLAN), "plan")
    lines = done.err.splitlines()
    assert lines[0].startswith("The plan")
    assert any(line.startswith("[1/2] passed") and "org.example::good" in line for line in lines)
    assert any(line.startswith("[2/2] FAILED") and "org.example::bad" in line for line in lines)
    assert "hello" not in done.err
    assert any("2 jobs in" in line and "1 passed" in line and "1 failed" in line for line in lines)
    assert "why" in done.err
    assert lines[-1].startswith("Session: pbox-")


def test_the_sum_when_the_storage_fails(run, provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """After trouble with the storage the sum has what is stored: a result that is not is none, and its job interrupted."""
    checkpoint = SessionManager.checkpoint

    def fail_with_bad(manager: SessionManager) -> None:
        assert manager.state is not None
        if manager.state.job_state_map["org.example::bad"].result.outcome is not None:
            raise StorageError("the medium is gone")
        checkpoint(manager)

    monkeypatch.setattr(SessionManager, "checkpoint", fail_with_bad)
    later = "\nid: later\nplugin: shell\nafter: bad\ncommand: true\n"
    done = run("run", "--no-input", "--provider", provider(GOOD + BAD + later), "good", "bad", "later")
    assert done.code == 3
    [line] = [line for line in done.err.splitlines() if line.startswith("3 jobs in")]
    assert line.endswith(": 1 not started, 1 passed, 1 interrupted")
    assert "org.example::bad: failed" not in done.err
    monkeypatch.undo()
    assert run("session", "show", "--json").json["jobs"]


def test_verbose_and_quiet(run, provider) -> None:
    """What jobs print is shown on request, and nothing until the end on request."""
    directory = provider(GOOD)
    assert "hello" in run("run", "--no-input", "-v", "--provider", directory, "good").err
    quiet = run("run", "--no-input", "-q", "--provider", directory, "good")
    assert "[1/1]" not in quiet.err
    assert "1 job in" in quiet.err


def test_reports(run, provider, tmp_path: Path) -> None:
    """Reports are written at the end, also when something failed; one may go to the standard output."""
    report = tmp_path / "report.json"
    done = run("run", "--no-input", "--provider", provider(GOOD + BAD), "good", "bad", "-o", f"json:{report}")
    assert done.code == 1
    assert str(report) in done.err
    assert {item["id"] for item in json.loads(report.read_text())["results"]}
    exported = run("export", "-f", "json")
    assert json.loads(exported.out)["title"]


def test_complete_session_is_not_resumed(run, provider) -> None:
    """There is nothing to go on with in a complete session."""
    run("run", "--no-input", "--provider", provider(GOOD), "good")
    done = run("resume", "--no-input")
    assert done.code == 2
    assert "no session to go on with" in done.err
    [session] = run("session", "list", "--json").json["sessions"]
    done = run("resume", "--no-input", session["id"])
    assert done.code == 2
    assert "complete" in done.err


def test_nothing_selected_leaves_nothing_to_resume(run, provider) -> None:
    """A run that had nothing to do is not offered to be gone on with."""
    run("run", "--no-input", "--provider", provider(GOOD + PLAN), "plan", "--exclude", ".*")
    done = run("resume", "--no-input")
    assert done.code == 2
    assert "no session to go on with" in done.err


def test_resume(run, provider, home: Path) -> None:
    """An interrupted session goes on with the providers that it was started with, and says what became of its job."""
    directory = provider(
        "id: first\nplugin: shell\ncommand: kill -9 $PPID; sleep 60\n\nid: second\nplugin: shell\ncommand: true\n"
        + PLAN
    )
    killed = subprocess.run(
        [sys.executable, "-m", "plainbox.cli.main", "run", "--no-input", "--provider", str(directory), "plan"],
        capture_output=True,
    )
    assert killed.returncode == -9
    done = run("resume", "--no-input")
    assert done.code == 1
    assert "org.example::first was interrupted: crashed" in done.err
    jobs = {job["id"]: job["outcome"] for job in run("session", "show", "--json").json["jobs"]}
    assert jobs == {"org.example::first": "crash", "org.example::second": "pass"}


def test_watcher_that_goes_away(provider, home: Path) -> None:
    """A run whose messages nobody reads any more runs to its end, and its exit code is that of the run."""
    directory = provider(GOOD + BAD + "\nid: last\nplugin: shell\ncommand: sleep 0.2\n" + PLAN)
    process = subprocess.Popen(
        [sys.executable, "-m", "plainbox.cli.main", "run", "--no-input", "--provider", str(directory), "plan"],
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    process.stderr.readline()
    process.stderr.close()
    assert process.wait(60) == 1


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"


@pytest.fixture
def hostile(provider) -> Path:
    """A provider in whose every text is something for terminals."""
    made: Path = provider(
        f"id: good\nplugin: shell\n_summary: {HOSTILE}\ncommand: printf '{HOSTILE}\\033[1m'; exit 1\n\n"
        f"id: broken\nplugin: {HOSTILE}\ncommand: true\n\n"
        f"unit: {HOSTILE}\nid: x\n\n"
        f"unit: test plan\nid: plan\n_name: {HOSTILE}\n_description: {HOSTILE}\ninclude:\n .*\n {HOSTILE}\n",
        description=HOSTILE,
    )
    return made


@pytest.mark.parametrize(
    "words",
    [
        "run --no-input -v plan",
        "list jobs",
        "list plans",
        "list providers",
        "expand plan",
        "show good",
        "show plan",
        "list jobs --json",
        "session list",
        "session show",
        "session list --json",
        "session show HOSTILE",
        "list HOSTILE",
        "show HOSTILE",
        "HOSTILE",
    ],
)
def test_hostile_text(run, hostile: Path, words: str) -> None:
    """Whatever a provider, its jobs and the command line say, nothing of it is obeyed by a terminal."""
    line = [word.replace("HOSTILE", HOSTILE) for word in words.split()]
    if line[0] == "session":
        run("run", "--no-input", "plan", "--provider", hostile)
    elif line[0] != HOSTILE:
        line += ["--provider", str(hostile)]
    done = run(*line)
    said = done.out + done.err
    assert said
    assert not [hex(ord(character)) for character in "\x1b\x07\x9b\u202e" if character in said]
