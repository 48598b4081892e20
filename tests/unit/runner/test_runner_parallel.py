# SPDX-License-Identifier: Apache-2.0
"""Several jobs at the same time: the order of what becomes durable, the ends of runs, and whose processes are whose."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plainbox.errors import StorageError, TaskError
from plainbox.runner.interrupted import Circumstances, judge
from plainbox.session.metadata import RunningAttempt
from plainbox.tasks.child import Child

PLAN = "\nunit: test plan\nid: plan\nname: Plan\ninclude: .*\n"


def job(name: str, command: str, *fields: str) -> str:
    """Return a shell job; its command may call ``wait_for NAME`` and ``tell NAME``."""
    words = (
        'wait_for() { for i in $(seq 1200); do test -e "$PLAINBOX_SESSION_SHARE/$1" && return; sleep 0.05; done; '
        'false; }; tell() { touch "$PLAINBOX_SESSION_SHARE/$1"; }; '
    )
    return "\n".join(["", f"id: {name}", "plugin: shell", *fields, f"command: {words}{command}", ""])


@pytest.fixture
def start(runs, catalogue) -> Callable[..., object]:
    """Return a function that starts a run of all jobs of a text, two at the same time unless it says otherwise."""

    def begin(*jobs: str, several: int = 2):
        run = runs.start(catalogue("".join(jobs) + PLAN), plan="plan")
        run.runner.jobs = several
        return run

    return begin


def stored(run) -> dict:
    return json.loads(run.manager.storage.load_checkpoint())


def comment(run, name: str) -> str:
    return run.state.job_state_map[f"org.example::{name}"].result.comments or ""


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def in_background(action: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread


# -- side by side


def test_jobs_run_at_the_same_time(start, outcomes) -> None:
    """Two jobs that wait for each other both pass."""
    run = start(job("a", "tell a; wait_for b"), job("b", "tell b; wait_for a"))
    assert run.go_on()
    assert outcomes(run) == {"a": "pass", "b": "pass"}


def test_not_more_than_were_asked_for(start, outcomes) -> None:
    """Never do more jobs run than there may be."""
    peak: list[int] = []
    count = 'cd "$PLAINBOX_SESSION_SHARE"; mkdir $$; ls | grep -c "^[0-9]*$"; sleep 0.1; rmdir $$'
    run = start(*(job(f"j{number}", count) for number in range(9)), several=3)
    run.runner.on_job_output.connect(lambda job, stream, data: peak.append(int(data)))
    assert run.go_on()
    assert len(peak) == 9
    assert max(peak) == 3


def test_results_are_durable_before_they_are_told(start, outcomes) -> None:
    """Whoever hears of a result, in the thread of the run, finds it on the disk; the jobs are counted."""
    run = start(*(job(f"j{number}", "echo hello") for number in range(8)), several=4)
    numbers: list[tuple[int, int]] = []
    threads = set()
    durable: list[bool] = []

    def finished(job, result) -> None:
        threads.add(threading.get_ident())
        content = stored(run)
        is_there = any(item[0] == job.id and item[1] == result.attempt for item in content.get("res", []))
        durable.append(is_there and job.id not in content["meta"]["running"])

    run.runner.on_job_started.connect(lambda job, number, total: numbers.append((number, total)))
    run.runner.on_job_output.connect(lambda job, stream, data: threads.add(threading.get_ident()))
    run.runner.on_job_finished.connect(finished)
    assert run.go_on()
    assert durable == [True] * 8
    assert threads == {threading.get_ident()}
    assert numbers == [(number, 8) for number in range(1, 9)]
    assert set(outcomes(run).values()) == {"pass"}


def test_commands_run_once_it_is_durable_that_they_do(start, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a command is let go, its process is noted as running in the session on the disk."""
    run = start(*(job(f"j{number}", "true") for number in range(8)), several=4)
    noted: list[bool] = []
    release = Child.release

    def look_first(child: Child) -> None:
        running = stored(run)["meta"]["running"].values()
        noted.append(child.family.leader.process_group in [item.get("process_group") for item in running])
        release(child)

    monkeypatch.setattr(Child, "release", look_first)
    assert run.go_on()
    assert noted == [True] * 8


def test_output_stays_apart(start) -> None:
    """The log of each job has what that job has printed, all of it and in order."""
    lines = "for i in $(seq 200); do echo {0} $i; done; echo {0} >&2"
    run = start(*(job(f"j{number}", lines.format(number)) for number in range(6)), several=3)
    assert run.go_on()
    for number in range(6):
        log = run.state.job_state_map[f"org.example::j{number}"].result.get_io_log()
        printed = b"".join(record.data for record in log if record.stream_name == "stdout").decode()
        assert printed == "".join(f"{number} {i}\n" for i in range(1, 201))


