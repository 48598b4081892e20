# SPDX-License-Identifier: Apache-2.0
"""Spans as lines on standard error, for whoever wants to see them pass. Standard output belongs to reports."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from plainbox.tracing.record import as_line

if TYPE_CHECKING:
    from plainbox.tracing.action import Action

__all__ = ["ConsoleExporter"]


class ConsoleExporter:
    """Writes the line that a trace file would get."""

    def export(self, action: Action) -> None:
        if action.end_ns is not None:
            sys.stderr.write(as_line(action, "plainbox").decode("ascii"))

    def set_file(self, path: str | os.PathLike[str]) -> None:
        """Do nothing: there is no file."""

    def close(self, limit_s: float) -> None:
        """Do nothing: everything is written."""
