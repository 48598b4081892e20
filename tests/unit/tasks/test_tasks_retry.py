# SPDX-License-Identifier: Apache-2.0
"""The advice that repeats executions: when, how often, and what is left of each try."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plainbox.errors import JobStartError, SshAuthError, SshConnectError, TransportLost
from plainbox.tasks import (
    Advice,
    CancelToken,
    Configuration,
    Deadline,
    Execution,
    ExecutionEngine,
    Invocation,
    JobReport,
    MemorySink,
    Result,
    Surroundings,
    Task,
)
from plainbox.tasks.advices import retry as retry_module
from plainbox.tasks.advices.retry import RetryAdvice
from plainbox.tasks.advices.timeout import TimeoutAdvice
from plainbox.units import JobDefinition


class Scripted(Advice):
    """Concludes each execution with the next item of a list, its last for ever."""

    def __init__(self, *results: Result | str) -> None:
        self.results = list(results)
        self.count = 0
        self.attempts: list[int] = []
        self.deadlines: list[Deadline | None] = []

    def before(self, invocation):
        item = self.results[min(self.count, len(self.results) - 1)]
        self.count += 1
        self.attempts.append(invocation.attempt)
        self.deadlines.append(invocation.deadline)
        invocation.conclude(item if isinstance(item, Result) else report(item))


def report(outcome: str, **known) -> Result:
    return Result(JobReport(outcome, start_time=0.0, duration=0.0, **known))


def lost(message: str = "gone") -> Result:
    return Result(exception=TransportLost(message))


class World:
    def __init__(self) -> None:
        self.sink = MemorySink()
        self.started: list[object] = []
        self.cancel = CancelToken()

    def run(self, *advices: Advice, command: str = "true", **fields: str) -> Result:
        job = JobDefinition({"id": "job", "plugin": "shell", "command": command, **fields})
        surroundings = Surroundings(os.environ, self.sink, self.started.append, cancel=self.cancel)
        return ExecutionEngine(Configuration().add_advice_chain(*advices)).execute(job, surroundings)


@pytest.fixture
def world() -> World:
    return World()


def quick(attempts: int = 3, *, on: tuple[str, ...] = ("fail",), **given: float) -> RetryAdvice:
    return RetryAdvice(attempts, on=on, **{"delay": 0.0, **given})


def test_third_try(world: World, tmp_path: Path) -> None:
    """Two failures, then success: one passed result that tells of three tries, and the output of all with notes between."""
    count = tmp_path / "count"
    command = f"echo x >> {count}; n=$(wc -l < {count}); echo out $n; exit $((3 - n))"
    done = world.run(quick(), command=command).get()
    assert (done.outcome, done.return_code, done.tries) == ("pass", 0, 3)
    assert done.comments == "this is try 3 of 3; try 1: fail (return code 2); try 2: fail (return code 1)"
    assert world.sink.stdout == b"out 1\nout 2\nout 3\n"
    assert world.sink.notes == [
        "try 1 of 3: fail (return code 2); the next one in 0.0 s",
        "try 2 of 3",
        "try 2 of 3: fail (return code 1); the next one in 0.0 s",
        "try 3 of 3",
    ]
    assert len(world.started) == 3


def test_limit_of_attempts(world: World) -> None:
    """There are no more tries than allowed; the result is that of the last."""
    scripted = Scripted("fail")
    done = world.run(quick(4), scripted).get()
    assert (scripted.count, scripted.attempts) == (4, [1, 2, 3, 4])
    assert (done.outcome, done.tries) == ("fail", 4)


def test_success_at_once(world: World) -> None:
    """What needs no second try is as without the advice."""
    assert world.run(quick(), Scripted("pass")).get() == report("pass").get()
    assert world.sink.notes == []


@pytest.mark.parametrize(
    ("on", "result", "repeated"),
    [
        ("transport", lost(), True),
        ("transport", Result(exception=SshConnectError("x")), True),
        ("transport", Result(exception=SshAuthError("x")), False),
        ("transport", report("crash"), False),
        ("timeout", report("crash", timed_out=True), True),
        ("timeout", report("crash"), False),
        ("crash", report("crash"), True),
        ("crash", report("crash", timed_out=True), False),
        ("crash", report("crash", cancelled=True), False),
        ("fail", report("fail"), True),
        ("fail", report("skip"), False),
        ("JobStartError", Result(exception=JobStartError("x")), True),
        ("plainbox.errors.TaskError", Result(exception=JobStartError("x")), True),
        ("ValueError", Result(exception=JobStartError("x")), False),
    ],
)
def test_reasons(world: World, on: str, result: Result, repeated: bool) -> None:
    """Each reason is for what it names, and for nothing else."""
    scripted = Scripted(result)
    world.run(quick(2, on=(on,)), scripted)
    assert scripted.count == (2 if repeated else 1)


def test_default_reason(world: World) -> None:
    """By itself it repeats what a lost connection has ended; what is left of the tries are notes of the error."""
    scripted = Scripted(lost("one"), lost("two"))
    result = world.run(RetryAdvice(2, delay=0.0), scripted)
    assert str(result.exception) == "two"
    assert result.exception.__notes__ == ["this is try 2 of 2; try 1: not carried out (TransportLost: one)"]


def test_delays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause is the delay, then each time as many times longer as the backoff says, varied by the jitter."""
    waited: list[float] = []
    monkeypatch.setattr(retry_module, "_wait", lambda invocation, wait_s: waited.append(wait_s) or True)
    world.run(quick(5, delay=2.0, backoff=3.0, jitter=0.0), Scripted("fail"))
    assert waited == [2.0, 6.0, 18.0, 54.0]
    waited.clear()
    world.run(quick(200, delay=100.0, backoff=2.0, jitter=0.5), Scripted("fail"))
    assert 50 <= waited[0] <= 150
    assert all(1800 <= pause <= 5400 for pause in waited[6:])
    assert len(set(waited)) > 100


