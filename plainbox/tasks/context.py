# SPDX-License-Identifier: Apache-2.0
"""What advices of one invocation tell each other and keep between their hooks.

Advices are shared by all executions, so whatever belongs to one of them is kept here. Keys that begin with ``_`` are
private to the process that wrote them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING

__all__ = ["Context"]


if TYPE_CHECKING:
    _Base = MutableMapping[str, object]
else:
    _Base = MutableMapping  # Python 3.8 does not know the other form


class Context(_Base):
    """A dictionary by name; equal to another context with the same content."""

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
