# SPDX-License-Identifier: Apache-2.0
"""Include lists: which jobs a test plan means, and what it says about them.

Each line is a pattern, optionally followed by overrides: ``disk/.* certification-status=blocker, category-id=disk``.
A pattern without characters special to regular expressions means one job or template; any other is a regular
expression that must match the whole full id. A pattern that is literally the full id of a template selects it.
"""

from __future__ import annotations

import functools
import itertools
import re
import warnings
from collections.abc import Callable, Iterable, Mapping

import attrs

from plainbox.errors import FieldError
from plainbox.units import converters
from plainbox.units.converters import OnError
from plainbox.units.fields import closest
from plainbox.units.record import Value
from plainbox.units.scanner import Lexeme, Token, scan

__all__ = ["OVERRIDABLE", "IncludeEntry", "Pattern", "check_override", "parse_include"]

_SPECIAL = re.compile(r"[.^$*+?{}\[\]\\|()]")
_MAX_LENGTH = 10_000

#: The fields that a test plan may override: spelling in include lists -> name in code.
OVERRIDABLE: Mapping[str, str] = {
    "category-id": "category_id",
    "category_id": "category_id",
    "certification-status": "certification_status",
    "certification_status": "certification_status",
    "auto-retry": "auto_retry",
    "auto_retry": "auto_retry",
}

_ALLOWED: Mapping[str, tuple[str, ...]] = {
    "certification_status": ("blocker", "non-blocker"),
    "auto_retry": ("unspecified", "no"),
}


@attrs.frozen
class Pattern:
    """``text`` is as written; ``full`` the qualified text without anchors; ``expression`` what a regular one compiles
    to."""

    text: str
    full: str
    is_fixed: bool
    expression: str = ""

    @classmethod
    def parse(cls, text: str, namespace: str | None) -> Pattern:
        """Return the pattern that ``text`` means in a namespace; a bad regular expression is a :class:`FieldError`."""
        bare = _without_anchors(text)
        if not bare:
            raise FieldError("an empty pattern")
        if len(bare) > _MAX_LENGTH:
            raise FieldError(f"the pattern is longer than {_MAX_LENGTH} characters")
        is_fixed = not _SPECIAL.search(bare)
        is_full = namespace is None or "::" in bare
        full = bare if is_full else f"{namespace}::{bare}"
        if is_fixed:
            return cls(text, full, is_fixed)
        # The groups keep alternatives on the top level of the text together, inside the namespace.
        expression = f"(?:{bare})" if is_full else f"{re.escape(namespace or '')}::(?:{bare})"
        try:
            if ")" in bare:
                # Inside of the group that is put around it, a wrong text could close that group and open another one.
                _compile(bare)
            _compile(expression)
        except (re.error, OverflowError, RecursionError) as error:
            reason = error.msg if isinstance(error, re.error) else str(error)
            raise FieldError(
                f"{text[:80]!r} is not a regular expression: {reason}",
                hint="write a backslash before a character of .^$*+?{}[]|() that means itself",
            ) from None
        return cls(text, full, is_fixed, expression)

    def matches(self, identifier: str) -> bool:
        """Tell whether the pattern means this full id."""
        if self.full == identifier:
            return True
        return not self.is_fixed and _compile(self.expression).fullmatch(identifier) is not None


def _without_anchors(text: str) -> str:
    bare = text.removeprefix("^")
    return bare if bare.endswith("\\$") else bare.removesuffix("$")


@functools.lru_cache(maxsize=4096)
def _compile(expression: str) -> re.Pattern[str]:
    if "[" not in expression:
        return re.compile(expression)
    with warnings.catch_warnings():
        # That Python may read [[ otherwise one day is nothing to tell the user of a plan.
        warnings.simplefilter("ignore")
        return re.compile(expression)


@attrs.frozen
class IncludeEntry:
    """``overrides`` are (name of the field, value) in their order; ``line`` counts from 0 within the field."""

    pattern: Pattern
    overrides: tuple[tuple[str, str], ...] = ()
    line: int = 0


