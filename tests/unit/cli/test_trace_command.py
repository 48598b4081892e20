# SPDX-License-Identifier: Apache-2.0
"""``plainbox trace show``: a run as a waterfall."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from plainbox.cli.commands import trace
from plainbox.errors import UsageError
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.storage import SessionStorage
from plainbox.testing.clock import ManualClock
from plainbox.tracing import Action, Tracer
from plainbox.tracing.file import TRACE_NAME


@pytest.fixture
def session() -> SessionStorage:
    return SessionStorage.create(SessionStorageRepository().location, durable=False)


@pytest.fixture
def traced(session: SessionStorage) -> SessionStorage:
    """A session with the trace of a run."""
    clock = ManualClock()
    tracer = Tracer(file=Path(session.location, TRACE_NAME), clock=clock)
    with Action("running session", tags={"plainbox.session.id": "one"}) as root:
        clock.advance(1)
        for job_id, outcome in (("a", "pass"), ("\x1b[31mb", "crash")):
            tags = {"plainbox.job.id": job_id, "plainbox.job.outcome": outcome}
            with Action("running job", parent=root, tags=tags) as job:
                with Action("running command", parent=job, tags={"plainbox.job.id": job_id}):
                    clock.advance(1)
                Action("writing checkpoint", parent=job).finish()
    tracer.close()
    return session


def show(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    parser = argparse.ArgumentParser()
    trace.configure(parser)
    assert trace.run(parser.parse_args(["show", *words])) == 0
    return capsys.readouterr().out


def test_waterfall(traced: SessionStorage, capsys: pytest.CaptureFixture[str]) -> None:
    """Each span is a line with its begin, its duration, its place in the whole and what it was; nothing is hidden."""
    lines = show(capsys).splitlines()
    assert lines[0].startswith("trace ")
    assert lines[1].split() == ["0.000", "s", "3.000", "s", f"|{'=' * 30}|", "running", "session", "one"]
    assert [line.rpartition("|  ")[2] for line in lines[1:]] == [
        "running session one",
        "  running job a (pass)",
        "    running command",
        "    writing checkpoint",
        "  running job \\x1b[31mb (crash)",
        "    running command",
        "    writing checkpoint",
    ]
    assert "|          ==========          |" in lines[2]
    assert "|                    .         |" in lines[4]


def test_over(traced: SessionStorage, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what took long enough is shown."""
    assert "checkpoint" not in show(capsys, "--over", "0.5")
    assert len(show(capsys, "--over", "2").splitlines()) == 2
    assert show(capsys, "--over", "9") == ""


@pytest.mark.parametrize("text", ["-1", "x", "nan", "inf"])
def test_bad_limit(traced: SessionStorage, capsys: pytest.CaptureFixture[str], text: str) -> None:
    """What is no number of seconds is refused."""
    with pytest.raises(SystemExit):
        show(capsys, f"--over={text}")


def test_json(traced: SessionStorage, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has the same, with ids, seconds since the begin of the run, and attributes."""
    document = json.loads(show(capsys, "--json"))
    assert (document["schema"], document["session"]) == ("plainbox.trace/1", traced.id)
    assert [(span["depth"], span["at_s"], span["duration_s"]) for span in document["spans"][:3]] == [
        (0, 0.0, 3.0),
        (1, 1.0, 1.0),
        (2, 1.0, 1.0),
    ]
    assert document["spans"][1]["parent_id"] == document["spans"][0]["span_id"]
    assert document["spans"][1]["attributes"]["plainbox.job.outcome"] == "pass"


def test_run_that_goes_on(session: SessionStorage, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a run that is not over, what has ended is shown below what goes on."""
    tracer = Tracer(file=Path(session.location, TRACE_NAME))
    with Action("running session") as root:
        tracer.announce(root)
        job = Action("running job", parent=root)
        Action("writing checkpoint", parent=job).finish()
        shown = show(capsys)
        job.finish()
    tracer.close()
    assert "running session (not finished)" in shown
    assert "  writing checkpoint" in shown


def test_no_trace(session: SessionStorage, capsys: pytest.CaptureFixture[str]) -> None:
    """A session without a trace is a matter of usage, with the likely reason."""
    with pytest.raises(UsageError, match="has no trace"):
        show(capsys)
