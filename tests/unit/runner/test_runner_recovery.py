# SPDX-License-Identifier: Apache-2.0
"""Opening a session to go on with it: leftover processes end first, and every interrupted attempt gets its result."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plainbox.errors import StorageFullError, UsageError
from plainbox.processes import read_stat
from plainbox.runner.interrupted import Decision, ResumePolicy
from plainbox.runner.leftovers import end_leftovers
from plainbox.runner.recovery import DECISION_NOTE, LEFTOVERS_NOTE, STUCK_NOTE, settle_interrupted
from plainbox.runner.stop import StopRequest
from plainbox.session import SessionManager, SessionState, SessionStorageRepository
from plainbox.session.boot import boot_id
from plainbox.session.dirs import WellKnownDirsHelper
from plainbox.session.iolog import IOLogWriter
from plainbox.session.metadata import RunningAttempt
from plainbox.session.systemd import MARK_NAME
from plainbox.units import JobDefinition

SHARE = "PLAINBOX_SESSION_SHARE"


def is_over(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is None or stat.ended


def wait_until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


class Leftovers:
    """Starts processes in sessions of their own, as jobs are, and ends them after the test."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[subprocess.Popen[bytes]] = []

    def __call__(self, command: str, share: str | None = None) -> int:
        """Start a shell command and return its process number once it has got going."""
        ready = self._directory / f"ready-{len(self._started)}"
        process = subprocess.Popen(
            ["sh", "-c", f"touch {ready}; {command}"],
            start_new_session=True,
            env={**os.environ, **({SHARE: share} if share is not None else {})},
        )
        self._started.append(process)
        wait_until(ready.exists)
        return process.pid

    def reap(self, pid: int) -> None:
        next(process for process in self._started if process.pid == pid).wait(30)

    def end(self) -> None:
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def leave(tmp_path: Path) -> Iterator[Leftovers]:
    made = Leftovers(tmp_path)
    yield made
    made.end()


def attempt_of(pid: int, **known: object) -> RunningAttempt:
    stat = read_stat(pid)
    assert stat is not None
    return RunningAttempt(process_group=pid, start_ticks=stat.start_ticks, boot_id=boot_id(), **known)


# -- leftover processes


def test_group_of_an_attempt(leave: Leftovers) -> None:
    """The process group that an attempt was started with is ended, all of it."""
    pid = leave("sleep 300 & sleep 300")
    children = list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    assert children
    end_leftovers("a", attempt_of(pid), "/no/share")
    assert is_over(pid)
    assert all(map(is_over, children))


def test_process_that_ignores_the_polite_request(leave: Leftovers) -> None:
    """Who does not end when asked to is ended."""
    pid = leave("trap '' TERM; sleep 300 & while :; do wait; sleep 0.05; done")
    end_leftovers("a", attempt_of(pid), "/no/share", grace_s=0.1)
    assert is_over(pid)


def test_number_that_was_given_to_somebody_else(leave: Leftovers) -> None:
    """A process with the right number and another start time is left alone."""
    pid = leave("sleep 300")
    stat = read_stat(pid)
    assert stat is not None
    for ticks in (stat.start_ticks - 1, stat.start_ticks + 1, None):
        end_leftovers("a", RunningAttempt(process_group=pid, start_ticks=ticks, boot_id=boot_id()), "/no/share")
        assert not is_over(pid)


def test_process_that_has_left_the_group(leave: Leftovers, tmp_path: Path) -> None:
    """A process that a job has sent away, and one whose leader is gone, is known by the session share it carries."""
    share = str(tmp_path / "share")
    pid_file = tmp_path / "daemon"
    leader = leave(f"setsid sh -c 'echo $$ > {pid_file}; exec sleep 300' & sleep 0.01", share)
    attempt = attempt_of(leader)
    wait_until(lambda: pid_file.exists() and bool(pid_file.read_text().strip()))
    daemon = int(pid_file.read_text())
    leave.reap(leader)
    assert not is_over(daemon)
    try:
        end_leftovers("a", attempt, share)
        assert is_over(daemon)
    finally:
        if not is_over(daemon):
            os.kill(daemon, signal.SIGKILL)


