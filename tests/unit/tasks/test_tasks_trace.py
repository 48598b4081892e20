# SPDX-License-Identifier: Apache-2.0
"""The advice that shows executions in the trace of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from plainbox.tasks import (
    Advice,
    Configuration,
    Execution,
    ExecutionEngine,
    Invocation,
    MemorySink,
    Result,
    Surroundings,
    Task,
)
from plainbox.tasks.advices.trace import TraceAdvice
from plainbox.tracing import Action, Tracer
from plainbox.tracing.stored import StoredSpan, read_spans
from plainbox.units import JobDefinition


class Traced:
    """Executes jobs below one action and reads what the trace says of them."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.sink = MemorySink()
        self.engine = ExecutionEngine()

    def execute(self, command: str, timeout: str = "60", **variables: str) -> Result:
        job = JobDefinition({"id": "org.example::job", "plugin": "shell", "command": command, "timeout": timeout})
        environment = {**os.environ, "TRACEPARENT": "of nobody", **variables}
        surroundings = Surroundings(environment, self.sink, lambda process: None)
        with Action("running job") as self.above:
            return self.engine.execute(job, surroundings)

    @property
    def spans(self) -> list[StoredSpan]:
        return [span for span in read_spans(self.file) if span.name != "running job"]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TRACEPARENT", "PLAINBOX_TRACING_DISABLE", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "trace.jsonl"


@pytest.fixture
def traced(file: Path) -> Iterator[Traced]:
    tracer = Tracer(file=file)
    yield Traced(file)
    tracer.close()


def test_span_of_a_command(traced: Traced) -> None:
    """In the default chain: the span of a command is below that of its job, and says which process and how it ended."""
    report = traced.execute("exit 3").get()
    [span] = traced.spans
    assert (span.name, span.parent_id, span.status) == ("running command", traced.above.span_id, "unset")
    assert span.attributes["plainbox.job.id"] == "org.example::job"
    assert span.attributes["process.pid"] == report.process.pid
    assert span.attributes["process.exit.code"] == 3


def test_signal_and_limit(traced: Traced) -> None:
    """The signal that a command died of and a limit that was over are told."""
    traced.execute("kill -9 $$")
    traced.execute("sleep 60", timeout="0.1")
    killed, late = traced.spans
    assert killed.attributes["plainbox.command.signal"] == 9
    assert late.attributes["plainbox.command.timed_out"] is True


def test_context_of_the_command(traced: Traced) -> None:
    """The command finds the span of its execution in its environment, in place of what was there."""
    traced.execute("echo $TRACEPARENT")
    [span] = traced.spans
    assert traced.sink.stdout.decode() == f"00-{traced.above.trace_id}-{span.span_id}-01\n"


def test_without_a_tracer(file: Path) -> None:
    """While nothing is traced the advice does nothing, and the environment of the job is what it was."""
    traced = Traced(file)
    assert traced.execute("echo $TRACEPARENT").get().outcome == "pass"
    assert traced.sink.stdout == b"of nobody\n"
    assert not file.exists()


def test_job_that_cannot_start(traced: Traced) -> None:
    """An execution that could not be carried out is an error in the trace, and the same error outside."""
    result = traced.execute("true", PATH="/nowhere")
    [span] = traced.spans
    assert result.exception is not None
    assert (span.status, span.attributes["error.type"]) == ("error", "JobStartError")


def test_advice_inside_fails(traced: Traced) -> None:
    """An advice further inside that raises ends the span with that error, which comes through unchanged."""
    error = RuntimeError("wrong")

    class Wrong(Advice):
        def before(self, invocation: Invocation) -> None:
            raise error

    traced.engine.configuration.add_advice_chain(TraceAdvice(), Wrong())
    assert traced.execute("true").exception is error
    assert traced.spans[0].attributes["error.type"] == "RuntimeError"
    assert Action.maybe_current() is None


def test_each_attempt_has_a_span(traced: Traced) -> None:
    """Inside of an advice that repeats, each attempt is a span; the surroundings are those of outside again."""
    seen = []

    class Twice(Advice):
        def before(self, invocation: Invocation) -> None:
            given = invocation.surroundings
            invocation.run_inner()
            result = invocation.run_inner()
            seen.append(invocation.surroundings is given)
            invocation.conclude(result)

    traced.engine.configuration.add_advice_chain(Twice(), TraceAdvice())
    traced.execute("true")
    assert seen == [True]
    assert [span.attributes.get("plainbox.command.attempt") for span in traced.spans] == [None, 2]


def test_function_that_meddles(traced: Traced) -> None:
    """A task that leaves actions open, or clears the stack, has its result all the same."""

    class Meddling(Task):
        task_id = "meddling"

        def execute(self, invocation: Invocation) -> Result:
            Action("left open")
            Action._action_stack().clear()
            return Result(5)

    configuration = Configuration().add_advice_chain(TraceAdvice(), name="traced")
    assert Invocation(Meddling(), Execution("e"), configuration, "traced").initiate() == Result(5)
