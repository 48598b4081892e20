# SPDX-License-Identifier: Apache-2.0
"""The scripted engine agrees with the one that starts processes: one set of jobs over both."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import attrs
import pytest

from plainbox.errors import StorageFullError
from plainbox.tasks import CancelToken, ExecutionEngine, JobReport, MemorySink, ProcessIdentity, Result, Surroundings
from plainbox.testing import ManualClock, ScriptedEngine, ScriptedJob
from plainbox.units import JobDefinition


@attrs.define
class World:
    """Surroundings that remember what happened in them."""

    share: Path
    cancel: CancelToken = attrs.field(factory=CancelToken)
    sink: MemorySink = attrs.field(factory=MemorySink)
    processes: list[ProcessIdentity] = attrs.field(factory=list)
    started: Callable[[ProcessIdentity], None] | None = None

    def surroundings(self) -> Surroundings:
        environment = {"PATH": os.environ["PATH"], "PLAINBOX_SESSION_SHARE": str(self.share)}
        started = self.started if self.started is not None else self.processes.append
        return Surroundings(environment=environment, output=self.sink, started=started, cancel=self.cancel)


def job(command: str | None = "true", name: str = "a") -> JobDefinition:
    return JobDefinition({"id": name, "plugin": "shell", **({"command": command} if command is not None else {})})


def seen(result: Result) -> object:
    """What of a result does not depend on the time or on numbers of processes."""
    if result.exception is not None:
        return type(result.exception), str(result.exception)
    report = result.value
    assert isinstance(report, JobReport)
    return replace(report, start_time=0.0, duration=0.0, process=None)


CASES = [
    ("true", ScriptedJob()),
    ("exit 3", ScriptedJob(return_code=3)),
    ("kill -SEGV $$", ScriptedJob(return_code=-11)),
    ("printf one; sleep 0.05; printf two >&2", ScriptedJob(output=[("stdout", b"one"), ("stderr", b"two")])),
    ("printf text > $PLAINBOX_SESSION_SHARE/__result", ScriptedJob(leaves_result="text")),
    (None, ScriptedJob()),
]


@pytest.mark.parametrize(("command", "scripted"), CASES, ids=[str(command) for command, _ in CASES])
def test_a_job_and_its_script(command: str | None, scripted: ScriptedJob, tmp_path: Path) -> None:
    """The report, the output and what is left in the share are those of a process that does the same."""
    found = []
    for name, engine in (("real", ExecutionEngine()), ("scripted", ScriptedEngine({"a": scripted}))):
        share = tmp_path / name
        share.mkdir()
        world = World(share)
        result = engine.execute(job(command), world.surroundings())
        left = {path.name: path.read_text() for path in share.iterdir()}
        found.append((seen(result), world.sink.stdout, world.sink.stderr, len(world.processes), left))
    assert found[0] == found[1]


@pytest.mark.parametrize("engine", [ExecutionEngine(), ScriptedEngine()], ids=["real", "scripted"])
def test_cancelled_before_the_start(engine: ExecutionEngine, tmp_path: Path) -> None:
    """A job whose run was cancelled does not start, and its report says why."""
    world = World(tmp_path)
    world.cancel.cancel("SIGTERM")
    report = engine.execute(job(), world.surroundings()).value
    assert isinstance(report, JobReport)
    assert (report.outcome, report.cancelled, report.return_code) == ("crash", True, None)
    assert report.comments == "cancelled before its start: SIGTERM"
    assert world.processes == []


def test_cancelled_while_it_runs(tmp_path: Path) -> None:
    """The rest of the script is not done, and the report is that of a process that was ended."""
    found = []
    for engine in (ExecutionEngine(), ScriptedEngine({"a": ScriptedJob(output=[("stdout", b"1"), ("stdout", b"2")])})):
        world = World(tmp_path)
        write = world.sink.write

        def stop(stream, data, world=world, write=write) -> None:
            write(stream, data)
            world.cancel.cancel("enough")

        world.sink.write = stop  # type: ignore[method-assign]
        found.append(
            (seen(engine.execute(job("printf 1; sleep 60; printf 2"), world.surroundings())), world.sink.stdout)
        )
    assert found[0] == found[1]


@pytest.mark.parametrize("engine", [ExecutionEngine(), ScriptedEngine()], ids=["real", "scripted"])
def test_a_start_that_cannot_be_noted(engine: ExecutionEngine, tmp_path: Path) -> None:
    """What the note of the start raises is the result, and the job has not run."""
    error = StorageFullError("no room")

    def refuse(process: ProcessIdentity) -> None:
        raise error

    world = World(tmp_path, started=refuse)
    assert engine.execute(job("printf x"), world.surroundings()).exception is error
    assert world.sink.chunks == []
    assert getattr(engine, "executed", []) == []


def test_the_note_comes_first(tmp_path: Path) -> None:
    """The start is noted before there is any output, each time as a process of its own that does not exist."""
    engine = ScriptedEngine(default=ScriptedJob(output=[("stdout", b"x")]))
    world = World(tmp_path)
    at_start: list[bytes] = []
    for _ in range(2):
        world.started = lambda process: (at_start.append(world.sink.stdout), world.processes.append(process))[0]
        engine.execute(job(), world.surroundings())
    assert at_start == [b"", b"x"]
    assert len({process.pid for process in world.processes}) == 2
    assert not any(os.path.exists(f"/proc/{process.pid}") for process in world.processes)


def test_a_job_that_cannot_be_started(tmp_path: Path) -> None:
    """The error is the result; nothing was noted."""
    error = OSError("no shell")
    engine = ScriptedEngine({"a": ScriptedJob(raises=error)})
    world = World(tmp_path)
    assert engine.execute(job(), world.surroundings()).exception is error
    assert world.processes == []


def test_one_script_for_each_execution(tmp_path: Path) -> None:
    """A list is used up, its last item is repeated; a job that is not in the script is like the default."""
    script = {"a": [ScriptedJob(return_code=1), ScriptedJob(outcome="undecided", comments="look at it")]}
    engine = ScriptedEngine(script, default=ScriptedJob(return_code=2))
    reports = [engine.execute(job(name=name), World(tmp_path).surroundings()).value for name in ("a", "b", "a", "a")]
    assert [report.outcome for report in reports] == ["fail", "fail", "undecided", "undecided"]
    assert [report.comments for report in reports] == [None, None, "look at it", "look at it"]
    assert engine.executed == ["a", "b", "a", "a"]


def test_time_passes_on_the_clock(tmp_path: Path) -> None:
    """A job takes the time that its script says, and nobody waits for it."""
    clock = ManualClock(at=1000.0)
    engine = ScriptedEngine({"a": ScriptedJob(duration_s=3600)}, clock=clock)
    report = engine.execute(job(), World(tmp_path).surroundings()).value
    assert (report.start_time, report.duration) == (1000.0, 3600.0)
    assert clock.time() == 4600.0


def test_what_a_script_calls(tmp_path: Path) -> None:
    """The call comes after the output, while the job runs; what it raises is that of a broken execution."""
    world = World(tmp_path)
    at_call: list[bytes] = []
    call = ScriptedJob(output=[("stdout", b"x")], calls=lambda: at_call.append(world.sink.stdout))
    assert ScriptedEngine({"a": call}).execute(job(), world.surroundings()).exception is None
    assert at_call == [b"x"]
    broken = ScriptedEngine({"a": ScriptedJob(calls=lambda: 1 // 0)}).execute(job(), world.surroundings())
    assert isinstance(broken.exception, ZeroDivisionError)
