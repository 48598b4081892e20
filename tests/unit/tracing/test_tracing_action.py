# SPDX-License-Identifier: Apache-2.0
"""Actions: the stack of a thread, times, tags, and what becomes of errors."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import threading

import pytest

from plainbox.errors import GlueError
from plainbox.tracing import Action, SpanContext, Tracer, run_in_thread_with, traced


def test_nested_blocks(tracer, clock, spans):
    """A span knows its parent and shares its trace; the times are in order."""
    with Action("outer") as outer:
        clock.advance(1)
        with Action("inner", parent=outer) as inner:
            clock.advance(0.5)
        clock.advance(1)
    assert (inner.parent_id, inner.trace_id) == (outer.span_id, outer.trace_id)
    written = spans()
    assert [span["name"] for span in written] == ["inner", "outer"]
    assert written[0]["parent_id"] == written[1]["span_id"] == outer.span_id
    assert written[1]["start_ns"] < written[0]["start_ns"] < written[0]["end_ns"] < written[1]["end_ns"]
    assert (inner.duration_s, outer.duration_s) == (0.5, 2.5)


def test_times_of_day(tracer, clock):
    """The moments are of the wall clock and know their time zone; a wall clock that jumps changes no duration."""
    with Action("outer") as outer:
        clock.set_wall(0.0)
        clock.advance(2)
        with Action("inner", parent=outer) as inner:
            pass
    assert outer.started_at == datetime.datetime.fromtimestamp(1_750_000_000, datetime.UTC)
    assert outer.finished_at == inner.started_at == outer.started_at + datetime.timedelta(seconds=2)


def test_current_action():
    """The current action is the innermost one; without any there is an error, or nothing."""
    with Action("outer") as outer:
        with Action("inner", parent=outer) as inner:
            assert Action.current_action() is inner
        assert Action.current_action() is outer
    assert Action.maybe_current() is None
    with pytest.raises(RuntimeError):
        Action.current_action()


def test_no_parent_is_a_root():
    """An action without a parent begins a trace of its own, whatever is current."""
    with Action("outer") as outer, Action("other") as other:
        assert other.parent_id is None
        assert other.trace_id != outer.trace_id


def test_siblings():
    """Of two open siblings the later is current, also when the earlier is finished first."""
    first, second = Action("first"), Action("second")
    assert Action.current_action() is second
    first.finish()
    assert Action.current_action() is second
    second.finish()


def test_finished_twice():
    """To finish an action twice, or in another thread, is an error and leaves the other actions alone."""
    other = Action("other")
    action = Action("mine")
    caught = []

    def finish_there() -> None:
        with pytest.raises(GlueError) as error:
            action.finish()
        caught.append(error.value)

    thread = threading.Thread(target=finish_there)
    thread.start()
    thread.join()
    assert "'mine'" in str(caught[0])
    action.finish()
    with pytest.raises(GlueError):
        action.finish()
    assert Action._action_stack() == [other]


def test_stacks_of_threads():
    """A new thread has no action; a root replaces whatever is there, in the same list, and in that thread alone."""
    main = Action("main")
    seen = []

    def work() -> None:
        seen.append(list(Action._action_stack()))
        stack = Action._action_stack()
        for label in ("a", "b"):
            root = Action(label)
            Action.set_thread_root(root)
            seen.append([action.label for action in Action._action_stack()])
        seen.append(stack is Action._action_stack())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [[], ["a"], ["b"], True]
    assert Action._action_stack() == [main]


def test_run_in_thread_with():
    """What another thread does for an action is below it; the thread has no action afterwards."""
    action = Action("mine")
    seen = []

    def work() -> None:
        seen.append(run_in_thread_with(action, Action.current_action))
        with pytest.raises(ZeroDivisionError):
            run_in_thread_with(action, lambda: 1 // 0)
        seen.append(Action.maybe_current())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [action, None]


def test_exception(tracer, spans):
    """An exception comes through unchanged; the span has it, and the stack is clean."""
    error = ValueError("no such thing")
    with pytest.raises(ValueError) as caught, Action("work"):
        raise error
    assert caught.value is error
    assert Action.maybe_current() is None
    [span] = spans()
    assert (span["status"], span["attributes"]["error.type"]) == ("error", "ValueError")
    assert span["events"][0]["attributes"] == {"exception.type": "ValueError", "exception.message": "no such thing"}


def test_block_that_was_robbed():
    """A block whose action somebody took off the stack ends as if nothing had happened."""
    with Action("work"):
        Action._action_stack().clear()


def test_tags(tracer, spans):
    """Tags of all three ways are in the span; the dictionary that was given stays as it is, late tags are told."""
    given = {"a": 1}
    with Action("work", tags=given) as action:
        action.set_tag("b", 2)
        action.set_tags({"c": 3})
    action.set_tag("late", 4)
    assert given == {"a": 1}
    assert action.tags == {"a": 1, "b": 2, "c": 3, "late": 4}
    assert spans()[0]["attributes"] == {"a": 1, "b": 2, "c": 3}


def test_what_takes_no_time_is_not_told_of(tracer, clock, spans):
    """A short action that may be left out is, unless it has failed."""
    for label, took_s, error in (("short", 0.01, None), ("long", 0.02, None), ("failed", 0.0, ValueError())):
        with contextlib.suppress(ValueError), traced(label, at_least_s=0.02):
            clock.sleep(took_s)
            if error is not None:
                raise error
    assert [span["name"] for span in spans()] == ["long", "failed"]


def test_late_tag_is_told(caplog):
    """A tag that comes after the end is told in a line for debugging."""
    action = Action("work")
    action.finish()
    with caplog.at_level(logging.DEBUG, "plainbox.tracing"):
        action.set_tag("late", 1)
    assert "late" in caplog.text


def test_debug_line(caplog):
    """The end of an action is told to its logger with label, parent, span and duration."""
    logger = logging.getLogger("mine")
    with caplog.at_level(logging.DEBUG, "mine"), Action("outer") as outer:
        inner = Action("inner", parent=outer, logger=logger)
        inner.finish()
    [record] = caplog.records
    assert repr(inner) == "<Action 'inner' below 'outer'>"
    assert repr(inner) in record.getMessage()
    assert inner.span_id in record.getMessage()


def test_without_a_tracer():
    """Without a tracer actions have ids and times all the same, and ``traced`` makes none."""
    with Action("work") as action:
        assert action.span is None
        assert (len(action.trace_id), len(action.span_id)) == (32, 16)
    assert action.duration_s is not None
    with traced("work") as nothing:
        assert nothing is None


def test_incoming_context(monkeypatch, file, spans):
    """The span that has started this program is the parent of the root, as ``TRACEPARENT`` says."""
    monkeypatch.setenv("TRACEPARENT", f"00-{'a' * 32}-{'b' * 16}-01")
    Tracer(file=file)
    with Action("work"):
        pass
    assert (spans()[0]["trace_id"], spans()[0]["parent_id"]) == ("a" * 32, "b" * 16)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        f"00-{'A' * 32}-{'b' * 16}-01",
        f"00-{'0' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'0' * 16}-01",
        f"ff-{'a' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'b' * 16}-01-more",
        f"00-{'a' * 32}-{'b' * 16}-01\n",
        f"01-{'a' * 32}-{'b' * 16}-01-" + "x" * 100_000,
        "\udcff" * 55,
    ],
)
def test_hostile_context(monkeypatch, file, text, caplog):
    """A ``TRACEPARENT`` that is none begins a new trace, without a word."""
    if text:
        monkeypatch.setenv("TRACEPARENT", text)
    Tracer(file=file)
    with Action("work") as action:
        assert action.parent_id is None
    assert SpanContext.parse(text) is None
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_later_version_of_the_context():
    """A later version of ``traceparent`` may say more than this one knows."""
    text = f"01-{'a' * 32}-{'b' * 16}-01-more"
    assert SpanContext.parse(text) == SpanContext("a" * 32, "b" * 16)


def test_not_sampled(monkeypatch, file):
    """What the caller does not want to be recorded is not, and says so to its own children."""
    monkeypatch.setenv("TRACEPARENT", f"00-{'a' * 32}-{'b' * 16}-00")
    tracer = Tracer(file=file)
    with Action("work") as action:
        assert action.context.traceparent == f"00-{'a' * 32}-{action.span_id}-00"
    tracer.close()
    assert not file.exists()


def test_fork(tracer, file, spans):
    """A forked child has no open actions and no tracer, and writes nothing."""
    with Action("work"):
        child = os.fork()
        if child == 0:
            clean = Tracer.TRACER is None and Action.maybe_current() is None
            with Action("in the child"):
                pass
            os._exit(0 if clean else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [span["name"] for span in spans()] == ["work"]
