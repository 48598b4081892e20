# SPDX-License-Identifier: Apache-2.0
"""Where providers are found: named on the command line, installed, bundled."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from plainbox import dirs
from plainbox.errors import PlainboxError, ProviderError
from plainbox.providers.definition import from_file, from_source_tree
from plainbox.providers.provider import Provider
from plainbox.units.interpolation import Environment
from plainbox.units.origin import Origin

__all__ = ["bundled_providers", "installed_providers", "named_directory", "named_providers"]

#: Bundled providers that are loaded when they are named, and not for everybody.
_ON_REQUEST = ("tutorial",)


def named_directory(name: Path) -> Path:
    """Return the directory that a user means: an existing one, or that of a bundled provider of this name."""
    if str(name) in _ON_REQUEST and not os.path.exists(name):
        return dirs.bundled_providers() / name
    return name


def named_providers(directory: Path, environment: Environment | None = None) -> list[Provider]:
    """Return the provider or providers in a directory that a user named; :class:`ProviderError` when there is none.

    The directory holds a ``.provider`` file or the ``manage.py`` of a source tree; a ``.provider`` file may be named
    itself, and a bundled provider that is not loaded for everybody by its name.
    """
    directory = named_directory(directory)
    # Not Path.is_dir(): that one raises where a parent directory cannot be searched.
    if os.path.isfile(directory) and directory.suffix == ".provider":
        return [Provider(from_file(directory), environment)]
    origin = Origin(str(directory))
    if not os.path.isdir(directory):
        raise ProviderError("no such provider directory", origin=origin)
    files = _definitions(directory)
    if files:
        return [Provider(from_file(file), environment) for file in files]
    if os.path.isfile(directory / "manage.py"):
        return [Provider(from_source_tree(directory), environment)]
    raise ProviderError(
        "no provider in it: neither a .provider file nor a manage.py",
        origin=origin,
        hint="name the directory that holds one of these files",
    )


def installed_providers(problems: list[PlainboxError], environment: Environment | None = None) -> Iterator[Provider]:
    """Yield what the provider path holds; definitions that are no good go to ``problems``."""
    missing_is_a_problem = bool(os.environ.get("PROVIDERPATH"))
    for directory in dirs.provider_paths():
        if not os.path.isdir(directory):
            if missing_is_a_problem:
                problems.append(ProviderError("no such directory (from PROVIDERPATH)", origin=Origin(str(directory))))
            continue
        yield from _load(_definitions(directory), problems, environment)


def bundled_providers(problems: list[PlainboxError], environment: Environment | None = None) -> Iterator[Provider]:
    """Yield the providers that come with Plainbox, without those that wait to be named."""
    files = sorted(dirs.bundled_providers().glob("*/*.provider"))
    yield from _load([file for file in files if file.parent.name not in _ON_REQUEST], problems, environment)


def _definitions(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.provider"))


def _load(files: Iterable[Path], problems: list[PlainboxError], environment: Environment | None) -> Iterator[Provider]:
    for file in files:
        try:
            yield Provider(from_file(file), environment)
        except ProviderError as error:
            problems.append(error)
