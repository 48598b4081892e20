# SPDX-License-Identifier: Apache-2.0
"""Streams made of pieces, and pieces made of streams."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO

__all__ = ["BytearrayGeneratorToStream", "read_stream_to_generator"]


class BytearrayGeneratorToStream(io.RawIOBase):
    """A readable stream of the pieces that a generator yields. A short read means the end."""

    def __init__(self, generator: Iterable[bytes | bytearray]) -> None:
        super().__init__()
        self._pieces = iter(generator)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer of bytes
        target = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(target):
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = memoryview(bytes(piece))
            count = min(len(self._rest), len(target) - filled)
            target[filled : filled + count] = self._rest[:count]
            self._rest = self._rest[count:]
            filled += count
        return filled


def read_stream_to_generator(stream: BinaryIO, buffer_size: int = 8192) -> Iterator[bytes]:
    """Yield the rest of ``stream`` in pieces of at most ``buffer_size`` bytes. Each piece is the caller's to keep."""
    while piece := stream.read(buffer_size):
        yield piece
