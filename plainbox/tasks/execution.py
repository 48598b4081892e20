# SPDX-License-Identifier: Apache-2.0
"""One set of arguments for a task. Equal arguments have equal ids, whatever process computes them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

__all__ = ["Execution"]


def _read_only(kwargs: Mapping[str, object] | None) -> Mapping[str, object]:
    return MappingProxyType(dict(kwargs or {}))


def _as_tuple(args: tuple[object, ...] | None) -> tuple[object, ...]:
    return tuple(args or ())


@attrs.frozen
class Execution:
    """The arguments of one execution; absent ones are ``()`` and ``{}``."""

    execution_id: str
    args: tuple[object, ...] = attrs.field(default=(), converter=_as_tuple)
    kwargs: Mapping[str, object] = attrs.field(factory=dict, converter=_read_only)
