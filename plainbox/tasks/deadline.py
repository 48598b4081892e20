# SPDX-License-Identifier: Apache-2.0
"""The moment at which an execution must be over, on the monotonic clock."""

from __future__ import annotations

import time
from dataclasses import dataclass

__all__ = ["Deadline"]


@dataclass(frozen=True)
class Deadline:
    """``at_s`` is a reading of the monotonic clock; ``limit_s`` the limit it was made from, for messages.

    ``grace_s`` is how long what has to be ended gets to end by itself, None for the usual time.
    """

    at_s: float
    limit_s: float
    grace_s: float | None = None

    @classmethod
    def after(cls, limit_s: float, grace_s: float | None = None) -> Deadline:
        """Return the deadline ``limit_s`` seconds from now."""
        return cls(time.monotonic() + limit_s, limit_s, grace_s)

    @property
    def is_over(self) -> bool:
        """Whether the moment has come."""
        return time.monotonic() >= self.at_s

    def or_earlier(self, other: Deadline | None) -> Deadline:
        """Return the one of the two that comes first."""
        return self if other is None or self.at_s <= other.at_s else other
