# SPDX-License-Identifier: Apache-2.0
"""The tracer and the trace file."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
import threading

import pytest

from plainbox.tracing import Action, Tracer, child_environment, current_traceparent, inject
from plainbox.tracing.file import MOST_WAITING, TraceFile


@pytest.mark.parametrize("name", ["PLAINBOX_TRACING_DISABLE", "OTEL_SDK_DISABLED"])
def test_switched_off(monkeypatch, file, name):
    """Each of the two variables alone switches everything off: no tracer, no thread, no file."""
    monkeypatch.setenv(name, "true")
    threads = threading.active_count()
    tracer = Tracer(file=file)
    with Action("work") as action:
        assert action.span is None
    tracer.close()
    assert Tracer.TRACER is None
    assert not tracer.active
    assert threading.active_count() == threads
    assert not file.exists()


def test_bad_settings(monkeypatch, file, spans, caplog):
    """What cannot be used is told in one warning, and the trace is written."""
    monkeypatch.setenv("PLAINBOX_TRACING_REPORTING_PORT", "abc")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin,file")
    Tracer(file=file)
    with Action("work"):
        pass
    assert len(spans()) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_spans_wait_for_their_file(file, spans):
    """What ended before the place of the file was known is written when it is."""
    tracer = Tracer()
    with Action("before"):
        pass
    tracer.set_file(file)
    with Action("after"):
        pass
    assert [span["name"] for span in spans()] == ["before", "after"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_waiting_is_bounded(file, spans, caplog):
    """Without a file only so many spans are kept; that some are missing is told at the end."""
    tracer = Tracer()
    for _ in range(MOST_WAITING + 3):
        Action("work").finish()
    tracer.set_file(file)
    tracer.close()
    assert len(spans()) == MOST_WAITING
    assert "no room for 3 spans" in caplog.text


def test_no_file_at_all(caplog):
    """Spans that never had a file are dropped without a word."""
    tracer = Tracer()
    Action("work").finish()
    tracer.close()
    assert not caplog.records


def test_file_is_bounded(file, caplog):
    """A file that is full takes no more, whoever opens it; the end tells how many are missing."""
    for _ in range(2):
        trace = TraceFile(file, logger=logging.getLogger("plainbox"), most_bytes=1000)
        for _ in range(10):
            trace.export(Action("work"))
        trace.close(1.0)
    assert file.stat().st_size <= 1000
    assert [json.loads(line)["name"] for line in file.read_text().splitlines()]
    assert "no room for 10 spans" in caplog.text


def test_file_is_added_to(file, spans):
    """A run that goes on adds to the file, on a line of its own whatever the former run has left."""
    file.write_bytes(b'{"name": "torn')
    file.chmod(0o600)
    Tracer(file=file)
    Action("work").finish()
    assert file.read_bytes().startswith(b'{"name": "torn\n{"name":"work"')


@pytest.mark.parametrize("obstacle", ["link", "fifo", "directory", "missing directory"])
def test_obstacle(file, obstacle, caplog):
    """Whatever is in the place of the file is left alone; there is one warning, and work goes on."""
    aim = file.with_name("aim")
    aim.write_text("mine")
    if obstacle == "link":
        file.symlink_to(aim)
    elif obstacle == "fifo":
        os.mkfifo(file)
    elif obstacle == "directory":
        file.mkdir()
    else:
        file = file / "deeper"
    tracer = Tracer()
    for _ in range(3):
        Action("work").finish()
    tracer.set_file(file)
    for _ in range(3):
        Action("work").finish()
    tracer.close()
    assert aim.read_text() == "mine"
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_full_disk(caplog):
    """A disk that is full ends the trace with one warning, not the work."""
    if not os.path.exists("/dev/full"):
        pytest.fail("this system has no device that is always full")
    trace = TraceFile("/dev/full", logger=logging.getLogger("plainbox"))
    tracer = Tracer(exporter=trace)
    for _ in range(3):
        Action("work").finish()
    tracer.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_announced(tracer, spans):
    """An action that is announced has a line without an end, and one with it later."""
    with Action("work") as action:
        tracer.announce(action)
        assert ["end_ns" in span for span in spans()] == [False]
    assert ["end_ns" in span for span in spans()] == [False, True]
    assert len({span["span_id"] for span in spans()}) == 1


def test_close(tracer, spans):
    """Open actions are ended and marked; a second call does nothing, and later actions write nothing."""
    outer = Action("outer")
    Action("inner", parent=outer)
    tracer.close()
    tracer.close()
    Action("late").finish()
    assert [span["name"] for span in spans()] == ["inner", "outer"]
    assert all(span["attributes"]["plainbox.unfinished"] for span in spans())
    assert Tracer.TRACER is None


def test_threads_write_whole_lines(tracer, spans):
    """Threads that end actions at the same time write whole lines."""

    def work() -> None:
        for _ in range(200):
            Action("work", tags={"text": "x" * 500}).finish()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spans()) == 800


def test_broken_exporter(caplog):
    """An exporter that raises is told once and not asked again."""

    class Broken:
        def export(self, action: Action) -> None:
            raise RuntimeError("out of order")

        def set_file(self, path: str) -> None: ...

        def close(self, limit_s: float) -> None: ...

    tracer = Tracer(exporter=Broken())
    Action("work").finish()
    Action("work").finish()
    tracer.close()
    assert [record.getMessage() for record in caplog.records] == ["the trace of this run is not complete: out of order"]


def test_console(monkeypatch, capsys):
    """On the console each span is a line of standard error; standard output belongs to reports."""
    monkeypatch.setenv("PLAINBOX_TRACING_EXPORTER", "console")
    tracer = Tracer()
    with Action("work") as action:
        tracer.announce(action)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [json.loads(line)["name"] for line in captured.err.splitlines()] == ["work"]


def test_environment_of_children(monkeypatch, tracer):
    """A child is told of the action it belongs to; the environment of this process stays as it is."""
    monkeypatch.setenv("TRACESTATE", "of=nobody")
    before = dict(os.environ)
    with Action("work") as action, Action("other") as other:
        environment = child_environment(action=action)
        assert child_environment({"A": "b"}) == {"A": "b", "TRACEPARENT": other.context.traceparent}
        headers: dict[str, str] = {}
        inject(headers)
        assert headers == {"traceparent": current_traceparent()} == {"traceparent": other.context.traceparent}
    seen = subprocess.run(
        [sys.executable, "-c", "import os; print(os.environ['TRACEPARENT'], os.environ.get('TRACESTATE'))"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert seen == [f"00-{action.trace_id}-{action.span_id}-01", "None"]
    assert dict(os.environ) == before


def test_environment_when_off(monkeypatch):
    """With tracing switched off, and with no propagator, what came is passed on."""
    text = f"00-{'a' * 32}-{'b' * 16}-01"
    with Action("work") as action:
        assert child_environment({"TRACEPARENT": text}, action) == {"TRACEPARENT": text}
        monkeypatch.setenv("OTEL_PROPAGATORS", "none")
        Tracer()
        assert child_environment({"TRACEPARENT": text}, action) == {"TRACEPARENT": text}


def test_service_name(monkeypatch, file, spans):
    """The topmost span of a program says whose it is."""
    Tracer("mine", file=file)
    with Action("outer") as outer, Action("inner", parent=outer):
        pass
    assert [span.get("service") for span in spans()] == [None, "mine"]
