# SPDX-License-Identifier: Apache-2.0
"""How far an invocation is in its chain, as numbers that travel with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from plainbox.errors import SerializationError

__all__ = ["Counters"]


@dataclass(frozen=True)
class Counters:
    """``before_called`` and ``after_called`` count advices, concluded ones as called; ``task_called`` says that there is
    a result."""

    before_called: int = 0
    after_called: int = 0
    task_called: bool = False
    is_finished: bool = False

    @classmethod
    def entered(cls, index: int) -> Counters:
        """In the ``before`` of advice number ``index``, or where it stands once it is the last that was entered."""
        return cls(before_called=index + 1)

    @classmethod
    def left(cls, index: int, length: int) -> Counters:
        """After the ``after`` of advice number ``index`` in a chain of ``length``."""
        return cls(length, length - index, task_called=True)

    @classmethod
    def finished(cls, length: int) -> Counters:
        return cls(length, length, task_called=True, is_finished=True)

    def next_after(self, length: int) -> int:
        """Return the number of the advices whose ``after`` is still to come once the inner part is done."""
        return length - self.after_called if self.task_called else self.before_called

    def serialized(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def deserialize(cls, values: object, length: int) -> Counters:
        """Return the counters; :class:`SerializationError` when no invocation with that chain can be there."""
        expected = {"before_called": int, "after_called": int, "task_called": bool, "is_finished": bool}
        if not isinstance(values, Mapping) or {key: type(value) for key, value in values.items()} != expected:
            raise SerializationError("these are no counters of an invocation")
        counters = cls(**values)
        possible = {cls(), cls.finished(length)}
        possible.update(cls.entered(index) for index in range(length))
        possible.update(cls.left(index, length) for index in range(length + 1))
        if counters not in possible:
            raise SerializationError(f"no invocation with {length} advices has the counters {dict(values)}")
        return counters
