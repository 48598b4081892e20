# SPDX-License-Identifier: Apache-2.0
"""Text on its way into a binary stream: encoded and written in large blocks."""

from __future__ import annotations

from typing import BinaryIO

__all__ = ["TextSink"]

_BLOCK_CHARS = 64 * 1024


class TextSink:
    """Takes text in small parts; :meth:`flush` when done. ``errors`` is how what has no encoding is written."""

    def __init__(self, stream: BinaryIO, encoding: str = "utf-8", errors: str = "replace") -> None:
        self._stream = stream
        self._encoding = encoding
        self._errors = errors
        self._parts: list[str] = []
        self._size = 0

    def write(self, text: str) -> None:
        self._parts.append(text)
        self._size += len(text)
        if self._size >= _BLOCK_CHARS:
            self.flush()

    def flush(self) -> None:
        """Write what was held back."""
        if self._parts:
            self._stream.write("".join(self._parts).encode(self._encoding, self._errors))
            self._parts = []
            self._size = 0
