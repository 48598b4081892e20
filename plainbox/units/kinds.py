# SPDX-License-Identifier: Apache-2.0
"""The registry of the kinds of units, by the word that files use for them."""

from __future__ import annotations

from collections.abc import Mapping

from plainbox.errors import FieldError, UnitError
from plainbox.units import converters
from plainbox.units.category import CategoryUnit
from plainbox.units.exporter import ExporterUnit
from plainbox.units.fields import closest
from plainbox.units.interpolation import Environment
from plainbox.units.job import JobDefinition
from plainbox.units.manifest import ManifestEntryUnit
from plainbox.units.origin import Origin
from plainbox.units.packaging import PackagingMetaDataUnit
from plainbox.units.record import Record, Value
from plainbox.units.setup_job import SetupJobDefinition
from plainbox.units.template import TemplateUnit
from plainbox.units.test_plan import TestPlanUnit
from plainbox.units.unit import Unit, UnitProvider

__all__ = ["KINDS", "unit_from_record"]

KINDS: Mapping[str, type[Unit]] = {
    cls.kind: cls
    for cls in (
        JobDefinition,
        SetupJobDefinition,
        TemplateUnit,
        TestPlanUnit,
        CategoryUnit,
        ManifestEntryUnit,
        ExporterUnit,
        PackagingMetaDataUnit,
    )
}


def unit_from_record(
    record: Record, provider: UnitProvider | None = None, environment: Environment | None = None
) -> Unit:
    """Return the unit that a record describes.

    A kind that is not known, or a unit whose id cannot be one, raises :class:`UnitError` with its place.
    """
    kind = record.data.get("unit", "job")
    cls = KINDS.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise UnitError(
            f"unknown unit type {_shown(kind)}",
            origin=_place_of("unit", record),
            hint=closest(str(kind), KINDS) or f"known are {', '.join(KINDS)}",
        )
    unit = cls.from_record(record, provider, environment)
    if cls is TemplateUnit or "id" in cls.fields:
        partial_id = unit.partial_id
        if not partial_id:
            raise UnitError(f"this {cls.kind} has no id", origin=record.origin, hint="add a field 'id'")
        # An id with a namespace would stand for a unit of somebody else.
        if "::" in partial_id or "\n" in partial_id:
            key = next((key for key in ("template-id", "id", "name") if key in record.data), "id")
            try:
                converters.identifier(partial_id)
            except FieldError as error:
                raise UnitError(error.message, origin=_place_of(key, record), hint=error.hint) from None
    return unit


def _place_of(key: str, record: Record) -> Origin:
    place = record.offsets.get(key, 0)
    return record.origin.line(place if isinstance(place, int) else place[0])


def _shown(value: Value) -> str:
    return repr(value)[:80]
