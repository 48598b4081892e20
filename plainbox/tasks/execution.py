# SPDX-License-Identifier: Apache-2.0
"""One set of arguments for a task. Equal arguments have equal ids, whatever process computes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = ["Execution"]


@dataclass(frozen=True)
class Execution:
    """The arguments of one execution; absent ones are ``()`` and ``{}``."""

    execution_id: str
    args: tuple[object, ...] | None = ()
    kwargs: Mapping[str, object] | None = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "args", tuple(self.args or ()))
        object.__setattr__(self, "kwargs", MappingProxyType(dict(self.kwargs or {})))
