# SPDX-License-Identifier: Apache-2.0
"""Why a job is among those that a session runs, or is not: the entries of the plan, the command line, other jobs.

``plainbox why`` asks. Which job an entry means is asked of the code that selects the jobs of a run. A session that is in
its setup or its bootstrap has not selected yet: then it is asked for the jobs of the phases that come.
"""

from __future__ import annotations

import contextlib
import difflib
import enum
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence

import attrs

from plainbox.errors import DependencyError, NothingSelectedError
from plainbox.runner.selection import NEVER_RUN, Selection, means, parse_pattern
from plainbox.session.planner import Planner, needs_of
from plainbox.session.state import SessionState
from plainbox.units import JobDefinition, SetupJobDefinition, TestPlanUnit, Unit
from plainbox.units.patterns import IncludeEntry
from plainbox.units.selection import FlatPlan, excluded_ids, flatten, matching

__all__ = [
    "Cause",
    "CauseKind",
    "Membership",
    "coming_jobs",
    "excluded_of",
    "membership_of",
    "name_to_run",
    "plans_with",
]

_MAX_NEEDERS = 5


class CauseKind(enum.StrEnum):
    """What brings a job in or keeps it out."""

    MANDATORY = "mandatory"
    INCLUDED = "included"
    SETUP = "setup"
    BOOTSTRAP = "bootstrap"
    NEEDED = "needed"
    EXCLUDED = "excluded"
    NOT_KEPT = "not kept"
    NOT_INCLUDED = "not included"
    UNKNOWN = "unknown"


#: The kinds that bring a job in.
_INTO = (CauseKind.MANDATORY, CauseKind.INCLUDED, CauseKind.SETUP, CauseKind.BOOTSTRAP, CauseKind.NEEDED)


@attrs.frozen
class Cause:
    """One thing that brings a job in or keeps it out: a sentence without a full stop, and where it is written.

    ``job_id`` is the other job when it is needed by one.
    """

    kind: CauseKind
    message: str
    origin: str | None = None
    job_id: str | None = None


@attrs.frozen
class Membership:
    """Whether a job is one of those that the session runs, and all that speaks for and against it.

    ``coming`` says that it is one only of a phase that has not begun.
    """

    member: bool
    causes: tuple[Cause, ...]
    coming: bool = False

    @property
    def deciding(self) -> tuple[Cause, ...]:
        """The causes that speak for what is the case."""
        return tuple(cause for cause in self.causes if (cause.kind in _INTO) is self.member) or self.causes


def excluded_of(selection: Selection, plan: FlatPlan | None, state: SessionState) -> frozenset[str]:
    """Return the ids of the jobs that do not run, not even for the sake of others."""
    jobs = state.job_list
    return selection.excluded(jobs, plan, matching(plan.mandatory, jobs) if plan is not None else ())


def coming_jobs(selection: Selection, plan: FlatPlan | None, state: SessionState) -> tuple[JobDefinition, ...]:
    """Return the jobs of the phases that have not begun, as far as they are known; those that will turn out not to fit in
    any order included."""
    metadata = state.metadata
    if not (metadata.setting_up or metadata.bootstrapping):
        return ()
    preview = _Preview(list(state.unit_list))
    if metadata.setting_up:
        preview.update_desired_job_list(selection.bootstrap_jobs(state, plan), include_mandatory=False)
    with contextlib.suppress(NothingSelectedError):  # what is selected may be made only in the bootstrap
        selection.apply(preview, plan)
    present = {job.id for job in state.run_list}
    return tuple(job for job_id, job in preview.jobs.items() if job_id not in present)


class _Preview(SessionState):
    """Collects what would run if it were wanted, without a word about what cannot: the run itself will tell."""

    def __init__(self, units: list[Unit]) -> None:
        super().__init__(units)
        self.jobs: dict[str, JobDefinition] = {}

    def update_desired_job_list(
        self,
        desired_job_list: Iterable[JobDefinition],
        include_mandatory: bool = True,
        *,
        excluded: Collection[str] | None = None,
    ) -> list[DependencyError]:
        known = {job_id: job_state.job for job_id, job_state in self.job_state_map.items()}
        mandatory = self.mandatory_job_list if include_mandatory else ()
        plan = Planner(known).plan(desired_job_list, mandatory=mandatory, excluded=excluded or ())
        self.jobs.update((job.id, job) for job in plan.run_list)
        self.jobs.update((job_id, known[job_id]) for job_id in plan.dropped if job_id in known)
        return list(plan.problems)


def membership_of(
    job: JobDefinition,
    selection: Selection,
    plan: FlatPlan | None,
    state: SessionState,
    coming: Sequence[JobDefinition] = (),
) -> Membership:
    """Return why a job is or is not one of those that a session runs, by what it was asked to run.

    ``coming`` are the jobs of the phases that have not begun.
    """
    is_present = any(item.id == job.id for item in state.run_list) or bool(state.job_state_map[job.id].result_history)
    is_coming = not is_present and any(item.id == job.id for item in coming)
    causes = [*_for(job, selection, plan), *_against(job, selection, plan)]
    if plan is None and selection.plan_id is not None:
        causes.append(Cause(CauseKind.UNKNOWN, f"the plan {selection.plan_id} of the session is not known any more"))
    of_template = plan is None and job.plugin == "resource"
    if of_template and any(item.id == job.id for item in selection.bootstrap_jobs(state, None)):
        causes.append(Cause(CauseKind.BOOTSTRAP, "a template that was named makes jobs of its records"))
    if is_present or is_coming:
        causes += _needed_by(job, state, coming)
    if not causes:
        causes.append(_not_included(job, selection, plan))
    return Membership(is_present or is_coming, tuple(causes), is_coming)


