# SPDX-License-Identifier: Apache-2.0
"""Advice around a task: the order of the hooks, and what happens to those that do not keep to it."""

from __future__ import annotations

import logging

import pytest

from plainbox.errors import AdviceProtocolError, ChainError
from plainbox.tasks import (
    Advice,
    Configuration,
    Deadline,
    Execution,
    Invocation,
    InvocationState,
    Result,
    Task,
    advise_task_with_chain,
)
from plainbox.tasks.session import Session


class Work(Task):
    """Counts its executions, and returns or raises what it is given."""

    def __init__(self, log, outcome="work") -> None:
        self.log = log
        self.outcome = outcome

    @property
    def task_id(self) -> str:
        return "work"

    def execute(self, invocation) -> Result:
        self.log.append("task")
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return Result(self.outcome)


class Told(Advice):
    """Notes every hook, and does in it what it is told; proceeds when it is told nothing."""

    def __init__(self, log, number, before=None, after=None, finally_=None) -> None:
        self.log = log
        self.number = number
        self.told = {"b": before, "a": after, "f": finally_}

    def _do(self, hook, invocation, default) -> None:
        self.log.append(f"{hook}{self.number}")
        told = self.told[hook]
        (told or default)(invocation)

    def before(self, invocation) -> None:
        self._do("b", invocation, Invocation.proceed)

    def after(self, invocation) -> None:
        self._do("a", invocation, Invocation.proceed)

    def finally_(self, invocation) -> None:
        self._do("f", invocation, lambda invocation: None)


@pytest.fixture
def log():
    return []


@pytest.fixture
def chain(log):
    """Return what builds an invocation with a chain of three, told what to do by keywords such as before_2."""

    def build(outcome="work", **told):
        advices = [
            Told(log, i, told.get(f"before_{i}"), told.get(f"after_{i}"), told.get(f"finally_{i}")) for i in (1, 2, 3)
        ]
        configuration = Configuration().add_advice_chain(*advices, name="three")
        return Invocation(Work(log, outcome), Execution("e"), configuration, "three")

    return build


def hooks(log):
    return [entry for entry in log if not entry.startswith("f")]


def conclude_with(value):
    return lambda invocation: invocation.conclude(Result(value))


def fail_with(error):
    def fail(invocation) -> None:
        raise error

    return fail


def twice(invocation) -> None:
    invocation.proceed()
    invocation.proceed()


def nothing(invocation) -> None:
    pass


def test_order(chain, log):
    """Hooks run from the outside in and back; each level is over before the next outer one goes on."""
    invocation = chain()
    assert invocation.state is InvocationState.NEW
    assert invocation.initiate() == Result("work")
    assert log == ["b1", "b2", "b3", "task", "a3", "f3", "a2", "f2", "a1", "f1"]
    assert invocation.state is InvocationState.FINISHED
    assert invocation.current_advice is None


def test_empty_chain(log):
    """A chain without advice is the task alone."""
    configuration = Configuration().add_advice_chain(name="none")
    assert advise_task_with_chain(Work(log), Execution("e"), configuration, "none") == Result("work")


def test_advice_that_does_nothing(log):
    """The base class proceeds in both hooks."""
    configuration = Configuration().add_advice_chain(Advice(), Advice())
    assert advise_task_with_chain(Work(log), Execution("e"), configuration) == Result("work")


def test_conclude_in_before(chain, log):
    """Concluding early leaves out the inner part, the task and the own after, but no finally_."""
    assert chain(before_2=conclude_with("early")).initiate() == Result("early")
    assert log == ["b1", "b2", "f2", "a1", "f1"]


def test_conclude_in_outermost_before(chain, log):
    """The first advice can conclude as well as any other."""
    assert chain(before_1=conclude_with("early")).initiate() == Result("early")
    assert log == ["b1", "f1"]


def test_conclude_in_after(chain, log):
    """A result replaced on the way out is the one that outer advices and the caller see."""
    seen = []

    def look(invocation) -> None:
        seen.append(invocation.result)
        invocation.proceed()

    assert chain(after_2=conclude_with("better"), after_1=look).initiate() == Result("better")
    assert seen == [Result("better")]
    assert hooks(log) == ["b1", "b2", "b3", "task", "a3", "a2", "a1"]


