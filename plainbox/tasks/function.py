# SPDX-License-Identifier: Apache-2.0
"""A Python function as a task: what the decorator makes of it.

A function of a module can be called in another process: only its name travels, and the module is imported there. A
function that was made inside of another one, and a lambda, is held as it is and stays in its process.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import CoroutineType, FunctionType
from typing import TYPE_CHECKING, cast

from plainbox.errors import SerializationError, UncacheableArgument
from plainbox.tasks.canonical import canonical_bytes, canonical_identifier
from plainbox.tasks.execution import Execution
from plainbox.tasks.modules import import_object, importable_module_name
from plainbox.tasks.result import Result
from plainbox.tasks.serialization.serializer import SerializableValue
from plainbox.tasks.tasks import Task

if TYPE_CHECKING:
    from plainbox.tasks.invocation import Invocation

__all__ = ["FunctionTask", "current_invocation"]

_current: ContextVar[Invocation | None] = ContextVar("plainbox_invocation", default=None)


def current_invocation() -> Invocation | None:
    """Return the invocation that has called the function which runs now, None outside of any."""
    return _current.get()


class FunctionTask(Task, SerializableValue):
    """Calls a plain function. ``parameters`` are what its decorator was given for advices."""

    def __init__(self, function: Callable[..., object], parameters: Mapping[str, object] | None = None) -> None:
        """TypeError for anything that is no plain function: classes, callables, coroutine and generator functions."""
        self.function = _checked(_undecorated(function))
        self.name: str = self.function.__qualname__
        self.module: str = importable_module_name(self.function.__module__) or self.function.__module__
        self._parameters = dict(parameters or {})
        self._task_id = canonical_identifier(
            ("function", self.module, self.name, None, self._parameters.get("version"))
        )
        self.signature = inspect.signature(self.function)
        self._formless = frozenset(_defaults_without_form(self.signature))

    @property
    def task_id(self) -> str:
        """The identifier of the names and the parameter ``version``: it stays when the code is edited."""
        return self._task_id

    @property
    def kwargs(self) -> dict[str, object]:
        return dict(self._parameters)

    @property
    def advice_parameters(self) -> dict[str, object]:
        """Another name of ``kwargs``."""
        return self.kwargs

    @property
    def can_move(self) -> bool:
        """Whether another process can import the function."""
        return "<" not in self.name and self.module != "__main__"

    @property
    def source(self) -> str | None:
        """The text of the function, None when there is none."""
        try:
            return inspect.getsource(self.function)
        except (OSError, TypeError):
            return None

    @property
    def bytecode(self) -> bytes:
        return self.function.__code__.co_code

    def execution(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Execution:
        """Return the execution of these arguments; TypeError when the function does not take them.

        Its id is made from the arguments as the function gets them, defaults included: it makes no difference how they
        are passed.
        """
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        for name in self._formless:
            if arguments[name] is self.signature.parameters[name].default:
                arguments[name] = _Default()
        try:
            return Execution(canonical_identifier(arguments), args, kwargs)
        except UncacheableArgument as error:
            return Execution(os.urandom(32).hex(), args, kwargs, error.message)

    def execute(self, invocation: Invocation | Execution) -> Result:
        """Call the function; what it raises is in the result, but for what ends a program."""
        execution = invocation if isinstance(invocation, Execution) else invocation.execution
        with _called_by(None if isinstance(invocation, Execution) else invocation):
            try:
                value = self.function(*(execution.args or ()), **(execution.kwargs or {}))
            except Exception as error:  # noqa: BLE001 - whatever the function raises is its result
                return Result(exception=error)
        if isinstance(value, CoroutineType):
            value.close()
            return Result(exception=TypeError(f"{self.name}() returned a coroutine, and nobody here awaits it"))
        return Result(value)

    def serialized(self) -> dict[str, object]:
        if not self.can_move:
            raise SerializationError(
                f"the function {self.name!r} of {self.module!r} cannot be imported by another process",
                hint="define it at the top of a module, outside of other functions",
            )
        return {"module": self.module, "name": self.name, "parameters": self.kwargs}

    @classmethod
    def deserialize(cls, values: object) -> FunctionTask:
        found = values if isinstance(values, Mapping) else {}
        module, name, parameters = found.get("module"), found.get("name"), found.get("parameters")
        if not (isinstance(module, str) and isinstance(name, str) and isinstance(parameters, dict)):
            raise SerializationError("this is no task of a function")
        try:
            return cls(cast("Callable[..., object]", import_object(name, module)), parameters)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise SerializationError(f"the function {name!r} of {module!r} cannot be had here: {error}") from error

    def __reduce__(self) -> tuple[object, ...]:
        return FunctionTask.deserialize, (self.serialized(),)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FunctionTask):
            return NotImplemented
        return self.function is other.function and self._parameters == other._parameters

    def __hash__(self) -> int:
        return hash(self._task_id)

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class _Default:
    """Stands in an identifier for a default that has no canonical form, such as an object made for the purpose."""

    def __plainbox_canonical__(self) -> object:
        return "default"


def _defaults_without_form(signature: inspect.Signature) -> Iterator[str]:
    for name, parameter in signature.parameters.items():
        if parameter.default is not parameter.empty:
            try:
                canonical_bytes(parameter.default)
            except UncacheableArgument:
                yield name


def _undecorated(function: object) -> object:
    """Return the function below our decorator when there is one, also when others have decorated that again."""
    inner = function
    while inner is not None:
        if "plainbox_task" in getattr(inner, "__dict__", {}):
            return cast("FunctionTask", vars(inner)["plainbox_task"]).function
        inner = getattr(inner, "__wrapped__", None)
    return function


def _checked(function: object) -> FunctionType:
    what = None
    if not isinstance(function, FunctionType):
        what = f"{function!r} is no plain function"
    elif inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        what = f"{function.__qualname__}() is a coroutine function; let a plain function run it with asyncio.run()"
    elif inspect.isgeneratorfunction(function):
        what = f"{function.__qualname__}() is a generator function; let a plain function return a list"
    if what is not None:
        raise TypeError(f"no task can be made: {what}")
    return cast("FunctionType", function)


@contextmanager
def _called_by(invocation: Invocation | None) -> Iterator[None]:
    token = _current.set(invocation)
    try:
        yield
    finally:
        _current.reset(token)
