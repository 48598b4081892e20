# SPDX-License-Identifier: Apache-2.0
"""What JSON has no form for, each with the form that it gets: one class for each kind of value.

A value serializer turns a value into simpler ones, which are then written in the same way, and back. What comes back has
the type that was written: a tuple stays a tuple, at any depth. Which classes may be made is the reader's choice: their
names are in :class:`ValueTypes`, and nothing is imported because the data says so.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import math
import pathlib
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import cast

from plainbox.errors import SerializationError
from plainbox.tasks.serialization.records import ExceptionRecord, rebuild, record_of
from plainbox.tasks.serialization.serializer import SerializableValue

__all__ = [
    "BytesSerializer",
    "ExceptionSerializer",
    "MappingSerializer",
    "NumberSerializer",
    "PathSerializer",
    "SerializableValue",
    "SerializableValueSerializer",
    "SetSerializer",
    "TimeSerializer",
    "TupleSerializer",
    "ValueSerializer",
    "ValueTypes",
]


_FOLD = " again"


class ValueSerializer(ABC):
    """One kind of value. Data names it by ``kind``: the name of its class when nothing else is set."""

    kind = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.kind = vars(cls).get("kind") or cls.__name__

    @abstractmethod
    def can_serialize_value(self, value: object) -> bool:
        """Tell whether ``value`` is of this kind."""

    @abstractmethod
    def serialize_value(self, value: object) -> object:
        """Return simpler values that stand for ``value``."""

    @abstractmethod
    def deserialize_value(self, representation: object) -> object:
        """Return the value; any TypeError, ValueError or LookupError says that ``representation`` stands for none."""


class ValueTypes:
    """The classes that data may name, each under the name that its reader has chosen."""

    def __init__(self, types: Mapping[str, type] | None = None) -> None:
        self._types = dict(types or {})
        self._names = {cls: name for name, cls in self._types.items()}

    def register(self, name: str, cls: type) -> None:
        """Let ``cls`` be written under ``name`` and made anew from it.

        Possible are subclasses of :class:`SerializableValue`, dataclasses, enums, named tuples and exceptions.
        """
        if not (_form_of(cls) or issubclass(cls, BaseException)):
            raise SerializationError(
                f"{cls.__qualname__} cannot be registered",
                hint="make it a dataclass, an enum, a named tuple or a subclass of SerializableValue",
            )
        known = self._types.setdefault(name, cls)
        if known is not cls:
            raise SerializationError(f"the name {name!r} stands for {known.__qualname__} already")
        self._names[cls] = name

    def name_of(self, cls: type) -> str | None:
        return self._names.get(cls)

    def named(self, name: object) -> type:
        """Return the class; a LookupError when there is none of that name."""
        return self._types[cast("str", name)]

    def exception(self, module: str, type_name: str) -> type[BaseException] | None:
        """Return the registered exception class of that module and name."""
        for cls in self._types.values():
            if issubclass(cls, BaseException) and (cls.__module__, cls.__qualname__) == (module, type_name):
                return cls
        return None


class ExceptionSerializer(ValueSerializer):
    """Any exception, as an :class:`~plainbox.tasks.serialization.records.ExceptionRecord`."""

    kind = "exception"

    def __init__(self, types: ValueTypes | None = None, can_travel: Callable[[object], bool] | None = None) -> None:
        self._types = ValueTypes() if types is None else types
        self._can_travel = can_travel or (lambda args: True)

    def can_serialize_value(self, value: object) -> bool:
        return isinstance(value, BaseException) and not isinstance(value, SerializableValue)

    def serialize_value(self, value: object) -> object:
        return record_of(cast("BaseException", value), self._can_travel).serialized()

    def deserialize_value(self, representation: object) -> object:
        return rebuild(ExceptionRecord.deserialize(representation), self._types.exception)


class SerializableValueSerializer(ValueSerializer):
    """Values of registered classes, in the form that their kind of class has."""

    kind = "value"

    def __init__(self, types: ValueTypes | None = None) -> None:
        self._types = ValueTypes() if types is None else types

    def can_serialize_value(self, value: object) -> bool:
        return self._types.name_of(type(value)) is not None

    def serialize_value(self, value: object) -> object:
        form = _form_of(type(value))
        if form is None:
            raise SerializationError(f"a value of {type(value).__qualname__} cannot be written")
        return [self._types.name_of(type(value)), form[0](value)]

    def deserialize_value(self, representation: object) -> object:
        name, data = _pair(representation)
        cls = self._types.named(name)
        form = _form_of(cls)
        if form is None:
            raise TypeError(f"{cls.__qualname__} has no form")
        return form[1](cls, data)


class TupleSerializer(ValueSerializer):
    """Tuples. Named ones have a class, which must be registered."""

    kind = "tuple"

    def can_serialize_value(self, value: object) -> bool:
        return type(value) is tuple

    def serialize_value(self, value: object) -> object:
        return list(cast("tuple[object, ...]", value))

    def deserialize_value(self, representation: object) -> object:
        return tuple(_list(representation))


class SetSerializer(ValueSerializer):
    """``set`` and ``frozenset``."""

    kind = "set"
    _TYPES = {"set": set, "frozenset": frozenset}

    def can_serialize_value(self, value: object) -> bool:
        return type(value) in (set, frozenset)

    def serialize_value(self, value: object) -> object:
        return [type(value).__name__, list(cast("set[object]", value))]

    def deserialize_value(self, representation: object) -> object:
        name, members = _pair(representation)
        return self._TYPES[cast("str", name)](_list(members))


class MappingSerializer(ValueSerializer):
    """Dictionaries with keys that are no text, or with the key that marks a value of another kind."""

    kind = "dict"

    def can_serialize_value(self, value: object) -> bool:
        return type(value) is dict

    def serialize_value(self, value: object) -> object:
        return [[key, item] for key, item in cast("dict[object, object]", value).items()]

    def deserialize_value(self, representation: object) -> object:
        return dict(_pair(item) for item in _list(representation))


class BytesSerializer(ValueSerializer):
    """``bytes`` and ``bytearray``."""

    kind = "bytes"
    _TYPES = {"bytes": bytes, "bytearray": bytearray}

    def can_serialize_value(self, value: object) -> bool:
        return type(value) in (bytes, bytearray)

    def serialize_value(self, value: object) -> object:
        return [type(value).__name__, base64.b64encode(cast("bytes", value)).decode("ascii")]

    def deserialize_value(self, representation: object) -> object:
        name, text = _pair(representation)
        return self._TYPES[cast("str", name)](base64.b64decode(_text(text), validate=True))


class NumberSerializer(ValueSerializer):
    """Numbers that JSON cannot hold: not finite, very long, complex, decimal."""

    kind = "number"

    def can_serialize_value(self, value: object) -> bool:
        return type(value) in (int, float, complex, decimal.Decimal)

    def serialize_value(self, value: object) -> object:
        if isinstance(value, complex):
            return ["complex", [value.real, value.imag]]
        return [type(value).__name__, hex(value) if isinstance(value, int) else str(value)]

    def deserialize_value(self, representation: object) -> object:
        name, data = _pair(representation)
        if name == "complex":
            real, imaginary = _pair(data)
            return complex(float(cast("float", real)), float(cast("float", imaginary)))
        if name == "int":
            return int(_text(data), 16)
        if name == "float":
            return float(_text(data))
        if name == "Decimal":
            try:
                return decimal.Decimal(_text(data))
            except decimal.InvalidOperation:
                raise ValueError("no decimal number") from None
        raise LookupError(name)

    @staticmethod
    def needed_for(value: float) -> bool:
        """Tell whether JSON cannot hold this number; long integers are refused by some readers."""
        return value.bit_length() > 1000 if isinstance(value, int) else not math.isfinite(value)


class TimeSerializer(ValueSerializer):
    """Dates and times; a time zone comes back as its distance from UTC."""

    kind = "time"

    def can_serialize_value(self, value: object) -> bool:
        return type(value) in (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)

    def serialize_value(self, value: object) -> object:
        if isinstance(value, datetime.timedelta):
            return ["timedelta", [value.days, value.seconds, value.microseconds]]
        text = cast("datetime.date", value).isoformat()
        # The second of two equal times on the day on which the clocks go back.
        return [type(value).__name__, f"{text}{_FOLD}" if getattr(value, "fold", 0) else text]

    def deserialize_value(self, representation: object) -> object:
        name, data = _pair(representation)
        if name == "timedelta":
            return datetime.timedelta(*cast("list[int]", _list(data)))
        text = _text(data)
        fold = text.endswith(_FOLD)
        if fold:
            text = text[: -len(_FOLD)]
        if name == "datetime":
            return datetime.datetime.fromisoformat(text).replace(fold=fold)
        if name == "date":
            return datetime.date.fromisoformat(_text(data))
        if name == "time":
            return datetime.time.fromisoformat(text).replace(fold=fold)
        raise LookupError(name)


class PathSerializer(ValueSerializer):
    """Paths of files, and UUIDs: what is text with a type."""

    kind = "path"
    _TYPES: Mapping[str, Callable[[str], object]] = {
        "path": pathlib.Path,
        "posix": pathlib.PurePosixPath,
        "windows": pathlib.PureWindowsPath,
        "uuid": uuid.UUID,
    }

    def can_serialize_value(self, value: object) -> bool:
        return isinstance(value, pathlib.PurePath) or type(value) is uuid.UUID

    def serialize_value(self, value: object) -> object:
        if isinstance(value, uuid.UUID):
            return ["uuid", str(value)]
        if isinstance(value, pathlib.Path):
            return ["path", str(value)]
        return ["windows" if isinstance(value, pathlib.PureWindowsPath) else "posix", str(value)]

    def deserialize_value(self, representation: object) -> object:
        name, text = _pair(representation)
        return self._TYPES[cast("str", name)](_text(text))


def _form_of(cls: type) -> tuple[Callable[[object], object], Callable[[type, object], object]] | None:
    """Return how values of a class are written and made anew, None when that is not possible."""
    if issubclass(cls, SerializableValue):
        return (
            lambda value: cast("SerializableValue", value).serialized(),
            lambda cls, data: cast("type[SerializableValue]", cls).deserialize(data),
        )
    if issubclass(cls, enum.Flag):
        # Combined ones have no name in every Python.
        return lambda value: cast("enum.Flag", value).value, lambda cls, data: cast("type[enum.Flag]", cls)(data)
    if issubclass(cls, enum.Enum):
        return lambda value: cast("enum.Enum", value).name, lambda cls, data: cast("type[enum.Enum]", cls)[_text(data)]
    if dataclasses.is_dataclass(cls):
        return _fields_of, _with_fields
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return lambda value: list(cast("tuple[object, ...]", value)), lambda cls, data: cls(*_list(data))
    return None


def _fields_of(value: object) -> object:
    fields = dataclasses.fields(value)  # type: ignore[arg-type]  # it is one: that is asked for above
    return {field.name: getattr(value, field.name) for field in fields if hasattr(value, field.name)}


def _with_fields(cls: type, data: object) -> object:
    """Return the value with these fields, also those that its class does not take when one is made."""
    given = dict(cast("dict[str, object]", data))
    late = {field.name for field in dataclasses.fields(cls) if not field.init}
    value = cls(**{name: item for name, item in given.items() if name not in late})
    for name in late & set(given):
        object.__setattr__(value, name, given[name])
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def _pair(value: object) -> tuple[object, object]:
    first, second = _list(value)
    return first, second


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
