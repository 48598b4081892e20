# SPDX-License-Identifier: Apache-2.0
"""Points in time as a calendar has them; what is stored may be any number."""

from __future__ import annotations

import time

__all__ = ["instant"]

#: Beyond these, seconds since the epoch have no year of four digits.
_FIRST_S = -30_610_224_000
_LAST_S = 253_402_300_799


def instant(seconds: float | None) -> time.struct_time | None:
    """Return the date and time in UTC of seconds since the epoch; ``None`` when they are not known or are no time."""
    if seconds is None or not _FIRST_S <= seconds <= _LAST_S:
        return None
    return time.gmtime(seconds)
