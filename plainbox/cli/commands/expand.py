# SPDX-License-Identifier: Apache-2.0
"""``plainbox expand``.

Show what a test plan contains, its nested parts included, without running anything: jobs and templates with the category
and the certification status that the plan gives them, and the manifest entries that they ask for.
"""

from __future__ import annotations

import argparse

from plainbox.cli.arguments import add_json, add_providers, load_catalogue
from plainbox.cli.output import print_json, print_table, warn
from plainbox.providers.expansion import expand
from plainbox.units import JobDefinition, ManifestEntryUnit, TemplateUnit, TestPlanUnit
from plainbox.units.selection import OverrideRules


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", metavar="PLAN", help="full or partial id of a test plan")
    add_providers(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    catalogue = load_catalogue(arguments.providers)
    expansion = expand(catalogue.find(TestPlanUnit, arguments.plan), catalogue)
    for problem in expansion.flat.problems:
        warn(str(problem), problem.hint)
    rules = OverrideRules(expansion.flat.overrides)
    units = [_describe(unit, rules) for unit in expansion.units]
    units += [_describe_entry(entry) for entry in expansion.manifest_entries]
    units.sort(key=lambda facts: str(facts["id"]))
    if arguments.json:
        print_json("plainbox.expand/1", plan=expansion.plan.id, units=units)
    else:
        print_table(
            ((str(facts["kind"]), str(facts["id"]), str(facts["certification_status"] or "")) for facts in units),
            ("kind", "id", "certification status"),
        )
    return 0


def _describe(unit: JobDefinition | TemplateUnit, rules: OverrideRules) -> dict[str, object]:
    job = unit if isinstance(unit, JobDefinition) else unit.unfilled()
    effective = {"category_id": job.category_id, "certification_status": job.certification_status}
    effective |= dict(rules.of(unit.id, None))
    return {
        "kind": unit.kind,
        "id": unit.id,
        "category_id": effective["category_id"],
        "certification_status": effective["certification_status"],
    }


def _describe_entry(entry: ManifestEntryUnit) -> dict[str, object]:
    return {"kind": entry.kind, "id": entry.id, "category_id": None, "certification_status": None}