def test_proceed_returns_when_its_level_is_done(chain, log):
    """Code after proceed() sees the result; the own after has run, the outer ones have not."""

    def before(invocation) -> None:
        assert invocation.result is None
        invocation.proceed()
        assert invocation.result == Result("work")
        log.append("back in 2")

    chain(before_2=before).initiate()
    assert hooks(log) == ["b1", "b2", "b3", "task", "a3", "a2", "back in 2", "a1"]


@pytest.mark.parametrize("hook", ["before", "after"])
def test_no_answer(chain, hook):
    """A hook that does not say how to go on is named, with its chain."""
    invocation = chain(**{f"{hook}_2": nothing})
    with pytest.raises(RuntimeError, match=rf"not all advice was applied: Told\.{hook}\(\) in chain 'three'"):
        invocation.initiate()
    assert invocation.state is InvocationState.FAILED


@pytest.mark.parametrize("hook", ["before", "after"])
def test_second_proceed(chain, log, hook):
    """A second proceed() in one hook raises at once; the task has run once."""
    with pytest.raises(AdviceProtocolError, match=rf"Told\.{hook}\(\) in chain 'three' called proceed\(\) after"):
        chain(**{f"{hook}_2": twice}).initiate()
    assert log.count("task") == 1
    assert [entry for entry in log if entry.startswith("f")] == ["f3", "f2", "f1"]


def test_second_proceed_that_is_caught(chain, log):
    """An advice that survives its own mistake changes nothing by it."""

    def before(invocation) -> None:
        invocation.proceed()
        with pytest.raises(AdviceProtocolError):
            invocation.conclude(Result("other"))

    assert chain(before_2=before).initiate() == Result("work")
    assert log.count("task") == 1


def test_conclude_outside_of_a_hook(chain):
    """Nobody but the advice whose turn it is can steer an invocation."""
    invocation = chain()
    for action in (invocation.proceed, lambda: invocation.conclude(Result()), invocation.run_inner):
        with pytest.raises(AdviceProtocolError, match="outside of the hooks"):
            action()
    assert invocation.initiate() == Result("work")
    with pytest.raises(AdviceProtocolError, match="once"):
        invocation.initiate()


def test_task_cannot_steer(log):
    """A task that calls proceed() or conclude() gets an error, which is its result."""

    class Meddling(Work):
        def execute(self, invocation) -> Result:
            invocation.conclude(Result("mine"))
            return Result()

    invocation = Invocation(Meddling(log), Execution("e"), Configuration().add_advice_chain(Told(log, 1)))
    assert isinstance(invocation.initiate().exception, AdviceProtocolError)


def test_conclude_with_something_else(chain):
    """Only a Result can be concluded with, and the hook may do it right afterwards."""

    def before(invocation) -> None:
        with pytest.raises(AdviceProtocolError, match="not with 5"):
            invocation.conclude(5)
        invocation.conclude(Result(5))

    assert chain(before_2=before).initiate() == Result(5)


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ("before_2", ["b1", "b2", "f2", "f1"]),
        ("after_2", ["b1", "b2", "b3", "task", "a3", "f3", "a2", "f2", "f1"]),
        ("before_1", ["b1", "f1"]),
    ],
)
def test_error_of_an_advice(chain, log, hook, expected):
    """The error of an advice comes through, after the finally_ of every advice that was entered, inner ones first."""
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        chain(**{hook: fail_with(error)}).initiate()
    assert caught.value is error
    assert log == expected


def test_hidden_error(chain):
    """An advice cannot swallow the error of an inner one and leave no result."""

    def before(invocation) -> None:
        with pytest.raises(KeyError):
            invocation.proceed()

    with pytest.raises(AdviceProtocolError, match=r"Told\.before\(\) in chain 'three' hid the error"):
        chain(before_1=before, before_2=fail_with(KeyError())).initiate()


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3)])
def test_error_of_the_task(chain, log, error):
    """What a task raises is its result: outer advices run as ever."""
    assert chain(outcome=error).initiate().exception is error
    assert hooks(log)[-3:] == ["a3", "a2", "a1"]


def test_keyboard_interrupt_of_the_task(chain, log):
    """CTRL+C passes through, but every finally_ runs."""
    with pytest.raises(KeyboardInterrupt):
        chain(outcome=KeyboardInterrupt()).initiate()
    assert log == ["b1", "b2", "b3", "task", "f3", "f2", "f1"]


def test_task_without_a_result(log):
    """A task that returns something else than a Result is a task that failed."""

    class Forgetful(Work):
        def execute(self, invocation):
            return None

    result = advise_task_with_chain(Forgetful(log), Execution("e"), Configuration())
    assert isinstance(result.exception, TypeError)


