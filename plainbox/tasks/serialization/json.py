# SPDX-License-Identifier: Apache-2.0
"""JSON that keeps the types of what it is given, and makes nothing that its reader has not named.

What JSON has a form for is written as it is, in UTF-8 and without blanks. Any other value is an object with two keys:
the marker with the kind of the value, and the simpler values that stand for it (:mod:`.values` has the kinds). A
dictionary that holds the marker itself is written in the longer form, so nothing can be taken for what it is not.
"""

from __future__ import annotations

import json
from typing import BinaryIO, ClassVar

from plainbox.errors import SerializationError
from plainbox.tasks.context import Context
from plainbox.tasks.execution import Execution
from plainbox.tasks.interpreter import Interpreter
from plainbox.tasks.result import Result
from plainbox.tasks.serialization.serializer import Serializer
from plainbox.tasks.serialization.values import (
    BytesSerializer,
    ExceptionSerializer,
    MappingSerializer,
    NumberSerializer,
    PathSerializer,
    SerializableValueSerializer,
    SetSerializer,
    TimeSerializer,
    TupleSerializer,
    ValueSerializer,
    ValueTypes,
)

__all__ = ["JsonSerializer"]

_MARKER = "$type"
_OURS = {
    "plainbox.context": Context,
    "plainbox.execution": Execution,
    "plainbox.interpreter": Interpreter,
    "plainbox.result": Result,
}
# Far beyond what is written here, and short enough that reading it takes no time.
_MOST_DIGITS = 1000


class JsonSerializer(Serializer):
    """Reads and writes JSON. ``value_serializers`` may be added to; the first one that fits is taken."""

    data_only: ClassVar[bool] = True

    def __init__(self) -> None:
        self._types = ValueTypes(_OURS)
        self.value_serializers: list[ValueSerializer] = [
            ExceptionSerializer(self._types, self._can_write),
            SerializableValueSerializer(self._types),
            TupleSerializer(),
            MappingSerializer(),
            SetSerializer(),
            BytesSerializer(),
            NumberSerializer(),
            TimeSerializer(),
            PathSerializer(),
        ]

    def register_value_type(self, name: str, cls: type) -> JsonSerializer:
        """Let values of ``cls`` be written, under ``name``, and made anew when they are read. Returns ``self``.

        ``cls`` is a dataclass, an enum, a named tuple, an exception or a :class:`SerializableValue`.
        """
        self._types.register(name, cls)
        return self

    def serialize(self, value: object, stream: BinaryIO) -> None:
        try:
            text = json.dumps(self._encoded(value), separators=(",", ":"), allow_nan=False)
        except RecursionError:
            raise SerializationError("a value that is nested too deeply, or holds itself, cannot be written") from None
        stream.write(text.encode("ascii"))

    def deserialize(self, stream: BinaryIO) -> object:
        try:
            return json.loads(
                stream.read().decode("utf-8"),
                object_hook=self._decoded,
                parse_int=_integer,
                parse_constant=_no_constant,
            )
        except ValueError as error:
            raise SerializationError(f"this is no JSON: {error}") from error
        except RecursionError:
            raise SerializationError("this JSON is nested too deeply") from None

    def _encoded(self, value: object) -> object:
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if isinstance(value, (int, float)) and kind in (int, float) and not NumberSerializer.needed_for(value):
            return value
        if isinstance(value, list) and kind is list:
            return [self._encoded(item) for item in value]
        if isinstance(value, dict) and kind is dict and _MARKER not in value and all(type(key) is str for key in value):
            return {key: self._encoded(item) for key, item in value.items()}
        for serializer in self.value_serializers:
            if serializer.can_serialize_value(value):
                return {_MARKER: serializer.kind, "value": self._encoded(serializer.serialize_value(value))}
        raise SerializationError(
            f"a value of type {kind.__module__}.{kind.__qualname__} cannot be written as JSON",
            hint="register its class with JsonSerializer.register_value_type(name, class)",
        )

    def _decoded(self, found: dict[str, object]) -> object:
        """Return the value for which an object stands; json calls this from the inside out."""
        if _MARKER not in found:
            return found
        if len(found) != 2 or "value" not in found:
            raise SerializationError(f"an object with {_MARKER!r} holds something else than a value")
        for serializer in self.value_serializers:
            if serializer.kind == found[_MARKER]:
                try:
                    return serializer.deserialize_value(found["value"])
                except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
                    if isinstance(error, SerializationError):
                        raise
                    raise SerializationError(
                        f"a value of kind {serializer.kind!r} cannot be read: {error!r}"
                    ) from error
        raise SerializationError(f"values of kind {found[_MARKER]!r} are not known here")

    def _can_write(self, value: object) -> bool:
        try:
            self._encoded(value)
        except (SerializationError, RecursionError):
            return False
        return True


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError("an integer has too many digits")
    return int(text)


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is no value")