def test_total_limit_ends_it(world: World) -> None:
    """A limit for all tries together stops the repetition; nothing begins that would be over before it has begun."""
    scripted = Scripted("fail")
    world.run(TimeoutAdvice(100, scope="total"), quick(5, delay=200.0), scripted)
    assert scripted.count == 1
    done = world.run(
        TimeoutAdvice(0.3, scope="total", grace=0.1), quick(1000, on=("fail", "timeout")), command="sleep 0.1; false"
    )
    assert done.get().tries < 1000


class Fixed(random.Random):
    """A source whose every number is the same."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def random(self) -> float:
        return self.number


@pytest.mark.parametrize(("drawn", "count"), [(0.0, 2), (1.0, 1)])
def test_varied_pause_and_the_limit(world: World, monkeypatch: pytest.MonkeyPatch, drawn: float, count: int) -> None:
    """It is the pause as it was drawn that has to fit into the limit for all tries."""
    monkeypatch.setattr(retry_module, "_wait", lambda invocation, wait_s: True)
    scripted, retry = Scripted("fail"), quick(2, delay=100.0, jitter=0.5)
    retry.random = Fixed(drawn)
    world.run(TimeoutAdvice(100, scope="total"), retry, scripted)
    assert scripted.count == count


def test_wait_that_takes_too_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the limit for all tries has passed during the pause, whatever took so long, there is no further try."""
    monkeypatch.setattr(retry_module, "_wait", lambda invocation, wait_s: time.sleep(0.3) or True)
    scripted = Scripted("fail")
    done = world.run(TimeoutAdvice(0.2, scope="total"), quick(2, delay=0.0), scripted)
    assert scripted.count == 1
    assert done.get().tries == 1


def test_limit_of_each_try(world: World) -> None:
    """A limit of tries is that of each, wherever it stands; the repetition goes on after one that was ended by it."""
    for advices in (
        [TimeoutAdvice(0.2, grace=0.1), quick(3, on=("timeout",))],
        [quick(3, on=("timeout",)), TimeoutAdvice(0.2, grace=0.1)],
    ):
        done = world.run(*advices, command="sleep 60").get()
        assert (done.timed_out, done.tries) == (True, 3)


def test_both_limits(world: World) -> None:
    """Each try gets a new deadline, and none later than that of all."""
    scripted = Scripted("fail")
    world.run(TimeoutAdvice(500), TimeoutAdvice(1000, scope="total"), quick(2), scripted)
    first, second = scripted.deadlines
    assert first.limit_s == second.limit_s == 500
    assert first.at_s < second.at_s < time.monotonic() + 501
    scripted = Scripted("fail")
    world.run(TimeoutAdvice(500), TimeoutAdvice(100, scope="total"), quick(2), scripted)
    assert {deadline.at_s for deadline in scripted.deadlines} == {scripted.deadlines[0].at_s}
    assert scripted.deadlines[0].limit_s == 100


def test_cancelled_between_two_tries(world: World, wait_until: Callable[[Callable[[], bool], str], None]) -> None:
    """Whoever stops the run while the next try is waited for gets a result that says so."""
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(world.run(quick(2, delay=600.0), Scripted("fail"))))
    thread.start()
    wait_until(lambda: len(world.sink.notes) == 1, "the first try is not over")
    world.cancel.cancel("no time")
    thread.join()
    done = results[0].get()
    assert (done.outcome, done.cancelled) == ("crash", True)
    assert done.comments.startswith("cancelled before its next attempt: no time")


@pytest.mark.parametrize(
    "fields", [{"plugin": "user-interact"}, {"flags": "noreturn"}, {"flags": "expect-reboot"}, {"plugin": "manual"}]
)
def test_runs_once(world: World, fields: dict[str, str]) -> None:
    """A job that needs a person, or takes the machine down, is not repeated."""
    scripted = Scripted("fail")
    world.run(quick(), scripted, **fields)
    assert scripted.count == 1


@pytest.mark.parametrize("plugin", ["resource", "attachment"])
def test_output_that_is_the_result(world: World, plugin: str, tmp_path: Path) -> None:
    """Of a job that prints its result only the try that counts prints on standard output; the others stay readable."""
    count = tmp_path / "count"
    command = f"echo x >> {count}; n=$(wc -l < {count}); echo key: $n; echo also >&2; [ $n -eq 2 ]"
    assert world.run(quick(), command=command, plugin=plugin).get().tries == 2
    assert world.sink.stdout == b"key: 2\n"
    assert world.sink.stderr == b"also\nkey: 1\nalso\n"


@pytest.mark.parametrize(
    "given", [{"attempts": 0}, {"attempts": 1001}, {"delay": -1}, {"backoff": 0.5}, {"jitter": 2}, {"on": ("failed",)}]
)
def test_parameters_that_make_no_sense(given: dict[str, object]) -> None:
    """Numbers and reasons without a meaning are refused."""
    with pytest.raises(ValueError, match=r"attempts=|a delay is|on=failed"):
        RetryAdvice(**given)


def test_function() -> None:
    """Functions are repeated as well."""
    calls: list[int] = []

    def flaky() -> str:
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError("not yet")
        return "done"

    configuration = Configuration().add_advice_chain(quick(5, on=("OSError",)))
    result = Invocation(Task.create_task(flaky), Execution("e"), configuration).initiate()
    assert (result.get(), len(calls)) == ("done", 3)
