# SPDX-License-Identifier: Apache-2.0
"""Asking a run to stop, and what a stop from outside leaves behind: nothing that a resume could not judge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hostile_rig import nested

from plainbox.errors import StorageFullError
from plainbox.runner.stop import StopRequest
from plainbox.tasks.identity import name_of_owner
from plainbox.tasks.sweeping import clear_dead_directories

PLAN = "\nunit: test plan\nid: plan\nname: Plan\ninclude: .*\n"


def shell(name: str, command: str, flags: str = "") -> str:
    lines = [f"id: {name}", "plugin: shell", f"command: {command}", *([f"flags: {flags}"] if flags else [])]
    return "\n" + "\n".join(lines) + "\n"


# -- the request


def test_nobody_has_asked() -> None:
    """A run goes on as long as nobody asks."""
    stop = StopRequest()
    assert (stop.requested, stop.cancel.cancelled, stop.suspending) == (False, False, False)
    assert stop.wait(0.0) is False


def test_after_this_job() -> None:
    """The current job may come to its end."""
    stop = StopRequest()
    stop.after_this_job()
    assert stop.requested
    assert not stop.cancel.cancelled


def test_now() -> None:
    """The current job is ended, for the reason that came first."""
    stop = StopRequest()
    stop.now("SIGINT")
    stop.now("SIGTERM")
    assert stop.requested
    assert stop.cancel.reason == "SIGINT"
    assert not stop.suspending


def test_suspend() -> None:
    """A stop from outside ends the current job too, and says that nothing can be concluded from it."""
    stop = StopRequest()
    stop.suspend("SIGTERM")
    assert stop.requested
    assert stop.suspending
    assert stop.cancel.reason == "SIGTERM"


def test_waiting_ends_when_somebody_asks() -> None:
    """Whoever waits for a request does not wait longer than for the request."""
    stop = StopRequest()
    began = time.monotonic()
    threading.Timer(0.05, stop.after_this_job).start()
    assert stop.wait(60.0) is True
    assert time.monotonic() - began < 30


def test_waiting_for_the_end_of_a_job() -> None:
    """Who waits for the end of a job is not disturbed by a request to stop after it."""
    stop = StopRequest()
    stop.after_this_job()
    assert stop.wait(60.0) is True
    assert stop.wait_for_end(0.01) is False
    stop.suspend("SIGTERM")
    assert stop.wait_for_end(60.0) is True


def test_at_once() -> None:
    """A job that is to end at once is cancelled and gets no time, and the first reason stays."""
    stop = StopRequest()
    stop.now("SIGINT")
    assert not stop.cancel.hurried
    stop.at_once("again")
    assert (stop.cancel.reason, stop.cancel.hurried, stop.suspending) == ("SIGINT", True, False)


# -- stops from outside


def test_stop_from_outside(runs, catalogue, outcomes) -> None:
    """A job that is ended with its tester has no result; it is judged when the session goes on."""
    text = shell("a", "echo begun; sleep 300") + shell("b", "true") + PLAN
    run = runs.start(catalogue(text), plan="plan")
    run.runner.on_job_output.connect(lambda job, stream, data: run.stop.suspend("SIGTERM"))
    assert not run.go_on()
    assert outcomes(run) == {"a": None, "b": None}
    meta = json.loads(run.manager.storage.load_checkpoint())["meta"]
    assert list(meta["running"]) == ["org.example::a"]
    assert "incomplete" in meta["flags"]
    again = runs.reopen(catalogue(text), run)
    assert [(job.partial_id, result.outcome) for job, result in again.settled] == [("a", "crash")]
    assert b"begun" in b"".join(again.settled[0][1].iter_output())
    assert again.go_on()
    assert outcomes(again) == {"a": "crash", "b": "pass"}


def test_job_that_takes_the_machine_down(runs, catalogue, outcomes, monkeypatch, tmp_path: Path) -> None:
    """A job that ends before the machine does is not judged by its own end."""
    boot = tmp_path / "boot"
    boot.write_text("first")
    monkeypatch.setenv("PLAINBOX_BOOT_ID_FILE", str(boot))
    text = shell("reboots", "true", "noreturn expect-reboot") + PLAN
    run = runs.start(catalogue(text), plan="plan")
    threading.Timer(0.3, run.stop.suspend, ["SIGTERM"]).start()
    assert not run.go_on()
    boot.write_text("second")
    again = runs.reopen(catalogue(text), run)
    assert again.go_on()
    assert outcomes(again) == {"reboots": "pass"}


@pytest.mark.parametrize(("command", "flags"), [("true", "noreturn"), ("kill $$", "simple"), ("exit 143", "simple")])
def test_shutdown_after_an_interrupt(runs, catalogue, outcomes, command: str, flags: str) -> None:
    """Who has asked to stop after a job does not take from it the time that a shutdown needs to reach the tester."""
    run = runs.start(catalogue(shell("a", command, flags) + PLAN), plan="plan")
    run.runner.on_job_started.connect(lambda job, number, total: run.stop.after_this_job())
    run.runner._executor._noreturn_wait_s = 60
    end = run.runner._executor._is_suspended

    def ended(*arguments: object) -> bool:
        threading.Timer(0.1, run.stop.suspend, ["SIGTERM"]).start()
        return end(*arguments)

    run.runner._executor._is_suspended = ended
    assert not run.go_on()
    assert outcomes(run) == {"a": None}


@pytest.mark.parametrize("code", [129, 143])
def test_job_that_says_143_without_a_shutdown(runs, catalogue, outcomes, code: int) -> None:
    """Without a shutdown a return code is what it always is."""
    run = runs.start(catalogue(shell("a", f"exit {code}") + PLAN), plan="plan")
    assert run.go_on()
    assert outcomes(run) == {"a": "fail"}


@pytest.mark.parametrize(("flags", "outcome"), [("noreturn", "fail"), ("noreturn expect-reboot", "crash")])
def test_job_that_returns_although_it_should_not(runs, catalogue, outcomes, flags: str, outcome: str) -> None:
    """A job that is to end its tester and comes back without anything happening has not done its work."""
    run = runs.start(catalogue(shell("a", "true", flags) + PLAN), plan="plan")
    run.runner._executor._noreturn_wait_s = 0.05
    assert run.go_on()
    assert outcomes(run) == {"a": outcome}
    assert "nothing has ended the test session" in (run.state.job_state_map["org.example::a"].result.comments or "")


@pytest.mark.parametrize("flags", ["noreturn", "noreturn expect-reboot"])
def test_end_that_is_not_waited_for(runs, catalogue, outcomes, flags: str) -> None:
    """Who cuts short the wait for the end of the machine has ended the job: it has crashed, and nothing else is said."""
    run = runs.start(catalogue(shell("a", "true", flags) + PLAN), plan="plan")
    awaited: list[tuple[str, float, str | None]] = []

    def end(job, limit_s: float) -> None:
        awaited.append((job.id, limit_s, run.stop.awaits))
        threading.Timer(0.05, run.stop.now, ["SIGINT"]).start()

    run.runner.on_end_awaited.connect(end)
    assert not run.go_on()
    assert outcomes(run) == {"a": "crash"}
    assert run.state.job_state_map["org.example::a"].result.comments == "cancelled: SIGINT"
    assert awaited == [("org.example::a", 300.0, "the machine has gone down or 300 s are over")]
    assert run.stop.awaits is None


def test_job_that_is_ended_and_then_returns(runs, catalogue, outcomes) -> None:
    """A job that is not to return and is ended by a person has crashed, also when it says then that all is well."""
    run = runs.start(
        catalogue(shell("a", "trap 'exit 0' TERM; echo; sleep 300 & wait", "noreturn") + PLAN), plan="plan"
    )
    run.runner.on_job_output.connect(lambda job, stream, data: run.stop.now("SIGINT"))
    assert not run.go_on()
    assert outcomes(run) == {"a": "crash"}
    assert run.state.job_state_map["org.example::a"].result.comments == "cancelled: SIGINT"


def test_job_that_fails_instead_of_not_returning(runs, catalogue, outcomes) -> None:
    """A job that should not return and fails has failed at once."""
    run = runs.start(catalogue(shell("a", "exit 3", "noreturn") + PLAN), plan="plan")
    assert run.go_on()
    assert outcomes(run) == {"a": "fail"}


# -- a full disk


def test_waiting_for_space(runs, catalogue, outcomes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that cannot be stored for lack of space is kept until there is some, and then the run goes on."""
    monkeypatch.setattr("plainbox.runner.space._PAUSE_S", 0.01)
    run = runs.start(catalogue(shell("a", "true") + shell("b", "true") + PLAN), plan="plan")
    plain = run.manager.storage.save_checkpoint
    refusals = 3

    def save(data: bytes) -> None:
        nonlocal refusals
        if b'"res"' in data and refusals:
            refusals -= 1
            raise StorageFullError("no space", errno=28)
        plain(data)

    monkeypatch.setattr(run.manager.storage, "save_checkpoint", save)
    assert run.go_on()
    assert refusals == 0
    assert outcomes(run) == {"a": "pass", "b": "pass"}
    monkeypatch.undo()


