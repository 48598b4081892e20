# SPDX-License-Identifier: Apache-2.0
"""``plainbox chain``.

Look at the advice around jobs: what is done around each execution, with which parameters, and where that is written.
"""

from __future__ import annotations

import argparse

from plainbox.cli.arguments import add_json, add_providers, load_catalogue
from plainbox.cli.chains import add_chains, chains_of
from plainbox.cli.names import ids_with_name, makers_of, several, unknown
from plainbox.cli.output import clean, print_json, print_table, write
from plainbox.errors import UsageError
from plainbox.providers import Catalogue
from plainbox.runner.selection import Selection
from plainbox.tasks.chains import Chain
from plainbox.units import JobDefinition, TemplateUnit


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = commands.add_parser(
        "show",
        help="show the advice around a job, the outermost first",
        description="Show the advice around a job, the outermost first, with all parameters and where they come from.",
    )
    show.add_argument("job", metavar="JOB", help="id of a job, also of one that a template makes, or of a template")
    add_providers(show)
    add_chains(show)
    add_json(show)


def run(arguments: argparse.Namespace) -> int:
    catalogue = load_catalogue(arguments.providers, quiet=arguments.json)
    unit, job_id = _find(catalogue, arguments.job)
    if unit.errors:
        raise UsageError(f"the {unit.kind} does not run: {unit.errors[0]}", hint="plainbox lint tells more")
    job = unit if isinstance(unit, JobDefinition) else unit.unfilled()
    chains = chains_of(Selection(chain=arguments.chain, advices=arguments.advices))
    chain, choice = chains.of(job, as_id=job_id), chains.choice(job, as_id=job_id)
    if arguments.json:
        print_json("plainbox.chain/1", job=job_id, chain=chain.name, chosen_by=choice, advices=_described(chain))
        return 0
    write(clean(f"{job_id}: chain {chain.name}, chosen by {choice}"))
    rows = []
    for link in chain.links:
        rows.append((link.name, "", link.source))
        rows += [("", f"{parameter.name} = {parameter.text}", parameter.source) for parameter in link.parameters]
    print_table(rows, ("advice", "parameter", "from"))
    return 0


def _find(catalogue: Catalogue, name: str) -> tuple[JobDefinition | TemplateUnit, str]:
    """Return the job or template that a name means, for a job that only a run makes its template; and the id it has."""
    jobs = catalogue.of_kind(JobDefinition)
    templates = {
        template.id: template
        for template in catalogue.of_kind(TemplateUnit).values()
        if template.instance_kind is not None and issubclass(template.instance_kind, JobDefinition)
    }
    found = ids_with_name(name, [*jobs, *templates])
    made = [] if found else list(makers_of(name, templates.values()))
    if len(found) > 1 or len(made) > 1:
        raise several(name, found or {f"a job of {template_id}" for template_id, _ in made})
    if not found and not made:
        raise unknown(name, {*jobs, *templates}, templates.values())
    unit_id, job_id = made[0] if made else (next(iter(found)),) * 2
    return jobs.get(unit_id) or templates[unit_id], job_id


def _described(chain: Chain) -> list[dict[str, object]]:
    return [
        {
            "name": link.name,
            "source": link.source,
            "parameters": [
                {"name": parameter.name, "value": parameter.text, "source": parameter.source, "given": parameter.given}
                for parameter in link.parameters
            ],
        }
        for link in chain.links
    ]
