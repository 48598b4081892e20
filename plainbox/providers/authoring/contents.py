# SPDX-License-Identifier: Apache-2.0
"""The files of a source tree as they are packed and installed: sorted, without litter, nothing from outside."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import attrs

from plainbox.errors import ProviderError
from plainbox.units.origin import Origin

__all__ = ["Entry", "entries"]

_LITTER = frozenset({"__pycache__", ".git", ".mypy_cache", ".pytest_cache", ".ruff_cache"})
_LITTER_SUFFIXES = (".pyc", ".pyo", "~")


@attrs.frozen
class Entry:
    """A file, a directory or a symbolic link (``target`` is what it says) of a tree."""

    path: Path
    target: str | None = None

    @property
    def is_directory(self) -> bool:
        return self.target is None and self.path.is_dir()

    @property
    def is_executable(self) -> bool:
        return os.access(self.path, os.X_OK)


def entries(path: Path, base: Path) -> Iterator[Entry]:
    """Yield what is at ``path`` and below it, parents first, each directory sorted by name.

    Links are yielded and not followed. One that leads out of ``base``, or nowhere, and anything that is neither file nor
    directory, is a :class:`ProviderError`.
    """
    if path.name in _LITTER or path.name.endswith(_LITTER_SUFFIXES):
        return
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        yield Entry(path, _target(path, base))
    elif stat.S_ISDIR(mode):
        yield Entry(path)
        for name in sorted(os.listdir(path)):
            yield from entries(path / name, base)
    elif stat.S_ISREG(mode):
        yield Entry(path)
    else:
        raise ProviderError("neither a file nor a directory", origin=Origin(str(path)), hint="remove it")


def _target(link: Path, base: Path) -> str:
    target = os.readlink(link)
    real = os.path.realpath(link)
    inside = os.path.commonpath([real, os.path.realpath(base)]) == os.path.realpath(base)
    if os.path.isabs(target) or not inside or not os.path.exists(real):
        raise ProviderError(
            f"a link to {target}, which is not in the provider",
            origin=Origin(str(link)),
            hint="put the file itself there",
        )
    return target
