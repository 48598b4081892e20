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

    The schema is made for the values that YAML 1.2 gives, and never refuses what ``convert`` takes; its description is that
    of the type. ``salvage`` converts what is good of a list and gives the rest to a function; ``code`` is that of its
    findings.
    """

    name: str
    convert: Callable[[Value, str | None], T]
    schema: Mapping[str, object] = attrs.field(factory=dict)
    salvage: Callable[[Value, str | None, OnError], T] | None = None
    code: Code = Code.WRONG

    @property
    def doc(self) -> str:
        """What values of the type look like."""
        return str(self.schema.get("description", ""))


MAX_LINE = 80  # characters of a text that reports and menus show in one line

#: Scalars stay the text that is written, whatever YAML takes them for.
_SCALAR = ["string", "number", "boolean"]
_TEXT: Mapping[str, object] = {"type": _SCALAR}
_TEXTS: Mapping[str, object] = {"type": [*_SCALAR, "array"], "items": _TEXT}

#: Words, commas, comments and texts in quotes; the end of each word is looked for, so that no text takes long.
_WORD_LIST = r'^(?:[\s,]|#[^\n]*|"[^"\n]*"|[^\s#,="\0][^\s#,=\0]*(?=[\s#,]|$))*$'
_IMPORT = r"from[^\S\n]+(?!\S*::)\S+[^\S\n]+import[^\S\n]+(?!\S*::)\S+(?:[^\S\n]+as[^\S\n]+\S+)?"
_IMPORTS = {
    "pattern": rf"^(?:[^\S\n]*(?:{_IMPORT}[^\S\n]*)?(?:\n|$))*$",
    "patternErrorMessage": "write: from NAMESPACE import ID [as NAME]",
}
_SECONDS = r"\+?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_CLOCK = r"(?:[0-9]+h)?[ :]*(?:[0-9]+m)?[ :]*(?:[0-9]+s)?"
_TRUTH = "[Yy]([Ee][Ss])?|[Tt]([Rr][Uu][Ee])?|[Oo][Nn]|[Nn][Oo]?|[Ff]([Aa][Ll][Ss][Ee])?|[Oo][Ff][Ff]|[01]"

TEXT = FieldType(
    "text",
    converters.text,
    {"description": "Text of any length. A number or a truth value is the text that is written.", **_TEXT},
)
LINE = FieldType(
    "line",
    converters.text,
    {"description": f"Text in one line, of at most {MAX_LINE} characters where reports and menus show it.", **_TEXT},
)
SCRIPT = FieldType("shell script", converters.text, {"description": "Text that a shell runs.", **_TEXT})
IDENTIFIER = FieldType(
    "id",
    converters.identifier,
    {
        "description": "A partial id: one line without `::`; the namespace of the provider is put before it.",
        **_TEXT,
        "pattern": r"^\s*(?![^\n]*::)\S[^\n]*\s*$",
        "patternErrorMessage": "an id is one line of text without '::'",
    },
)
REFERENCE = FieldType(
    "reference",
    converters.reference,
    {"description": "The id of another unit: a full id, or a partial one in the own namespace.", **_TEXT},
)
REFERENCES = FieldType(
    "list of references",
    converters.references,
    {
        "description": "Ids of other units, full ones or partial ones in the own namespace: a YAML list, or a word list.",
        **_TEXTS,
        "pattern": _WORD_LIST,
        "patternErrorMessage": "ids stand apart by blanks or commas; an id with '=' is written in quotes",
    },
    converters.references,
)
WORDS = FieldType(
    "word list",
    converters.words,
    {
        "description": "A YAML list, or words apart by blanks or commas. `#` begins a comment, quotes hold blanks.",
        **_TEXTS,
        "pattern": _WORD_LIST,
        "patternErrorMessage": "words stand apart by blanks or commas; a word with '=' is written in quotes",
    },
    converters.words,
)
NAMES = FieldType(
    "name list",
    converters.names,
    {"description": "A YAML list, or names apart by blanks or commas.", **_TEXTS},
    converters.names,
)
FLAGS = FieldType(
    "flags",
    converters.flag_words,
    {"description": "A YAML list, or words apart by blanks or commas. An unknown word has no effect.", **_TEXTS},
    converters.flag_words,
)
LINES = FieldType(
    "lines",
    converters.lines,
    {"description": "A YAML list, or text with one item on a line.", **_TEXTS},
    converters.lines,
)
IMPORTS = FieldType(
    "imports",
    converters.lines,
    {
        "description": "A YAML list, or text with one import on a line: `from NAMESPACE import ID [as NAME]`.",
        "type": ["string", "array"],
        **_IMPORTS,
        "items": {"type": "string", **_IMPORTS},
    },
    converters.lines,
)
DURATION = FieldType(
    "duration",
    converters.duration,
    {
        "description": "Seconds (`90`, `1.5`), or hours, minutes and seconds in this order: `1h 30m`, `2m10s`, `2m:30s`.",
        "type": ["number", "string"],
        "minimum": 0,
        "exclusiveMaximum": 1_000_000_000,
        "maxLength": converters.MAX_DURATION_LENGTH,
        "pattern": rf"^\s*(?:{_SECONDS}|{_CLOCK})\s*$",
        "patternErrorMessage": "write seconds (90) or 1h 30m, 2m 10s",
    },
)
FLAG = FieldType(
    "yes or no",
    converters.flag,
    {
        "description": "`yes`, `true`, `on` or `1`; `no`, `false`, `off` or `0`.",
        "type": ["boolean", "string", "number"],
        "minimum": 0,
        "maximum": 1,
        "multipleOf": 1,
        "pattern": rf"^\s*(?:{_TRUTH})\s*$",
        "patternErrorMessage": "write yes or no",
    },
)
MAPPING = FieldType(
    "mapping",
    converters.mapping,
    {
        "description": "A YAML mapping, or the text of a JSON object, which is what PXU files have.",
        "type": ["object", "string"],
        "pattern": r"^\s*\{[\s\S]*\}\s*$",
        "patternErrorMessage": "write a mapping, or the text of a JSON object",
    },
)
MAPPINGS = FieldType(
    "list of mappings",
    converters.mappings,
    {
        "description": "A YAML list of mappings, or the text of a JSON array of objects, which is what PXU files have.",
        "type": ["array", "string"],
        "items": {"type": "object"},
        "pattern": r"^\s*\[[\s\S]*\]\s*$",
        "patternErrorMessage": "write a list of mappings, or the text of a JSON array",
    },
)
VALUES = FieldType(
    "list of values",
    converters.values,
    {
        "description": "A YAML list, or the text of a JSON array, which is what PXU files have.",
        "type": ["array", "string"],
        "pattern": r"^\s*\[[\s\S]*\]\s*$",
        "patternErrorMessage": "write a list, or the text of a JSON array",
    },
)


FUNCTION = FieldType(
    "function",
    converters.function,
    {
        "description": "A Python function: `package.module:name`.",
        "type": "string",
        "pattern": r"^\s*[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*\s*$",
        "patternErrorMessage": "write it like package.module:name",
    },
)


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
        self._default_varies = callable(default)
        self.key = key or ""
        self.required = required
        self.severity = severity
        self.translatable = translatable
        self.deprecated = deprecated
        self.template = template
        self.__doc__ = doc

    def __set_name__(self, owner: type[Unit], name: str) -> None:
        self.key = self.key or name
        self._translated_key = "_" + self.key

    @overload
    def __get__(self, unit: None, owner: type[Unit]) -> Field[T]: ...

    @overload
    def __get__(self, unit: Unit, owner: type[Unit]) -> T: ...

    def __get__(self, unit: Unit | None, owner: type[Unit]) -> Any:
        if unit is None:
            return self
        key, cache = self.key, unit.field_cache
        if key in cache:
            return cache[key]
        # Most fields of most units are not written at all: then there is nothing to remember for each of them.
        written = key in unit.data or self._translated_key in unit.data
        if not written and not self._default_varies:
            return self.default
        value: Any = self.salvaged(unit, _ignore) if written else None
        if value is None:
            value = self.default(unit) if callable(self.default) else self.default
        cache[key] = value
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
