# SPDX-License-Identifier: Apache-2.0
"""``plainbox list``.

List what providers define: one unit on a line, its full id and its summary.
"""

from __future__ import annotations

import argparse
import os

from plainbox.cli.arguments import add_json, add_providers, load_catalogue
from plainbox.cli.output import print_json, print_table
from plainbox.errors import UsageError
from plainbox.providers import Catalogue
from plainbox.units import KINDS, JobDefinition, TemplateUnit, Unit

#: What people may write -> the kind of unit.
_WORDS = {
    "jobs": "job",
    "setup jobs": "setup job",
    "files": "file",
    "plan": "test plan",
    "plans": "test plan",
    "test plans": "test plan",
    "templates": "template",
    "categories": "category",
    "exporters": "exporter",
    "manifest": "manifest entry",
    "manifest entries": "manifest entry",
    "packaging": "packaging meta-data",
    "providers": "provider",
}
_SHOWN = (
    *("jobs", "'setup jobs'", "plans", "templates", "categories", "exporters", "manifest", "packaging"),
    *("files", "providers"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", help=f"{', '.join(_SHOWN)}, or a kind as units name it")
    add_providers(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    kind = _WORDS.get(arguments.kind.lower(), arguments.kind.lower())
    if kind not in (*KINDS, "provider", "file"):
        raise UsageError(f"there is nothing of the kind {arguments.kind!r}", hint=f"known are {', '.join(_SHOWN)}")
    catalogue = load_catalogue(arguments.providers)
    if kind == "provider":
        return _providers(catalogue, arguments.json)
    if kind == "file":
        return _files(catalogue, arguments.json)
    units = [unit for unit in catalogue.units if unit.kind == kind]
    if arguments.json:
        print_json("plainbox.list/1", units=[describe(unit) for unit in units])
    else:
        print_table(((unit.id or str(unit.origin), _summary(unit)) for unit in units), ("id", "summary"))
    return 0


def describe(unit: Unit) -> dict[str, object]:
    """Return the facts about a unit that listings show."""
    facts: dict[str, object] = {"kind": unit.kind, "id": unit.id, "summary": _summary(unit)}
    if unit.provider is not None:
        facts["provider"] = unit.provider.name
    if isinstance(unit, JobDefinition):
        facts |= {
            "plugin": unit.plugin,
            "category_id": unit.category_id,
            "certification_status": unit.certification_status,
            "estimated_duration": unit.estimated_duration,
        }
    if isinstance(unit, TemplateUnit):
        facts |= {"id_pattern": unit.instance_id_pattern, "resource": unit.resource_id}
    facts["origin"] = str(unit.origin) if unit.origin is not None else None
    return facts


def _summary(unit: Unit) -> str:
    summary = getattr(unit, "summary", "")
    return summary.partition("\n")[0] if isinstance(summary, str) else ""


def _providers(catalogue: Catalogue, as_json: bool) -> int:
    if as_json:
        print_json(
            "plainbox.list/1",
            units=[
                {
                    "kind": "provider",
                    "id": provider.name,
                    "namespace": provider.namespace,
                    "version": provider.version,
                    "directory": str(provider.base_dir),
                    "summary": provider.description,
                }
                for provider in catalogue.providers
            ],
        )
    else:
        print_table(
            ((provider.name, provider.version, str(provider.base_dir)) for provider in catalogue.providers),
            ("name", "version", "directory"),
        )
    return 0


def _files(catalogue: Catalogue, as_json: bool) -> int:
    from plainbox.providers.files import classify

    files = [(provider, unit) for provider in catalogue.providers for unit in classify(provider)]
    if as_json:
        units = [
            {
                "kind": unit.kind,
                "id": "",
                "path": unit.path,
                "role": unit.role,
                "base": unit.base,
                "provider": provider.name,
            }
            for provider, unit in files
        ]
        print_json("plainbox.list/1", units=units)
    else:
        rows = (
            (provider.name, str(unit.role), os.path.relpath(str(unit.path), provider.base_dir))
            for provider, unit in files
        )
        print_table(rows, ("provider", "role", "path"))
    return 0
