# SPDX-License-Identifier: Apache-2.0
"""Writing for people and for programs: tables that line up, JSON with a schema, warnings on standard error."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence

from plainbox.streams import Streams, clean

__all__ = ["clean", "complain", "duration", "print_json", "print_table", "say", "warn", "write"]


_streams = Streams("plainbox")

write = _streams.write
say = _streams.say
warn = _streams.warn
complain = _streams.complain


def print_json(schema: str, **content: object) -> None:
    """Write one JSON document that names its schema."""
    text = json.dumps({"schema": schema, **content}, indent=2, ensure_ascii=False)
    if not text.isprintable():
        text = "".join(map(_escaped, text))
    write(text)


def _escaped(character: str) -> str:
    """Return a character of a JSON text, as an escape when it could do something to a terminal."""
    return character if character.isprintable() or character == "\n" else json.dumps(character)[1:-1]


def print_table(rows: Iterable[Sequence[str]], header: Sequence[str] | None = None) -> None:
    """Write columns of text, as wide as their widest cell; the last one is as long as it is.

    The header goes to people only: it is left out when the output is no terminal.
    """
    cells = [[clean(cell).replace("\n", " ") for cell in row] for row in rows]
    if header is not None and sys.stdout.isatty() and cells:
        cells.insert(0, [title.upper() for title in header])
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        write("  ".join(padded).rstrip())


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def duration(seconds: float | None) -> str:
    """Return a duration for people: 0.2 s, 1 min 05 s, 2 h 10 min."""
    if seconds is None:
        return ""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
