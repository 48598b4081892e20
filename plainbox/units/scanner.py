# SPDX-License-Identifier: Apache-2.0
"""The words, commas, equal signs and comments that word lists, include lists and overrides are made of."""

from __future__ import annotations

import enum
import re

import attrs

__all__ = ["Lexeme", "Token", "scan"]


class Token(enum.Enum):
    WORD = "word"
    COMMA = "comma"
    EQUALS = "equals"
    INVALID = "invalid"


@attrs.frozen
class Lexeme:
    """``text`` of a quoted word is without its quotes; ``line`` counts from 0."""

    kind: Token
    text: str
    line: int


_PATTERN = re.compile(
    r"""(?P<newline>\n) | (?P<space>[^\S\n]+) | (?P<comment>\#[^\n]*) | (?P<comma>,) | (?P<equals>=)
      | "(?P<quoted>[^"\n]*)" | (?P<invalid>"[^\n]* | \0) | (?P<word>[^\s#,=\0"][^\s#,=\0]*)""",
    re.VERBOSE,
)
_KINDS = {"comma": Token.COMMA, "equals": Token.EQUALS, "quoted": Token.WORD, "word": Token.WORD}


def scan(text: str) -> list[Lexeme]:
    """Return the tokens of ``text``; blanks and comments (``#`` to the end of the line) are left out."""
    result: list[Lexeme] = []
    line = 0
    for match in _PATTERN.finditer(text):
        group = match.lastgroup or "invalid"
        if group == "newline":
            line += 1
        elif group not in ("space", "comment"):
            result.append(Lexeme(_KINDS.get(group, Token.INVALID), match[group], line))
    return result
