# SPDX-License-Identifier: Apache-2.0
"""The exporter unit: a report under a name, made by an exporter class with options and data.

The session asks each unit for its ``support`` when it lists the reports that can be made; the class behind it is
imported when a report is made. Units stand below exporters: the class is found by its name among the entry points, and
never imported here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plainbox.errors import ExporterError
from plainbox.units import fields
from plainbox.units.fields import Field, closest
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.unit import Unit

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["ENTRY_POINT_GROUP", "ExporterUnit", "ExporterUnitSupport"]

ENTRY_POINT_GROUP = "plainbox.exporters"

#: Exporters that existing providers name and that are not there yet: a warning, since nothing is wrong with the unit.
_LATER = ("jinja2", "tar")
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

    @functools.cached_property
    def support(self) -> ExporterUnitSupport | None:
        """What makes the report, or ``None`` when the unit has an error among its issues or nobody can make it here."""
        return None if self.errors or self.entry_point not in _entry_points() else ExporterUnitSupport(self)

    def check(self) -> Iterator[Issue]:
        yield from super().check()
        if self.file_extension and not _EXTENSION.fullmatch(self.file_extension):
            yield self.issue(Code.WRONG, "letters, digits, '_', '.' and '-' only", field="file_extension")
        if self.entry_point and self.entry_point not in _entry_points():
            is_later = self.entry_point in _LATER
            yield self.issue(
                Code.WRONG,
                f"this version has no exporter {self.entry_point!r}"
                if is_later
                else f"no exporter is called {self.entry_point!r}",
                severity=Severity.WARNING if is_later else Severity.ERROR,
                field="entry_point",
                hint=closest(self.entry_point, _entry_points()) or f"there are: {_known()}",
            )


class ExporterUnitSupport:
    """An exporter unit as whoever makes reports sees it: plain values and the class."""

    def __init__(self, unit: ExporterUnit) -> None:
        self._unit = unit
        #: What the exporter needs beyond options.
        self.data: Mapping[str, object] = unit.support_data
        #: Where the provider of the unit keeps its data, if it has a provider with data.
        self.data_dir: Path | None = unit.provider.data_dir if unit.provider is not None else None
        #: Options as ``name`` or ``name=value``; they win over those of the caller.
        self.option_list: list[str] = [word for item in unit.options for word in item.split(";") if word]
        self.file_extension: str = unit.file_extension
        self.summary: str = unit.summary

    def __repr__(self) -> str:
        return f"<ExporterUnitSupport {self._unit.id}>"

    @functools.cached_property
    def exporter_cls(self) -> type[Any]:
        """The exporter class; :class:`ExporterError` when it is not there, cannot be imported, or is no exporter."""
        name = self._unit.entry_point
        entry_point = _entry_points().get(name)
        if entry_point is None:
            raise ExporterError(
                f"no exporter is called {name!r}", origin=self._unit.origin, hint=f"there are: {_known()}"
            )
        try:
            loaded = entry_point.load()
        except Exception as error:  # anybody's module may fail to import, in any way
            raise ExporterError(
                f"the exporter {name!r} cannot be loaded: {error}",
                origin=self._unit.origin,
                hint=f"it should be at {entry_point.value}",
            ) from error
        if not isinstance(loaded, type) or not hasattr(loaded, "dump_from_session_manager"):
            raise ExporterError(f"{entry_point.value} is not an exporter class", origin=self._unit.origin)
        return loaded


@functools.cache
def _entry_points() -> Mapping[str, EntryPoint]:
    # Looking them up reads the metadata of every installed distribution: once for the life of the process.
    from importlib.metadata import entry_points

    return {item.name: item for item in entry_points(group=ENTRY_POINT_GROUP)}


def _known() -> str:
    return ", ".join(sorted(_entry_points()))
