# SPDX-License-Identifier: Apache-2.0
"""A record: the fields of one unit as its file gives them, before any field knows its type.

Both syntaxes end here. Scalars stay text; what a field makes of the text is the field's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import attrs

from plainbox.units.origin import Origin

__all__ = ["Record", "Value"]

Value: TypeAlias = "str | list[Value] | dict[str, Value]"


@attrs.frozen
class Record:
    """``data`` holds normalised values, ``raw`` the text before normalisation without the last
    line end (the gettext message ids), ``offsets``
    the first line of each value, counted from the first line of the record."""

    data: Mapping[str, Value]
    raw: Mapping[str, Value]
    origin: Origin
    offsets: Mapping[str, int]
