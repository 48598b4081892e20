# SPDX-License-Identifier: Apache-2.0
"""Finds every line of a journal file that verifies on its own, whatever stands around it.

For files in which the ordinary reading has met damage. Reads piece by piece: memory is bounded by the longest line,
time by a small multiple of the size, also for a file that was made to be difficult. Pure but for reading the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from plainbox.session.codec import MAX_PAYLOAD_BYTES, Line, decode_at

__all__ = ["BadPlace", "GoodLine", "sift"]

#: The header of the longest line and its line feed take less than this.
_PIECE_BYTES: Final = MAX_PAYLOAD_BYTES + 256
_HEADER = re.compile(rb"PBJ1 (?:0|[1-9][0-9]{0,14}) [0-9a-f]{16} ([1-9][0-9]{0,7}) [0-9a-f]{16} ")
#: So many times the length of a piece is hashed at most in the search for a line within it.
_EFFORT: Final = 4


class GoodLine(NamedTuple):
    """A line that verifies, from ``offset`` to ``end``, the line feed left out."""

    offset: int
    end: int
    line: Line


class BadPlace(NamedTuple):
    """Bytes that prove nothing, and why the first of them start no line."""

    offset: int
    end: int
    reason: str


def sift(file: BinaryIO) -> Iterator[GoodLine | BadPlace]:
    """Yield what the file holds, from its beginning to its end; neighbouring bad places come as one."""
    bad: BadPlace | None = None
    for item in _items(file):
        if isinstance(item, BadPlace):
            bad = item if bad is None else bad._replace(end=item.end)
            continue
        if bad is not None:
            yield bad
            bad = None
        yield item
    if bad is not None:
        yield bad


def _items(file: BinaryIO) -> Iterator[GoodLine | BadPlace]:
    offset = 0
    while piece := file.readline(_PIECE_BYTES):
        for item in _items_of(piece):
            yield item._replace(offset=item.offset + offset, end=item.end + offset)
        offset += len(piece)


def _items_of(piece: bytes) -> Iterator[GoodLine | BadPlace]:
    """Yield the lines of a piece, which are several where a line feed was lost, and what is between them."""
    start, text_end = 0, len(piece) - piece.endswith(b"\n")
    if not text_end:
        yield BadPlace(0, len(piece), "an empty line")
        return
    while start < text_end:
        found = _line_at(piece, start, text_end)
        if isinstance(found, GoodLine):
            yield found
            start = found.end
            continue
        following = _next_start(piece, start + 1, text_end)
        end = len(piece) if following is None else following
        yield BadPlace(start, end, found)
        start = end


def _line_at(piece: bytes, start: int, text_end: int) -> GoodLine | str:
    """Return the line at ``start``, or why there is none. A line ends where its piece ends, so no byte is hashed twice."""
    header = _HEADER.match(piece, start)
    if header is not None and header.end() + int(header[1]) > text_end:
        return "the record is shorter than it says"
    try:
        line, end = decode_at(piece, start)
    except ValueError as error:
        return str(error)
    return (
        GoodLine(start, end, line) if isinstance(line.payload.get("t"), str) else "the record does not say what it is"
    )


def _next_start(piece: bytes, start: int, text_end: int) -> int | None:
    """Return where the next line starts that verifies; ``None`` when the rest of the piece has none."""
    effort = _EFFORT * len(piece)
    for header in _HEADER.finditer(piece, start):
        size = int(header[1])
        if header.end() + size > text_end:
            continue
        effort -= size
        if effort < 0:
            return None
        if isinstance(_line_at(piece, header.start(), text_end), GoodLine):
            return header.start()
    return None