# -- what killed testers leave


def test_directories_of_dead_testers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary directories of testers that are gone are removed when they are old; all others are left alone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = "plainbox-job-1-1-abc"
    names = {
        dead: False,
        "plainbox-nest-1-1-abc": False,
        name_of_owner("plainbox-job-") + "abc": True,
        "plainbox-job-of-somebody": True,
        "another-1-1-abc": True,
    }
    for name in names:
        (tmp_path / name / "inside").mkdir(parents=True)
        os.utime(tmp_path / name, (1, 1))
    young = tmp_path / "plainbox-job-1-2-young"
    young.mkdir()
    (tmp_path / "plainbox-job-1-3-file").write_text("x")
    os.utime(tmp_path / "plainbox-job-1-3-file", (1, 1))
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "plainbox-job-1-4-link").symlink_to(target)
    clear_dead_directories()
    assert {name: (tmp_path / name).exists() for name in names} == names
    assert young.exists()
    assert (tmp_path / "plainbox-job-1-3-file").exists()
    assert target.exists()


def test_leftovers_of_programs(tmp_path: Path) -> None:
    """A program that makes a working directory sweeps once what others have left."""
    (tmp_path / "plainbox-job-1-1-abc").mkdir()
    os.utime(tmp_path / "plainbox-job-1-1-abc", (1, 1))
    script = (
        "import os, sys\n"
        "from plainbox.tasks.workplace import Workplace\n"
        "Workplace().clear()\n"
        "print(os.listdir(sys.argv[1]))\n"
        "os.mkdir(sys.argv[1] + '/plainbox-job-1-1-abc'); os.utime(sys.argv[1] + '/plainbox-job-1-1-abc', (1, 1))\n"
        "Workplace().clear()\n"
        "print(os.listdir(sys.argv[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n['plainbox-job-1-1-abc']\n"


def test_no_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a directory for temporary files there is nothing to clear, and that is no reason not to run."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    clear_dead_directories()


def test_dead_directory_of_any_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a job has nested very deeply is cleared like everything else, and costs no run."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with nested(tmp_path / "plainbox-job-1-1-abc"):
        os.utime(tmp_path / "plainbox-job-1-1-abc", (1, 1))
        clear_dead_directories()
        assert os.listdir(tmp_path) == []
