# SPDX-License-Identifier: Apache-2.0
"""A record: the fields of one unit as its file gives them, before any field knows its type.

Both syntaxes end here. Scalars stay text; what a field makes of the text is the field's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import attrs

from plainbox.units.origin import Origin

__all__ = ["JsonValue", "Place", "Record", "Value"]

Value: TypeAlias = "str | list[Value] | dict[str, Value]"

#: What fields have that keep the types of JSON.
JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"

#: Where the lines of a text or the items of a list are, counted from the first line of the record: the first of them
#: when the others follow it without a gap, otherwise each.
Place: TypeAlias = "int | tuple[int, ...]"


@attrs.frozen
class Record:
    """``data`` holds normalised values, ``raw`` the text before normalisation without the last line end (the gettext
    message ids), ``offsets`` the places of the values."""

    data: Mapping[str, Value]
    raw: Mapping[str, Value]
    origin: Origin
    offsets: Mapping[str, Place]
