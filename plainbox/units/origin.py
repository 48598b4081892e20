# SPDX-License-Identifier: Apache-2.0
"""Where a unit or one of its fields is written: a file (or stream) and lines counted from 1."""

from __future__ import annotations

import attrs

__all__ = ["Origin"]


@attrs.frozen
class Origin:
    """``source`` is what an editor opens; without lines the whole of it is meant."""

    source: str
    line_start: int | None = None
    line_end: int | None = None

    def __str__(self) -> str:
        if self.line_start is None:
            return self.source
        if self.line_end is None or self.line_end == self.line_start:
            return f"{self.source}:{self.line_start}"
        return f"{self.source}:{self.line_start}-{self.line_end}"

    def line(self, offset: int = 0) -> Origin:
        """Return the single line that is ``offset`` lines below the start."""
        return Origin(self.source, None if self.line_start is None else self.line_start + offset)
