# SPDX-License-Identifier: Apache-2.0
"""``-j N``: jobs at the same time, seen from outside."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from plainbox.processes import read_stat
from plainbox.session.storage import SessionStorage

PLAN = "\nunit: test plan\nid: plan\nname: Plan\ninclude: .*\n"
#: Two jobs that wait for each other, and for a file, a minute at most.
PAIR = "".join(
    f"id: {name}\nplugin: shell\n"
    f"command: touch $BOX/{name}; for i in $(seq 1200); do test -e $BOX/{other} -a -e $BOX/go && exit 0; sleep 0.05; "
    "done; exit 1\n\n"
    for name, other in (("one", "two"), ("two", "one"))
)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    directory = tmp_path / "box"
    directory.mkdir()
    return directory


def wait_for(*paths: Path) -> None:
    deadline = time.monotonic() + 60
    while not all(path.exists() for path in paths):
        assert time.monotonic() < deadline, f"{paths} did not appear"
        time.sleep(0.02)


def outcomes(plainbox) -> dict[str, str]:
    return {job_id.partition("::")[2]: job["outcome"] for job_id, job in plainbox.jobs().items()}


def test_jobs_at_the_same_time(plainbox, provider, box: Path) -> None:
    """With -j 2 two jobs that wait for each other pass, and the counter counts those that have ended."""
    (box / "go").touch()
    done = plainbox.run("run", "--no-input", "-j", "2", "--provider", provider(PAIR + PLAN), "plan", BOX=str(box))
    assert outcomes(plainbox) == {"one": "pass", "two": "pass"}
    assert re.findall(r"^\[(\d/\d)\]", done.stderr, re.MULTILINE) == ["1/2", "2/2"]


def test_without_the_option_one_after_the_other(plainbox, provider, box: Path) -> None:
    """Without -j a job begins when the one before it has ended."""
    units = "".join(
        f"id: j{number}\nplugin: shell\ncommand: mkdir $BOX/alone && sleep 0.05 && rmdir $BOX/alone\n\n"
        for number in range(4)
    )
    plainbox.run("run", "--no-input", "--provider", provider(units + PLAN), "plan", BOX=str(box))
    assert set(outcomes(plainbox).values()) == {"pass"}


def test_locks(plainbox, provider, box: Path) -> None:
    """Jobs that use the same thing do not meet."""
    units = "".join(
        f"id: j{number}\nplugin: shell\nuses: it\ncommand: mkdir $BOX/alone && sleep 0.05 && rmdir $BOX/alone\n\n"
        for number in range(4)
    )
    plainbox.run("run", "--no-input", "-j", "4", "--provider", provider(units + PLAN), "plan", BOX=str(box))
    assert set(outcomes(plainbox).values()) == {"pass"}


def test_each_line_says_whose_it_is(plainbox, provider) -> None:
    """With -v each line of output is shown whole, after the id of its job, also one without an end."""
    units = "".join(
        f"id: {name}\nplugin: shell\ncommand: for i in 1 2 3; do printf '{name} '; sleep 0.05; echo $i; done; "
        "printf end\n\n"
        for name in ("a", "b")
    )
    done = plainbox.run("run", "-v", "--no-input", "-j", "2", "--provider", provider(units + PLAN), "plan")
    for name in ("a", "b"):
        shown = [line for line in done.stderr.splitlines() if line.startswith(f"org.example::{name} | ")]
        assert [line.partition(" | ")[2] for line in shown] == [f"{name} 1", f"{name} 2", f"{name} 3", "end"]


@pytest.mark.parametrize("number", ["0", "-1", "many", "1.5", "100000", "²"])
def test_a_number_that_makes_no_sense(plainbox, number: str) -> None:
    """What is no sensible number of jobs is refused before anything is begun."""
    done = plainbox.run("run", f"-j{number}", "plan", code=2)
    assert "no number from 1 to" in done.stderr


def limited(plainbox, limit: str, *words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Plainbox to the end where ``ulimit LIMIT`` holds."""
    return subprocess.run(
        ["/bin/sh", "-c", f'ulimit {limit} && exec "$@"', "sh", *plainbox.command(*words)],
        env={**plainbox.environment, **variables},
        cwd=plainbox.home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_a_number_that_the_limit_of_open_files_cannot_carry(plainbox, provider) -> None:
    """A number of jobs for which not enough files can be open is refused, with the largest that can."""
    directory = provider("id: a\nplugin: shell\ncommand: true\n" + PLAN)
    done = limited(plainbox, "-n 128", "run", "--no-input", "-j9", "--provider", directory, "plan")
    assert done.returncode == 2
    assert "leaves room for 8 jobs at the same time" in done.stderr


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
def test_a_low_limit_of_open_files(hard: bool, plainbox, provider, box: Path) -> None:
    """A soft limit that is too low is raised, and the jobs have the old one; what a hard limit leaves room for runs."""
    names = [f"j{number}" for number in range(20)]
    limit, seen = ("-n 224", "224") if hard else ("-S -n 48", "48")
    meet = f'until test "$(ls "$BOX" | wc -l)" -ge {len(names)}; do sleep 0.1; done'
    units = "".join(
        f"id: {name}\nplugin: shell\ncommand: touch $BOX/{name}; test $(ulimit -S -n) = {seen} && {meet}\n\n"
        for name in names
    )
    done = limited(
        plainbox, limit, "run", "--no-input", "-j20", "--provider", provider(units + PLAN), "plan", BOX=str(box)
    )
    assert done.returncode == 0, done.stderr
    assert outcomes(plainbox) == dict.fromkeys(names, "pass")


def test_interrupted_jobs_are_called_so(plainbox, provider, box: Path) -> None:
    """What was running when the run was ended from outside is interrupted in the sum, not one that has not started."""
    units = PAIR + "id: zz-later\nplugin: shell\nafter: one\ncommand: true\n"
    process = plainbox.start("run", "--no-input", "-j", "2", "--provider", provider(units + PLAN), "plan", BOX=str(box))
    wait_for(box / "one", box / "two")
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143
    assert re.search(r"^3 jobs in .*: 1 not started, 2 interrupted$", stderr, re.MULTILINE)


def test_interrupts(plainbox, provider, box: Path) -> None:
    """The first interrupt says that all running jobs may end, and lets them; a resume runs the rest."""
    units = PAIR + "id: zz-later\nplugin: shell\nafter: one\ncommand: true\n"
    process = plainbox.start("run", "--no-input", "-j", "2", "--provider", provider(units + PLAN), "plan", BOX=str(box))
    wait_for(box / "one", box / "two")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    (box / "go").touch()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 6
    assert "Stopping when the running jobs have ended; once more ends them now." in stderr
    assert outcomes(plainbox) == {"one": "pass", "two": "pass", "zz-later": None}
    plainbox.run("resume", "--no-input", "-j", "2", BOX=str(box))
    assert outcomes(plainbox)["zz-later"] == "pass"


def test_killed_and_resumed(plainbox, provider, box: Path) -> None:
    """When a run is killed, each job that was running gets its own verdict, and its processes are ended."""
    units = (
        PAIR.replace("id: two\n", "id: two\non-crash: retry\n")
        + "id: shy\nplugin: shell\ncommand: touch $BOX/shy; test -e $BOX/go && exit 0; sleep 300\n"
    )
    process = plainbox.start("run", "--no-input", "-j", "3", "--provider", provider(units + PLAN), "plan", BOX=str(box))
    wait_for(box / "one", box / "two", box / "shy")
    [path] = plainbox.sessions.glob("*.session")
    # A result in the share could be of any of them, so it counts for none.
    (path / "session-share" / "__result").write_text('{"outcome": "pass"}')
    process.kill()
    process.communicate()
    running = json.loads(SessionStorage(path).load_checkpoint())["meta"]["running"]
    assert len(running) == 3
    (box / "go").touch()
    done = plainbox.run("resume", "--no-input", "-j", "3", code=1, BOX=str(box))
    assert "org.example::one was interrupted" in done.stderr
    assert "org.example::shy was interrupted" in done.stderr
    found = plainbox.jobs()
    assert outcomes(plainbox) == {"one": "crash", "two": "pass", "shy": "crash"}
    assert len(found["org.example::two"]["attempts"]) == 2
    for attempt in running.values():
        left = read_stat(attempt["process_group"])
        assert left is None or left.ended or left.start_ticks != attempt["start_ticks"]
    notes = [note for record in SessionStorage(path).records() for note in record.get("notes", ())]
    assert sum(note["kind"] == "resume-decision" for note in notes) == 3


def test_setup_jobs_run_alone(plainbox, provider, box: Path) -> None:
    """Setup jobs are never side by side, however many jobs may run."""
    units = "".join(
        f"unit: setup job\nid: prepare-{number}\nplugin: shell\n"
        "command: mkdir $BOX/alone && sleep 0.05 && rmdir $BOX/alone\n\n"
        for number in range(3)
    )
    units += (
        "id: job\nplugin: shell\ncommand: true\n\nunit: test plan\nid: plan\nname: Plan\n"
        "setup_include:\n prepare-0\n prepare-1\n prepare-2\n"
        "include: job\n"
    )
    plainbox.run("run", "--no-input", "-j", "4", "--provider", provider(units), "plan", BOX=str(box))
    assert set(outcomes(plainbox).values()) == {"pass"}


def test_the_trace_of_jobs_at_the_same_time(plainbox, provider, box: Path) -> None:
    """In the trace each command is below the job that has run it, and all jobs are below the session."""
    (box / "go").touch()
    directory = provider(PAIR + PLAN)
    plainbox.run("run", "--no-input", "-j2", "--provider", directory, "plan", BOX=str(box), PLAINBOX_TRACE="file")
    [path] = plainbox.sessions.glob("*.session/trace.jsonl")
    spans = {span["span_id"]: span for span in map(json.loads, path.read_text().splitlines())}
    commands = [span for span in spans.values() if span["name"] == "running command"]
    assert len(commands) == 2
    for command in commands:
        job = spans[command["parent_id"]]
        assert job["name"] == "running job"
        assert job["attributes"]["plainbox.job.id"] == command["attributes"]["plainbox.job.id"]
        assert spans[job["parent_id"]]["name"] == "running session"