def test_finally_cannot_change_anything(chain, log, caplog):
    """What finally_ raises is logged and recorded; it changes neither the result nor the other hooks."""
    invocation = chain(finally_3=conclude_with("late"), finally_2=fail_with(ValueError("oops")))
    with caplog.at_level(logging.ERROR):
        assert invocation.initiate() == Result("work")
    assert [type(error) for error in invocation.finally_errors] == [AdviceProtocolError, ValueError]
    assert "Told.finally_() in chain 'three' failed" in caplog.text
    assert log[-2:] == ["a1", "f1"]


def test_finally_does_not_mask_the_first_error(chain):
    """The caller gets the first error, not the one of a finally_."""
    with pytest.raises(KeyError):
        chain(before_2=fail_with(KeyError()), finally_2=fail_with(ValueError())).initiate()


def test_run_inner(chain, log):
    """The inner part can be run repeatedly; the outer one runs once; the advice concludes with what it chooses."""
    results = []

    def before(invocation) -> None:
        results.append(invocation.run_inner())
        assert invocation.result is None
        results.append(invocation.run_inner())
        invocation.conclude(results[0])

    assert chain(before_2=before).initiate() == Result("work")
    assert hooks(log) == ["b1", "b2", "b3", "task", "a3", "b3", "task", "a3", "a1"]
    assert log.count("f3") == 2
    assert results == [Result("work")] * 2


def test_run_inner_after_the_answer(chain):
    """Once a hook has said how to go on, the inner part is not run again."""

    def before(invocation) -> None:
        invocation.proceed()
        invocation.run_inner()

    with pytest.raises(AdviceProtocolError, match=r"called run_inner\(\)"):
        chain(before_2=before).initiate()
    with pytest.raises(AdviceProtocolError, match=r"called run_inner\(\)"):
        chain(after_2=lambda invocation: invocation.run_inner()).initiate()


def test_run_inner_hands_on_errors(chain, log):
    """The error of an inner advice can be caught around run_inner() and made a result."""

    def before(invocation) -> None:
        with pytest.raises(KeyError):
            invocation.run_inner()
        invocation.conclude(Result("saved"))

    assert chain(before_2=before, before_3=fail_with(KeyError())).initiate() == Result("saved")
    assert log == ["b1", "b2", "b3", "f3", "f2", "a1", "f1"]


def test_deadline_counts_inside_only(chain):
    """A deadline that an advice sets counts for what is inside of it, each time anew."""
    seen = []

    def outer(invocation) -> None:
        invocation.run_inner()
        invocation.run_inner()
        seen.append(invocation.deadline)
        invocation.conclude(Result())

    def inner(invocation) -> None:
        assert invocation.deadline is None
        invocation.deadline = Deadline.after(5)
        invocation.proceed()

    def innermost(invocation) -> None:
        seen.append(invocation.deadline.limit_s)
        invocation.proceed()

    chain(before_1=outer, before_2=inner, before_3=innermost).initiate()
    assert seen == [5, 5, None]


def test_current_advice(chain):
    """An invocation knows whose turn it is."""
    seen = []

    def look(invocation) -> None:
        seen.append((invocation.current_advice.number, invocation.state))
        invocation.proceed()
        seen.append(invocation.current_advice.number)

    chain(before_2=look).initiate()
    assert seen == [(2, InvocationState.ENTERING), 2]


def test_cancel(chain):
    """Hooks see that somebody has cancelled, and the invocation ends as cancelled."""
    seen = []

    def look(invocation) -> None:
        seen.append(invocation.cancelled)
        invocation.cancel("enough")
        seen.append(invocation.cancelled)
        invocation.proceed()

    invocation = chain(before_2=look)
    invocation.initiate()
    assert seen == [False, True]
    assert invocation.state is InvocationState.CANCELLED


def test_longest_chain(log):
    """A chain of 64 works; a longer one is refused when it is configured."""
    advices = [Told(log, i) for i in range(65)]
    configuration = Configuration()
    with pytest.raises(ChainError, match="65 advices; at most 64"):
        configuration.add_advice_chain(*advices)
    configuration.add_advice_chain(*advices[:64])
    assert advise_task_with_chain(Work(log), Execution("e"), configuration) == Result("work")
    assert hooks(log) == [f"b{i}" for i in range(64)] + ["task"] + [f"a{i}" for i in reversed(range(64))]


def test_older_name():
    """The older name is the same class."""
    assert Session is Invocation
