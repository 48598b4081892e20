# SPDX-License-Identifier: Apache-2.0
"""The registry of the kinds of units, by the word that files use for them."""

from __future__ import annotations

from collections.abc import Mapping

from plainbox.errors import UnitError
from plainbox.units.category import CategoryUnit
from plainbox.units.exporter import ExporterUnit
from plainbox.units.fields import closest
from plainbox.units.job import JobDefinition
from plainbox.units.manifest import ManifestEntryUnit
from plainbox.units.packaging import PackagingMetaDataUnit
from plainbox.units.record import Record
from plainbox.units.template import TemplateUnit
from plainbox.units.test_plan import TestPlanUnit
from plainbox.units.unit import Unit, UnitProvider

__all__ = ["KINDS", "unit_from_record"]

KINDS: Mapping[str, type[Unit]] = {
    cls.kind: cls
    for cls in (
        JobDefinition,
        TemplateUnit,
        TestPlanUnit,
        CategoryUnit,
        ManifestEntryUnit,
        ExporterUnit,
        PackagingMetaDataUnit,
    )
}


def unit_from_record(record: Record, provider: UnitProvider | None = None) -> Unit:
    """Return the unit that a record describes.

    A kind that is not known, or a unit that nothing could name, raises :class:`UnitError` with its place.
    """
    kind = record.data.get("unit", "job")
    cls = KINDS.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise UnitError(
            f"unknown unit type {kind!r}",
            origin=record.origin.line(record.offsets.get("unit", 0)),
            hint=closest(str(kind), KINDS) or f"known are {', '.join(KINDS)}",
        )
    unit = cls.from_record(record, provider)
    if not unit.partial_id and "_id" in vars(cls) | vars(cls.__base__ or object):
        raise UnitError(f"this {cls.kind} has no id", origin=record.origin, hint="add a field 'id'")
    if cls is TemplateUnit and not unit.partial_id:
        raise UnitError("this template has no id", origin=record.origin, hint="add a field 'id'")
    return unit
