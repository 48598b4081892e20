# SPDX-License-Identifier: Apache-2.0
"""All units of all providers, by kind and id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from plainbox.errors import PlainboxError, UnitError, UsageError
from plainbox.providers.discovery import bundled_providers, installed_providers, named_providers
from plainbox.providers.provider import Provider
from plainbox.units import JobDefinition, Unit
from plainbox.units.fields import closest
from plainbox.units.interpolation import Environment

__all__ = ["Catalogue"]

U = TypeVar("U", bound=Unit)


class Catalogue:
    """The units that a command works on.

    An id is unique within its kind, jobs and setup jobs being one: of two units with one id the first counts, and unless
    they are equal the clash is one of ``problems``, as is everything that could not be read.
    """

    def __init__(
        self,
        providers: Iterable[Provider],
        problems: Iterable[PlainboxError] = (),
        environment: Environment | None = None,
    ) -> None:
        self.problems: list[PlainboxError] = list(problems)
        #: The providers that the user has named.
        self.named: tuple[Provider, ...] = ()
        #: The [environment] section of the settings.
        self.environment: Environment = environment or {}
        self.providers: list[Provider] = []
        self.units: list[Unit] = []
        self._by_kind: dict[str, dict[str, Unit]] = {}
        self._first: dict[tuple[str, str], Unit] = {}
        names: dict[tuple[str, str], Provider] = {}
        for provider in providers:
            first = names.setdefault((provider.namespace, provider.name), provider)
            if first is provider:
                self._add(provider)
            elif first.base_dir != provider.base_dir:
                self.problems.append(
                    UnitError(
                        f"provider {provider.name!r} is left out: there is another one of this name"
                        f" ({first.definition.origin})",
                        origin=provider.definition.origin,
                    )
                )

    @classmethod
    def load(
        cls, named: Sequence[Path] = (), *, installed: bool = True, environment: Environment | None = None
    ) -> Catalogue:
        """Return the catalogue of the providers named by the user, the installed and the bundled ones.

        A named provider that cannot be loaded raises :class:`ProviderError`, others become ``problems``.
        ``environment`` is the [environment] section of the settings, for the Jinja2 texts of units and for jobs.
        """
        problems: list[PlainboxError] = []
        by_name = [provider for directory in named for provider in named_providers(directory, environment)]
        others = list(installed_providers(problems, environment)) if installed else []
        others += bundled_providers(problems, environment)
        catalogue = cls([*by_name, *others], problems, environment)
        catalogue.named = tuple(by_name)
        return catalogue

    def _add(self, provider: Provider) -> None:
        self.providers.append(provider)
        for unit in provider.unit_list:
            if unit.id:
                kind = JobDefinition.kind if isinstance(unit, JobDefinition) else unit.kind
                first = self._first.setdefault((kind, unit.id), unit)
                if first is not unit:
                    if first != unit:
                        self.problems.append(
                            UnitError(
                                f"duplicate id: {unit.kind} {unit.id!r} is also defined at {first.origin};"
                                " this one is left out",
                                origin=unit.origin,
                            )
                        )
                    continue
                self._by_kind.setdefault(unit.kind, {})[unit.id] = unit
            self.units.append(unit)
        self.problems += provider.problem_list

    def of_kind(self, kind: type[U]) -> dict[str, U]:
        """Return the units of a kind by full id, in the order in which they were loaded."""
        return cast(dict[str, U], self._by_kind.get(kind.kind, {}))

    def jobs_and_siblings(self) -> dict[str, JobDefinition]:
        """Return the jobs by full id, and those that each of them brings along; a job wins over a sibling."""
        jobs = dict(self.of_kind(JobDefinition))
        for job in list(jobs.values()):
            for sibling in job.descendants():
                jobs.setdefault(sibling.id, sibling)
        return jobs

    def find(self, kind: type[U], name: str) -> U:
        """Return the unit with a full id, or with a partial id that only one has; otherwise :class:`UsageError`."""
        units = self.of_kind(kind)
        if name in units:
            return units[name]
        matches = [unit for unit in units.values() if unit.partial_id == name] if "::" not in name else []
        if len(matches) == 1:
            return matches[0]
        if matches:
            meant = ", ".join(unit.id for unit in matches)
            raise UsageError(f"{kind.kind} {name!r} means several: {meant}", hint="write the full id")
        known = [*units, *(unit.partial_id or "" for unit in units.values())]
        raise UsageError(
            f"no {kind.kind} {name!r}",
            hint=closest(name, known) or f"plainbox list '{kind.kind}' shows those there are",
        )
