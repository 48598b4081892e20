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
from plainbox.units.origin import Origin

__all__ = ["bundled_providers", "installed_providers", "named_providers"]


def named_providers(directory: Path) -> list[Provider]:
    """Return the provider or providers in a directory that a user named; :class:`ProviderError` when there is none."""
    if directory.is_file() and directory.suffix == ".provider":
        return [Provider(from_file(directory))]
    origin = Origin(str(directory))
    if not directory.is_dir():
        raise ProviderError("no such provider directory", origin=origin)
    files = sorted(directory.glob("*.provider"))
    if files:
        return [Provider(from_file(file)) for file in files]
    if (directory / "manage.py").is_file():
        return [Provider(from_source_tree(directory))]
    raise ProviderError(
        "no provider in it: neither a .provider file nor a manage.py",
        origin=origin,
        hint="name the directory that holds one of these files",
    )


def installed_providers(problems: list[PlainboxError]) -> Iterator[Provider]:
    """Yield what the provider path holds; definitions that are no good go to ``problems``."""
    missing_is_a_problem = bool(os.environ.get("PROVIDERPATH"))
    for directory in dirs.provider_paths():
        if not directory.is_dir():
            if missing_is_a_problem:
                problems.append(ProviderError("no such directory (from PROVIDERPATH)", origin=Origin(str(directory))))
            continue
        yield from _load(sorted(directory.glob("*.provider")), problems)


def bundled_providers(problems: list[PlainboxError]) -> Iterator[Provider]:
    """Yield the providers that come with Plainbox."""
    yield from _load(sorted(dirs.bundled_providers().glob("*/*.provider")), problems)


def _load(files: Iterable[Path], problems: list[PlainboxError]) -> Iterator[Provider]:
    for file in files:
        try:
            yield Provider(from_file(file))
        except ProviderError as error:
            problems.append(error)