def test_processes_of_other_sessions(leave: Leftovers, tmp_path: Path) -> None:
    """A process of another session, and one that is older than the attempt, is none of ours."""
    share = str(tmp_path / "share")
    other = leave("sleep 300", share + "-of-another-session")
    older = leave("sleep 300", share)
    stat = read_stat(older)
    assert stat is not None
    attempt = RunningAttempt(process_group=None, start_ticks=stat.start_ticks + 1000, boot_id=boot_id())
    end_leftovers("a", attempt, share)
    assert not is_over(other)
    assert not is_over(older)


_INSIDE = """
import os, subprocess, sys
from plainbox.runner.leftovers import end_leftovers
from plainbox.session.metadata import RunningAttempt
from plainbox.processes import read_stat
group = os.getpgrp()
child = subprocess.Popen(["sleep", "300"])
end_leftovers("a", RunningAttempt(process_group=group, start_ticks=read_stat(group).start_ticks), sys.argv[1])
print("alive", child.wait(30), flush=True)
"""


def test_tester_that_was_started_by_a_job(tmp_path: Path) -> None:
    """A tester that a job has started again does not end itself or what it comes from, only the others."""
    share = str(tmp_path / "share")
    script = tmp_path / "tester.py"
    script.write_text(_INSIDE)
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} {script} {share}; echo shell alive"],
        start_new_session=True,
        env={**os.environ, SHARE: share},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert done.stdout == f"alive {-signal.SIGTERM}\nshell alive\n"


# -- settling


def interrupted_session(base: Path, job: JobDefinition, **known: object) -> SessionManager:
    """A session that was loaded again while the job was noted as running."""
    state = SessionState([job])
    manager = SessionManager.create_with_state(state, SessionStorageRepository(base))
    state.update_desired_job_list([job])
    state.job_state_map[job.id].attempts -= 1
    attempt = RunningAttempt(**{"attempt": 1, "boot_id": boot_id(), "start_time": 1000.0, **known})
    state.metadata.running = {job.id: attempt}
    manager.checkpoint()
    manager.close()
    [storage] = SessionStorageRepository(base)
    return SessionManager.load_session([job], storage)


JOB = JobDefinition({"id": "a", "plugin": "shell", "command": "true"})


def result_of(manager: SessionManager):
    assert manager.state is not None
    return manager.state.job_state_map["a"].result


def test_crash(tmp_path: Path) -> None:
    """An interrupted job has crashed: one entry in its history, nothing runs any more, and all of it is durable."""
    manager = interrupted_session(tmp_path, JOB)
    [(job, result)] = settle_interrupted(manager)
    assert job is JOB
    assert (result.outcome, result.origin, result.attempt, result.start_time) == ("crash", "resume", 1, 1000.0)
    assert manager.state is not None
    assert manager.state.metadata.running == {}
    stored = json.loads(manager.storage.load_checkpoint())
    assert [item[:2] for item in stored["res"]] == [["a", 1]]
    assert stored["meta"]["running"] == {}
    manager.close()


def test_nothing_was_running(tmp_path: Path) -> None:
    """A session between two jobs has nothing to settle; it only counts how often it was opened."""
    manager = interrupted_session(tmp_path, JOB)
    settle_interrupted(manager)
    assert settle_interrupted(manager) == []
    assert manager.state is not None
    assert len(manager.state.job_state_map["a"].result_history) == 1
    assert manager.state.metadata.resume_count == 1
    manager.close()


