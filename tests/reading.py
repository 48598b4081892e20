# SPDX-License-Identifier: Apache-2.0
"""Reading units from text, the way a provider's files are read."""

from __future__ import annotations

from pathlib import Path

import attrs

from plainbox.errors import UnitError
from plainbox.units import Unit, read_units

__all__ = ["Reader"]


@attrs.frozen
class Reader:
    """Writes unit files into a directory and reads them."""

    directory: Path

    def __call__(self, content: str | bytes, name: str = "x.pxu") -> tuple[list[Unit], list[str]]:
        """Return the units and the problems, these as ``file:line: message`` with the bare name of the file."""
        path = self.directory / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        problems: list[UnitError] = []
        units = read_units(path, on_error=problems.append)
        return units, [self._bare(problem) for problem in problems]

    def issues(self, content: str | bytes, name: str = "x.pxu") -> list[str]:
        """Return the issues of the one unit in ``content``."""
        [unit], problems = self(content, name)
        assert problems == []
        return [self._bare(issue) for issue in unit.issues]

    def _bare(self, text: object) -> str:
        return str(text).removeprefix(f"{self.directory}/")
