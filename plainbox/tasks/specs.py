# SPDX-License-Identifier: Apache-2.0
"""The grammar in which chains of advices are written: ``inherit, retry(attempts=2, on="timeout, fail")``.

A spec is the name of an advice, behind it its parameters in parentheses: ``key=value``, or one value alone, which is that
of the first parameter. A value with commas, parentheses, quotes or an equals sign is in quotes, double or single ones; a
backslash before a quote or a backslash means that character. ``none`` alone is a chain without advices.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import attrs

from plainbox.errors import ChainError
from plainbox.tasks.parameters import MASK, is_secret
from plainbox.units.origin import Origin

__all__ = ["INHERIT", "AdviceSpec", "Argument", "Writing", "parse_specs", "quoted"]

#: Stands for the advices of the weaker chain of the same name.
INHERIT = "inherit"
_NONE = "none"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_BLANK = re.compile(r"\s*")
_QUOTED = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'""", re.DOTALL)
_BARE = re.compile(r"""[^,()="']+""")
_ESCAPE = re.compile(r"""\\(["'\\])""")
_MAX_LENGTH = 10_000
_SHOWN = 90
_GIVEN = re.compile(rf"({_NAME.pattern})\s*=\s*({_QUOTED.pattern}|[\"'].*|[^,()]*)", re.DOTALL)


@attrs.frozen
class Writing:
    """A text that somebody has written, and where."""

    text: str
    source: str
    line: int | None = None
    #: Beginnings and ends of values that are secret, whatever the names before them say.
    secrets: tuple[tuple[int, int], ...] = ()

    @property
    def origin(self) -> Origin:
        return Origin(self.source, self.line)

    def error(self, message: str, position: int, length: int = 1, *, hint: str | None = None) -> ChainError:
        """Return the error that shows the line with what is wrong in it: ``length`` characters from ``position`` on.

        Secrets in it are masked.
        """
        number = self.text.count("\n", 0, position)
        text = self.text
        for secret in sorted({*self.secrets, *_named_secrets(text)}, reverse=True):
            if secret[0] <= position < secret[1]:
                position, length = secret[0], len(MASK)
            elif position >= secret[1]:
                position += len(MASK) - (secret[1] - secret[0])
            text = text[: secret[0]] + MASK + text[secret[1] :]
        begin = text.rfind("\n", 0, position) + 1
        line = text[begin:].partition("\n")[0].replace("\t", " ")
        column = position - begin
        cut = max(0, column - _SHOWN // 2)
        shown = line[cut : cut + _SHOWN]
        marks = "^" * max(1, min(length, len(shown) - (column - cut)))
        return ChainError(
            f"{message}\n    {shown.rstrip()}\n    {' ' * (column - cut)}{marks}",
            origin=self.origin.line(number),
            hint=hint,
        )


@attrs.frozen
class Argument:
    """One value in parentheses, without ``name`` that of the first parameter; where it begins, and where it ends."""

    name: str | None
    value: str
    position: int
    end: int


@attrs.frozen
class AdviceSpec:
    """An advice as a chain names it. ``position`` is where its name begins."""

    name: str
    arguments: tuple[Argument, ...]
    position: int


def parse_specs(writing: Writing) -> tuple[AdviceSpec, ...]:
    """Return what a chain is made of; a text that is none is a :class:`ChainError` with the place of the mistake."""
    return _Reader(writing).chain()


def quoted(value: str) -> str:
    """Return a value as it can be written in a spec."""
    if value and value == value.strip() and _BARE.fullmatch(value):
        return value
    text = re.sub(r'(["\\])', r"\\\1", value)
    return f'"{text}"'


def _named_secrets(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the values are whose names say that they are secret, in a text that may have mistakes."""
    for given in _GIVEN.finditer(text):
        if is_secret(given[1]) and given[2]:
            yield given.start(2), given.end(2)


class _Reader:
    """Goes through one text from its beginning to its end."""

    def __init__(self, writing: Writing) -> None:
        if len(writing.text) > _MAX_LENGTH:
            raise ChainError(f"a chain of more than {_MAX_LENGTH} characters", origin=writing.origin)
        self._writing = writing
        self._text = writing.text
        self._at = 0

    def chain(self) -> tuple[AdviceSpec, ...]:
        if self._text.strip() == _NONE:
            return ()
        specs = [self._spec()]
        while not self._at_end():
            self._expect(",", "a comma, or the end")
            specs.append(self._spec())
        return tuple(specs)

    def _spec(self) -> AdviceSpec:
        name, position = self._name("the name of an advice")
        return AdviceSpec(name, tuple(self._arguments()) if self._take("(") else (), position)

    def _arguments(self) -> Iterable[Argument]:
        if self._take(")"):
            return
        while True:
            yield self._argument()
            if self._take(")"):
                return
            self._expect(",", "a comma or ')'")

    def _argument(self) -> Argument:
        self._skip()
        begin = self._at
        name = _NAME.match(self._text, begin)
        if name is not None:
            self._at = name.end()
            if self._take("="):
                self._skip()
                return Argument(name[0].replace("-", "_"), self._value(), self._at_value, self._at)
            self._at = begin
        return Argument(None, self._value(), self._at_value, self._at)

    def _value(self) -> str:
        self._at_value = self._at
        found = _QUOTED.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
            return _ESCAPE.sub(r"\1", found[1] if found[1] is not None else found[2])
        if self._text[self._at : self._at + 1] in ("'", '"'):
            raise self._error("a quote that is never closed")
        bare = _BARE.match(self._text, self._at)
        if bare is None or not bare[0].strip():
            raise self._error("a value is wanted here", hint="quotes make a value of any text")
        self._at = bare.end()
        return bare[0].strip()

    def _name(self, what: str) -> tuple[str, int]:
        self._skip()
        found = _NAME.match(self._text, self._at)
        if found is None:
            raise self._error(f"{what} is wanted here")
        self._at = found.end()
        return found[0], found.start()

    def _take(self, character: str) -> bool:
        self._skip()
        if not self._text.startswith(character, self._at):
            return False
        self._at += 1
        return True

    def _expect(self, character: str, what: str) -> None:
        if not self._take(character):
            raise self._error(f"{what} is wanted here", hint="quotes make a value of any text")

    def _at_end(self) -> bool:
        self._skip()
        return self._at == len(self._text)

    def _skip(self) -> None:
        found = _BLANK.match(self._text, self._at)
        assert found is not None
        self._at = found.end()

    def _error(self, message: str, *, hint: str | None = None) -> ChainError:
        return self._writing.error(message, self._at, hint=hint)
