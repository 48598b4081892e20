# SPDX-License-Identifier: Apache-2.0
"""The decorator that puts advice around every call of a function."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast, overload

from plainbox.tasks.advice import advise_task_with_chain
from plainbox.tasks.configuration import get_configuration
from plainbox.tasks.function import FunctionTask

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, Protocol, TypeVar

    from plainbox.tasks.configuration import Configuration

    P = ParamSpec("P")
    R = TypeVar("R")

    class TaskFunction(Protocol[P, R]):
        """A decorated function. ``bypass`` and ``__wrapped__`` are the function itself, without any advice."""

        plainbox_task: FunctionTask
        plainbox_configuration: Configuration
        bypass: Callable[P, R]
        __wrapped__: Callable[P, R]

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

        @overload
        def __get__(self, instance: None, owner: type) -> TaskFunction[P, R]: ...

        @overload
        def __get__(self, instance: object, owner: type) -> Callable[..., R]: ...


__all__ = ["task"]


@overload
def task(function: Callable[P, R], /) -> TaskFunction[P, R]: ...


@overload
def task(
    *, config: str | None = None, chain: str | None = None, **task_kwargs: object
) -> Callable[[Callable[P, R]], TaskFunction[P, R]]: ...


def task(*task_args: Any, config: str | None = None, chain: str | None = None, **task_kwargs: object) -> Any:
    """Put advice around a function: ``@task``, ``@task()`` or ``@task(chain="x", config="module", key=value)``.

    ``config`` names the module of the configuration, ``chain`` one of its chains; other keywords are parameters that
    advices look at. All of it is looked up at once: a :class:`~plainbox.errors.ChainError` or a ModuleNotFoundError
    says what is not there. RuntimeError for another way to use it, TypeError for what is no plain function.
    """
    if len(task_args) > 1 or (task_args and (config is not None or chain is not None or task_kwargs)):
        raise RuntimeError("task decorates one function: use @task, or @task(...) with keywords only")
    configuration = get_configuration(config)
    chain_name = "default" if chain is None else chain
    configuration.get_advice_chain(chain_name)

    def decorate(function: Callable[..., object]) -> object:
        return _advised(function, configuration, chain_name, task_kwargs)

    return decorate(task_args[0]) if task_args else decorate


def _advised(
    function: Callable[..., object], configuration: Configuration, chain: str, parameters: dict[str, object]
) -> object:
    the_task = FunctionTask(function, parameters)
    if the_task.function is not function:
        # Another process finds one function under the name, and could not tell which of the two is meant.
        raise RuntimeError(f"{the_task} is decorated already: put all advice into one chain")

    @functools.wraps(the_task.function)
    def advised(*args: object, **kwargs: object) -> object:
        execution = the_task.execution(args, kwargs)
        return advise_task_with_chain(the_task, execution, configuration, chain).get()

    decorated = cast("TaskFunction[..., object]", advised)
    decorated.plainbox_task = the_task
    decorated.plainbox_configuration = configuration
    decorated.bypass = the_task.function
    return decorated
