# SPDX-License-Identifier: Apache-2.0
"""Values that a run can live with: texts for lists in YAML units, no duration at all, no summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from plainbox.errors import FieldError
from plainbox.units import converters
from plainbox.units.exporter import ExporterUnit
from plainbox.units.fields import Field
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.job import JobDefinition
from plainbox.units.template import TemplateUnit
from plainbox.units.unit import Unit

__all__ = ["check"]

_YAML = (".yaml", ".yml")


def check(unit: Unit) -> Iterator[Issue]:
    """Yield what is better written otherwise."""
    kind = unit.instance_kind if isinstance(unit, TemplateUnit) else type(unit)
    if kind is not None and issubclass(kind, (JobDefinition, ExporterUnit)):
        yield from _summary(unit)
    if kind is not None and issubclass(kind, JobDefinition):
        yield from _duration(unit)
    yield from _lists(unit)


def _summary(unit: Unit) -> Iterator[Issue]:
    if not unit.value_of("summary"):
        yield unit.issue(
            Code.MISSING,
            "nothing says what this is about: reports show the id",
            severity=Severity.ADVICE,
            field="summary",
            hint="add a '_summary' of one line",
        )


def _duration(unit: Unit) -> Iterator[Issue]:
    value = unit.value_of("estimated_duration")
    try:
        is_nothing = value is not None and converters.duration(value) == 0
    except FieldError:
        return  # told by the unit itself
    if is_nothing:
        yield unit.issue(Code.WRONG, "a duration above 0 is wanted", field="estimated_duration")


def _lists(unit: Unit) -> Iterator[Issue]:
    """Yield the fields of a YAML unit that are lists and are written as text."""
    if unit.origin is None or not unit.origin.source.endswith(_YAML):
        return
    fields: Mapping[str, Field[object]] = unit.fields
    if isinstance(unit, TemplateUnit) and unit.instance_kind is not None:
        fields = {**unit.instance_kind.fields, **unit.fields}
    for key, value in unit.data.items():
        field = fields.get(key.removeprefix("_"))
        if field is not None and isinstance(value, str) and value and _is_list(field.type.schema):
            yield unit.issue(
                Code.TEXT_FOR_LIST,
                "a list is written as text",
                severity=Severity.WARNING,
                field=field.key,
                hint="write a YAML list",
            )


def _is_list(schema: Mapping[str, object]) -> bool:
    """Tell whether a value of this schema may be an array."""
    types = schema.get("type")
    alternatives = schema.get("anyOf")
    if types == "array" or (isinstance(types, list) and "array" in types):
        return True
    return isinstance(alternatives, list) and any(_is_list(item) for item in alternatives if isinstance(item, dict))
