# SPDX-License-Identifier: Apache-2.0
"""Packaging meta-data: what a distribution's package of the provider depends on."""

from __future__ import annotations

from plainbox.units import converters, fields
from plainbox.units.fields import Field, FieldType
from plainbox.units.record import Value
from plainbox.units.unit import Unit

__all__ = ["PackagingMetaDataUnit"]


def _relations(value: Value, namespace: str | None) -> tuple[str, ...]:
    """Return the package relations of a list apart by commas; line ends mean nothing."""
    items = [converters.text(item) for item in value] if isinstance(value, list) else converters.text(value).split(",")
    return tuple(" ".join(item.split()) for item in items if item.strip())


RELATIONS = FieldType("package relations", _relations, {"type": ["string", "array"]})


class PackagingMetaDataUnit(Unit):
    """Has no id; a provider may hold several, one for each system."""

    kind = "packaging meta-data"

    os_id = Field(fields.TEXT, "ID of the system in os-release.", key="os-id", required=True)
    os_version_id = Field(fields.TEXT, "VERSION_ID of the system, with an optional comparison.", key="os-version-id")
    depends = Field(RELATIONS, "Packages that the provider cannot work without.", key="Depends", default=())
    recommends = Field(RELATIONS, "Packages that most jobs want.", key="Recommends", default=())
    suggests = Field(RELATIONS, "Packages that some jobs can use.", key="Suggests", default=())

    @property
    def summary(self) -> str:
        return f"{self.os_id} {self.os_version_id or ''}".strip()
