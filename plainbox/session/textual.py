# SPDX-License-Identifier: Apache-2.0
"""The output of jobs as text that can be shown: decoded piece by piece, without what would control a terminal."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

__all__ = ["flat_pieces", "lines", "without_escapes"]

#: Everything that controls and does not lay out: tab, line feed, vertical tab and carriage return stay.
_CONTROL = re.compile("[\x00-\x08\x0c\x0e-\x1f\x7f-\x9f]")

#: ECMA-48 control sequences, operating system commands (titles, links), choices of a character set and other escapes.
#: None is longer than a line or than anything that a program means: a begun one must not hide what follows.
_CSI = "\\[[0-?]{0,128}[ -/]{0,8}"
_OSC = "\\][^\x07\x1b\n]{0,2048}"
_SET = "[ #%(-/]"
_ESCAPE = re.compile(f"\x1b(?:{_CSI}[@-~]|{_OSC}(?:\x07|\x1b\\\\)|{_SET}[0-~]|[0-~])")

#: The beginning of one at the end of a text.
_BEGUN = re.compile(f"\x1b(?:{_CSI}|{_OSC}\x1b?|{_SET})?\\Z")

_decoder = codecs.getincrementaldecoder("utf-8")


def without_escapes(text: str) -> str:
    """Return the text without terminal control sequences."""
    return _ESCAPE.sub("", text) if "\x1b" in text else text


def flat_pieces(output: Iterable[tuple[str, bytes]], *, begins_inside: bool = False) -> Iterator[str]:
    """Yield the text of (stream, bytes) pieces, decoded as UTF-8 with replacement, without what controls a terminal.

    Control sequences are removed as a whole, other control characters alone. A character or a sequence of one stream
    may be cut by pieces of the other: each stream is read on its own. With ``begins_inside`` a character without its
    start is left out at the beginning of each stream.
    """
    streams: dict[str, _Flattener] = {}
    for stream, data in output:
        flattener = streams.get(stream)
        if flattener is None:
            flattener = streams[stream] = _Flattener()
            if begins_inside:
                data = _from_start_of_character(data)
        text = flattener.take(data)
        if text:
            yield text
    for flattener in streams.values():
        yield flattener.take(b"", final=True)


class _Flattener:
    """Makes plain text of one stream; what may go on in the next piece waits for it."""

    def __init__(self) -> None:
        self._decoder = _decoder("replace")
        self._begun = ""

    def take(self, data: bytes, *, final: bool = False) -> str:
        text = self._begun + self._decoder.decode(data, final)
        self._begun = ""
        if "\x1b" in text:
            begun = None if final else _BEGUN.search(text)
            if begun is not None:
                text, self._begun = text[: begun.start()], begun[0]
            text = _ESCAPE.sub("", text)
        return _CONTROL.sub("", text)


def lines(output: Iterable[bytes], *, limit_chars: int | None = None) -> Iterator[str]:
    """Yield the lines of a stream with their line ends, decoded as UTF-8 with replacement.

    Only a line feed ends a line: a job may well print one of the many other characters that Unicode calls a line end.
    A line of more than ``limit_chars`` characters raises :class:`ValueError` in its place, having been held no longer
    than a piece of the output beyond that.
    """
    decoder = _decoder("replace")
    begun: list[str] = []
    begun_chars = 0
    for data in output:
        *ended, rest = decoder.decode(data).split("\n")
        for part in ended:
            _check_length(begun_chars + len(part), limit_chars)
            yield "".join([*begun, part, "\n"])
            begun, begun_chars = [], 0
        if rest:
            begun.append(rest)
            begun_chars += len(rest)
            _check_length(begun_chars, limit_chars)
    begun.append(decoder.decode(b"", final=True))
    last = "".join(begun)
    if last:
        yield last


def _check_length(chars: int, limit_chars: int | None) -> None:
    if limit_chars is not None and chars > limit_chars:
        raise ValueError(f"a line of more than {limit_chars} characters")


def _from_start_of_character(data: bytes) -> bytes:
    for index in range(min(3, len(data))):
        if data[index] & 0xC0 != 0x80:
            return data[index:]
    return data[3:]
