# SPDX-License-Identifier: Apache-2.0
"""Override lists: ``apply VALUE to PATTERN``, one statement on a line."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from plainbox.errors import FieldError
from plainbox.units import converters
from plainbox.units.converters import OnError
from plainbox.units.patterns import Pattern, check_override
from plainbox.units.record import Value
from plainbox.units.scanner import Token, scan

__all__ = ["Override", "overrides_of", "parse_overrides"]


@attrs.frozen
class Override:
    """``value`` is as written: the field that it is for says what it means. ``line`` counts from 0 in the list."""

    value: str
    pattern: Pattern
    line: int


def parse_overrides(
    value: Value, namespace: str | None, on_error: OnError = converters.refuse, *, field: str = "category_id"
) -> tuple[Override, ...]:
    """Return the statements of an override list in their order, from text or from a YAML list of statements.

    A statement that is no good, or whose value ``field`` cannot have, goes to ``on_error`` and is left out.
    """
    result = []
    for line, text in converters.numbered(value, on_error):
        try:
            override = _statement(text, line, namespace, field)
        except FieldError as error:
            on_error(FieldError(error.message, line=line, hint=error.hint))
        else:
            if override is not None:
                result.append(override)
    return tuple(result)


def overrides_of(field: str) -> Callable[[Value, str | None, OnError], tuple[Override, ...]]:
    """Return :func:`parse_overrides` for one field."""

    def parse(value: Value, namespace: str | None, on_error: OnError = converters.refuse) -> tuple[Override, ...]:
        return parse_overrides(value, namespace, on_error, field=field)

    return parse


def _statement(text: str, line: int, namespace: str | None, field: str) -> Override | None:
    tokens = scan(text)
    if not tokens:
        return None
    words = [token.text for token in tokens if token.kind is Token.WORD]
    if len(words) != len(tokens) or len(words) != 4 or (words[0], words[2]) != ("apply", "to"):
        raise FieldError(f"not an override: {text[:80]!r}", hint="write: apply VALUE to PATTERN")
    return Override(check_override(field, words[1]), Pattern.parse(words[3], namespace), line)
