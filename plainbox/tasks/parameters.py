# SPDX-License-Identifier: Apache-2.0
"""The parameters of advices as configuration writes them: read from the constructor of their class.

A parameter can be written when the annotation of the constructor's argument is one of :data:`KINDS`, a union with one of
them, or a ``Literal`` of words, or else when its default is a text, a number or a truth value. Any other argument is for
programs alone. The names below are for annotations: they say what kind of text is meant.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import attrs

from plainbox.config.kinds import BOOLEAN, BYTES, Kind, choice, whole_number
from plainbox.errors import ChainError, FieldError
from plainbox.units import converters

__all__ = [
    "KINDS",
    "MASK",
    "REMOTE",
    "Bytes",
    "Count",
    "Duration",
    "Number",
    "ParameterDeclaration",
    "Secret",
    "Words",
    "is_secret",
    "parameters_of",
    "shown",
]

Duration: TypeAlias = float
Number: TypeAlias = float
Count: TypeAlias = int
Bytes: TypeAlias = int
Words: TypeAlias = tuple[str, ...]
Secret: TypeAlias = str

_SECRET = re.compile(r"password|passphrase|secret|token|credential", re.IGNORECASE)
_LITERAL = re.compile(r"Literal\[([^\]]*)\]")
MASK: Final = "***"


@attrs.frozen
class ParameterDeclaration:
    """One parameter of an advice; ``secret`` ones are never shown or stored."""

    name: str
    kind: Kind
    default: object
    required: bool
    secret: bool

    def read(self, text: str) -> object:
        """Return the value that is written like this; :class:`ChainError` when none is."""
        try:
            return self.kind.read(text)
        except ValueError as error:
            shown_text = MASK if self.secret else text[:80]
            raise ChainError(f"{self.name}: {shown_text!r} {error}") from None


def _duration(text: str) -> float:
    try:
        if text.strip():
            return converters.duration(text[:-1] if re.fullmatch(r"[0-9]+\.[0-9]+s", text) else text)
    except FieldError:
        pass
    raise ValueError("is no duration (such as 90, 0.5s, 2m 10s, 1h 30m)")


def _integer(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise ValueError("is no whole number")
    return int(text)


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        raise ValueError("is no number (such as 2 or 0.1)")
    return float(text)


def _words(text: str) -> tuple[str, ...]:
    found = tuple(text.replace(",", " ").split())
    if not found:
        raise ValueError("has no word")
    return found


def _text(text: str) -> str:
    return text


_DURATION: Final = Kind("duration", _duration)
_WORDS: Final = Kind("words", _words)
_TEXT: Final = Kind("text", _text)
#: The name of a remote: whoever builds the chain puts that in its place.
REMOTE: Final = Kind("name of a remote", _text)

#: Annotation -> what is written for it.
KINDS: Final[Mapping[str, Kind]] = {
    "Duration": _DURATION,
    "float": _DURATION,
    "Number": Kind("number", _number),
    "Count": whole_number(0),
    "int": Kind("whole number", _integer),
    "Bytes": BYTES,
    "bool": BOOLEAN,
    "Words": _WORDS,
    "tuple[str, ...]": _WORDS,
    "Sequence[str]": _WORDS,
    "str": _TEXT,
    "Path": Kind("path", lambda text: Path(text).expanduser()),
    "Secret": Kind("text", _text),
    "Remote": REMOTE,
}


def parameters_of(advice: Callable[..., object]) -> Mapping[str, ParameterDeclaration]:
    """Return the parameters that can be written for a class of advices, in the order of its constructor."""
    found = {}
    for name, parameter in inspect.signature(advice).parameters.items():
        annotation = parameter.annotation
        text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        kind = _kind(text) or KINDS.get(type(parameter.default).__name__)
        if kind is not None and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            required = parameter.default is parameter.empty
            secret = "Secret" in text or is_secret(name)
            found[name] = ParameterDeclaration(name, kind, None if required else parameter.default, required, secret)
    return found


def _kind(annotation: str) -> Kind | None:
    literal = _LITERAL.search(annotation)
    if literal is not None:
        words = ast.literal_eval(f"({literal[1]},)")
        return choice(*words) if all(isinstance(word, str) for word in words) else None
    optional = re.fullmatch(r"(?:typing\.)?Optional\[(.*)\]", annotation)
    parts = (optional[1] if optional else annotation).split(" | ")
    return next((KINDS[part] for part in parts if part in KINDS), None)


def is_secret(name: str) -> bool:
    """Tell whether what has this name is a secret."""
    return _SECRET.search(name) is not None


def shown(value: object) -> str:
    """Return a default as it would be written."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
