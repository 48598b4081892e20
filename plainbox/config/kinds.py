# SPDX-License-Identifier: Apache-2.0
"""What the value of a setting may be: how its text is read, and what a wrong one is told.

The declarations of the settings use these; whatever reads a value raises :class:`ValueError` with a sentence that can
stand behind the value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from configparser import RawConfigParser
from typing import Final

import attrs

__all__ = ["BOOLEAN", "BYTES", "DAYS", "SECONDS", "Kind", "choice", "whole_number"]

_YES_OR_NO: Final = RawConfigParser.BOOLEAN_STATES
_UNITS: Final = {"": 1, "b": 1, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_SIZE: Final = re.compile(r"([0-9]{1,15}) ?([A-Za-z]*)")


@attrs.frozen
class Kind:
    """``name`` is what the reference calls it; ``words`` are those of which a near one is proposed for a wrong one."""

    name: str
    read: Callable[[str], object]
    words: tuple[str, ...] = ()


def _boolean(text: str) -> bool:
    if text.lower() not in _YES_OR_NO:
        raise ValueError("is neither yes nor no")
    return _YES_OR_NO[text.lower()]


def _bytes(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None or match[2].lower() not in _UNITS:
        raise ValueError("is no number of bytes (such as 65536, 64 KiB, 16 MiB, 1 GiB)")
    size = int(match[1]) * _UNITS[match[2].lower()]
    if size < 1:
        raise ValueError("is no number of bytes from 1 on")
    return size


def _number_of(what: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise ValueError(f"is no number of {what} above 0")
        return number

    return read


def whole_number(least: int) -> Kind:
    """Return the kind of whole numbers that are ``least`` or more."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
            raise ValueError(f"is no whole number from {least} on")
        return int(text)

    return Kind("whole number", read)


def choice(*words: str) -> Kind:
    """Return the kind that is one of these words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"is none of {', '.join(words)}")
        return text

    return Kind(" | ".join(words), read, words)


BOOLEAN: Final = Kind("yes | no", _boolean, tuple(_YES_OR_NO))
BYTES: Final = Kind("bytes", _bytes)
DAYS: Final = Kind("days", _number_of("days"))
SECONDS: Final = Kind("seconds", _number_of("seconds"))
