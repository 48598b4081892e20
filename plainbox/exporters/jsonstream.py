# SPDX-License-Identifier: Apache-2.0
"""JSON written as it comes: a document larger than memory, indented for people, correct for every parser.

The JSON exporter is the caller. What must stay true: whatever strings go in, the document is valid UTF-8 and valid JSON;
a text can be given in pieces and is never held as a whole.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from plainbox.exporters.characters import encodable
from plainbox.session.result import JsonValue

__all__ = ["JsonStream", "plain"]

_quoted: Callable[[str], str] = json.encoder.encode_basestring
_compact: Callable[[object], str] = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_DEPTH = 64

Write: TypeAlias = Callable[[str], object]


class JsonStream:
    """Writes one document through ``write``: open, members or items, close, in the order of the calls."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._closers: list[str] = []
        #: What goes before the next member or item, and before all later ones.
        self._before = ""
        self._between = ""

    def open_object(self, key: str | None = None) -> None:
        self._open(key, "{", "}")

    def open_array(self, key: str | None = None) -> None:
        self._open(key, "[", "]")

    def close(self) -> None:
        """End the object or array that was opened last; the end of the document ends its line."""
        empty = self._before != self._between
        closer = self._closers.pop()
        line = f"\n{'  ' * len(self._closers)}"
        self._write(closer if empty else line + closer)
        self._before = self._between = "," + line
        if not self._closers:
            self._write("\n")

    def member(self, key: str, value: object) -> None:
        """Write a member with a value of any size that is at hand."""
        self._write(f"{self._before}{_quoted(key)}: {_value(value)}")
        self._before = self._between

    def text_member(self, key: str, pieces: Iterable[str]) -> None:
        """Write a member whose value is a text that comes in pieces."""
        self._write(f'{self._before}{_quoted(key)}: "')
        self._before = self._between
        for piece in pieces:
            self._write(_quoted(encodable(piece))[1:-1])
        self._write('"')

    def item(self, value: object) -> None:
        """Write an item of an array."""
        self._write(self._before + _value(value))
        self._before = self._between

    def _open(self, key: str | None, opener: str, closer: str) -> None:
        self._write(f"{self._before}{'' if key is None else _quoted(key) + ': '}{opener}")
        self._closers.append(closer)
        self._before = f"\n{'  ' * len(self._closers)}"
        self._between = "," + self._before


def _value(value: object) -> str:
    if value is None:
        return "null"
    if type(value) is str:
        return _quoted(encodable(value))
    return _compact(plain(value))


def plain(value: object, depth: int = 0) -> JsonValue:
    """Return the value as JSON has it: keys are text, bytes are base64, what is no finite number is null.

    What is nested deeper than anybody nests is null, so that a value that contains itself ends.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if depth >= _DEPTH:
        return None
    if isinstance(value, Mapping):
        return {encodable(str(key)): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, depth + 1) for item in value]
    return encodable(str(value))
