# SPDX-License-Identifier: Apache-2.0
"""What of a span crosses the border of a process: its ids, as the text of the W3C header ``traceparent``."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["SpanContext"]

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?")
_MOST_CHARACTERS = 512


@dataclass(frozen=True)
class SpanContext:
    """``trace_id`` has 32 hexadecimal digits, ``span_id`` 16. What is not ``sampled`` is not recorded, only passed on."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @classmethod
    def parse(cls, text: str | None) -> SpanContext | None:
        """Return what a ``traceparent`` says, ``None`` when it is none: whoever sets it may write anything."""
        match = None if text is None or len(text) > _MOST_CHARACTERS else _FORM.fullmatch(text)
        if match is None:
            return None
        version, trace_id, span_id, flags, rest = match.groups()
        # A later version may say more; this one may not.
        if version == "ff" or (version == "00" and rest is not None):
            return None
        if not (trace_id.strip("0") and span_id.strip("0")):
            return None
        return cls(trace_id, span_id, sampled=bool(int(flags, 16) & 1))

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"