def test_output_of_an_interrupted_job(tmp_path: Path) -> None:
    """What the job had printed belongs to its result; the log says that it was cut off."""
    manager = interrupted_session(tmp_path, JOB, log=None)
    assert manager.state is not None
    WellKnownDirsHelper(manager.storage).populate()
    log = IOLogWriter(manager.storage.location, "a", 1, background=False)
    log.write("stdout", b"half a line")
    log.flush()
    manager.state.metadata.running = {"a": RunningAttempt(1, 1000.0, boot_id(), log=log.path)}
    del log
    [(_, result)] = settle_interrupted(manager)
    assert b"".join(result.iter_output()) == b"half a line"
    assert any(record.stream_name == "note" for record in result.get_io_log())
    manager.close()


@pytest.mark.parametrize("path", ["io-logs/gone.iolog", "../outside.iolog", "/etc/passwd", "io-logs"])
def test_log_that_cannot_be_used(tmp_path: Path, path: str) -> None:
    """A log that is gone, or that is none, keeps no session from being resumed."""
    manager = interrupted_session(tmp_path, JOB, log=path)
    [(_, result)] = settle_interrupted(manager)
    assert (result.outcome, result.get("log")) == ("crash", None)
    manager.close()


def test_stated_result(tmp_path: Path) -> None:
    """What the job has stated in the session share counts."""
    manager = interrupted_session(tmp_path, JOB)
    share = Path(WellKnownDirsHelper(manager.storage).share_pathname)
    (share / "__result").write_text('{"outcome": "skip", "comments": "not today"}')
    [(_, result)] = settle_interrupted(manager)
    assert (result.outcome, result.comments) == ("skip", "not today")
    manager.close()


def test_operator(tmp_path: Path) -> None:
    """The decision of a person is told from what was found out."""
    manager = interrupted_session(tmp_path, JOB)
    [(_, result)] = settle_interrupted(manager, ResumePolicy(decision=Decision("pass", "it did work")))
    assert (result.outcome, result.origin) == ("pass", "operator")
    manager.close()


def test_retry(tmp_path: Path) -> None:
    """An attempt that is to be repeated stays in the history as crashed, and the count of openings goes on."""
    manager = interrupted_session(tmp_path, JOB)
    [(_, result)] = settle_interrupted(manager, ResumePolicy(retry_by_default=True))
    assert (result.outcome, result.get("retry")) == ("crash", True)
    assert manager.state is not None
    assert manager.state.metadata.resume_count == 1
    manager.close()


def test_repeated_openings(tmp_path: Path) -> None:
    """A session that is opened again and again without any new result is stuck at the fifth time."""
    manager = interrupted_session(tmp_path, JOB)
    assert manager.state is not None
    manager.state.metadata.running = {}
    for number in range(1, 6):
        assert "stuck" not in manager.state.metadata.flags
        settle_interrupted(manager)
        assert manager.state.metadata.resume_count == number
    assert "stuck" in manager.state.metadata.flags
    manager.close()


def test_a_settled_attempt_is_progress(tmp_path: Path) -> None:
    """A session that gets a result at each opening is never stuck, however many of its jobs end the tester."""
    manager = interrupted_session(tmp_path, JOB)
    assert manager.state is not None
    for number in range(1, 12):
        manager.state.metadata.running = {"a": RunningAttempt(number, 1000.0, "another boot")}
        settle_interrupted(manager)
        assert manager.state.metadata.resume_count == 0
    assert "stuck" not in manager.state.metadata.flags
    manager.close()


def notes_of(manager: SessionManager, kind: str) -> list[dict]:
    """The notes of one kind, each with the record that it came in."""
    found = []
    for record in manager.storage.records():
        notes = [record] if record["t"] == "note" else record.get("notes", [])
        found += [{**note, "record": record} for note in notes if note["kind"] == kind]
    return found