def parse_include(
    value: Value, namespace: str | None, on_error: OnError = converters.refuse
) -> tuple[IncludeEntry, ...]:
    """Return the entries of an include list, from text or from a YAML list of patterns and one-key mappings.

    What is wrong with an entry goes to ``on_error``: a bad override is left out, any other bad entry is as a whole.
    """
    if isinstance(value, str):
        by_line = itertools.groupby(scan(value), key=lambda lexeme: lexeme.line)
        readers: list[Callable[[], IncludeEntry]] = [
            functools.partial(_entry, list(lexemes), line, namespace, on_error) for line, lexemes in by_line
        ]
    elif isinstance(value, list):
        readers = [functools.partial(_from_yaml, item, line, namespace, on_error) for line, item in enumerate(value)]
    else:
        raise FieldError("a list of patterns is wanted here, not a mapping")
    entries = []
    for read in readers:
        try:
            entries.append(read())
        except FieldError as error:
            on_error(error)
    return tuple(entries)


def _entry(lexemes: list[Lexeme], line: int, namespace: str | None, on_error: OnError) -> IncludeEntry:
    def fail(message: str) -> FieldError:
        return FieldError(message, line=line, hint="write: PATTERN [FIELD=VALUE[, FIELD=VALUE...]], one per line")

    for lexeme in lexemes:
        if lexeme.kind is Token.INVALID:
            raise fail(f"a quote that is not closed: {lexeme.text!r}")
    if lexemes[0].kind is not Token.WORD:
        raise fail(f"a pattern is wanted before {lexemes[0].text!r}")
    pairs = []
    for start in range(1, len(lexemes), 4):
        kinds = [item.kind for item in lexemes[start : start + 4]]
        if kinds[:3] != [Token.WORD, Token.EQUALS, Token.WORD]:
            raise fail(f"FIELD=VALUE is wanted after {lexemes[0].text!r}")
        pairs.append((lexemes[start].text, lexemes[start + 2].text))
        if start + 3 < len(lexemes) and (kinds[3] is not Token.COMMA or start + 4 == len(lexemes)):
            raise fail("overrides stand apart by commas")
    return IncludeEntry(_pattern(lexemes[0].text, line, namespace), _overrides(pairs, line, on_error), line)


def _from_yaml(item: Value, line: int, namespace: str | None, on_error: OnError) -> IncludeEntry:
    if isinstance(item, str):
        return IncludeEntry(_pattern(item.strip(), line, namespace), (), line)
    if isinstance(item, dict) and len(item) == 1:
        [(text, given)] = item.items()
        if isinstance(given, dict):
            pairs = [(name, value) for name, value in given.items() if isinstance(value, str)]
            if len(pairs) == len(given):
                return IncludeEntry(_pattern(text, line, namespace), _overrides(pairs, line, on_error), line)
    raise FieldError("an item is a pattern, or a pattern with a mapping of overrides", line=line)


def _pattern(text: str, line: int, namespace: str | None) -> Pattern:
    try:
        return Pattern.parse(text, namespace)
    except FieldError as error:
        raise FieldError(error.message, line=line, hint=error.hint) from None


def _overrides(pairs: Iterable[tuple[str, str]], line: int, on_error: OnError) -> tuple[tuple[str, str], ...]:
    result = []
    for name, value in pairs:
        try:
            field = _overridable(name)
            result.append((field, check_override(field, value)))
        except FieldError as error:
            on_error(FieldError(error.message, line=line, hint=error.hint))
    return tuple(result)


def _overridable(name: str) -> str:
    if name not in OVERRIDABLE:
        raise FieldError(
            f"{name[:60]!r} cannot be overridden",
            hint=closest(name, OVERRIDABLE) or "category-id, certification-status and auto-retry can",
        )
    return OVERRIDABLE[name]


def check_override(field: str, value: str) -> str:
    """Return the value, or raise :class:`FieldError` when the field cannot have it."""
    allowed = _ALLOWED.get(field)
    if allowed is not None and value not in allowed:
        raise FieldError(f"{value[:60]!r} is not one of {', '.join(allowed)}", hint=closest(value, allowed))
    if not value:
        raise FieldError("a value is wanted here")
    return value
