# SPDX-License-Identifier: Apache-2.0
"""A Python interpreter as data: which program, what it may import, and the variables that it gets."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from plainbox.errors import SerializationError
from plainbox.tasks.serialization.serializer import SerializableValue

__all__ = ["Interpreter"]


class Interpreter(SerializableValue):
    """``executable`` starts it; by default the interpreter that runs now, with its ``sys.path``."""

    def __init__(self, path: Iterable[str] | None = None, executable: str | None = None) -> None:
        self._path = tuple(sys.path if path is None else path)
        self.executable = sys.executable if executable is None else executable
        self._environment: dict[str, str] = {}

    @property
    def path(self) -> tuple[str, ...]:
        """Where it looks for modules."""
        return self._path

    @property
    def environment(self) -> dict[str, str]:
        """A copy of the variables that it gets beside the usual ones."""
        return dict(self._environment)

    def set_environment(self, **environment: str) -> Interpreter:
        """Replace all variables. Returns ``self``."""
        self._environment = environment
        return self

    def serialized(self) -> dict[str, object]:
        return {"path": list(self._path), "executable": self.executable, "environment": self.environment}

    @classmethod
    def deserialize(cls, values: object) -> Interpreter:
        found = values if isinstance(values, Mapping) else {}
        path, executable, environment = found.get("path"), found.get("executable"), found.get("environment")
        if not (isinstance(path, list) and isinstance(executable, str) and isinstance(environment, dict)):
            raise SerializationError("this is no interpreter")
        if not all(isinstance(text, str) for text in (*path, *environment, *environment.values())):
            raise SerializationError("an interpreter is described by text")
        return cls(path, executable).set_environment(**environment)

    def __eq__(self, other: object) -> bool:
        return self.serialized() == other.serialized() if isinstance(other, Interpreter) else NotImplemented

    def __hash__(self) -> int:
        return hash((self._path, self.executable))

    def __repr__(self) -> str:
        return f"Interpreter({self.executable!r})"
