# SPDX-License-Identifier: Apache-2.0
"""The exporter unit: a report under a name, made by an exporter class with options and data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from plainbox.units import fields
from plainbox.units.fields import Field
from plainbox.units.issues import Code, Issue
from plainbox.units.unit import Unit

__all__ = ["ExporterUnit"]

_EXTENSION = re.compile(r"[\w.\-]+")


class ExporterUnit(Unit):
    kind = "exporter"

    _id = Field(fields.IDENTIFIER, "Name of the report, unique in its namespace.", key="id", required=True)
    summary = Field(
        fields.TEXT,
        "What the report is, in one line.",
        default=lambda unit: unit.partial_id or "",
        translatable=True,
    )
    entry_point = Field(
        fields.TEXT,
        "Name of the exporter in the entry point group plainbox.exporters.",
        required=True,
        default="",
    )
    file_extension = Field(fields.TEXT, "Extension of the files, without the first dot.", required=True, default="")
    options = Field(fields.NAMES, "Options of the exporter; option=value is allowed.", default=())
    data_map = Field(fields.MAPPING, "What the exporter needs beyond options, such as its template.", key="data")

    @property
    def support_data(self) -> Mapping[str, object]:
        """The data of the unit, empty when it has none."""
        return self.data_map or {}

    def check(self) -> Iterator[Issue]:
        yield from super().check()
        if self.file_extension and not _EXTENSION.fullmatch(self.file_extension):
            yield self.issue(Code.WRONG, "letters, digits, '_', '.' and '-' only", field="file_extension")
