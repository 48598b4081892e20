# SPDX-License-Identifier: Apache-2.0
"""Decorated functions, as programs use them that come from another library with the same names."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from pathlib import Path

import pytest

from plainbox.errors import ChainError
from plainbox.tasks import (
    Advice,
    Configuration,
    Execution,
    FunctionTask,
    Result,
    Task,
    current_invocation,
    get_configuration,
    task,
)


class Noting(Advice):
    """Notes its hooks under a name, and the parameters of the task."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: list[object] = []

    def before(self, session) -> None:
        self.seen.append((f"before {self.name}", session.task.kwargs))
        session.proceed()

    def after(self, session) -> None:
        self.seen.append(f"after {self.name}")
        session.proceed()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return what makes a module that programs can import, and forgets it after the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def make(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        made.append(name)

    yield make
    for name in made:
        sys.modules.pop(name, None)


CONFIGURATION = """
from plainbox.tasks import Advice, Configuration
class Doubling(Advice):
    def after(self, session):
        from plainbox.tasks import Result
        session.conclude(Result(session.result.value * 2))
configuration = Configuration()
configuration.add_advice_chain(Doubling(), name="double")
"""


def double(number, offset=0):
    """Say what is given."""
    return number + offset


def test_every_form(program, monkeypatch):
    """The decorator works bare, with empty parentheses, with each keyword alone and with parameters."""
    program("forms_config", CONFIGURATION)
    monkeypatch.setenv("PLAINBOX_TASKS_CONFIG_MODULE", "forms_config")
    assert task(double)(3) == 3
    assert task()(double)(3) == 3
    assert task(chain="double")(double)(3) == 6
    assert task(config="forms_config")(double)(3) == 3
    assert task(config="forms_config", chain="double", retries=1)(double)(3, offset=1) == 8
    decorated = task(retries=1)(double)
    assert decorated.plainbox_task.kwargs == decorated.plainbox_task.advice_parameters == {"retries": 1}
    assert decorated.plainbox_configuration is get_configuration()


@pytest.mark.parametrize(
    "use", [lambda: task(double, double), lambda: task(double, chain="default"), lambda: task(double, retries=1)]
)
def test_other_forms(use):
    """Two functions, or a function together with keywords, are refused."""
    with pytest.raises(RuntimeError, match="decorates one function"):
        use()


def test_the_function_stays_recognisable():
    """Name, documentation, signature and the function itself are kept; bypass() calls it without advice."""
    configuration = Configuration().add_advice_chain(Noting("x"))
    decorated = task(double)
    assert (decorated.__name__, decorated.__doc__) == ("double", "Say what is given.")
    assert inspect.signature(decorated) == inspect.signature(double)
    assert decorated.__wrapped__ is double
    assert decorated.bypass(4, offset=1) == 5
    assert isinstance(decorated.plainbox_task, FunctionTask)
    assert str(decorated.plainbox_task) == f"{__name__}.double"
    assert configuration.get_advice_chain()[0].seen == []


def test_unknown_names(program):
    """What is named and does not exist is said when the function is decorated, with what does exist."""
    program("names_config", CONFIGURATION)
    assert get_configuration("names_config")
    with pytest.raises(ChainError, match="unknown advice chain 'doubble'; known: default, double"):
        task(config="names_config", chain="doubble")
    with pytest.raises(ModuleNotFoundError, match=r"no configuration module 'no_such_config'; loaded: .*names_config"):
        task(config="no_such_config")


def test_chain_and_parameters():
    """The chain sees the parameters of the task, and copies of them only."""
    advice = Noting("x")
    decorated = task(version=2, retries=1)(double)
    decorated.plainbox_configuration.add_advice_chain(advice, name="noting")
    try:
        other = task(chain="noting", retries=1)(double)
        assert other(1) == 1
    finally:
        decorated.plainbox_configuration._chains.pop("noting")
    assert advice.seen == [("before x", {"retries": 1}), "after x"]
    other.plainbox_task.kwargs["retries"] = 5
    assert other.plainbox_task.kwargs == {"retries": 1}


def test_errors_of_the_function():
    """What the function raises, its caller gets: the very exception."""
    error = ValueError("x")

    @task
    def fail(kind):
        raise kind

    for raised in (error, SystemExit(3), KeyboardInterrupt()):
        with pytest.raises(type(raised)) as caught:
            fail(raised)
        assert caught.value is raised


def test_wrong_arguments():
    """Arguments that the function does not take are a TypeError, and no advice is given."""
    with pytest.raises(TypeError, match="other"):
        task(double)(1, other=2)
    with pytest.raises(TypeError, match="number"):
        task(double)()


async def coroutine():
    return 1


def generator():
    yield 1


async def stream():
    yield 1


@pytest.mark.parametrize(
    ("thing", "why"),
    [
        (coroutine, "coroutine function"),
        (stream, "coroutine function"),
        (generator, "generator function"),
        (int, "no plain function"),
        (len, "no plain function"),
        (functools.partial(double, 1), "no plain function"),
        ("text".upper, "no plain function"),
        (Noting("x").before, "no plain function"),
        (5, "no plain function"),
    ],
)
def test_what_is_no_function(thing, why):
    """Anything but a plain function is refused when it is decorated, with the reason."""
    with pytest.raises(TypeError, match=why):
        task(thing)
    with pytest.raises(TypeError):
        Task.create_task(thing)


def test_coroutine_that_is_returned():
    """A coroutine that nobody would await is an error and no value."""
    with pytest.raises(TypeError, match="returned a coroutine"):
        task(lambda: coroutine())()
    assert task(lambda: asyncio.run(coroutine()))() == 1


def test_decorated_twice():
    """A function is decorated once, also with another decorator between."""
    with pytest.raises(RuntimeError, match="decorated already"):
        task(task(double))

    @functools.wraps(double)
    def between(*args):
        return inner(*args)

    inner = task(double)
    with pytest.raises(RuntimeError, match="decorated already"):
        task(functools.wraps(inner)(between))


class Thing:
    """Has a method that is a task."""

    def __init__(self, factor) -> None:
        self.factor = factor

    @task
    def times(self, number):
        return self.factor * number


def test_method():
    """A decorated method gets its object."""
    assert Thing(3).times(4) == 12
    assert Thing.times.plainbox_task.name == "Thing.times"
    assert Thing.times.plainbox_task.can_move


def test_local_function():
    """Closures and lambdas are called as they are, each with its own values; they cannot move."""

    def make(value):
        return task(lambda: value)

    one, two = make(1), make(2)
    assert (one(), two()) == (1, 2)
    assert not one.plainbox_task.can_move


def test_create_task():
    """A task can be made and executed without the decorator; a decorated function gives the plain one's."""
    made = Task.create_task(double, {"version": 1})
    assert made.execute(Execution("e", (1,), {"offset": 2})) == Result(3)
    assert isinstance(made.execute(Execution("e")).exception, TypeError)
    assert (made.signature, made.bytecode) == (inspect.signature(double), double.__code__.co_code)
    assert made.source is not None
    assert made.source.startswith("def double(number")
    assert Task.create_task(task(double)) == Task.create_task(double)
    assert Task.create_task(double).task_id != made.task_id


def test_source_that_is_not_there():
    """Code without a file has no source text."""
    namespace = {"__name__": "nowhere"}
    exec("def made(): return 1", namespace)
    assert Task.create_task(namespace["made"]).source is None


def test_current_invocation():
    """A function can ask for the invocation that has called it, and report to it."""
    found = []

    @task
    def work():
        invocation = current_invocation()
        found.append(invocation.task)
        return inner()

    @task
    def inner():
        found.append(current_invocation().task)

    assert current_invocation() is None
    work()
    assert current_invocation() is None
    assert found == [work.plainbox_task, inner.plainbox_task]
