# SPDX-License-Identifier: Apache-2.0
"""``plainbox expand``.

Show what a test plan contains, its nested parts included, without running anything: jobs and templates with the category
and the certification status that the plan gives them, and the manifest entries that they ask for.
"""

from __future__ import annotations

import argparse

from plainbox.cli.arguments import add_json, add_providers, load_catalogue
from plainbox.cli.output import print_json, print_table, warn
from plainbox.errors import ExpressionError
from plainbox.providers import Catalogue
from plainbox.units import JobDefinition, ManifestEntryUnit, TemplateUnit, TestPlanUnit
from plainbox.units.selection import OverrideRules, flatten, select_units


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", metavar="PLAN", help="full or partial id of a test plan")
    add_providers(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    catalogue = load_catalogue(arguments.providers)
    plan = catalogue.find(TestPlanUnit, arguments.plan)
    flat = flatten([plan], catalogue.of_kind(TestPlanUnit))
    for problem in flat.problems:
        warn(str(problem), problem.hint)
    jobs = _with_siblings(catalogue)
    rules = OverrideRules(flat.overrides)
    selected = select_units(flat, jobs.values(), catalogue.of_kind(TemplateUnit).values())
    units = [_describe(unit, rules) for unit in selected] + _manifest_entries(selected, catalogue)
    units.sort(key=lambda facts: str(facts["id"]))
    if arguments.json:
        print_json("plainbox.expand/1", plan=plan.id, units=units)
    else:
        print_table(
            ((str(facts["kind"]), str(facts["id"]), str(facts["certification_status"] or "")) for facts in units),
            ("kind", "id", "certification status"),
        )
    return 0


def _with_siblings(catalogue: Catalogue) -> dict[str, JobDefinition]:
    jobs: dict[str, JobDefinition] = {}
    for job in catalogue.of_kind(JobDefinition).values():
        jobs[job.id] = job
        for sibling in job.siblings_units():
            jobs.setdefault(sibling.id, sibling)
    return jobs


def _describe(unit: JobDefinition | TemplateUnit, rules: OverrideRules) -> dict[str, object]:
    if isinstance(unit, JobDefinition):
        category_id, status = unit.category_id, unit.certification_status
    else:
        instance = _unfilled(unit)
        category_id, status = instance.category_id, instance.certification_status
    effective = {"category_id": category_id, "certification_status": status}
    effective |= dict(rules.of(unit.id, None))
    return {
        "kind": unit.kind,
        "id": unit.id,
        "category_id": effective["category_id"],
        "certification_status": effective["certification_status"],
    }


def _unfilled(template: TemplateUnit) -> JobDefinition:
    """Return an instance without values: what it has in common with all the others."""
    return JobDefinition(template.instance_data(), provider=template.provider, parameters={})


def _manifest_entries(units: list[JobDefinition | TemplateUnit], catalogue: Catalogue) -> list[dict[str, object]]:
    known = catalogue.of_kind(ManifestEntryUnit)
    wanted: set[str] = set()
    for unit in units:
        job = unit if isinstance(unit, JobDefinition) else _unfilled(unit)
        try:
            program = job.resource_program
        except ExpressionError:
            continue
        if program is not None:
            wanted.update(entry for expression in program.expressions for entry in expression.manifest_ids)
    return [
        {"kind": "manifest entry", "id": entry, "category_id": None, "certification_status": None}
        for entry in sorted(wanted)
        if entry in known
    ]
