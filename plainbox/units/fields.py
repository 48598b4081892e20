# SPDX-License-Identifier: Apache-2.0
"""What a field is: the one description from which parsing, checking, the reference pages and the schema come.

A unit class declares its fields as class attributes; reading one converts the text of the record once and remembers the
result. Reading never raises: a value that does not convert reads as the default, a list as the items that do, and the
unit's ``issues`` say why.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import attrs

from plainbox.errors import FieldError
from plainbox.units import converters
from plainbox.units.converters import OnError
from plainbox.units.issues import Code, Severity
from plainbox.units.record import Value

if TYPE_CHECKING:
    from plainbox.units.unit import Unit

__all__ = ["Field", "FieldType", "InTemplate", "choice"]

_MAX_GUESS = 200  # nobody has mistyped a word of this length

T = TypeVar("T")
D = TypeVar("D")


@attrs.frozen
class FieldType(Generic[T]):
    """A type of values: its name in the documentation, how it is converted, its JSON Schema for YAML units.

    ``salvage`` converts what is good of a list and gives the rest to a function; ``code`` is that of its findings.
    """

    name: str
    convert: Callable[[Value, str | None], T]
    schema: Mapping[str, object] = attrs.field(factory=dict)
    salvage: Callable[[Value, str | None, OnError], T] | None = None
    code: Code = Code.WRONG


MAX_LINE = 80  # characters of a text that reports and menus show in one line

_WORD_LIST = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}

TEXT = FieldType("text", converters.text, {"type": "string"})
LINE = FieldType("line", converters.text, {"type": "string", "maxLength": MAX_LINE})
SCRIPT = FieldType("shell script", converters.text, {"type": "string"})
IDENTIFIER = FieldType("id", converters.identifier, {"type": "string", "not": {"pattern": "::"}})
REFERENCE = FieldType("reference", converters.reference, {"type": "string"})
REFERENCES = FieldType("list of references", converters.references, _WORD_LIST, converters.references)
WORDS = FieldType("word list", converters.words, _WORD_LIST, converters.words)
NAMES = FieldType("name list", converters.names, _WORD_LIST, converters.names)
FLAGS = FieldType("flags", converters.flag_words, _WORD_LIST, converters.flag_words)
LINES = FieldType("lines", converters.lines, _WORD_LIST, converters.lines)
DURATION = FieldType("duration", converters.duration, {"type": ["number", "string"]})
FLAG = FieldType("yes or no", converters.flag, {"type": ["boolean", "string"]})
MAPPING = FieldType("mapping", converters.mapping, {"type": "object"})
MAPPINGS = FieldType("list of mappings", converters.mappings, {"type": "array", "items": {"type": "object"}})
VALUES = FieldType("list of values", converters.values, {"type": "array"})


def choice(*allowed: str) -> FieldType[str]:
    """Return the type whose values are the given words."""

    def convert(value: Value, namespace: str | None) -> str:
        word = converters.text(value)
        if word not in allowed:
            raise FieldError(f"{word[:60]!r} is not one of {', '.join(allowed)}", hint=closest(word, allowed))
        return word

    return FieldType(" | ".join(allowed), convert, {"enum": list(allowed)})


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the "did you mean" for a word that is not known, if some known word is near."""
    if len(word) > _MAX_GUESS:
        return None
    import difflib

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f"did you mean {near[0]!r}?" if near else None


class InTemplate(enum.Enum):
    """Whether the instances of a template may, must or must not differ in a field."""

    MAY_VARY = "may vary"
    MUST_VARY = "must vary"
    CONSTANT = "constant"


class Field(Generic[T]):
    """One field of a kind of unit.

    ``key`` is its name in files (the attribute's name with dashes as given there); ``default`` a value or a function of
    the unit; ``required`` a bool or a function of the unit; ``severity`` says how bad it is when the value is missing or
    wrong (a job with an error does not run); ``translatable`` fields may be written with a leading underscore;
    ``deprecated`` says what to write instead.
    """

    def __init__(
        self,
        type_: FieldType[T],
        doc: str,
        *,
        default: object = None,
        key: str | None = None,
        required: bool | Callable[[Any], bool] = False,
        severity: Severity = Severity.ERROR,
        translatable: bool = False,
        deprecated: str | None = None,
        template: InTemplate = InTemplate.MAY_VARY,
    ) -> None:
        self.type = type_
        self.doc = doc
        self.default = default
        self.key = key or ""
        self.required = required
        self.severity = severity
        self.translatable = translatable
        self.deprecated = deprecated
        self.template = template
        self.__doc__ = doc

    def __set_name__(self, owner: type[Unit], name: str) -> None:
        self.key = self.key or name

    @overload
    def __get__(self, unit: None, owner: type[Unit]) -> Field[T]: ...

    @overload
    def __get__(self, unit: Unit, owner: type[Unit]) -> T: ...

    def __get__(self, unit: Unit | None, owner: type[Unit]) -> Any:
        if unit is None:
            return self
        cache = unit.field_cache
        try:
            return cache[self.key]
        except KeyError:
            pass
        value: Any = self.salvaged(unit, _ignore)
        if value is None:
            value = self.default(unit) if callable(self.default) else self.default
        cache[self.key] = value
        return value

    def __set__(self, unit: Unit, value: object) -> None:
        raise AttributeError(f"the field {self.key!r} of a unit cannot be changed")

    def salvaged(self, unit: Unit, on_error: OnError) -> T | None:
        """Return the value, or what is good of a list; ``None`` when there is none. Errors go to ``on_error``."""
        value = unit.value_of(self.key)
        if value is None:
            return None
        try:
            if self.type.salvage is not None:
                return self.type.salvage(value, unit.namespace, on_error)
            return self.type.convert(value, unit.namespace)
        except FieldError as error:
            on_error(error)
            return None


def _ignore(error: FieldError) -> None:
    """Let an error pass that the unit's issues tell."""
