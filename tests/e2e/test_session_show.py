# SPDX-License-Identifier: Apache-2.0
"""What ``plainbox session show`` tells of attempts, decisions and openings, and that looking leaves no trace."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from e2e_support import read_only

from plainbox.session.storage import SessionStorage

RETRIED = (
    "id: retried\nplugin: shell\non-crash: retry\n_summary: Dies once\n"
    'command: cd "$PLAINBOX_SESSION_SHARE"; test -e once && { echo second time; exit 0; }; touch once; '
    "echo first time; sleep 0.5; kill -9 $PPID; sleep 60\n\nid: plain\nplugin: shell\ncommand: echo plain\n\n"
    "unit: test plan\nid: plan\nname: Plan\ninclude:\n retried\n plain\n"
)
JOB = "org.example::retried"


@pytest.fixture
def resumed(plainbox, provider) -> dict:
    """Return what the command tells of a session whose first job was retried after its tester had died."""
    plainbox.run("run", "--no-input", "--provider", provider(RETRIED), "plan", code=-9)
    plainbox.run("resume", "--no-input")
    return plainbox.json("session", "show")


def test_attempts(plainbox, resumed) -> None:
    """Each attempt is there with its origin and its log, and the one that counts is marked."""
    [job] = [job for job in resumed["jobs"] if job["id"] == JOB]
    assert (job["outcome"], job["attempt"], job["origin"]) == ("pass", 2, "run")
    assert [(item["attempt"], item["outcome"], item["origin"], item["counts"]) for item in job["attempts"]] == [
        (1, "crash", "resume", False),
        (2, "pass", "run", True),
    ]
    assert len({item["log"] for item in job["attempts"]}) == 2
    assert "[attempt 2 of 2]" in plainbox.run("session", "show").stdout


def test_what_happened(plainbox, resumed) -> None:
    """Openings and decisions are told, in order; a session without any has no such part."""
    assert [event["kind"] for event in resumed["events"]] == ["opened", "resume-decision"]
    decision = resumed["events"][1]["data"]
    assert (decision["job"], decision["rule"], decision["retry"]) == (JOB, "retry", True)
    assert [opening["why"] for opening in resumed["openings"]] == ["create", "resume"]
    assert resumed["openings"][1]["changed"] == {}
    assert resumed["generation"] == 1
    text = plainbox.run("session", "show").stdout
    assert "What happened" in text
    assert f"{JOB}: attempt 1 was interrupted: crash, to be run again (rule: retry)" in text
    plainbox.run("run", "--no-input", "--provider", plainbox.home.parent / "provider-demo", "plain")
    assert "What happened" not in plainbox.run("session", "show").stdout


@pytest.mark.parametrize("name", [JOB, "retried"])
def test_one_job(plainbox, resumed, name: str) -> None:
    """One job is shown whole, with the end of what it printed in each attempt."""
    text = plainbox.run("session", "show", "--job", name).stdout
    assert re.search(r"Attempt 1: crash, judged on resume.*\n(.*\n)*?  \| first time\n", text)
    assert re.search(r"Attempt 2: pass, return code 0.*counts\n  \| second time\n", text)
    assert "plain" not in text.replace("plainbox", "")
    shown = json.loads(plainbox.run("session", "show", "--job", name, "--json").stdout)
    assert [item["log_tail"] for item in shown["jobs"][0]["attempts"]] == ["first time", "second time"]


def test_job_that_is_not_there(plainbox, resumed) -> None:
    """A job that the session does not have is an error that names it."""
    assert "'nobody'" in plainbox.run("session", "show", "--job", "nobody", code=2).stderr


def test_lost_log(plainbox, resumed) -> None:
    """A log that is gone is told in its place; the rest is shown."""
    [job] = [job for job in resumed["jobs"] if job["id"] == JOB]
    Path(resumed["directory"], job["attempts"][0]["log"]).unlink()
    text = plainbox.run("session", "show", "--job", JOB).stdout
    assert "the log cannot be read" in text
    assert "second time" in text


def test_reports_of_attempts(plainbox, resumed, tmp_path: Path) -> None:
    """Reports have all attempts, say which one counts, and have the output of the earlier ones."""
    report = tmp_path / "report"
    plainbox.run("export", "-f", "json", "-o", report)
    [result] = [item for item in json.loads(report.read_text())["results"] if item["full_id"] == JOB]
    assert result["attempt"] == 2
    assert [(item["attempt"], item["outcome"]) for item in result["attempts"]] == [(1, "crash"), (2, "pass")]
    plainbox.run("export", "-f", "html", "-o", report)
    page = report.read_text()
    assert "Output of attempt 1" in page
    assert "first time" in page
    assert page.count(" counts</td>") == 1


def test_notes_of_the_journal(plainbox, provider) -> None:
    """A jump of the clock, a full disk and remarks that nobody knows are told; they can do nothing to a terminal."""
    plainbox.run("run", "--no-input", "--provider", provider("id: a\nplugin: shell\ncommand: true\n"), "a")
    [session] = plainbox.json("session", "list")["sessions"]
    with SessionStorage(session["directory"]) as storage:
        storage.note("clock-jump", {"by_s": -86400.0}, now=True)
        storage.note("storage-full", {"errno": 28}, now=True)
        storage.note("sync-failed", {"gen": 1, "errno": 5}, now=True)
        storage.note("odd\x1b[31m", {"x": ["\x1b[0m"]}, now=True)
    text = plainbox.run("session", "show").stdout
    assert "jumped by -86400.0 s" in text
    assert "no space to store the session (No space left on device)" in text
    assert "did not take what was written (Input/output error)" in text
    assert "odd" in text
    assert "\x1b" not in text
    assert "\x1b" not in plainbox.run("session", "show", "--json").stdout


def _state_of(directory: Path) -> dict[str, tuple[int, ...]]:
    found = {}
    for path in [directory, *directory.rglob("*")]:
        status = path.lstat()
        found[str(path)] = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode)
    return found


def test_looking_leaves_no_trace(plainbox, resumed) -> None:
    """Showing makes, changes and removes no file of the repository."""
    before = _state_of(plainbox.sessions)
    plainbox.run("session", "show")
    plainbox.run("session", "show", "--job", JOB)
    assert _state_of(plainbox.sessions) == before


def test_medium_that_is_read_only(plainbox, resumed) -> None:
    """A session on a medium that nobody can write to is shown like any other."""
    show = plainbox.command("session", "show", "--job", JOB)
    done = subprocess.run([*read_only(plainbox), *show], env=plainbox.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "second time" in done.stdout


def test_while_it_runs(plainbox, provider, tmp_path: Path) -> None:
    """A running session is shown with the attempt that runs and what it has printed until now."""
    directory = provider("id: slow\nplugin: shell\ncommand: echo early; sleep 60\n")
    process = plainbox.start("run", "--no-input", "--provider", directory, "slow")
    try:
        deadline = time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline
            time.sleep(0.1)
            if not plainbox.sessions.is_dir() or not list(plainbox.sessions.glob("pbox-*/io-logs/*")):
                continue
            shown = json.loads(plainbox.run("session", "show", "--job", "slow", "--json").stdout)
            if shown["jobs"][0]["running_log_tail"]:
                break
        assert shown["state"] == "running"
        assert (shown["jobs"][0]["running"], shown["jobs"][0]["running_attempt"]) == (True, 1)
        assert shown["jobs"][0]["running_log_tail"] == "early"
        assert "| early" in plainbox.run("session", "show", "--job", "slow").stdout
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