def name_to_run(job: JobDefinition, plans: Iterable[TestPlanUnit]) -> str | None:
    """Return what a run has to be asked for to run a job: for a setup job a test plan that names it, if there is one."""
    if not isinstance(job, SetupJobDefinition):
        return job.id
    return next((plan.id for plan in plans if job.id in plan.setup_include), None)


def plans_with(job: JobDefinition, plans: Iterable[TestPlanUnit]) -> tuple[Cause, ...]:
    """Return the entries of test plans that mean a job, those of nested parts left to these parts."""
    return tuple(cause for plan in plans for cause in _for(job, Selection(), flatten([plan], {})))


def _for(job: JobDefinition, selection: Selection, plan: FlatPlan | None) -> Iterator[Cause]:
    if plan is None:
        for text in selection.patterns:
            if _means(text, job):
                yield Cause(CauseKind.INCLUDED, f"it was named on the command line: {text}")
        return
    is_setup = isinstance(job, SetupJobDefinition)
    for unit in plan.plans:
        for kind, field, entries in (
            (CauseKind.MANDATORY, "mandatory_include", unit.mandatory_include),
            (CauseKind.INCLUDED, "include", unit.include),
        ):
            for entry in entries:
                if not is_setup and matching([entry], [job]):
                    yield _of_entry(kind, f"the plan {unit.id} includes it", unit, field, entry)
        if is_setup and job.id in unit.setup_include:
            yield _of_phase(CauseKind.SETUP, unit, "setup_include")
        if job.id in unit.bootstrap_include:
            yield _of_phase(CauseKind.BOOTSTRAP, unit, "bootstrap_include")


def _against(job: JobDefinition, selection: Selection, plan: FlatPlan | None) -> Iterator[Cause]:
    if job.id in NEVER_RUN:
        yield Cause(CauseKind.EXCLUDED, "it is part of no run: plainbox manifest does its work")
    for text in selection.exclude:
        if _means(text, job):
            yield Cause(CauseKind.EXCLUDED, f"it was excluded on the command line: {text}")
    if isinstance(job, SetupJobDefinition) or (plan is not None and job.id in plan.bootstrap):
        return
    if selection.match and not any(_means(text, job) for text in selection.match):
        yield Cause(CauseKind.NOT_KEPT, f"the command line kept only {', '.join(selection.match)}")
    if plan is None:
        return
    for unit in plan.plans:
        for entry in unit.exclude:
            if excluded_ids(attrs.evolve(plan, exclude=(entry,)), [job]):
                yield _of_entry(CauseKind.EXCLUDED, f"the plan {unit.id} excludes it", unit, "exclude", entry)


def _of_entry(kind: CauseKind, message: str, plan: TestPlanUnit, field: str, entry: IncludeEntry) -> Cause:
    return Cause(kind, f"{message}: {entry.pattern.text}", _place(plan, field, entry.line))


def _of_phase(kind: CauseKind, plan: TestPlanUnit, field: str) -> Cause:
    return Cause(kind, f"the plan {plan.id} names it for the {kind}", _place(plan, field))


def _place(plan: TestPlanUnit, field: str, line: int = 0) -> str | None:
    origin = plan.origin_of(field, line)
    return str(origin) if origin is not None else None


def _means(text: str, job: JobDefinition) -> bool:
    return means(parse_pattern(text), job)


def _needed_by(job: JobDefinition, state: SessionState, coming: Iterable[JobDefinition]) -> Iterator[Cause]:
    # Those that could not be put in order are not on the run list; they have a result that says so.
    left_out = (item.job for item in state.job_state_map.values() if item.result.outcome == "skipped-dependency")
    members = {other.id: other for other in (*state.run_list, *coming, *left_out)}
    needers = (other.id for other in members.values() if other.id != job.id and job.id in needs_of(other))
    for other_id in itertools.islice(needers, _MAX_NEEDERS):
        yield Cause(CauseKind.NEEDED, f"{other_id} needs it", job_id=other_id)


def _not_included(job: JobDefinition, selection: Selection, plan: FlatPlan | None) -> Cause:
    if isinstance(job, SetupJobDefinition):
        without = f", and {plan.plans[0].id} does not" if plan is not None and plan.plans else ""
        message = f"a setup job runs only for a plan that names it in setup_include{without}"
        return Cause(CauseKind.NOT_INCLUDED, message)
    if plan is None:
        named = ", ".join(selection.patterns)
        return Cause(CauseKind.NOT_INCLUDED, f"the session was asked for {named}" if named else "nothing has named it")
    if not plan.plans:
        return Cause(CauseKind.NOT_INCLUDED, "nothing has named it")
    known = [entry.pattern.text for entry in (*plan.include, *plan.mandatory)]
    near = difflib.get_close_matches(job.partial_id or job.id, known, n=1, cutoff=0.8)
    remark = f"; the nearest is {near[0]}" if near else ""
    return Cause(CauseKind.NOT_INCLUDED, f"no entry of the plan {plan.plans[0].id} means it{remark}")
