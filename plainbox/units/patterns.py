# SPDX-License-Identifier: Apache-2.0
"""Include lists: which jobs a test plan means, and what it says about them.

Each line is a pattern, optionally followed by overrides: ``disk/.* certification-status=blocker, category-id=disk``.
A pattern without characters special to regular expressions means one job or template; any other is a regular
expression that must match the whole full id. A pattern that is literally the full id of a template selects it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping

import attrs

from plainbox.errors import FieldError
from plainbox.units.fields import closest
from plainbox.units.record import Value
from plainbox.units.scanner import Lexeme, Token, scan

__all__ = ["OVERRIDABLE", "IncludeEntry", "Pattern", "parse_include"]

_SPECIAL = re.compile(r"[.^$*+?{}\[\]\\|()]")

#: The fields that a test plan may override: spelling in include lists -> name in code.
OVERRIDABLE: Mapping[str, str] = {
    "category-id": "category_id",
    "category_id": "category_id",
    "certification-status": "certification_status",
    "certification_status": "certification_status",
    "auto-retry": "auto_retry",
    "auto_retry": "auto_retry",
}


@attrs.frozen
class Pattern:
    """``text`` is as written; ``full`` the qualified text without anchors."""

    text: str
    full: str
    is_fixed: bool

    @classmethod
    def parse(cls, text: str, namespace: str | None) -> Pattern:
        """Return the pattern that ``text`` means in a namespace; a bad regular expression is a :class:`FieldError`."""
        bare = text.removeprefix("^").removesuffix("$")
        is_fixed = not _SPECIAL.search(bare)
        full = bare if namespace is None or "::" in bare else f"{namespace}::{bare}"
        if not is_fixed:
            _compile(full)
        return cls(text, full, is_fixed)

    def matches(self, identifier: str) -> bool:
        """Tell whether the pattern means this full id."""
        if self.full == identifier:
            return True
        return not self.is_fixed and _compile(self.full).fullmatch(identifier) is not None


@functools.lru_cache(maxsize=4096)
def _compile(full: str) -> re.Pattern[str]:
    # The text may have alternatives on its top level: the group keeps them together.
    try:
        return re.compile(f"(?:{full})")
    except (re.error, OverflowError, RecursionError) as error:
        raise FieldError(f"{full!r} is not a regular expression: {error}") from None


@attrs.frozen
class IncludeEntry:
    """``overrides`` are (name of the field, value) in their order; ``line`` counts from 0 within the field."""

    pattern: Pattern
    overrides: tuple[tuple[str, str], ...] = ()
    line: int = 0


def parse_include(value: Value, namespace: str | None) -> tuple[IncludeEntry, ...]:
    """Return the entries of an include list, from text or from a YAML list of patterns and one-key mappings."""
    if isinstance(value, str):
        return tuple(_entries(value, namespace))
    if not isinstance(value, list):
        raise FieldError("a list of patterns is wanted here, not a mapping")
    return tuple(_from_yaml(item, index, namespace) for index, item in enumerate(value))


def _entries(text: str, namespace: str | None) -> Iterator[IncludeEntry]:
    lexemes = scan(text)
    position = 0
    while position < len(lexemes):
        line = lexemes[position].line
        end = position
        while end < len(lexemes) and lexemes[end].line == line:
            end += 1
        yield _entry(lexemes[position:end], line, namespace)
        position = end


def _entry(lexemes: list[Lexeme], line: int, namespace: str | None) -> IncludeEntry:
    def fail(message: str) -> FieldError:
        return FieldError(message, line=line, hint="write: PATTERN [FIELD=VALUE[, FIELD=VALUE...]], one per line")

    for lexeme in lexemes:
        if lexeme.kind is Token.INVALID:
            raise fail(f"a quote that is not closed: {lexeme.text!r}")
    if lexemes[0].kind is not Token.WORD:
        raise fail(f"a pattern is wanted before {lexemes[0].text!r}")
    overrides = []
    rest = lexemes[1:]
    while rest:
        if len(rest) < 3 or [item.kind for item in rest[:3]] != [Token.WORD, Token.EQUALS, Token.WORD]:
            raise fail(f"FIELD=VALUE is wanted after {lexemes[0].text!r}")
        overrides.append(_override(rest[0].text, rest[2].text, line))
        rest = rest[3:]
        if rest:
            if rest[0].kind is not Token.COMMA or len(rest) == 1:
                raise fail("overrides stand apart by commas")
            rest = rest[1:]
    return IncludeEntry(_pattern(lexemes[0].text, line, namespace), tuple(overrides), line)


def _from_yaml(item: Value, line: int, namespace: str | None) -> IncludeEntry:
    if isinstance(item, str):
        return IncludeEntry(_pattern(item.strip(), line, namespace), (), line)
    if isinstance(item, dict) and len(item) == 1:
        [(text, overrides)] = item.items()
        if isinstance(overrides, dict) and all(isinstance(value, str) for value in overrides.values()):
            given = tuple(_override(name, str(value), line) for name, value in overrides.items())
            return IncludeEntry(_pattern(text, line, namespace), given, line)
    raise FieldError("an item is a pattern, or a pattern with a mapping of overrides", line=line)


def _pattern(text: str, line: int, namespace: str | None) -> Pattern:
    try:
        return Pattern.parse(text, namespace)
    except FieldError as error:
        raise FieldError(error.message, line=line, hint=error.hint) from None


def _override(name: str, value: str, line: int) -> tuple[str, str]:
    if name not in OVERRIDABLE:
        raise FieldError(
            f"{name!r} cannot be overridden",
            line=line,
            hint=closest(name, OVERRIDABLE) or "category-id, certification-status and auto-retry can",
        )
    return OVERRIDABLE[name], value
