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
#: So many times the length of a piece is hashed at most in the search for the lines in it.
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
    while data := file.readline(_PIECE_BYTES):
        for item in _Piece(data).items():
            yield item._replace(offset=item.offset + offset, end=item.end + offset)
        offset += len(data)


class _Piece:
    """What comes up to a line feed: several lines where one was lost. No line goes beyond it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._text_end = len(data) - data.endswith(b"\n")
        #: So many bytes may still be hashed, wherever in the piece.
        self._effort = _EFFORT * len(data)

    def items(self) -> Iterator[GoodLine | BadPlace]:
        """Yield the lines of the piece and what is between them."""
        start = 0
        if not self._text_end:
            yield BadPlace(0, len(self._data), "an empty line")
        while start < self._text_end:
            found = self._line_at(start)
            if isinstance(found, str):
                following = self._next_line(start + 1)
                yield BadPlace(start, len(self._data) if following is None else following.offset, found)
                if following is None:
                    return
                found = following
            yield found
            start = found.end

    def _line_at(self, start: int) -> GoodLine | str:
        """Return the line at ``start``, or why there is none."""
        header = _HEADER.match(self._data, start)
        if header is None:
            return "no record starts here"
        if header.end() + int(header[1]) > self._text_end:
            return "the record is shorter than it says"
        self._effort -= int(header[1])
        if self._effort < 0:
            return "there are too many beginnings of records to look at all of them"
        try:
            line, end = decode_at(self._data, start)
        except ValueError as error:
            return str(error)
        if not isinstance(line.payload.get("t"), str):
            return "the record does not say what it is"
        return GoodLine(start, end, line)

    def _next_line(self, start: int) -> GoodLine | None:
        """Return the next line that verifies; ``None`` when the rest of the piece has none."""
        for header in _HEADER.finditer(self._data, start):
            found = self._line_at(header.start())
            if isinstance(found, GoodLine):
                return found
            if self._effort < 0:
                break
        return None
