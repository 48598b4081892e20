# SPDX-License-Identifier: Apache-2.0
"""Override lists: ``apply VALUE to PATTERN``, one statement on a line."""

from __future__ import annotations

import attrs

from plainbox.errors import FieldError
from plainbox.units.patterns import Pattern
from plainbox.units.record import Value
from plainbox.units.scanner import Token, scan

__all__ = ["Override", "parse_overrides"]


@attrs.frozen
class Override:
    """``value`` is as written: the field that it is for says what it means."""

    value: str
    pattern: Pattern
    line: int


def parse_overrides(value: Value, namespace: str | None) -> tuple[Override, ...]:
    """Return the statements of an override list in their order, from text or from a YAML list of statements."""
    if isinstance(value, dict):
        raise FieldError("a list of overrides is wanted here, not a mapping")
    texts = value.splitlines() if isinstance(value, str) else [str(item) for item in value]
    result = []
    for line, text in enumerate(texts):
        tokens = scan(text)
        if not tokens:
            continue
        words = [token.text for token in tokens]
        well_formed = (
            len(words) == 4
            and words[0] == "apply"
            and words[2] == "to"
            and all(token.kind is Token.WORD for token in tokens)
        )
        if not well_formed:
            raise FieldError(f"not an override: {text.strip()[:80]!r}", line=line, hint="write: apply VALUE to PATTERN")
        try:
            pattern = Pattern.parse(words[3], namespace)
        except FieldError as error:
            raise FieldError(error.message, line=line) from None
        result.append(Override(words[1], pattern, line))
    return tuple(result)
