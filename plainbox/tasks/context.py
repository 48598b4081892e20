# SPDX-License-Identifier: Apache-2.0
"""What advices of one invocation tell each other and keep between their hooks.

Advices are shared by all executions, so whatever belongs to one of them is kept here. Keys that begin with ``_`` are
private to the process that wrote them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING

from plainbox.errors import SerializationError
from plainbox.tasks.serialization.serializer import SerializableValue

__all__ = ["Context"]


if TYPE_CHECKING:
    _Base = MutableMapping[str, object]
else:
    _Base = MutableMapping  # Python 3.8 does not know the other form


class Context(_Base, SerializableValue):
    """A dictionary by name; equal to another context with the same content. What travels must be plain data."""

    __slots__ = ("attributes",)

    def __init__(self, attributes: Mapping[str, object] | None = None) -> None:
        self.attributes: dict[str, object] = dict(attributes or {})

    def __getitem__(self, key: str) -> object:
        return self.attributes[key]

    def __setitem__(self, key: str, value: object) -> None:
        self.attributes[key] = value

    def __delitem__(self, key: str) -> None:
        del self.attributes[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.attributes)

    def __len__(self) -> int:
        return len(self.attributes)

    def __eq__(self, other: object) -> bool:
        return self.attributes == other.attributes if isinstance(other, Context) else NotImplemented

    def __repr__(self) -> str:
        return f"Context({self.attributes!r})"

    def shared(self) -> Context:
        """Return what may leave this process: all but the keys that begin with ``_``.

        :class:`SerializationError` for a key that is no text.
        """
        for key in self.attributes:
            if not isinstance(key, str):
                raise SerializationError(f"the context has the key {key!r}, which is no text")
        return Context({key: value for key, value in self.attributes.items() if not key.startswith("_")})

    def take(self, shared: Context) -> None:
        """Take the place of what left this process by what came back; the private keys stay as they are."""
        private = {key: value for key, value in self.attributes.items() if key.startswith("_")}
        self.attributes.clear()
        self.attributes.update(shared.shared().attributes)
        self.attributes.update(private)

    def serialized(self) -> dict[str, object]:
        return {"attributes": dict(self.attributes)}

    @classmethod
    def deserialize(cls, values: object) -> Context:
        attributes = values.get("attributes") if isinstance(values, Mapping) else None
        if not isinstance(attributes, dict) or not all(isinstance(key, str) for key in attributes):
            raise SerializationError("this is no context")
        return cls(attributes)
