# SPDX-License-Identifier: Apache-2.0
"""The small values of the room: results, executions, contexts, identifiers, configurations, tokens, sinks."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainbox.errors import ChainError
from plainbox.processes import read_stat
from plainbox.tasks import (
    Advice,
    CancelToken,
    Configuration,
    Context,
    Deadline,
    Execution,
    MemorySink,
    Result,
    TeeSink,
    identifier_from_bytes,
    identifier_from_string,
)
from plainbox.tasks.advices.log import LoggingAdvice
from plainbox.tasks.advices.timeout import TimeoutAdvice
from plainbox.tasks.configuration import advice_by_name
from plainbox.tasks.identifier import identifier_from_parts, short_form
from plainbox.tasks.report import judge
from plainbox.units import JobDefinition


def test_result_is_a_value_or_an_exception():
    """A result holds one of the two, and ``get`` gives it in its own way."""
    assert Result(5).get() == 5
    assert Result().get() is None
    with pytest.raises(KeyError):
        Result(exception=KeyError("x")).get()
    with pytest.raises(ValueError):
        Result(5, KeyError())
    with pytest.raises(TypeError):
        Result(exception="no exception")


def test_results_are_compared_by_content():
    """Results are equal when their values are, or the types and arguments of their exceptions."""
    assert Result(exception=KeyError("x")) == Result(exception=KeyError("x"))
    assert Result(exception=KeyError("x")) != Result(exception=KeyError("y"))
    assert Result(exception=KeyError("x")) != Result(exception=ValueError("x"))
    assert hash(Result(exception=KeyError("x"))) == hash(Result(exception=KeyError("x")))
    assert Result(1) != Result()


def test_execution_has_defaults_and_stays():
    """Absent arguments are empty, and present ones cannot be changed through the execution."""
    assert Execution("e") == Execution("e", None, None) == Execution("e", (), {})
    kwargs = {"a": 1}
    execution = Execution("e", [1], kwargs)
    kwargs["a"] = 2
    assert (execution.args, execution.kwargs) == ((1,), {"a": 1})
    with pytest.raises(TypeError):
        execution.kwargs["a"] = 3


def test_context_is_a_dictionary():
    """A context is a mapping whose ``attributes`` are the live dictionary."""
    context = Context({"a": 1})
    context["b"] = 2
    del context["a"]
    assert dict(context) == context.attributes == {"b": 2}
    assert (context == Context({"b": 2}), len(context), "c" in context) == (True, 1, False)


def test_identifiers():
    """Identifiers are whole SHA-256 digests; the short form is their beginning."""
    assert identifier_from_string("é") == identifier_from_bytes("é".encode())
    assert len(identifier_from_string("")) == 64
    assert short_form(identifier_from_string("x")) == identifier_from_string("x")[:16]


@given(st.lists(st.none() | st.text(alphabet="a-;:1", max_size=4)), st.lists(st.none() | st.text("a-;:1", max_size=4)))
def test_identifier_of_parts(one, other):
    """Different sequences of parts have different identifiers."""
    assert (identifier_from_parts(*one) == identifier_from_parts(*other)) == (one == other)


def test_default_chain():
    """The built-in chain of jobs begins with log and ends with timeout; that of functions is empty, and what is set
    counts for both."""
    configuration = Configuration()
    job = JobDefinition({"id": "job", "plugin": "shell", "command": "true"})
    of_jobs = configuration.chain_of(job).advices
    assert (type(of_jobs[0]), type(of_jobs[-1])) == (LoggingAdvice, TimeoutAdvice)
    assert configuration.get_advice_chain() == ()
    configuration.add_advice_chain(of_jobs[0])
    assert configuration.chain_of(job).advices == configuration.get_advice_chain() == of_jobs[:1]


def test_unknown_chain():
    """An unknown chain is an error that lists the known ones and names close ones."""
    configuration = Configuration().add_advice_chain(name="on-dut")
    with pytest.raises(ChainError, match="unknown advice chain 'on-dot'; known: default, on-dut") as caught:
        configuration.get_advice_chain("on-dot")
    assert caught.value.hint == "did you mean 'on-dut'?"
    with pytest.raises(ChainError) as caught:
        configuration.get_advice_chain("zzz")
    assert caught.value.hint is None


def test_chain_is_replaced():
    """The last chain of a name counts."""
    advice = Advice()
    configuration = Configuration().add_advice_chain(Advice()).add_advice_chain(advice)
    assert configuration.get_advice_chain() == (advice,)


def test_chain_of_something_else():
    """Only advices can be in a chain."""
    with pytest.raises(ChainError, match="is no advice"):
        Configuration().add_advice_chain("log")


def test_advice_by_name():
    """Advices are known by name; an unknown one is an error that lists the known ones."""
    assert isinstance(advice_by_name("timeout"), TimeoutAdvice)
    with pytest.raises(ChainError, match=r"unknown advice 'timeot'; known: .*log.*timeout") as caught:
        advice_by_name("timeot")
    assert caught.value.hint == "did you mean 'timeout'?"


def test_deadline():
    """The earlier of two deadlines is the one that counts."""
    early, late = Deadline(1.0, 5), Deadline(2.0, 6)
    assert early.or_earlier(late) is late.or_earlier(early) is early.or_earlier(None) is early


def test_cancel_token():
    """Only the first reason counts, and every listener hears of it once."""
    token, heard = CancelToken(), []
    token.subscribe(lambda: heard.append(1))
    assert (token.cancelled, token.reason) == (False, None)
    token.cancel("first")
    token.cancel("second")
    assert (token.cancelled, token.reason, heard) == (True, "first", [1])


def test_cancel_token_tells_late_listeners():
    """Who listens to a token that is cancelled hears of it at once."""
    token, heard = CancelToken(), []
    token.cancel("x")
    token.subscribe(lambda: heard.append(1))
    assert heard == [1]


def test_cancel_token_forgets_listeners():
    """Who does not listen any more is not called."""
    token, heard = CancelToken(), []

    def listener() -> None:
        heard.append(1)

    token.subscribe(listener)
    token.unsubscribe(listener)
    token.cancel("x")
    assert heard == []


def test_unsubscribe_waits_for_the_listener():
    """Once ``unsubscribe`` has returned the listener does not run, not even in another thread."""
    token, entered, go_on, order = CancelToken(), threading.Event(), threading.Event(), []

    def listener() -> None:
        entered.set()
        go_on.wait(30)
        order.append("listener")

    token.subscribe(listener)
    canceller = threading.Thread(target=token.cancel, args=("x",))
    canceller.start()
    entered.wait(30)

    def unsubscribe() -> None:
        token.unsubscribe(listener)
        order.append("unsubscribed")

    leaver = threading.Thread(target=unsubscribe)
    leaver.start()
    go_on.set()
    canceller.join()
    leaver.join()
    assert order == ["listener", "unsubscribed"]


def test_tee():
    """A tee passes everything to all of its sinks."""
    one, other = MemorySink(), MemorySink()
    tee = TeeSink(one, other)
    tee.write("stdout", b"a")
    tee.write("stderr", b"b")
    tee.note("n")
    assert one.chunks == other.chunks == [("stdout", b"a"), ("stderr", b"b")]
    assert (one.notes, other.stdout, other.stderr) == (["n"], b"a", b"b")


@pytest.mark.parametrize(
    ("return_code", "outcome", "comment"),
    [
        (0, "pass", None),
        (1, "fail", None),
        (137, "fail", None),
        (-9, "crash", "killed by SIGKILL (9)"),
        (-40, "crash", "killed by signal (40)"),
    ],
)
def test_judge(return_code, outcome, comment):
    """0 passes, a positive code fails, a signal is a crash that names it."""
    assert judge(return_code) == (outcome, comment)


def test_name_of_a_process_is_hostile(run):
    """A process that calls itself something like a stat line is read right."""
    (run.directory / "x) R 1 1").symlink_to("/bin/sleep")
    ending = run("'./x) R 1 1' 60 &")
    assert [(stat.name, stat.state, stat.session) for stat in ending.left] == [
        ("x) R 1 1", "S", ending.process.pid),
    ]


def test_no_such_process():
    """There is nothing to read about a process that does not exist."""
    assert read_stat(2**22 + 1) is None
