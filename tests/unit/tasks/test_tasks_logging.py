# SPDX-License-Identifier: Apache-2.0
"""The advice that logs: its records, and the log of one invocation as a file."""

from __future__ import annotations

import json
import logging
import threading

import pytest

from plainbox.errors import ChainError
from plainbox.tasks import Configuration, Extension, Invocation, Result, Task
from plainbox.tasks.advices.log import JsonFormatter, LoggingAdvice

_log = logging.getLogger("ported.program")


def work(name="x"):
    _log.info("at work on %s", name)
    _log.debug("hardly worth it")
    thread = threading.Thread(target=_log.warning, args=("from another thread",))
    thread.start()
    thread.join()
    return name


def fail():
    try:
        raise ValueError("secret")
    except ValueError:
        _log.exception("it went wrong")
        raise


class Reading(Extension):
    """Keeps what was attached."""

    def __init__(self) -> None:
        self.files = {}
        self.ids = None

    def on_invocation_finished(self, invocation) -> None:
        self.files = {name: file.open().read().decode() for name, file in invocation.attachments.items()}
        self.ids = invocation.ids


@pytest.fixture
def call(caplog):
    """Return what calls a function with advices, and returns the result and what was attached."""
    caplog.set_level(logging.DEBUG)

    def call(*advices, function=work) -> tuple[Result, Reading]:
        reading = Reading()
        configuration = Configuration().add_advice_chain(*advices).add_extension(reading)
        made = Task.create_task(function)
        return Invocation(made, made.execution((), {}), configuration).initiate(), reading

    return call


def of_the_advice(caplog):
    return [(record.levelname, record.message) for record in caplog.records if record.name.endswith("advices.log")]


def test_records(call, caplog):
    """One record says that an execution starts and one how it went; no value is in them."""
    _, reading = call(LoggingAdvice())
    (one, started), (other, done) = of_the_advice(caplog)
    assert (one, other) == ("INFO", "INFO")
    assert started == f"task {reading.ids.task_id[:16]}: started, invocation {reading.ids.invocation_id[:16]}"
    assert "done after" in done
    assert reading.files == {}
    caplog.clear()
    call(LoggingAdvice("warning"), function=fail)
    assert [level for level, _ in of_the_advice(caplog)] == ["WARNING"] * 2
    assert "raised (ValueError: secret)" in of_the_advice(caplog)[1][1]


def test_parameters():
    """A level or a format that does not exist is refused with those that do."""
    assert LoggingAdvice(logging.ERROR).level == LoggingAdvice("error").level == logging.ERROR
    with pytest.raises(ChainError, match="no level 'loud'; known: debug, info, warning, error"):
        LoggingAdvice("loud")
    with pytest.raises(ChainError, match="no format 'xml'; known: json, text"):
        LoggingAdvice(format="xml")


def test_attached_log(call):
    """The log of one invocation is attached: its own records at the level and above, and those of no other thread."""
    before = list(logging.getLogger().handlers)
    result, reading = call(LoggingAdvice(attach=True))
    assert result == Result("x")
    lines = reading.files["invocation.log"].splitlines()
    assert [line.partition(": ")[2].partition(",")[0] for line in lines[1:2]] == ["at work on x"]
    assert len(lines) == 3
    assert logging.getLogger().handlers == before


def test_json_log(call):
    """In JSON each record is an object with its place, its process and the ids that it belongs to."""
    _, reading = call(LoggingAdvice(formatter=JsonFormatter()), function=fail)
    records = [json.loads(line) for line in reading.files["invocation.log"].splitlines()]
    (record,) = [record for record in records if record["logger"] == "ported.program"]
    assert record.keys() == {
        "timestamp", "logger", "level", "message", "threadId", "threadName", "processId", "processName", "module",
        "function", "path", "line_no", "exception", "traceback", "sessionId", "runId", "taskId", "executionId",
        "invocationId",
    }  # fmt: skip
    assert (record["message"], record["function"], record["exception"]) == (
        "it went wrong", "fail", "ValueError('secret')",
    )  # fmt: skip
    assert record["timestamp"].endswith("+00:00")
    assert (record["taskId"], record["invocationId"]) == (reading.ids.task_id, reading.ids.invocation_id)


def test_format_by_name(call):
    """The form can be chosen by its name too."""
    _, reading = call(LoggingAdvice("debug", attach=True, format="json"))
    messages = [json.loads(line)["message"] for line in reading.files["invocation.log"].splitlines()]
    assert messages[1:3] == ["at work on x", "hardly worth it"]


def test_formatter_alone():
    """A record is formatted whether another formatter has seen it or not, and without any invocation."""
    record = logging.LogRecord("n", logging.INFO, "p", 1, "%d of %d", (1, 2), None)
    found = json.loads(JsonFormatter().format(record))
    assert found["message"] == "1 of 2"
    assert "runId" not in found


def test_two_logs(call):
    """Two such advices, and one that is repeated, attach a file each."""
    _, reading = call(LoggingAdvice(attach=True), LoggingAdvice(attach=True))
    assert sorted(reading.files) == ["invocation-2.log", "invocation.log"]
    assert "at work" in reading.files["invocation.log"]
    assert len(reading.files["invocation-2.log"].splitlines()) > len(reading.files["invocation.log"].splitlines())