def test_jobs_that_a_resource_makes(runs, catalogue, outcomes) -> None:
    """Jobs that are made of records join a run in which others run on."""
    text = (
        job("long", "wait_for made-y")
        + "\nid: res\nplugin: resource\ncommand: printf 'name: x\\n\\nname: y\\n'\n"
        + "\nunit: template\ntemplate-resource: res\nid: made-{name}\nplugin: shell\n"
        + 'command: touch "$PLAINBOX_SESSION_SHARE/made-{name}"\n'
        + job("last", "test -e $PLAINBOX_SESSION_SHARE/made-x", "requires: res.name == 'x'", "after: long")
    )
    run = runs.start(catalogue(text), "long", "res", "made-.*", "last")
    run.runner.jobs = 2
    assert run.go_on()
    assert outcomes(run) == dict.fromkeys(("long", "res", "made-x", "made-y", "last"), "pass")


def test_what_needs_no_command_holds_nothing_up(start, outcomes) -> None:
    """Jobs that are skipped have their results while another one runs, and what waits for them goes on."""
    run = start(
        job("long", "wait_for last"),
        "\nid: manual\nplugin: manual\ndescription: Look\n",
        job("needs-manual", "true", "depends: manual"),
        job("last", "tell last", "after: needs-manual"),
    )
    assert run.go_on()
    assert outcomes(run) == {"long": "pass", "manual": "skip", "needs-manual": "skip", "last": "pass"}


# -- ends


def test_first_request_lets_all_end(start, runs, catalogue, outcomes) -> None:
    """A request to stop starts no further job and lets those that run come to their ends."""
    jobs = [job("a", "tell a; wait_for go"), job("b", "tell b; wait_for go"), job("c", "true")]
    run = start(*jobs)
    share = Path(run.manager.storage.location, "session-share")

    def ask() -> None:
        wait_until(lambda: (share / "a").exists() and (share / "b").exists())
        run.stop.after_this_job()
        (share / "go").touch()

    thread = in_background(ask)
    assert not run.go_on()
    thread.join()
    assert outcomes(run) == {"a": "pass", "b": "pass", "c": None}
    again = runs.reopen(catalogue("".join(jobs) + PLAN), run)
    again.runner.jobs = 2
    assert again.go_on()
    assert outcomes(again) == {"a": "pass", "b": "pass", "c": "pass"}


def test_second_request_ends_all(start, outcomes) -> None:
    """A request to stop now ends all that run; each has a result that says so."""
    run = start(job("a", "tell a; sleep 300"), job("b", "tell b; sleep 300"), job("c", "true"))
    share = Path(run.manager.storage.location, "session-share")

    def ask() -> None:
        wait_until(lambda: (share / "a").exists() and (share / "b").exists())
        run.stop.now("SIGINT")

    thread = in_background(ask)
    assert not run.go_on()
    thread.join()
    assert outcomes(run) == {"a": "crash", "b": "crash", "c": None}
    assert "cancelled: SIGINT" in comment(run, "a")
    assert not stored(run)["meta"]["running"]


def test_an_end_from_outside_leaves_all_to_be_judged(start, runs, catalogue, outcomes) -> None:
    """What runs when the run is ended from outside has no result, and each of them gets its verdict by its own rules."""
    jobs = [job("a", "tell a; sleep 300"), job("b", "tell b; sleep 300", "on-crash: retry")]
    run = start(*jobs)
    share = Path(run.manager.storage.location, "session-share")

    def ask() -> None:
        wait_until(lambda: (share / "a").exists() and (share / "b").exists())
        run.stop.suspend("SIGTERM")

    thread = in_background(ask)
    assert not run.go_on()
    thread.join()
    assert sorted(stored(run)["meta"]["running"]) == ["org.example::a", "org.example::b"]
    again = runs.reopen(catalogue("".join(jobs) + PLAN), run)
    assert [(job.partial_id, bool(result.get("retry"))) for job, result in again.settled] == [("a", False), ("b", True)]


def test_each_job_has_its_own_limit(start, outcomes) -> None:
    """A job that takes too long is ended, and the one beside it is not."""
    run = start(job("a", "sleep 300", "timeout: 1"), job("b", "wait_for c"), job("c", "tell c", "after: a"))
    assert run.go_on()
    assert outcomes(run) == {"a": "crash", "b": "pass", "c": "pass"}
    assert "limit" in comment(run, "a")


@pytest.mark.parametrize("note", [True, False], ids=["note", "result"])
def test_a_store_that_fails_ends_all(note: bool, start, runs, catalogue, outcomes, monkeypatch) -> None:
    """When the session cannot be stored, what runs is ended and has no result; a command that was held has not run."""
    jobs = [
        job("a", "echo $$; tell a; sleep 300"),
        job("b", "wait_for a", "after: quick") if note else job("b", "wait_for a"),
        job("quick", "wait_for a"),
        job("c", "tell c", "after: quick"),
    ]
    run = start(*jobs)
    pids: list[int] = []
    run.runner.on_job_output.connect(lambda job, stream, data: pids.append(int(data)))
    checkpoint = run.manager.checkpoint

    def fail_at_some_time() -> None:
        running = run.state.metadata.running
        if pids and (len(running) > 1 if note else len(running) == 1):
            raise StorageError("the medium is gone")
        checkpoint()

    monkeypatch.setattr(run.manager, "checkpoint", fail_at_some_time)
    with pytest.raises(StorageError, match="the medium is gone"):
        run.go_on()
    [pid] = pids
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not Path(run.manager.storage.location, "session-share", "c").exists()
    monkeypatch.undo()
    assert "org.example::a" in stored(run)["meta"]["running"]
    assert outcomes(runs.reopen(catalogue("".join(jobs) + PLAN), run))["a"] == "crash"


