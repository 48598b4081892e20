# SPDX-License-Identifier: Apache-2.0
"""One sequence of bytes for equal values, the same in every process and on every Python: what identifiers are made of.

Each value is a tag, the length of its payload and the payload. Types are told apart: ``1``, ``True`` and ``1.0`` are
three values, a list is no tuple. The order of sets and dictionaries does not count. A type of one's own says what stands
for it with ``__plainbox_canonical__()``, which returns values of other types.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import pathlib
import struct
import uuid
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from plainbox.errors import UncacheableArgument
from plainbox.tasks.identifier import identifier_from_bytes
from plainbox.tasks.modules import name_of_type
from plainbox.tasks.serialization.serializer import SerializableValue

if TYPE_CHECKING:
    #: What encodes the values inside of a value.
    _Encode = Callable[[object], bytes]

__all__ = ["canonical_bytes", "canonical_identifier"]


def canonical_bytes(value: object) -> bytes:
    """Return the bytes that stand for ``value``.

    :class:`~plainbox.errors.UncacheableArgument` when it holds itself, or something of a type without a canonical form.
    """
    try:
        return _Encoder().encoded(value)
    except RecursionError:
        raise UncacheableArgument("a value that is nested too deeply has no canonical form") from None


def canonical_identifier(value: object) -> str:
    """Return the identifier of a value: the same 64 hexadecimal digits for equal values of equal types."""
    return identifier_from_bytes(canonical_bytes(value))


class _Encoder:
    """Encodes one value; knows inside of which containers it is."""

    def __init__(self) -> None:
        self._inside: set[int] = set()

    def encoded(self, value: object) -> bytes:
        form = _FORMS.get(type(value)) or _form_of(type(value))
        if form is None:
            raise UncacheableArgument(f"a value of type {name_of_type(type(value))} has no canonical form")
        if id(value) in self._inside:
            raise UncacheableArgument(f"a {type(value).__name__} that holds itself has no canonical form")
        self._inside.add(id(value))
        try:
            tag, payload = form(value, self.encoded)
        finally:
            self._inside.discard(id(value))
        return b"%b%d:%b" % (tag, len(payload), payload)


def _float(value: float) -> bytes:
    # There are many NaNs, and nobody can tell them apart.
    return b"nan" if value != value else struct.pack(">d", value)


def _decimal(value: decimal.Decimal) -> bytes:
    return str(value).encode("ascii")


def _items(values: Iterable[object], encode: _Encode) -> bytes:
    return b"".join(map(encode, values))


def _pairs(value: Mapping[object, object], encode: _Encode) -> bytes:
    return b"".join(b"".join(pair) for pair in sorted((encode(key), encode(item)) for key, item in value.items()))


def _moment(value: datetime.datetime | datetime.time, encode: _Encode) -> bytes:
    zone = None if value.tzinfo is None else (_zone_name(value.tzinfo), value.utcoffset())
    return encode((value.replace(tzinfo=None).isoformat(), value.fold, zone))


def _zone_name(zone: datetime.tzinfo) -> str:
    # What Python says of an object by itself is where it is in this process.
    says_something = type(zone).__repr__ is not object.__repr__ or type(zone).__str__ is not object.__str__
    return str(zone) if says_something else name_of_type(type(zone))


def _typed(value: object, content: object, encode: _Encode) -> bytes:
    return encode(name_of_type(type(value))) + encode(content)


# The tags are part of every identifier: they never change.
_FORMS: dict[type, Callable[[Any, _Encode], tuple[bytes, bytes]]] = {
    type(None): lambda value, encode: (b"N", b""),
    bool: lambda value, encode: (b"B", b"1" if value else b"0"),
    int: lambda value, encode: (b"I", b"%x" % value),
    float: lambda value, encode: (b"F", _float(value)),
    complex: lambda value, encode: (b"C", _float(value.real) + b"," + _float(value.imag)),
    decimal.Decimal: lambda value, encode: (b"D", _decimal(value)),
    str: lambda value, encode: (b"T", value.encode("utf-8", "surrogatepass")),
    bytes: lambda value, encode: (b"Y", value),
    bytearray: lambda value, encode: (b"A", bytes(value)),
    list: lambda value, encode: (b"L", _items(value, encode)),
    tuple: lambda value, encode: (b"U", _items(value, encode)),
    set: lambda value, encode: (b"S", b"".join(sorted(map(encode, value)))),
    frozenset: lambda value, encode: (b"Z", b"".join(sorted(map(encode, value)))),
    dict: lambda value, encode: (b"M", _pairs(value, encode)),
    MappingProxyType: lambda value, encode: (b"M", _pairs(value, encode)),
    datetime.datetime: lambda value, encode: (b"W", _moment(value, encode)),
    datetime.date: lambda value, encode: (b"d", value.isoformat().encode("ascii")),
    datetime.time: lambda value, encode: (b"t", _moment(value, encode)),
    datetime.timedelta: lambda value, encode: (b"i", encode((value.days, value.seconds, value.microseconds))),
    uuid.UUID: lambda value, encode: (b"u", value.bytes),
}


def _form_of(kind: type) -> Callable[[Any, _Encode], tuple[bytes, bytes]] | None:
    """Return the form of a type that somebody has defined."""
    if hasattr(kind, "__plainbox_canonical__"):
        return lambda value, encode: (b"O", _typed(value, value.__plainbox_canonical__(), encode))
    if issubclass(kind, enum.Flag):
        # Combined ones have no name in every Python.
        return lambda value, encode: (b"G", _typed(value, value.value, encode))
    if issubclass(kind, enum.Enum):
        return lambda value, encode: (b"E", _typed(value, value.name, encode))
    if issubclass(kind, pathlib.PurePath):
        family = "windows" if issubclass(kind, pathlib.PureWindowsPath) else "posix"
        return lambda value, encode: (b"P", encode((family, isinstance(value, pathlib.Path), str(value))))
    if issubclass(kind, SerializableValue):
        return lambda value, encode: (b"V", _typed(value, value.serialized(), encode))
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(cast("Any", kind))]
        return lambda value, encode: (b"R", _typed(value, {name: getattr(value, name) for name in names}, encode))
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return lambda value, encode: (b"K", _typed(value, [list(value._fields), list(value)], encode))
    return None
