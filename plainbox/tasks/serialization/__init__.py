# SPDX-License-Identifier: Apache-2.0
"""How values get into bytes and back: as JSON with a list of known types, or as pickle for those who ask for it.

The names are loaded when they are asked for: results and executions need only the smallest of these modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plainbox.lazy import lazily

if TYPE_CHECKING:
    from plainbox.tasks.serialization.json import JsonSerializer
    from plainbox.tasks.serialization.pickle import PickleSerializer
    from plainbox.tasks.serialization.serializer import SerializableValue, Serializer

__all__ = ["JsonSerializer", "PickleSerializer", "SerializableValue", "Serializer"]

__getattr__ = lazily(
    __name__,
    {
        "json": ("JsonSerializer",),
        "pickle": ("PickleSerializer",),
        "serializer": ("SerializableValue", "Serializer"),
    },
)
