# SPDX-License-Identifier: Apache-2.0
"""Pickle, for those who ask for it: it takes nearly any value, and whoever writes the bytes runs code in the reader.

Use it only between processes of one user on one machine. Nothing uses it by itself.
"""

from __future__ import annotations

import pickle
from typing import BinaryIO

from plainbox.errors import SerializationError
from plainbox.tasks.serialization.serializer import Serializer

__all__ = ["PickleSerializer"]


class PickleSerializer(Serializer):
    """Reads and writes pickles. ``data_only`` is False: never read what somebody else has written."""

    def serialize(self, value: object, stream: BinaryIO) -> None:
        try:
            data = pickle.dumps(value, protocol=4)
        except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise SerializationError(f"{type(value).__qualname__} cannot be pickled: {error}") from error
        stream.write(data)

    def deserialize(self, stream: BinaryIO) -> object:
        try:
            return pickle.load(stream)  # noqa: S301 - this is what was asked for
        except Exception as error:  # bytes that are no pickle can raise anything
            raise SerializationError(f"this pickle cannot be read: {error}") from error
