# SPDX-License-Identifier: Apache-2.0
"""The temporary directory of an invocation: made when somebody asks for it, and gone with the invocation."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from pathlib import Path

from plainbox.tasks.workplace import Workplace

__all__ = ["Scratch"]


class Scratch:
    """A private directory that exists from the first question for it until ``close()``, the end of the process at the
    latest."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._remove: Callable[[], object] = lambda: None
        self._made = 0

    @property
    def path(self) -> Path:
        if self._path is None:
            workplace = Workplace()
            self._path = workplace.path
            self._remove = weakref.finalize(self, workplace.clear)
        return self._path

    def new_directory(self) -> Path:
        """Return a new, empty directory in it."""
        self._made += 1
        path = self.path / f"part-{self._made}"
        os.mkdir(path, 0o700)
        return path

    def close(self) -> None:
        """Remove the directory and all that is in it."""
        self._remove()
        self._path = None
