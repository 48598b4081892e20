# SPDX-License-Identifier: Apache-2.0
"""The tags of an action as attributes of a span: texts, numbers, truth values and lists of one kind of them.

Called when a span is written, so that tags cost nothing before; whatever a tag holds, this raises nothing.
"""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeAlias

    Plain: TypeAlias = str | bool | int | float
    Attribute: TypeAlias = Plain | list[Plain]

__all__ = ["MOST_CHARACTERS", "as_attributes"]

#: A longer text is cut.
MOST_CHARACTERS = 4096
_LARGEST = 2**63


def as_attributes(tags: Mapping[str, object]) -> dict[str, Attribute]:
    """Return the attributes of a span with these tags.

    An enum becomes its name, a path its text, ``None`` is left out; what else a span cannot hold becomes JSON if it can,
    otherwise what ``repr`` says.
    """
    return {
        name if type(name) is str else _text(name): _converted(value)
        for name, value in tags.items()
        if value is not None
    }


def _converted(value: object) -> Attribute:
    plain = _plain(value)
    if plain is not None:
        return plain
    if isinstance(value, (list, tuple)):
        items = [_plain(item) for item in value]
        found = [item for item in items if item is not None]
        if len(found) == len(items) and len(set(map(type, found))) <= 1:
            return found
    return _cut(_as_json(value))


def _plain(value: object) -> Plain | None:
    if type(value) is str:
        return _cut(value)
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -_LARGEST <= value < _LARGEST else None
    if isinstance(value, float):
        return float(value)
    if isinstance(value, (str, os.PathLike)):
        return _cut(_text(value))
    return None


def _as_json(value: object) -> str:
    try:
        return json.dumps(value, separators=(",", ":"), default=_text)
    except Exception:  # noqa: BLE001 - a tag is anybody's object, and tracing changes no run
        return _text(value)


def _text(value: object) -> str:
    try:
        return str(value) if isinstance(value, (str, os.PathLike)) else repr(value)
    except Exception:  # noqa: BLE001 - as above
        return f"<{type(value).__name__}>"


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS]
