# SPDX-License-Identifier: Apache-2.0
"""From the value of a record to the value of a field: pure functions, one for each kind of field.

Each takes the value (text, or what YAML gave) and the namespace of the unit, and returns the field's value or raises
:class:`~plainbox.errors.FieldError` with the line of the text or the number of the item inside the value. Those of lists
take ``on_error`` too: an item that is no good goes there and is left out, so that one of them does not empty the list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NoReturn, TypeAlias

from plainbox.errors import FieldError
from plainbox.units.record import JsonValue, Value
from plainbox.units.scanner import Token, scan

__all__ = [
    "OnError",
    "duration",
    "flag",
    "flag_words",
    "function",
    "identifier",
    "lines",
    "mapping",
    "mappings",
    "names",
    "natural",
    "numbered",
    "qualify",
    "reference",
    "references",
    "text",
    "typed_scalar",
    "values",
    "words",
]

OnError: TypeAlias = Callable[[FieldError], None]

MAX_DURATION_LENGTH = 60
_MAX_MAPPINGS = 1000  # each stands for a job of its own
_MAX_DIGITS = 18  # more than anything counts, less than 64 bits
_DURATION = re.compile(r"(?:([0-9]+)h)?[ :]*(?:([0-9]+)m)?[ :]*(?:([0-9]+)s)?")
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
#: What is no text in JSON, and in YAML without quotes.
_LITERAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|[tT]rue|TRUE|[fF]alse|FALSE|[nN]ull|NULL")
_TRUE = {"yes", "true", "on", "1", "y", "t"}
_FALSE = {"no", "false", "off", "0", "n", "f"}


def qualify(identifier: str, namespace: str | None) -> str:
    """Return the full id: an id with ``::`` is one already, any other belongs to ``namespace``."""
    return identifier if namespace is None or "::" in identifier else f"{namespace}::{identifier}"


def text(value: Value, namespace: str | None = None) -> str:
    """Return the text as it is."""
    if not isinstance(value, str):
        raise FieldError("a text is wanted here, not a list or a mapping")
    return value


def identifier(value: Value, namespace: str | None = None) -> str:
    """Return a partial id: text of one line that does not contain ``::``."""
    result = text(value)
    if "::" in result:
        raise FieldError(
            f"the id {result!r} must not contain '::'",
            hint="the provider's namespace is put before it automatically",
        )
    if not result or "\n" in result:
        raise FieldError("an id is one line of text", line=1 if "\n" in result else 0)
    return result


def reference(value: Value, namespace: str | None = None) -> str:
    """Return the full id that a reference to another unit means."""
    return qualify(text(value), namespace)


def refuse(error: FieldError) -> NoReturn:
    """Be the ``on_error`` of a reader that wants all or nothing."""
    raise error


def numbered(value: Value, on_error: OnError = refuse) -> list[tuple[int, str]]:
    """Return the lines of a text that are not empty, or the items of a YAML list, each with its number from 0."""
    if isinstance(value, str):
        return [(number, line.strip()) for number, line in enumerate(value.split("\n")) if line.strip()]
    if not isinstance(value, list):
        raise FieldError("a list is wanted here, not a mapping")
    result = []
    for number, item in enumerate(value):
        if not isinstance(item, str):
            on_error(FieldError("a text is wanted here, not a list or a mapping", line=number))
        elif item.strip():
            result.append((number, item.strip()))
    return result


def words(value: Value, namespace: str | None = None, on_error: OnError = refuse) -> tuple[str, ...]:
    """Return the words of a list: ``a, b c`` or a YAML list; ``#`` begins a comment, quotes keep blanks together."""
    if not isinstance(value, str):
        return tuple(item for _, item in numbered(value, on_error))
    result = []
    for token in scan(value):
        if token.kind is Token.WORD:
            result.append(token.text)
        elif token.kind is not Token.COMMA:
            on_error(FieldError(f"unexpected {token.text[:60]!r} in a list of words", line=token.line))
    return tuple(result)


def references(value: Value, namespace: str | None = None, on_error: OnError = refuse) -> tuple[str, ...]:
    """Return the full ids that a list of references means, each once, in their order."""
    return tuple(dict.fromkeys(qualify(word, namespace) for word in words(value, namespace, on_error) if word))


def lines(value: Value, namespace: str | None = None, on_error: OnError = refuse) -> tuple[str, ...]:
    """Return the lines of a text without the empty ones, or the items of a YAML list."""
    return tuple(line for _, line in numbered(value, on_error))


def names(value: Value, namespace: str | None = None, on_error: OnError = refuse) -> tuple[str, ...]:
    """Return names that stand apart by blanks or commas, or the items of a YAML list, each once, in their order."""
    if isinstance(value, str):
        return tuple(dict.fromkeys(item for item in re.split(r"[\s,]+", value) if item))
    return tuple(dict.fromkeys(item for _, item in numbered(value, on_error)))


