# SPDX-License-Identifier: Apache-2.0
"""From the text of a field, as PXU files have it, to the lists, mappings and numbers of YAML.

The type of the field says what the text holds. A native value is given only where the field reads the same from it, in a
template with the parameters filled in; where it does not, or where the text is no good value, the text stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from plainbox.errors import FieldError
from plainbox.units import converters, fields
from plainbox.units.fields import FieldType
from plainbox.units.interpolation import interpolate, names_in
from plainbox.units.record import Value
from plainbox.units.scanner import Token, scan
from plainbox.units.setup_job import MANIFEST_ENTRIES
from plainbox.units.test_plan import INCLUDE

__all__ = ["Item", "Listing", "Plain", "native", "samples", "without_lines"]

_NAMESPACE = "namespace"  # any will do: the readings of two values are compared


class Plain(str):
    """A scalar that YAML may take for what it looks like: a number, or yes and no."""


@attrs.frozen
class Item:
    """An item of a list, or a comment of its own (``value`` is ``None``); ``line`` counts the lines of the text from 0."""

    value: Value | None
    line: int
    comment: str = ""


@attrs.frozen
class Listing:
    """A list with the comments that its text has."""

    items: tuple[Item, ...]

    @property
    def values(self) -> list[Value]:
        return [item.value for item in self.items if item.value is not None]


_Reading: TypeAlias = "Value | Listing"


def native(text: str, type_: FieldType[Any], engine: str) -> Value | Listing:
    """Return what YAML has in place of the text of a field of this type; ``engine`` is what fills the text in."""
    read = _READERS.get(type_.name)
    if read is None or (engine == "jinja2" and ("{%" in text or "{#" in text)):
        return text
    try:
        mask = _Mask(text, engine, unescape=read is _json)
        result = mask.unmasked(read(mask.text))
        value = result.values if isinstance(result, Listing) else result
        if all(
            _reading(text, type_, engine, one) == _reading(value, type_, engine, one) for one in samples(text, engine)
        ):
            return result
    except (FieldError, ValueError, RecursionError):
        pass
    return text


def samples(value: Value, engine: str) -> Iterator[Mapping[str, str]]:
    """Yield parameters to fill a value in with: enough to see that two values mean the same."""
    names = names_in(value, engine) if engine != "none" else ()
    yield {**{name: name.upper() for name in names}, "__index__": "1"}
    if names:
        yield {**dict.fromkeys(names, "2"), "__index__": "2"}


def without_lines(value: object) -> object:
    """Return the value of a field without the places of its items, which are not the same in two files."""
    if isinstance(value, tuple):
        return tuple(attrs.evolve(item, line=0) if hasattr(item, "line") else item for item in value)
    return value


def _reading(value: Value, type_: FieldType[Any], engine: str, parameters: Mapping[str, str]) -> object:
    filled = value if engine == "none" else interpolate(value, parameters, engine)
    return without_lines(type_.convert(filled, _NAMESPACE))


# -- templates


class _Mask:
    """A text whose template fields are words of letters, so that their blanks and signs mean nothing to a reader.

    With ``unescape`` the braces that the default engine wants doubled are single while the text is masked.
    """

    _OPEN, _CLOSE = "\ue000", "\ue001"
    _FIELD = {
        "default": re.compile(r"\{\{|\}\}|(?P<field>\{[^{}\n]*\})"),
        "jinja2": re.compile(r"(?P<field>\{\{(?:(?!\}\})[^\n])*\}\})"),
    }

    def __init__(self, text: str, engine: str, *, unescape: bool) -> None:
        self._fields: list[str] = []
        self._unescape = unescape and engine == "default"
        if self._OPEN in text or self._CLOSE in text:
            raise ValueError("the text holds the signs of a mask")
        pattern = self._FIELD.get(engine)
        self.text = pattern.sub(self._masked, text) if pattern is not None else text
        if engine == "jinja2" and "{{" in self.text:
            raise ValueError("an expression over several lines")

    def _masked(self, match: re.Match[str]) -> str:
        if match["field"] is None:
            return match[0][0] if self._unescape else match[0]
        self._fields.append(match[0])
        return f"{self._OPEN}{len(self._fields) - 1}{self._CLOSE}"

    def unmasked(self, result: _Reading) -> _Reading:
        """Return what was read from the masked text with the template fields in it again."""
        if isinstance(result, Listing):
            return Listing(
                tuple(
                    Item(item.value and self._value(item.value), item.line, self._text(item.comment))
                    for item in result.items
                )
            )
        return self._value(result)

    def _text(self, text: str) -> str:
        if isinstance(text, Plain):
            return text
        if self._unescape:
            text = text.replace("{", "{{").replace("}", "}}")
        return re.sub(f"{self._OPEN}([0-9]+){self._CLOSE}", lambda match: self._fields[int(match[1])], text)

    def _value(self, value: Value) -> Value:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._value(item) for item in value]
        return {self._text(key): self._value(item) for key, item in value.items()}


# -- readers


def _items(read_line: Callable[[str], list[Value]], *, comments: bool = True) -> Callable[[str], Listing]:
    """Return the reader of a list whose lines are read by ``read_line``."""

    def read(text: str) -> Listing:
        items: list[Item] = []
        for number, line in enumerate(text.split("\n")):
            content, comment = _parted(line) if comments else (line, "")
            values = read_line(content)
            if comment and len(values) != 1:
                items.append(Item(None, number, comment))
                comment = ""
            items += [Item(value, number, comment) for value in values]
        return Listing(tuple(items))

    return read


#: What the scanner finds before a comment; nothing of it is tried in two ways.
_COMMENT = re.compile(r"""(?:\s|,|=|"[^"]*"|[^\s#,="][^\s#,=]*+)*+(\#.*)""")


def _parted(line: str) -> tuple[str, str]:
    """Return a line without the comment that the scanner leaves out, and the comment."""
    match = _COMMENT.fullmatch(line)
    return (line[: match.start(1)], match[1].rstrip()) if match is not None else (line, "")


def _words(line: str) -> list[Value]:
    return [token.text for token in scan(line) if token.kind is Token.WORD]


def _names(line: str) -> list[Value]:
    return [name for name in re.split(r"[\s,]+", line) if name]


def _line(line: str) -> list[Value]:
    return [line.strip()] if line.strip() else []


def _entry(line: str) -> list[Value]:
    tokens = scan(line)
    if not tokens:
        return []
    # pattern [field = value [, field = value]...]; what is not of this form will not read the same
    pattern, *words = [token.text for token in tokens if token.kind is Token.WORD]
    overrides: dict[str, Value] = dict(zip(words[::2], words[1::2], strict=True))
    return [{pattern: overrides} if overrides else pattern]


def _relations(text: str) -> Listing:
    """Return the relations, which commas part, wherever their lines end."""
    items = []
    line = 0
    for part in text.split(","):
        begin = part[: len(part) - len(part.lstrip())]
        if part.strip():
            items.append(Item(" ".join(part.split()), line + begin.count("\n")))
        line += part.count("\n")
    return Listing(tuple(items))


def _number(text: str) -> Value:
    return Plain(text) if re.fullmatch(r"(0|[1-9][0-9]*)(\.[0-9]+)?", text) else text


def _truth(text: str) -> Value:
    return Plain("true" if converters.flag(text) else "false")


def _json(text: str) -> Value:
    return _scalars(json.loads(text))


def _scalars(value: object) -> Value:
    if isinstance(value, dict):
        return {key: _scalars(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_scalars(item) for item in value]
    if value is None:
        raise ValueError("YAML lists of units hold no null")
    return value if isinstance(value, str) else Plain(json.dumps(value))


_READERS: Mapping[str, Callable[[str], _Reading]] = {
    fields.WORDS.name: _items(_words),
    fields.REFERENCES.name: _items(_words),
    fields.NAMES.name: _items(_names, comments=False),
    fields.FLAGS.name: _items(_names, comments=False),
    fields.LINES.name: _items(_line, comments=False),
    fields.IMPORTS.name: _items(_line, comments=False),
    MANIFEST_ENTRIES.name: _items(_words),
    INCLUDE.name: _items(_entry),
    "override list": _items(_line),
    "package relations": _relations,
    fields.DURATION.name: _number,
    fields.FLAG.name: _truth,
    fields.MAPPING.name: _json,
    fields.MAPPINGS.name: _json,
    fields.VALUES.name: _json,
}
