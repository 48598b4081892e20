# SPDX-License-Identifier: Apache-2.0
"""A PXU file and the proof that its YAML means the same: what ``plainbox translate`` does before it writes anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from plainbox.errors import UnitError
from plainbox.units import yaml
from plainbox.units.job import JobDefinition
from plainbox.units.kinds import unit_from_record
from plainbox.units.native import samples, without_lines
from plainbox.units.origin import Origin
from plainbox.units.reader import read_units
from plainbox.units.template import TemplateUnit
from plainbox.units.unit import Unit
from plainbox.units.writer import to_yaml

__all__ = ["Translation", "difference", "translate"]


@attrs.frozen
class Translation:
    """The YAML text of a PXU file, and the units as both of them define them."""

    text: str
    before: tuple[Unit, ...]
    after: tuple[Unit, ...]


def translate(path: Path) -> Translation:
    """Return the translation of a PXU file.

    A file that does not load without a problem, or whose YAML would not mean the same, raises
    :class:`~plainbox.errors.UnitError` with its place.
    """
    problems: list[UnitError] = []
    before = read_units(path, on_error=problems.append)
    if problems:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
        raise UnitError(f"not translated: {first.message}{more}", origin=first.origin, hint=first.hint)
    # As the reader reads it: lines end at line feeds alone.
    content = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    text = to_yaml([line + "\n" for line in content.split("\n")], str(path))
    after = [unit_from_record(record) for record in yaml.parse(text, str(path))]
    if len(before) != len(after):
        raise UnitError(f"not translated: {len(before)} units became {len(after)}", origin=Origin(str(path)))
    for unit, other in zip(before, after, strict=True):
        found = difference(unit, other)
        if found is not None:
            raise UnitError(
                f"not translated: {found} of {unit.partial_id or unit.kind!r} would not be the same", origin=unit.origin
            )
    return Translation(text, tuple(before), tuple(after))


def difference(before: Unit, after: Unit) -> str | None:
    """Return what two readings of one unit disagree in, ``None`` when they mean the same.

    Fields are compared by their values, those of a template as its instances have them, siblings like units.
    """
    if before.kind != after.kind:
        return "the kind"
    if before.data.keys() != after.data.keys():
        return f"the field {min(before.data.keys() ^ after.data.keys())!r}"
    if before.id != after.id:
        return "the id"
    for key, field in before.fields.items():
        one, other = (field.__get__(unit, type(unit)) for unit in (before, after))
        if without_lines(one) != without_lines(other):
            return f"the field {key!r}"
    for key, value in before.data.items():
        if key.removeprefix("_") not in _known(before) and after.data[key] != value:
            return f"the field {key!r}"
    for one, other in zip(_made_of(before), _made_of(after), strict=True):
        found = difference(one, other)
        if found is not None:
            return found
    return None


def _known(unit: Unit) -> Mapping[str, object]:
    if isinstance(unit, TemplateUnit) and unit.instance_kind is not None:
        return {**unit.instance_kind.fields, **unit.fields}
    return unit.fields


def _made_of(unit: Unit) -> Iterator[Unit]:
    """Yield the instances that a template may have, the siblings of a job."""
    if isinstance(unit, TemplateUnit) and unit.instance_kind is not None:
        for parameters in samples([f"{{{name}}}" for name in sorted(unit.instance_parameters)], "default"):
            yield unit.instance_kind(unit.instance_data(), raw=unit.raw, provider=unit.provider, parameters=parameters)
    if isinstance(unit, JobDefinition):
        yield from unit.siblings_units()
