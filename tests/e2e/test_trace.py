# SPDX-License-Identifier: Apache-2.0
"""Where the time of a run went: the trace file of a session, and what shows it."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

UNITS = """
id: tells
plugin: shell
command: echo "$TRACEPARENT" > "$TOLD"

id: crashes
plugin: shell
command: kill -9 $$

id: fails
plugin: shell
command: false

unit: test plan
id: all
name: All
include: .*
"""
CALLER = f"00-{'a' * 32}-{'b' * 16}-01"


def spans_of(plainbox) -> list[dict]:
    """Return the lines of the trace file, each of which must be good."""
    [path] = plainbox.sessions.glob("*.session/trace.jsonl")
    assert path.stat().st_mode & 0o777 == 0o600
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def named(spans: list[dict], name: str) -> list[dict]:
    return [span for span in spans if span["name"] == name and "end_ns" in span]


def test_spans_of_a_run(plainbox, provider, tmp_path: Path) -> None:
    """A session, its jobs, their commands and checkpoints are spans, each below what it is part of."""
    told = tmp_path / "told"
    plainbox.run("run", "--no-input", "--provider", provider(UNITS), "all", code=1, TOLD=str(told), TRACEPARENT=CALLER)
    spans = spans_of(plainbox)
    [session] = named(spans, "running session")
    assert (session["trace_id"], session["parent_id"]) == ("a" * 32, "b" * 16)
    assert session["attributes"]["plainbox.jobs.total"] == 3
    assert "status" not in session
    jobs = {span["attributes"]["plainbox.job.id"].partition("::")[2]: span for span in named(spans, "running job")}
    assert {name: job["attributes"]["plainbox.job.outcome"] for name, job in jobs.items()} == {
        "tells": "pass",
        "crashes": "crash",
        "fails": "fail",
    }
    assert [name for name, job in jobs.items() if job.get("status") == "error"] == ["crashes"]
    assert {job["parent_id"] for job in jobs.values()} == {session["span_id"]}
    commands = {span["parent_id"]: span for span in named(spans, "running command")}
    assert told.read_text().strip() == f"00-{'a' * 32}-{commands[jobs['tells']['span_id']]['span_id']}-01"
    known = {span["span_id"] for span in spans}
    assert [span["name"] for span in spans if span["parent_id"] not in known] == ["running session"] * 2
    plainbox.run("session", "verify")


def test_resume_is_linked(plainbox, provider, tmp_path: Path) -> None:
    """A run that was killed has its spans; the one that goes on adds its own, with a link to the former session."""
    begun = tmp_path / "begun"
    directory = provider('id: waits\nplugin: shell\ncommand: touch "$BEGUN"; sleep 60\n')
    process = plainbox.start("run", "--no-input", "--provider", directory, "waits", BEGUN=str(begun))
    while not begun.exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    [first] = [span for span in spans_of(plainbox) if span["name"] == "running session"]
    assert "end_ns" not in first
    plainbox.run("resume", "--no-input", code=1)
    spans = spans_of(plainbox)
    [second] = named(spans, "running session")
    assert second["trace_id"] != first["trace_id"]
    assert second["attributes"]["plainbox.session.resumed"] is True
    assert second["links"] == [{"trace_id": first["trace_id"], "span_id": first["span_id"]}]
    plainbox.run("session", "verify")


def test_running_job_of_a_killed_run(plainbox, provider, wait_for_trace) -> None:
    """The trace of a run that was killed, and of one that goes on, shows the job that it was at."""
    directory = provider("id: quick\nplugin: shell\ncommand: true\n\nid: hangs\nplugin: shell\ncommand: sleep 60\n")
    process = plainbox.start("run", "--no-input", "--provider", directory, "quick", "hangs")
    wait_for_trace(process, b"org.example::hangs")
    assert "running job org.example::hangs (not finished)" in plainbox.run("trace", "show").stdout
    process.send_signal(signal.SIGKILL)
    process.communicate()
    shown = plainbox.run("trace", "show").stdout
    assert "running job org.example::hangs (not finished)" in shown
    assert shown.count("running job org.example::quick") == 1


@pytest.fixture
def wait_for_trace(plainbox):
    """Return what waits until the trace of a running session has a text."""

    def wait(process, text: bytes) -> None:
        while not any(text in path.read_bytes() for path in plainbox.sessions.glob("*/trace.jsonl")):
            assert process.poll() is None
            time.sleep(0.02)

    return wait


@pytest.mark.parametrize("name", ["PLAINBOX_TRACING_DISABLE", "OTEL_SDK_DISABLED"])
def test_switched_off(plainbox, provider, tmp_path: Path, name: str) -> None:
    """Switched off there is no file, and jobs see the context that came from outside."""
    told = tmp_path / "told"
    variables = {"TOLD": str(told), "TRACEPARENT": CALLER, name: "true"}
    plainbox.run("run", "--no-input", "--provider", provider(UNITS), "tells", **variables)
    assert told.read_text().strip() == CALLER
    assert not list(plainbox.sessions.glob("*/trace.jsonl"))


def test_file_elsewhere(plainbox, provider, tmp_path: Path) -> None:
    """The trace can go to a file of the user's choice instead."""
    path = tmp_path / "mine.jsonl"
    variables = {"TOLD": "/dev/null", "PLAINBOX_TRACING_FILE": str(path)}
    plainbox.run("run", "--no-input", "--provider", provider(UNITS), "tells", **variables)
    assert named([json.loads(line) for line in path.read_text().splitlines()], "running session")
    assert not list(plainbox.sessions.glob("*/trace.jsonl"))


def test_trouble_is_a_warning(plainbox, provider) -> None:
    """A file that cannot be written costs one warning and nothing else."""
    variables = {"TOLD": "/dev/null", "PLAINBOX_TRACING_FILE": "/dev/full", "PLAINBOX_TRACING_REPORTING_PORT": "abc"}
    done = plainbox.run("run", "--no-input", "--provider", provider(UNITS), "tells", **variables)
    assert done.stderr.count("warning") == 2
    assert "'abc' is no port" in done.stderr
    assert "the trace of this run is not complete" in done.stderr
