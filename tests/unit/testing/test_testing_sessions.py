# SPDX-License-Identifier: Apache-2.0
"""Whole sessions without a process and without a disk."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from plainbox.errors import NothingSelectedError, SessionAuditError, UnitError
from plainbox.runner import Selection, SessionRun
from plainbox.session import MemoryJobResult, SessionManager
from plainbox.session.result import JobResult
from plainbox.testing import (
    ManualClock,
    MemoryStorage,
    ScriptedEngine,
    ScriptedJob,
    Stopped,
    catalogue_of,
    resume_session,
    run_session,
)

UNITS = """
id: disks
plugin: resource
command: true

unit: template
template-resource: disks
id: check-{name}
plugin: shell
command: true

id: last
plugin: shell
command: true

unit: test plan
id: plan
name: Plan
bootstrap_include: disks
include:
 check-.*
 last
"""
DISKS = ScriptedJob(output=[("stdout", b"name: sda\n\nname: sdb\n")])


def results(manager: SessionManager) -> dict[str, JobResult]:
    assert manager.state is not None
    states = manager.state.job_state_map
    return {name.partition("::")[2]: state.result for name, state in states.items() if state.result_history}


def outcomes(manager: SessionManager) -> dict[str, str | None]:
    return {name: result.outcome for name, result in results(manager).items()}


@pytest.fixture(autouse=True)
def _no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here starts a process."""

    def refuse(*arguments: object, **options: object) -> None:
        pytest.fail("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(os, "fork", refuse)
    monkeypatch.setattr(os, "posix_spawn", refuse)


def test_a_session_with_bootstrap() -> None:
    """What a scripted resource job prints makes jobs, and their scripts decide what becomes of them."""
    script = {
        "disks": DISKS,
        "check-sdb": ScriptedJob(return_code=1, output=[("stdout", b"bad \xff\n"), ("stderr", b"!\n")]),
        "last": ScriptedJob(return_code=2),
    }
    engine = ScriptedEngine(script)
    manager = run_session(UNITS, plan="org.example::plan", engine=engine)
    assert outcomes(manager) == {"disks": "pass", "check-sda": "pass", "check-sdb": "fail", "last": "fail"}
    assert b"".join(results(manager)["check-sdb"].iter_output()) == b"bad \xff\n"
    assert [job.rpartition("::")[2] for job in engine.executed] == ["disks", "check-sda", "check-sdb", "last"]


def test_everything_passes_by_default() -> None:
    """Without a plan and an engine all jobs that the patterns match pass."""
    text = "id: a\nplugin: shell\ncommand: true\n\nid: b\nplugin: shell\ncommand: true\n"
    assert outcomes(run_session(text)) == {"a": "pass", "b": "pass"}
    assert outcomes(run_session(text, patterns=["b"])) == {"b": "pass"}
    with pytest.raises(NothingSelectedError):
        run_session(text, patterns=["c"])


@pytest.mark.parametrize(("statement", "outcome"), [(None, "crash"), ('{"outcome": "skip"}', "skip")])
def test_killed_and_resumed(statement: str | None, outcome: str) -> None:
    """A tester that is killed in a job goes on behind it; what the job has printed and stated is not lost."""
    storage = MemoryStorage.create(clock=ManualClock())
    dies = ScriptedJob(output=[("stdout", b"so far\n")], leaves_result=statement, calls=storage.end_tester)
    engine = ScriptedEngine({"disks": DISKS, "check-sda": dies}, clock=storage.clock)
    with pytest.raises(Stopped):
        run_session(UNITS, plan="org.example::plan", storage=storage, engine=engine)
    assert list(storage.peek_metadata()["meta"]["running"]) == ["org.example::check-sda"]
    manager = resume_session(UNITS, storage.again())
    assert outcomes(manager)["check-sda"] == outcome
    assert outcomes(manager)["check-sdb"] == "pass"
    [attempt] = manager.state.job_state_map["org.example::check-sda"].result_history  # type: ignore[union-attr]
    assert attempt.origin == "resume"
    assert b"".join(attempt.iter_output()) == b"so far\n"


def test_stopped_in_the_middle() -> None:
    """A script can stop the run; a resume does the rest."""
    text = "".join(f"id: {name}\nplugin: shell\ncommand: true\n\n" for name in "abc")
    storage = MemoryStorage.create()
    engine = ScriptedEngine({"b": ScriptedJob(calls=lambda: run.stop.after_this_job())})
    with SessionRun.start(catalogue_of(text), Selection(patterns=(".*",)), storage=storage, engine=engine) as run:
        assert not run.go_on()
    assert engine.executed == ["org.example::a", "org.example::b"]
    assert outcomes(resume_session(text, storage.again())) == dict.fromkeys("abc", "pass")


def test_many_jobs() -> None:
    """Two thousand jobs are as real as two: each has its log and its result, stored in two checkpoints."""
    text = "".join(f"id: job-{number}\nplugin: shell\ncommand: true\n\n" for number in range(2000))
    storage = MemoryStorage.create()
    run = SessionRun.start(catalogue_of(text), Selection(patterns=(".*",)), storage=storage, engine=ScriptedEngine())
    run.manager.audit = False  # it would read everything back four thousand times
    with run:
        assert run.go_on()
    assert set(outcomes(run.manager).values()) == {"pass"}
    assert len(os.listdir(Path(storage.location, "io-logs"))) == 2000


def test_text_that_is_wrong() -> None:
    """A text that is no units is an error with its place, not an empty session."""
    with pytest.raises(UnitError, match=r"org\.example:test\.pxu:2"):
        catalogue_of("id: a\nno field\n")


def test_other_namespace() -> None:
    """The name of the provider decides the ids."""
    catalogue = catalogue_of("id: a\nplugin: shell\ncommand: true\n", provider="com.example.lab:mine")
    assert run_session(catalogue).state.job_state_map.keys() == {"com.example.lab::a"}  # type: ignore[union-attr]


def test_a_change_behind_the_signals_is_found() -> None:
    """Code that assigns a result to a job, instead of giving it to the session, is told so by the next checkpoint."""
    storage = MemoryStorage.create()

    def cheat() -> None:
        state = run.manager.state
        assert state is not None
        state.job_state_map["org.example::b"].result = MemoryJobResult({"outcome": "pass"})

    text = "".join(f"id: {name}\nplugin: shell\ncommand: true\n\n" for name in "ab")
    engine = ScriptedEngine({"a": ScriptedJob(calls=cheat)})
    with SessionRun.start(catalogue_of(text), Selection(patterns=(".*",)), storage=storage, engine=engine) as run:
        run.manager.audit = True
        with pytest.raises(SessionAuditError, match=r"result 1 of job org\.example::b"):
            run.go_on()