@pytest.mark.parametrize(
    ("known", "policy", "left", "rule"),
    [
        ({}, {"decision": Decision("fail", "broken")}, None, "operator"),
        ({}, {}, '{"outcome": "pass"}', "stated"),
        ({}, {}, "{", "stated-nonsense"),
        ({}, {"retry_by_default": True}, None, "retry"),
        ({}, {}, None, "crash"),
    ],
)
def test_note_about_a_verdict(tmp_path: Path, known: dict, policy: dict, left: str | None, rule: str) -> None:
    """The rule, the attempt and the facts of a verdict are in the journal, in one record with the result."""
    manager = interrupted_session(tmp_path, JOB, **known)
    if left is not None:
        Path(WellKnownDirsHelper(manager.storage).share_pathname, "__result").write_text(left)
    [(_, result)] = settle_interrupted(manager, ResumePolicy(**policy))
    [note] = notes_of(manager, DECISION_NOTE)
    data = note["data"]
    assert (data["job"], data["attempt"], data["rule"], data["outcome"]) == ("a", 1, rule, result.outcome)
    assert data["retry"] is bool(result.get("retry"))
    assert data["evidence"]["boot_now"] == boot_id()
    assert data["evidence"]["left_result"] == left
    assert [item[:2] for item in note["record"]["res"]] == [["a", 1]]
    assert note["record"]["meta"]["running"] == {}
    manager.close()


def test_decision_about_nothing(tmp_path: Path) -> None:
    """Without an interrupted job there is nothing to decide, and nothing changes."""
    manager = interrupted_session(tmp_path, JOB)
    settle_interrupted(manager)
    before = manager.storage.load_checkpoint()
    with pytest.raises(UsageError, match="nothing to decide"):
        settle_interrupted(manager, ResumePolicy(decision=Decision("pass")))
    assert manager.storage.load_checkpoint() == before
    assert manager.state is not None
    assert manager.state.metadata.resume_count == 0
    manager.close()


@pytest.mark.parametrize("choice", ["fail", "skip"])
def test_blocker_without_a_word(tmp_path: Path, leave: Leftovers, choice: str) -> None:
    """A decision that lacks its reason is refused before a process is ended or anything is stored."""
    pid = leave("sleep 300")
    stat = read_stat(pid)
    assert stat is not None
    blocker = JobDefinition({"id": "a", "plugin": "shell", "command": "true", "certification-status": "blocker"})
    manager = interrupted_session(tmp_path, blocker, process_group=pid, start_ticks=stat.start_ticks)
    with pytest.raises(UsageError, match="needs a comment"):
        settle_interrupted(manager, ResumePolicy(decision=Decision(choice)))
    assert manager.state is not None
    assert "a" in manager.state.metadata.running
    assert not is_over(pid)
    [(_, result)] = settle_interrupted(manager, ResumePolicy(decision=Decision(choice, "no lamp")))
    assert (result.outcome, result.comments, result.origin) == (choice, "no lamp", "operator")
    manager.close()


MANUAL = JobDefinition({"id": "a", "plugin": "manual", "summary": "Look"})


def test_person_is_asked(tmp_path: Path) -> None:
    """A job that waited for a person is asked about, the answer counts, and no answer leaves it undecided."""
    asked = []

    def answer(job_state, attempt) -> Decision | None:
        asked.append((job_state.job.id, attempt.attempt))
        return Decision("pass", "it shines")

    manager = interrupted_session(tmp_path / "1", MANUAL)
    [(_, result)] = settle_interrupted(manager, ResumePolicy(ask=answer))
    assert (result.outcome, result.origin, result.comments) == ("pass", "operator", "it shines")
    manager.close()
    manager = interrupted_session(tmp_path / "2", MANUAL)
    [(_, result)] = settle_interrupted(manager, ResumePolicy(ask=lambda *_: None))
    assert (result.outcome, result.origin) == ("undecided", "resume")
    manager.close()
    assert asked == [("a", 1)]


