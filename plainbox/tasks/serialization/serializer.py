# SPDX-License-Identifier: Apache-2.0
"""The two sides of serialization: what writes values, and a value that says itself what is to be written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import BinaryIO, ClassVar

__all__ = ["SerializableValue", "Serializer"]


class Serializer(ABC):
    """Turns values into bytes and back. Both directions raise :class:`~plainbox.errors.SerializationError`."""

    #: True when reading makes values of known types and nothing else: only then may the bytes come from somebody else.
    data_only: ClassVar[bool] = False

    @abstractmethod
    def serialize(self, value: object, stream: BinaryIO) -> None:
        """Write ``value`` to ``stream``; nothing is written when it cannot be."""

    @abstractmethod
    def deserialize(self, stream: BinaryIO) -> object:
        """Return the value that the rest of ``stream`` holds."""


class SerializableValue(ABC):
    """A value that can be written as other values, and made anew from them."""

    __slots__ = ()

    @abstractmethod
    def serialized(self) -> object:
        """Return values of simpler types that stand for this one."""

    @classmethod
    @abstractmethod
    def deserialize(cls, values: object) -> SerializableValue:
        """Return the value for which ``values`` stand. They may come from anywhere: check them."""
