# SPDX-License-Identifier: Apache-2.0
"""What an execution came to: a value or an exception, never both.

Tasks return it, advices read and replace it, the engine hands it to the runner. A job that fails is a *value* (a
report that says so); an exception means that the execution itself could not be carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plainbox.errors import SerializationError
from plainbox.tasks.serialization.serializer import SerializableValue

__all__ = ["Result"]


@dataclass(frozen=True, eq=False)
class Result(SerializableValue):
    """A value, or the exception that took its place. Exceptions are equal when their type and arguments are."""

    value: object = None
    exception: BaseException | None = None

    def __post_init__(self) -> None:
        if self.exception is None:
            return
        if not isinstance(self.exception, BaseException):
            raise TypeError(f"the exception of a result must be an exception, not {self.exception!r}")
        if self.value is not None:
            raise ValueError("a result holds a value or an exception, not both")

    def __eq__(self, other: object) -> bool:
        return self._identity() == other._identity() if isinstance(other, Result) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        error = self.exception
        return (self.value,) if error is None else (None, type(error), error.args)

    def get(self) -> object:
        """Return the value; raise the exception when there is one."""
        if self.exception is not None:
            raise self.exception
        return self.value

    def serialized(self) -> dict[str, object]:
        return {"value": self.value, "exception": self.exception}

    @classmethod
    def deserialize(cls, values: object) -> Result:
        exception = values.get("exception") if isinstance(values, Mapping) and len(values) == 2 else values
        if not isinstance(values, Mapping) or not (exception is None or isinstance(exception, BaseException)):
            raise SerializationError("this is no result")
        return cls(values.get("value"), exception)