def test_nobody_is_asked_about_other_jobs(tmp_path: Path) -> None:
    """What facts decide needs no person, nor does a manual job that has stated its result."""

    def refuse(*_: object) -> Decision:
        raise AssertionError("asked")

    manager = interrupted_session(tmp_path / "1", JOB)
    settle_interrupted(manager, ResumePolicy(ask=refuse))
    manager.close()
    manager = interrupted_session(tmp_path / "2", MANUAL)
    Path(WellKnownDirsHelper(manager.storage).share_pathname, "__result").write_text('{"outcome": "skip"}')
    [(_, result)] = settle_interrupted(manager, ResumePolicy(ask=refuse))
    assert result.outcome == "skip"
    manager.close()


def test_question_that_is_left(tmp_path: Path) -> None:
    """Leaving the question by Ctrl-C decides nothing: the job is still to be judged."""

    def leave_it(*_: object) -> Decision:
        raise KeyboardInterrupt

    manager = interrupted_session(tmp_path, MANUAL)
    with pytest.raises(KeyboardInterrupt):
        settle_interrupted(manager, ResumePolicy(ask=leave_it))
    manager.close()
    stored = json.loads(manager.storage.load_checkpoint())
    assert "a" in stored["meta"]["running"]
    assert "res" not in stored


def test_rerun_by_a_person(tmp_path: Path) -> None:
    """Another attempt that a person wants is no crash loop: the count begins anew, and the session is not stuck."""
    manager = interrupted_session(tmp_path, JOB)
    assert manager.state is not None
    manager.state.metadata.resume_count = 7
    manager.state.metadata.flags.add("stuck")
    [(_, result)] = settle_interrupted(manager, ResumePolicy(decision=Decision("rerun")))
    assert (result.outcome, result.origin, result.get("retry")) == ("crash", "operator", True)
    assert manager.state.metadata.resume_count == 0
    assert "stuck" not in manager.state.metadata.flags
    manager.close()


def test_watchdog_mark(tmp_path: Path) -> None:
    """A tester that its watchdog has ended is told from one that was killed, once."""
    manager = interrupted_session(tmp_path, JOB)
    Path(manager.storage.location, MARK_NAME).touch()
    [(_, result)] = settle_interrupted(manager)
    assert "ended by its watchdog" in (result.comments or "")
    [note] = notes_of(manager, DECISION_NOTE)
    assert note["data"]["evidence"]["hung"] is True
    assert not Path(manager.storage.location, MARK_NAME).exists()
    manager.close()


def test_job_that_nobody_defines(tmp_path: Path) -> None:
    """A job whose provider is gone is not supported any more, when the session may go on without it."""
    manager = interrupted_session(tmp_path, JOB)
    manager.close()
    [storage] = SessionStorageRepository(tmp_path)
    manager = SessionManager.load_session([], storage, flags=["allow-missing-jobs"])
    [(job, result)] = settle_interrupted(manager)
    assert (job.id, result.outcome, result.origin) == ("a", "not-supported", "resume")
    assert manager.state is not None
    assert manager.state.run_list == []
    [note] = notes_of(manager, DECISION_NOTE)
    assert note["data"]["rule"] == "unknown-job"
    manager.close()


def test_note_about_a_stuck_session(tmp_path: Path) -> None:
    """That a session was given up is in its journal, once."""
    manager = interrupted_session(tmp_path, JOB)
    assert manager.state is not None
    manager.state.metadata.running = {}
    for _ in range(7):
        settle_interrupted(manager)
    assert [note["data"] for note in notes_of(manager, STUCK_NOTE)] == [{"openings": 5}]
    manager.close()


def test_leftovers_end_before_the_verdict(tmp_path: Path, leave: Leftovers) -> None:
    """The processes of an attempt of this boot are gone when its result is there; those of another boot are spared."""
    pid = leave("sleep 300")
    stat = read_stat(pid)
    assert stat is not None
    known = {"process_group": pid, "start_ticks": stat.start_ticks}
    spared = interrupted_session(tmp_path / "1", JOB, boot_id="another", **known)
    settle_interrupted(spared)
    assert not is_over(pid)
    spared.close()
    ended = interrupted_session(tmp_path / "2", JOB, **known)
    settle_interrupted(ended)
    assert is_over(pid)
    ended.close()


