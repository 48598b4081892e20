# SPDX-License-Identifier: Apache-2.0
"""``plainbox list-bootstrapped``.

Show which jobs a test plan contains on this machine, in the order in which they would run. The resource jobs that
templates need really run for that; setup jobs and tests do not, and no session is kept.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from plainbox.cli.arguments import add_json, add_providers, load_catalogue
from plainbox.cli.chains import chains_of, engine_with
from plainbox.cli.console.progress import first_reason
from plainbox.cli.output import print_json, print_table, warn
from plainbox.cli.plans import report_plan
from plainbox.cli.stopping import StopSignals
from plainbox.config import load_settings
from plainbox.providers import Catalogue
from plainbox.runner import Selection, SessionRun
from plainbox.session.jobs import JobState
from plainbox.session.outcome import OUTCOME_METADATA_MAP
from plainbox.session.repository import SessionStorageRepository
from plainbox.units import TestPlanUnit


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", metavar="PLAN", help="full or partial id of a test plan")
    add_providers(parser)
    parser.add_argument("--exclude", metavar="PATTERN", action="append", default=[], help="leave these jobs out")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    catalogue = load_catalogue(arguments.providers)
    plan = catalogue.find(TestPlanUnit, arguments.plan)
    report_plan(catalogue, plan)
    selection = Selection(plan_id=plan.id, exclude=arguments.exclude)
    with tempfile.TemporaryDirectory(prefix="plainbox-bootstrap-") as directory:
        return _list(catalogue, selection, SessionStorageRepository(Path(directory)), as_json=arguments.json)


def _list(catalogue: Catalogue, selection: Selection, repository: SessionStorageRepository, *, as_json: bool) -> int:
    strict = load_settings().strict_template_expansion
    engine = engine_with(chains_of(selection))
    with SessionRun.start(catalogue, selection, repository=repository, strict=strict, engine=engine) as session_run:
        with StopSignals(session_run.stop) as signals:
            ready = session_run.prepare(setup=False)
        if not ready:
            return signals.exit_code()
        state = session_run.state
        for job_state in state.job_state_map.values():
            if job_state.result.outcome not in (None, "pass"):
                label = OUTCOME_METADATA_MAP[job_state.result.outcome].label
                reason = first_reason(job_state.result)
                warn(f"{job_state.job.id}: {label}; what it would have found out is missing", reason)
        for problem in state.problems:
            warn(str(problem), problem.hint)
        states = [state.job_state_map[job.id] for job in state.run_list]
        for job in state.run_list:
            for issue in job.errors:
                warn(f"{issue}: this job fails when it runs")
    if as_json:
        print_json("plainbox.list-bootstrapped/1", plan=selection.plan_id, units=[_describe(item) for item in states])
    else:
        print_table(((item.job.id, item.job.summary) for item in states), ("id", "summary"))
    return 0


def _describe(job_state: JobState) -> dict[str, object]:
    job = job_state.job
    return {
        "kind": job.kind,
        "id": job.id,
        "summary": job.summary,
        "category_id": job_state.effective_category_id,
        "certification_status": job_state.effective_certification_status,
        "template_id": job.template_id,
    }
