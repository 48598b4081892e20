# SPDX-License-Identifier: Apache-2.0
"""``plainbox run``.

Run a test plan, or the jobs that patterns mean, and report. A plan is named by its full id, or by a partial id that only
one has; anything else is a regular expression for ids of jobs and templates. Nothing need be named when a provider that
is named has one test plan. The reports and --timeout stay with the session: resume uses them, too.
"""

from __future__ import annotations

import argparse

from plainbox.cli.arguments import add_providers, load_catalogue
from plainbox.cli.chains import add_chains, add_on, chains_of, engine_with, with_chains
from plainbox.cli.commands.resume import go_on, newest_incomplete, wanted_reports
from plainbox.cli.console.choose import can_ask, choose, confirm
from plainbox.cli.output import say
from plainbox.cli.plans import report_plan
from plainbox.cli.reports import check_formats
from plainbox.cli.running import add_running, carry_through, is_durable, tidy_up
from plainbox.config import load_settings
from plainbox.errors import FieldError, UsageError
from plainbox.providers import Catalogue
from plainbox.providers.discovery import named_directory
from plainbox.runner import Selection, SessionRun
from plainbox.units import JobDefinition, SetupJobDefinition, TemplateUnit, TestPlanUnit
from plainbox.units.checks.index import UnitIndex
from plainbox.units.patterns import Pattern


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="PLAN|JOB", nargs="*", help="a test plan, or patterns of jobs")
    add_providers(parser)
    parser.add_argument("--exclude", metavar="PATTERN", action="append", default=[], help="leave these jobs out")
    parser.add_argument("--match", metavar="PATTERN", action="append", default=[], help="keep only these jobs")
    parser.add_argument("--title", help="name of the session; that of the plan by default")
    add_on(parser)
    add_chains(parser)
    add_running(parser)


def run(arguments: argparse.Namespace) -> int:
    catalogue = load_catalogue(arguments.providers)
    asks = can_ask() and not arguments.no_input
    if asks and not arguments.what:
        code = _offer_resume(arguments)
        if code is not None:
            return code
    selection = _selection(catalogue, arguments, asks)
    check_formats(catalogue.units, arguments.reports)
    settings = load_settings()
    chains = chains_of(selection)
    with SessionRun.start(
        catalogue,
        with_chains(selection, chains),
        title=arguments.title,
        timeout_s=arguments.timeout,
        max_log_bytes=settings.max_log_bytes,
        strict=settings.strict_template_expansion,
        durable=is_durable(arguments, settings),
        engine=engine_with(chains),
        jobs=arguments.jobs,
    ) as session_run:
        code = carry_through(session_run, arguments)
    tidy_up(settings)
    return code


def _selection(catalogue: Catalogue, arguments: argparse.Namespace, asks: bool) -> Selection:
    words: list[str] = arguments.what
    if not words:
        words = [_choose_plan(catalogue, asks)]
    common = {
        "match": arguments.match,
        "exclude": arguments.exclude,
        "providers": [str(named_directory(directory).resolve()) for directory in arguments.providers],
        "timeout_s": arguments.timeout,
        "reports": wanted_reports(arguments.reports),
        "chain": arguments.chain,
        "on": arguments.on,
        "advices": arguments.advices,
    }
    plans = [plan for plan in (_plan(catalogue, word) for word in words) if plan is not None]
    if plans and len(words) > 1:
        raise UsageError(
            f"test plan {plans[0].id!r} is named beside something else", hint="name one test plan, or patterns of jobs"
        )
    if plans:
        report_plan(catalogue, plans[0])
        return Selection(plan_id=plans[0].id, **common)
    return Selection(patterns=words, **common)


def _plan(catalogue: Catalogue, word: str) -> TestPlanUnit | None:
    """Return the plan that a word means, ``None`` when it means jobs; otherwise raise :class:`UsageError`."""
    try:
        return catalogue.find(TestPlanUnit, word)
    except UsageError as error:
        if "means several" in error.message:
            raise
        try:
            pattern = Pattern.parse(word, None)
        except FieldError as bad:
            raise UsageError(bad.message) from None
        known = [*catalogue.of_kind(JobDefinition).values(), *catalogue.of_kind(TemplateUnit).values()]
        if any(pattern.matches(unit.id) or pattern.matches(unit.partial_id or "") for unit in known):
            return None
        setup_jobs = catalogue.of_kind(SetupJobDefinition).values()
        named = [job.id for job in setup_jobs if pattern.matches(job.id) or pattern.matches(job.partial_id or "")]
        if named:
            raise UsageError(
                f"{named[0]} is a setup job", hint="it runs when a test plan names it in setup_include"
            ) from None
        if pattern.is_fixed and not _could_be_an_instance(word, UnitIndex.of(catalogue.units)):
            raise UsageError(f"no test plan and no job {word!r}", hint=error.hint) from None
        return None


def _could_be_an_instance(word: str, index: UnitIndex) -> bool:
    names = [word] if "::" in word else [f"{namespace}::{word}" for namespace in index.namespaces]
    return any(index.could_become(JobDefinition.kind, name) for name in names)


def _choose_plan(catalogue: Catalogue, asks: bool) -> str:
    plans = sorted(catalogue.of_kind(TestPlanUnit).values(), key=lambda plan: plan.name)
    named = [plan for plan in plans if plan.provider in catalogue.named]
    if len(named) == 1:
        # Whoever names a provider with one plan means that plan.
        return named[0].id
    plans = named or plans
    if not asks:
        raise UsageError("no test plan and no job is named", hint="plainbox list plans shows the plans")
    if not plans:
        raise UsageError("no provider has a test plan", hint="name a provider with --provider DIR")
    return plans[choose("Which test plan?", [f"{plan.name}  ({plan.id})" for plan in plans])].id


def _offer_resume(arguments: argparse.Namespace) -> int | None:
    """Offer to go on with an interrupted session; ``None`` says that a new one is to begin.

    Whoever says what to run gets a new session: an interrupted one keeps to what it was begun with.
    """
    from plainbox.cli.stored import stored_metadata

    storage = newest_incomplete()
    if storage is None:
        return None
    options = {"match": "match", "exclude": "exclude", "title": "title", "chain": "chain", "advices": "advice"}
    asked = [f"--{option}" for name, option in options.items() if getattr(arguments, name)]
    title = stored_metadata(storage).title
    what = f"{storage.id} ({title})" if title else storage.id
    if asked:
        say(f"The interrupted session {what} has no use for {' and '.join(asked)}: this begins a new one.")
        say(f"To go on with that one: plainbox resume {storage.id}")
        return None
    if not confirm(f"Go on with the interrupted session {what}?", default=True):
        return None
    say("")
    return go_on(storage, arguments)