def test_further_changes_in_the_same_checkpoint(tmp_path: Path) -> None:
    """What follows from the verdicts is made durable together with them."""
    manager = interrupted_session(tmp_path, JOB)
    assert manager.state is not None
    before = len(manager.storage.records())

    def afterwards() -> None:
        assert manager.state is not None
        assert manager.state.job_state_map["a"].result.outcome == "crash"
        manager.state.metadata.title = "afterwards"

    settle_interrupted(manager, afterwards=afterwards)
    new = manager.storage.records()[before:]
    # The first is the count of openings.
    assert [record["t"] for record in new if record["t"] not in ("close", "open")] == ["ck", "ck"]
    assert "res" not in new[-2]
    assert new[-1]["meta"]["title"] == "afterwards"
    assert new[-1]["res"][0][2]["outcome"] == "crash"
    manager.close()


def test_tester_that_dies_while_settling(tmp_path: Path) -> None:
    """An opening counts before anything is judged; a session whose testers die in there is given up, and told so once."""

    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    manager = interrupted_session(tmp_path, JOB)
    mark = Path(manager.storage.location, MARK_NAME)
    mark.touch()
    for number in range(1, 8):
        with pytest.raises(Killed):
            settle_interrupted(manager, afterwards=die)
        stored = json.loads(manager.storage.load_checkpoint())["meta"]
        assert stored["resume_count"] == number
        assert ("stuck" in stored["flags"]) is (number > 5)
        # The verdict was not durable: what it rested on is still known.
        assert "a" in stored["running"]
        assert mark.exists()
        manager.close()
        [storage] = SessionStorageRepository(tmp_path)
        manager = SessionManager.load_session([JOB], storage)
    assert [note["data"] for note in notes_of(manager, STUCK_NOTE)] == [{"openings": 6}]
    [(_, result)] = settle_interrupted(manager)
    assert "ended by its watchdog" in (result.comments or "")
    assert not mark.exists()
    manager.close()