def flag_words(value: Value, namespace: str | None = None, on_error: OnError = refuse) -> frozenset[str]:
    """Return the set of words that stand apart by blanks or commas, or the items of a YAML list."""
    return frozenset(names(value, namespace, on_error))


def flag(value: Value, namespace: str | None = None) -> bool:
    """Return a truth value: ``yes``, ``true``, ``on``, ``1`` and their opposites, in any case."""
    word = text(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise FieldError(f"{word!r} is neither yes nor no")


def natural(value: Value, namespace: str | None = None) -> int:
    """Return a natural number: decimal digits, at most 18 of them."""
    digits = text(value).strip()
    if not digits.isdecimal() or len(digits) > _MAX_DIGITS:
        raise FieldError(f"{digits[:60]!r} is not a natural number")
    return int(digits)


def duration(value: Value, namespace: str | None = None) -> float:
    """Return seconds from a number of seconds or from hours, minutes and seconds in this order: ``1h 30m``, ``2m:30s``.

    An empty text is 0 seconds.
    """
    literal = text(value)
    if len(literal) > MAX_DURATION_LENGTH:
        raise FieldError(f"{literal[:MAX_DURATION_LENGTH]!r}... is not a duration")
    literal = literal.strip()
    try:
        seconds = float(literal)
    except ValueError:
        match = _DURATION.fullmatch(literal)
        if match is None:
            raise FieldError(f"{literal!r} is not a duration", hint="write seconds (90) or 1h 30m, 2m 10s") from None
        hours, minutes, rest = (float(group or 0) for group in match.groups())
        seconds = hours * 3600 + minutes * 60 + rest
    if not 0 <= seconds < 1e9:
        raise FieldError(f"{literal!r} is not a duration that a clock can measure")
    return seconds


def mapping(value: Value, namespace: str | None = None) -> Mapping[str, JsonValue]:
    """Return a mapping from a YAML mapping or from the text of a JSON object; its values keep their types."""
    result = _json(value) if isinstance(value, str) else _typed(value)
    if not isinstance(result, dict):
        raise FieldError("a mapping is wanted here", hint="in PXU files write a JSON object")
    return result


def mappings(value: Value, namespace: str | None = None) -> tuple[Mapping[str, Value], ...]:
    """Return mappings from a YAML list of mappings or from the text of a JSON array of objects."""
    result = _from_json(value) if isinstance(value, str) else value
    if not isinstance(result, list) or not all(isinstance(item, dict) for item in result):
        raise FieldError("a list of mappings is wanted here", hint="in PXU files write a JSON array of objects")
    if len(result) > _MAX_MAPPINGS:
        raise FieldError(f"more than {_MAX_MAPPINGS} mappings")
    return tuple(item for item in result if isinstance(item, dict))


def function(value: Value, namespace: str | None = None) -> str:
    """Return what names a Python function: ``package.module:name``, the name dotted where it is in a class."""
    result = text(value)
    if not _FUNCTION.fullmatch(result):
        raise FieldError(f"{result[:60]!r} names no function", hint="write it like package.module:name")
    return result


def values(value: Value, namespace: str | None = None) -> tuple[JsonValue, ...]:
    """Return the items of a YAML list or of the text of a JSON array; they keep their types."""
    result = _json(value) if isinstance(value, str) else _typed(value)
    if not isinstance(result, list):
        raise FieldError("a list is wanted here", hint="in PXU files write a JSON array")
    return tuple(result)


def _from_json(value: str) -> Value:
    return _as_text(_json(value))


def _typed(value: Value) -> JsonValue:
    """Return a value of a YAML unit with the types that it has there; see :func:`typed_scalar`."""
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if not isinstance(value, str):
        return value
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1]
    return _json(value.lower()) if _LITERAL.fullmatch(value) else value


def typed_scalar(value: str, *, plain: bool) -> str:
    """Return a scalar of YAML as the text that stands for it where types count; ``plain`` is one without quotes.

    Numbers, true, false and null are the texts that they are; what only looks so, or is filled in later, has quotes.
    """
    if plain and value in ("", "~"):
        return "null"
    ambiguous = value[:1] == "'" or "{" in value or _LITERAL.fullmatch(value) is not None
    return f"'{value}'" if ambiguous and not (plain and _LITERAL.fullmatch(value)) else value


def _json(value: str) -> JsonValue:
    import json

    def no_number(word: str) -> JsonValue:
        raise FieldError(f"not JSON: {word} is no number")

    try:
        result: JsonValue = json.loads(value, parse_constant=no_number)
        return result
    except json.JSONDecodeError as error:
        raise FieldError(f"not JSON: {error.msg}", line=error.lineno - 1) from None
    except ValueError:
        raise FieldError("not JSON: a number with too many digits") from None
    except RecursionError:
        raise FieldError("nested too deeply") from None


def _as_text(value: object) -> Value:
    """Make the scalars of parsed JSON text again, as they are in YAML units."""
    if isinstance(value, dict):
        return {str(key): _as_text(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    import json

    return json.dumps(value)
