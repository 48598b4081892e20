# SPDX-License-Identifier: Apache-2.0
"""``plainbox chain``.

Look at the advice around jobs: what is done around each execution, with which parameters, and where that is written.
"""

from __future__ import annotations

import argparse

from plainbox.cli.arguments import add_json, add_providers, load_catalogue
from plainbox.cli.chains import add_chains, chains_of
from plainbox.cli.output import clean, print_json, print_table, write
from plainbox.errors import UsageError
from plainbox.runner.selection import Selection
from plainbox.tasks.chains import Chain
from plainbox.units import JobDefinition


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = commands.add_parser(
        "show",
        help="show the advice around a job, the outermost first",
        description="Show the advice around a job, the outermost first, with all parameters and where they come from.",
    )
    show.add_argument("job", metavar="JOB", help="id of the job")
    add_providers(show)
    add_chains(show)
    add_json(show)


def run(arguments: argparse.Namespace) -> int:
    catalogue = load_catalogue(arguments.providers, quiet=arguments.json)
    job = catalogue.find(JobDefinition, arguments.job)
    if job.errors:
        raise UsageError(f"the job does not run: {job.errors[0]}", hint="plainbox lint tells more")
    chains = chains_of(Selection(chain=arguments.chain, advices=arguments.advices))
    chain, choice = chains.of(job), chains.choice(job)
    if arguments.json:
        print_json("plainbox.chain/1", job=job.id, chain=chain.name, chosen_by=choice, advices=_described(chain))
        return 0
    write(clean(f"{job.id}: chain {chain.name}, chosen by {choice}"))
    rows = []
    for link in chain.links:
        rows.append((link.name, "", link.source))
        rows += [("", f"{parameter.name} = {parameter.text}", parameter.source) for parameter in link.parameters]
    print_table(rows, ("advice", "parameter", "from"))
    return 0


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
