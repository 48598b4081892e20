# SPDX-License-Identifier: Apache-2.0
"""One set of arguments for a task. Equal arguments have equal ids, whatever process computes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from plainbox.errors import SerializationError
from plainbox.tasks.serialization.serializer import SerializableValue

__all__ = ["Execution"]


@dataclass(frozen=True)
class Execution(SerializableValue):
    """The arguments of one execution, as they were given; absent ones are ``()`` and ``{}``.

    ``uncacheable`` says why the arguments cannot be told from others: the id is random then, and nothing may be
    remembered under it.
    """

    execution_id: str
    args: tuple[object, ...] | None = ()
    kwargs: Mapping[str, object] | None = field(default_factory=dict)
    uncacheable: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "args", tuple(self.args or ()))
        object.__setattr__(self, "kwargs", MappingProxyType(dict(self.kwargs or {})))

    def __reduce__(self) -> tuple[object, ...]:
        return Execution, (self.execution_id, self.args, dict(self.kwargs or {}), self.uncacheable)

    def serialized(self) -> dict[str, object]:
        kwargs = dict(self.kwargs or {})
        values: dict[str, object] = {"execution_id": self.execution_id, "args": self.args, "kwargs": kwargs}
        return values if self.uncacheable is None else {**values, "uncacheable": self.uncacheable}

    @classmethod
    def deserialize(cls, values: object) -> Execution:
        found = values if isinstance(values, Mapping) else {}
        execution_id, args, kwargs = found.get("execution_id"), found.get("args"), found.get("kwargs")
        uncacheable = found.get("uncacheable")
        if not (isinstance(execution_id, str) and isinstance(args, tuple) and isinstance(kwargs, dict)):
            raise SerializationError("this is no execution")
        return cls(execution_id, args, kwargs, None if uncacheable is None else str(uncacheable))
