# SPDX-License-Identifier: Apache-2.0
"""A run is killed without warning; what it had shown is there, and the rest is run, once."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

JOBS = 20
UNITS = (
    "".join(
        f"""
id: job-{number:02d}
plugin: shell
command: echo {number:02d} >> "$LEDGER"; sleep 0.2; echo done {number:02d}
"""
        for number in range(JOBS)
    )
    + "\nunit: test plan\nid: twenty\n_name: Twenty\ninclude: job-.*\n"
)


def is_running(pid: int) -> bool:
    """Tell whether the process still runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def shown_passed(text: str) -> list[str]:
    return re.findall(r"passed +(\S+)", text)


@pytest.mark.parametrize("after", [f"{number / 10:.2f}" for number in range(0, 40, 4)])
def test_kill_and_resume(plainbox, provider, tmp_path: Path, after: str) -> None:
    """After SIGKILL at any moment a resume finishes the session: one crash at most, nothing twice, nothing lost."""
    directory = provider(UNITS)
    ledger = tmp_path / "ledger"
    ledger.touch()
    process = plainbox.start("run", "--no-input", "--provider", directory, "twenty", LEDGER=str(ledger))
    while not plainbox.sessions.is_dir() or not any(plainbox.sessions.glob("*.session/journal-*.pbj")):
        # Before there is a session nothing can be lost.
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(float(after))
    process.kill()
    _, stderr = process.communicate()
    shown = shown_passed(stderr)

    [session] = plainbox.json("session", "list")["sessions"]
    assert session["state"] == "incomplete"
    resumed = plainbox.run("resume", "--no-input", code=None, LEDGER=str(ledger))

    jobs = plainbox.jobs()
    outcomes = Counter(job["outcome"] for job in jobs.values())
    assert len(jobs) == JOBS
    assert outcomes["crash"] <= 1
    assert outcomes["pass"] == JOBS - outcomes["crash"]
    assert resumed.returncode == (1 if outcomes["crash"] else 0)
    assert all(jobs[job_id]["outcome"] == "pass" for job_id in shown), "a job that was shown as passed is not"
    # No job ran twice, and every job that passed did run.
    runs = Counter(ledger.read_text().split())
    assert set(runs.values()) <= {1}
    assert {f"org.example::job-{number}" for number in runs} >= {
        job_id for job_id, job in jobs.items() if job["outcome"] == "pass"
    }
    assert [item["state"] for item in plainbox.json("session", "list")["sessions"]] == ["complete"]


def test_second_process_is_refused(plainbox, provider, tmp_path: Path) -> None:
    """While a session runs, nobody else can go on with it; the refusal names the owner."""
    directory = provider("id: slow\nplugin: shell\ncommand: sleep 30\n")
    process = plainbox.start("run", "--no-input", "--provider", directory, "slow")
    try:
        deadline = time.monotonic() + 30
        while True:
            sessions = plainbox.json("session", "list")["sessions"]
            if sessions and any(job["running"] for job in plainbox.jobs().values()):
                break
            assert time.monotonic() < deadline
        assert sessions[0]["state"] == "running"
        assert sessions[0]["pid"] == process.pid
        refused = plainbox.run("resume", "--no-input", code=3)
        assert str(process.pid) in refused.stderr
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "plainbox resume" in stderr


def test_leftover_process_is_ended(plainbox, provider, tmp_path: Path) -> None:
    """What a killed run has left running is ended before the session goes on."""
    pid_file = tmp_path / "pid"
    directory = provider(
        f"id: hangs\nplugin: shell\ncommand: echo $$ > {pid_file}; sleep 300\n\nid: next\nplugin: shell\n"
        "command: true\n\nunit: test plan\nid: two\nname: Two\ninclude:\n hangs\n next\n"
    )
    process = plainbox.start("run", "--no-input", "--provider", directory, "two")
    deadline = time.monotonic() + 30
    while not (pid_file.exists() and pid_file.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    pid = int(pid_file.read_text())
    assert is_running(pid)

    plainbox.run("resume", "--no-input", code=1)

    assert not is_running(pid)
    jobs = plainbox.jobs()
    assert jobs["org.example::hangs"]["outcome"] == "crash"
    assert jobs["org.example::next"]["outcome"] == "pass"


@pytest.mark.parametrize(
    ("flags", "boot", "outcome"),
    [
        ("noreturn", "second", "pass"),
        ("noreturn", "first", "pass"),
        ("noreturn expect-reboot", "second", "pass"),
        ("noreturn expect-reboot", "first", "crash"),
        ("", "second", "crash"),
    ],
)
def test_noreturn(plainbox, provider, tmp_path: Path, flags: str, boot: str, outcome: str) -> None:
    """A job that ends its tester on purpose passes, unless it expects a reboot that did not come."""
    boot_file = tmp_path / "boot-id"
    boot_file.write_text("first")
    started = tmp_path / "started"
    field = f"flags: {flags}\n" if flags else ""
    directory = provider(f"id: reboots\nplugin: shell\n{field}command: touch {started}; sleep 60\n")
    variables = {"PLAINBOX_BOOT_ID_FILE": str(boot_file)}
    process = plainbox.start("run", "--no-input", "--provider", directory, "reboots", **variables)
    deadline = time.monotonic() + 30
    while not started.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    boot_file.write_text(boot)
    plainbox.run("resume", "--no-input", code=None, **variables)
    job = plainbox.jobs()["org.example::reboots"]
    assert job["outcome"] == outcome
    assert job["attempts"][-1]["origin"] == "resume"
    if boot == "second":
        assert job["comments"].count("boot ") >= 1


def test_retry_on_crash(plainbox, provider, tmp_path: Path) -> None:
    """A job with on-crash: retry runs again after an interruption, and the interrupted attempt stays in its history."""
    started = tmp_path / "started"
    directory = provider(
        f"id: again\nplugin: shell\non-crash: retry\ncommand: test -e {started} && exit 0; touch {started}; sleep 60\n"
    )
    process = plainbox.start("run", "--no-input", "--provider", directory, "again")
    deadline = time.monotonic() + 30
    while not started.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    plainbox.run("resume", "--no-input")
    job = plainbox.jobs()["org.example::again"]
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["crash", "pass"]


def test_result_that_the_job_states(plainbox, provider, tmp_path: Path) -> None:
    """A job may leave its own result in the session share before it takes the tester down."""
    started = tmp_path / "started"
    directory = provider(
        'id: states\nplugin: shell\ncommand: echo \'{"outcome": "skip", "comments": "not today"}\' '
        f"> $PLAINBOX_SESSION_SHARE/__result; touch {started}; sleep 60\n"
    )
    process = plainbox.start("run", "--no-input", "--provider", directory, "states")
    deadline = time.monotonic() + 30
    while not started.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    plainbox.run("resume", "--no-input")
    job = plainbox.jobs()["org.example::states"]
    assert (job["outcome"], job["comments"]) == ("skip", "not today")
