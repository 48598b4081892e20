# SPDX-License-Identifier: Apache-2.0
"""One provider: its folders, its units and its executables, read when they are first asked for."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path

from plainbox.errors import PlainboxError, UnitError
from plainbox.providers.cache import UnitCache
from plainbox.providers.definition import ProviderDefinition
from plainbox.units import JobDefinition, Unit
from plainbox.units.interpolation import Environment
from plainbox.units.origin import Origin
from plainbox.units.reader import units_of

__all__ = ["UNIT_SUFFIXES", "Provider"]

#: Folder of a provider -> the endings of the files in it that hold units.
UNIT_SUFFIXES = {
    "units_dir": (".pxu", ".txt", ".yaml", ".yml"),
    "jobs_dir": (".pxu", ".txt", ".in", ".yaml", ".yml"),
}


class Provider:
    """A directory of units, data and programs, under a name.

    ``environment`` is what Jinja2 texts of its units see as ``__checkbox_env__``.
    """

    def __init__(self, definition: ProviderDefinition, environment: Environment | None = None) -> None:
        self.definition = definition
        self._environment = environment
        self.problem_list: list[PlainboxError] = []

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def namespace(self) -> str:
        return self.definition.namespace

    @property
    def version(self) -> str:
        return self.definition.version

    @property
    def description(self) -> str:
        return self.definition.description

    @property
    def gettext_domain(self) -> str | None:
        return self.definition.gettext_domain

    @property
    def base_dir(self) -> Path:
        return self.definition.base_dir

    @property
    def units_dir(self) -> Path | None:
        return self.definition.units_dir

    @property
    def jobs_dir(self) -> Path | None:
        return self.definition.jobs_dir

    @property
    def data_dir(self) -> Path | None:
        return self.definition.data_dir

    @property
    def bin_dir(self) -> Path | None:
        return self.definition.bin_dir

    @property
    def locale_dir(self) -> Path | None:
        return self.definition.locale_dir

    @property
    def python_dir(self) -> Path | None:
        """Where the modules of function jobs are."""
        return self.definition.python_dir

    def __repr__(self) -> str:
        return f"<Provider {self.name}>"

    @functools.cached_property
    def unit_list(self) -> list[Unit]:
        """All good units, in the order of the files' paths; what is wrong with the others is in ``problem_list``."""
        units: list[Unit] = []
        for directory, paths in self._unit_files():
            cache = UnitCache(directory)
            for path in paths:
                records = cache.records(path, on_error=self._add_problem)
                units += units_of(records, self, environment=self._environment, on_error=self._add_problem)
            cache.save()
        return units

    def _add_problem(self, error: UnitError) -> None:
        self.problem_list.append(error)

    @property
    def job_list(self) -> list[JobDefinition]:
        return [unit for unit in self.unit_list if isinstance(unit, JobDefinition)]

    @functools.cached_property
    def executable_list(self) -> list[Path]:
        """The programs of the provider, sorted by path; those that were built in a source tree come last."""
        built = self.base_dir / "build" / "bin"
        directories = [directory for directory in (self.bin_dir, built) if directory is not None and directory.is_dir()]
        return [path for directory in directories for path in self._walk(directory) if os.access(path, os.X_OK)]

    def _unit_files(self) -> Iterator[tuple[Path, list[Path]]]:
        """Yield each folder of units and the unit files below it."""
        for attribute, suffixes in UNIT_SUFFIXES.items():
            directory: Path | None = getattr(self, attribute)
            if directory is not None:
                yield directory, [path for path in self._walk(directory) if path.suffix in suffixes]

    def _walk(self, directory: Path) -> list[Path]:
        """Return the files below a directory, sorted by path; one that cannot be listed is a problem of its own."""

        def failed(error: OSError) -> None:
            self.problem_list.append(
                UnitError(f"cannot be listed: {error.strerror}", origin=Origin(str(error.filename)))
            )

        # By the text of the path, as Checkbox does it: "a-b" comes before "a/b".
        walk = os.walk(directory, onerror=failed)
        return [Path(path) for path in sorted(os.path.join(root, name) for root, _, names in walk for name in names)]
