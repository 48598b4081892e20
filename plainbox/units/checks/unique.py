# SPDX-License-Identifier: Apache-2.0
"""Ids that are used twice, in one provider or in two."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from plainbox.units.checks.index import UnitIndex
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.job import JobDefinition
from plainbox.units.origin import Origin
from plainbox.units.unit import Unit

__all__ = ["check"]


def check(units: Collection[Unit], index: UnitIndex) -> Iterator[Issue]:
    """Yield a finding for each of ``units`` whose id another unit has.

    Of two that are both in ``units`` the second has the finding, since it is the one that is left out.
    """
    own = set(map(id, units))
    first: dict[tuple[str, str], Unit] = {}
    for unit in index.units:
        if not unit.id:
            continue
        other = first.setdefault((_name_space(unit), unit.id), unit)
        if other is unit:
            continue
        if id(unit) in own:
            yield _issue(unit, other, "this one is left out")
        elif id(other) in own:
            yield _issue(other, unit, "the other one is left out")
    for sibling, job in index.siblings:
        written = first.get((_name_space(sibling), sibling.id))
        if written is not None and id(job) in own:
            yield _sibling_issue(job, sibling, written)


def _name_space(unit: Unit) -> str:
    """Jobs and setup jobs share their ids; every other kind has its own."""
    return JobDefinition.kind if isinstance(unit, JobDefinition) else unit.kind


def _issue(unit: Unit, other: Unit, outcome: str) -> Issue:
    field = next((key for key in ("template-id", "id", "name") if key in unit.data), None)
    message = f"the id is also that of the {other.kind} at {_place(other, unit)}"
    if unit == other:
        return unit.issue(
            Code.NOT_UNIQUE, f"{message}, which is equal", severity=Severity.WARNING, field=field, hint="remove one"
        )
    return unit.issue(Code.NOT_UNIQUE, f"{message}: {outcome}", field=field)


def _sibling_issue(job: JobDefinition, sibling: JobDefinition, written: Unit) -> Issue:
    return job.issue(
        Code.NOT_UNIQUE,
        f"its sibling {sibling.id!r} has the id of the {written.kind} at {_place(written, job)}: the sibling is left out",
        severity=Severity.WARNING,
        field="siblings" if "siblings" in job.data or "_siblings" in job.data else "flags",
    )


def _place(other: Unit, unit: Unit) -> str:
    """Return where another unit is, relative to the provider when both are of one."""
    origin, provider = other.origin, unit.provider
    if origin is None or provider is None or other.provider is not provider:
        return str(origin)
    path = Path(origin.source)
    inside = path.relative_to(provider.base_dir) if path.is_relative_to(provider.base_dir) else path
    return str(Origin(str(inside), origin.line_start))
