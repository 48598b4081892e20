# SPDX-License-Identifier: Apache-2.0
"""``plainbox show``.

Show units as they are written, and where. A unit is named by its full id, or by a partial id that only one has.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from plainbox.cli.arguments import add_json, add_providers, load_catalogue
from plainbox.cli.commands.list import describe
from plainbox.cli.output import clean, print_json, write
from plainbox.errors import UsageError
from plainbox.providers import Catalogue
from plainbox.units import Unit
from plainbox.units.fields import closest


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", metavar="ID", nargs="+", help="full or partial id of a unit")
    add_providers(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    catalogue = load_catalogue(arguments.providers)
    units = [unit for name in arguments.ids for unit in _find(catalogue, name)]
    if arguments.json:
        print_json("plainbox.show/1", units=[{**describe(unit), "fields": unit.data} for unit in units])
        return 0
    for index, unit in enumerate(units):
        if index:
            write("")
        write(clean(f"# {unit.kind} {unit.id}"))
        write(clean(f"# {unit.origin}"))
        write(clean(_source(unit)))
        for issue in unit.issues:
            write(clean(f"# {issue}"))
    return 0


def _find(catalogue: Catalogue, name: str) -> list[Unit]:
    exact = [unit for unit in catalogue.units if unit.id == name]
    found = exact or [unit for unit in catalogue.units if unit.partial_id == name]
    if not found:
        known = [text for unit in catalogue.units for text in (unit.id, unit.partial_id or "")]
        raise UsageError(f"no unit {name!r}", hint=closest(name, known) or "plainbox list shows what there is")
    return found


def _source(unit: Unit) -> str:
    """Return the lines of the file, or the fields when there is no file."""
    origin = unit.origin
    if origin is not None and origin.line_start is not None:
        try:
            lines = Path(origin.source).read_text(encoding="utf-8").split("\n")
        except OSError:
            lines = []
        if lines:
            return "\n".join(lines[origin.line_start - 1 : origin.line_end])
    return "\n".join(f"{key}: {value}" for key, value in unit.data.items())