def test_a_running_job_that_cannot_be_put_in_order_any_more_has_one_result(runs, catalogue, outcomes) -> None:
    """A job that runs while new jobs make its group impossible to order has the result that it comes to, and no other."""
    text = (
        job("g1", "tell g1; wait_for res-told; echo done", "group: g")
        + job("x", "true", "depends: g1")
        + "\nid: res\nplugin: resource\ncommand: printf 'name: t\\n'; "
        'while ! test -e "$PLAINBOX_SESSION_SHARE/g1"; do sleep 0.05; done\n'
        + "\nunit: template\ntemplate-resource: res\nid: made-{name}\nplugin: shell\ngroup: g\ndepends: x\n"
        "command: true\n"
    )
    run = runs.start(catalogue(text + PLAN), plan="plan")
    run.runner.jobs = 2
    share = Path(run.manager.storage.location, "session-share")
    told: list[str] = []

    def finished(job, result) -> None:
        told.append(job.partial_id)
        if job.partial_id == "res":
            (share / "res-told").touch()

    run.runner.on_job_finished.connect(finished)
    assert run.go_on()
    assert sorted(told) == ["g1", "made-t", "res", "x"]
    assert outcomes(run)["g1"] == "pass"
    assert len(run.state.job_state_map["org.example::g1"].result_history) == 1


def test_no_further_thread(start, runs, catalogue, outcomes, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system allows no further thread, what runs is ended, the error says what to do, and a resume goes on."""
    jobs = [
        job("a", "test -e $PLAINBOX_SESSION_SHARE/a || { tell a; sleep 300; }", "on-crash: retry"),
        job("b", "true"),
    ]
    run = start(*jobs)
    begin = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "org.example::b":
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(TaskError, match="no thread can be started for") as caught:
        run.go_on()
    assert "-j" in str(caught.value.hint)
    assert caught.value.exit_code == 4
    monkeypatch.undo()
    assert threading.active_count() == 1
    again = runs.reopen(catalogue("".join(jobs) + PLAN), run)
    again.runner.jobs = 2
    Path(again.manager.storage.location, "session-share", "a").touch()
    assert again.go_on()
    assert outcomes(again) == {"a": "pass", "b": "pass"}


def test_limits_count_while_the_owner_waits(start, outcomes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that prints and prints is ended by its limit also while nobody listens; its log has what it has printed."""
    chatty = "echo $$ >$PLAINBOX_SESSION_SHARE/pid; i=0; while :; do echo $((i=i+1)); sleep 0.01; done"
    run = start(job("chatty", chatty, "timeout: 3"), job("quick", "wait_for pid"))
    share = Path(run.manager.storage.location, "session-share")
    checkpoint = run.manager.checkpoint
    waited: list[bool] = []

    def wait_long() -> None:
        if run.state.job_state_map["org.example::quick"].result.outcome and not waited:
            waited.append(True)
            pid = int((share / "pid").read_text())
            wait_until(lambda: not Path(f"/proc/{pid}").exists())
        checkpoint()

    monkeypatch.setattr(run.manager, "checkpoint", wait_long)
    assert run.go_on()
    assert waited
    assert outcomes(run) == {"chatty": "crash", "quick": "pass"}
    log = run.state.job_state_map["org.example::chatty"].result.get_io_log()
    lines = b"".join(record.data for record in log if record.stream_name == "stdout").decode().splitlines()
    assert lines == [str(number) for number in range(1, len(lines) + 1)]
    assert len(lines) > 64


# -- what is whose


@pytest.mark.parametrize("leaver", ["first", "second"])
def test_a_daemon_belongs_to_the_job_that_has_started_it(leaver: str, start, outcomes) -> None:
    """A daemon is ended with the job that has started it, whichever job it was, while another one runs on."""
    commands = dict.fromkeys(("first", "second"), "tell both; wait_for end")
    commands[leaver] = "wait_for both; (setsid sleep 300 >/dev/null 2>&1 &); sleep 0.1"
    run = start(*(job(name, command) for name, command in commands.items()))
    share = Path(run.manager.storage.location, "session-share")

    def finished(job, result) -> None:
        (share / "end").touch()

    run.runner.on_job_finished.connect(finished)
    assert run.go_on()
    assert "left 1 process running" in comment(run, leaver)
    assert "left" not in comment(run, "second" if leaver == "first" else "first")


def test_a_stated_result_counts_for_a_job_that_was_alone(catalogue) -> None:
    """What a job has left as its result is used when no other job can have left it."""
    [unit] = [unit for unit in catalogue(job("a", "true")).units if unit.id == "org.example::a"]
    known = Circumstances(boot_id="b", left_result='{"outcome": "pass"}')
    assert judge(unit, RunningAttempt(boot_id="b"), known).outcome == "pass"
    assert judge(unit, RunningAttempt(boot_id="b", alone=False), known).outcome == "crash"