def test_settling_without_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is waited for, with a sign of life, and the verdict is made durable then."""
    monkeypatch.setattr("plainbox.runner.space._PAUSE_S", 0.01)
    manager = interrupted_session(tmp_path, JOB)
    plain, refusals, ticks = manager.storage.save_checkpoint, 4, 0

    def save(data: bytes) -> None:
        nonlocal refusals
        if refusals and (refusals > 2 or b'"res"' in data):
            refusals -= 1
            raise StorageFullError("no space", errno=28)
        plain(data)

    def tick() -> None:
        nonlocal ticks
        ticks += 1

    monkeypatch.setattr(manager.storage, "save_checkpoint", save)
    stop = StopRequest()
    stop.tick = tick
    [(_, result)] = settle_interrupted(manager, stop=stop)
    assert (refusals, result.outcome) == (0, "crash")
    assert ticks >= 4
    assert json.loads(manager.storage.load_checkpoint())["meta"]["running"] == {}
    manager.close()


def test_stop_while_leftovers_end(tmp_path: Path, leave: Leftovers) -> None:
    """Who stops while leftover processes end leaves the attempt as it was, and that opening does not count."""
    pid = leave("trap '' TERM; while :; do sleep 0.05; done")
    stat = read_stat(pid)
    assert stat is not None
    manager = interrupted_session(tmp_path, JOB, process_group=pid, start_ticks=stat.start_ticks)
    for _ in range(7):
        stop, counts = StopRequest(), []

        def tick(stop: StopRequest = stop, manager: SessionManager = manager, counts: list[int] = counts) -> None:
            counts.append(json.loads(manager.storage.load_checkpoint())["meta"]["resume_count"])
            stop.suspend("SIGTERM")

        stop.tick = tick
        assert settle_interrupted(manager, stop=stop) is None
        assert counts == [1]
        manager.close()
        meta = json.loads(manager.storage.load_checkpoint())["meta"]
        assert (list(meta["running"]), meta.get("resume_count", 0), "stuck" in meta["flags"]) == (["a"], 0, False)
        [storage] = SessionStorageRepository(tmp_path)
        manager = SessionManager.load_session([JOB], storage)
    assert notes_of(manager, DECISION_NOTE) == []
    assert not is_over(pid)
    manager.close()


def test_stop_before_the_session_is_opened(tmp_path: Path) -> None:
    """A request that comes before anything was done changes nothing at all."""
    manager = interrupted_session(tmp_path, JOB)
    before, stop = len(manager.storage.records()), StopRequest()
    stop.now("SIGINT")
    assert settle_interrupted(manager, stop=stop) is None
    assert [record["t"] for record in manager.storage.records()[before:] if record["t"] not in ("open", "close")] == []
    manager.close()


def test_stop_after_what_was_interrupted(tmp_path: Path) -> None:
    """A request that can wait leaves the time for the verdict; as nothing runs then, the opening does not count."""
    retried = JobDefinition({"id": "a", "plugin": "shell", "command": "true", "on-crash": "retry", "max-attempts": "9"})
    manager = interrupted_session(tmp_path, retried)
    stop = StopRequest()
    stop.after_this_job()
    settled = settle_interrupted(manager, ResumePolicy(retry_by_default=True), stop=stop)
    assert settled is not None
    [(_, result)] = settled
    assert result.get("retry")
    meta = json.loads(manager.storage.load_checkpoint())["meta"]
    assert (meta["running"], meta.get("resume_count", 0)) == ({}, 0)
    manager.close()


def test_question_that_ends_with_a_stop(tmp_path: Path) -> None:
    """A stop in the middle of a question leaves no verdict, also when others had been found before."""
    manager = interrupted_session(tmp_path, MANUAL)
    stop = StopRequest()
    assert settle_interrupted(manager, ResumePolicy(ask=lambda *_: stop.now("SIGINT")), stop=stop) is None
    manager.close()
    stored = json.loads(manager.storage.load_checkpoint())
    assert list(stored["meta"]["running"]) == ["a"]
    assert stored["meta"].get("resume_count", 0) == 0


def test_stop_while_space_is_awaited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not want to wait for space leaves the attempt as it was."""
    manager = interrupted_session(tmp_path, JOB)
    stop = StopRequest()

    def refuse(data: bytes) -> None:
        stop.after_this_job()
        raise StorageFullError("no space", errno=28)

    monkeypatch.setattr(manager.storage, "save_checkpoint", refuse)
    assert settle_interrupted(manager, stop=stop) is None
    manager.close()
    assert list(json.loads(manager.storage.load_checkpoint())["meta"]["running"]) == ["a"]


def test_processes_that_the_system_protects(
    tmp_path: Path, leave: Leftovers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What must not be ended is told once for each process, noted in the journal, and not waited for."""

    def refuse_signal(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    pid = leave("exec sleep 300")
    wait_until(lambda: (found := read_stat(pid)) is not None and found.name == "sleep")
    monkeypatch.setattr(signal, "pidfd_send_signal", refuse_signal)
    monkeypatch.setattr("plainbox.runner.leftovers.time.sleep", lambda _: pytest.fail("it was waited for"))
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1

    assert [process.pid for process in end_leftovers("a", attempt_of(pid), "/no/share", tick=tick)] == [pid]
    assert [record.getMessage() for record in caplog.records if "cannot be ended" in record.getMessage()] == [
        f"Process {pid} cannot be ended: {os.strerror(errno.EPERM)}"
    ]
    assert ticks
    stat = read_stat(pid)
    assert stat is not None
    manager = interrupted_session(tmp_path, JOB, process_group=pid, start_ticks=stat.start_ticks)
    settle_interrupted(manager)
    [note] = notes_of(manager, LEFTOVERS_NOTE)
    assert note["data"] == {"job": "a", "processes": [{"pid": pid, "name": "sleep"}]}
    assert not is_over(pid)
    manager.close()
