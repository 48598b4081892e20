# SPDX-License-Identifier: Apache-2.0
"""Which files a provider consists of, and what each is for.

Used by the commands for authors. Looks at names, places and permissions, and at the first two bytes of programs.
Symbolic links are listed, never followed: what a link leads to belongs to somebody else, or is listed itself.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from plainbox.providers.definition import ProviderDefinition
from plainbox.providers.provider import UNIT_SUFFIXES, Provider
from plainbox.units.file import FileRole, FileUnit
from plainbox.units.origin import Origin

__all__ = ["classify"]

_DOCS = (".md", ".rst")
_VCS = (".git", ".bzr", ".hg", ".svn", "CVS", ".gitignore", ".gitattributes", ".gitmodules", ".bzrignore", ".hgignore")
_LEGAL = ("copying", "licence", "license", "copyright", "notice")


@attrs.frozen
class _Folder:
    """A folder and what its files are for."""

    path: Path
    role: Callable[[Path], FileRole]

    def holds(self, path: Path) -> bool:
        return path.is_relative_to(self.path)


def classify(provider: Provider) -> list[FileUnit]:
    """Return the files of a provider, sorted by path.

    Of a provider whose folders are in different places these folders count, of others everything in its directory. The
    ``.provider`` file is not listed: it says where a provider is, and no part of it.
    """
    definition = provider.definition
    folders = _folders(definition)
    units = []
    for path in sorted(_files(definition), key=str):
        folder = next(folder for folder in folders if folder.holds(path))
        role = _everywhere(path) or folder.role(path)
        units.append(
            FileUnit(
                {"path": str(path), "role": role, "base": str(folder.path)}, origin=Origin(str(path)), provider=provider
            )
        )
    return units


def _directories(definition: ProviderDefinition) -> list[Path]:
    named = (
        definition.units_dir,
        definition.jobs_dir,
        definition.data_dir,
        definition.bin_dir,
        definition.locale_dir,
        definition.python_dir,
    )
    return [directory for directory in named if directory is not None]


def _files(definition: ProviderDefinition) -> Iterator[Path]:
    directories = _directories(definition)
    elsewhere = [directory for directory in directories if not directory.is_relative_to(definition.base_dir)]
    for directory in elsewhere:
        yield from _walk(directory)
    if not directories or len(elsewhere) < len(directories):
        origin = Path(definition.origin.source)
        own = definition.base_dir / origin.name if origin.suffix == ".provider" else None
        yield from (path for path in _walk(definition.base_dir) if path != own)


def _walk(directory: Path) -> Iterator[Path]:
    """Yield the files below a directory; the metadata of a version control system count as one."""
    for root, directories, names in os.walk(directory):
        leaves = [name for name in directories if name in _VCS or os.path.islink(os.path.join(root, name))]
        directories[:] = [name for name in directories if name not in leaves]
        yield from (Path(root, name) for name in (*names, *leaves))


def _folders(definition: ProviderDefinition) -> list[_Folder]:
    base = definition.base_dir
    # The folder with the build results may hold the one with the translations: the first that fits counts.
    folders = [_Folder(base / name, _always(FileRole.BUILD)) for name in ("build", "dist")]
    for directory, role in (
        (definition.units_dir, functools.partial(_unit_source, suffixes=UNIT_SUFFIXES["units_dir"])),
        (definition.jobs_dir, functools.partial(_unit_source, suffixes=UNIT_SUFFIXES["jobs_dir"])),
        (definition.data_dir, _always(FileRole.DATA)),
        (definition.bin_dir, _program),
        (definition.locale_dir, _always(FileRole.I18N)),
        (definition.python_dir, _always(FileRole.SRC)),
    ):
        if directory is not None:
            folders.append(_Folder(directory, role))
    folders += [
        _Folder(base / "po", _always(FileRole.I18N)),
        _Folder(base / "src", _always(FileRole.SRC)),
        _Folder(base / "docs", _always(FileRole.DOCS)),
        _Folder(base, functools.partial(_in_the_open, base=base)),
    ]
    return folders


def _always(role: FileRole) -> Callable[[Path], FileRole]:
    return lambda path: role


def _everywhere(path: Path) -> FileRole | None:
    """Return the role that a file has by its name alone."""
    if path.name in _VCS:
        return FileRole.VCS
    if path.suffix == ".pyc":
        return FileRole.BUILD
    return None


def _unit_source(path: Path, suffixes: tuple[str, ...]) -> FileRole:
    if path.suffix in suffixes and path.is_file():
        return FileRole.UNIT_SOURCE
    return FileRole.DOCS if path.suffix in _DOCS else FileRole.INVALID


def _program(path: Path) -> FileRole:
    try:
        if not (path.is_file() and os.access(path, os.X_OK)):
            return FileRole.INVALID
        with open(path, "rb") as stream:
            return FileRole.SCRIPT if stream.read(2) == b"#!" else FileRole.BINARY
    except OSError:
        return FileRole.INVALID


def _in_the_open(path: Path, base: Path) -> FileRole:
    """Return the role of a file that lies in none of the folders with a meaning."""
    if path.parent != base:
        return FileRole.UNKNOWN
    if path.name == "manage.py":
        return FileRole.MANAGE_PY
    stem = path.name.partition(".")[0].lower()
    if stem in _LEGAL:
        return FileRole.LEGAL
    return FileRole.DOCS if stem == "readme" else FileRole.UNKNOWN
