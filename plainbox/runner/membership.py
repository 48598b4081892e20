# SPDX-License-Identifier: Apache-2.0
"""Why a job is among those that a session runs, or is not: the entries of the plan, the command line, other jobs.

``plainbox why`` asks. Which job an entry means is asked of the code that selects the jobs of a run.
"""

from __future__ import annotations

import difflib
import enum
import itertools
from collections.abc import Iterable, Iterator

import attrs

from plainbox.runner.selection import NEVER_RUN, Selection, means, parse_pattern
from plainbox.session.planner import needs_of
from plainbox.session.state import SessionState
from plainbox.units import JobDefinition, TestPlanUnit
from plainbox.units.patterns import IncludeEntry
from plainbox.units.selection import FlatPlan, excluded_ids, flatten, matching

__all__ = ["Cause", "CauseKind", "Membership", "excluded_of", "membership_of", "plans_with"]

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
    """Whether a job is one of those that the session runs, and all that speaks for and against it."""

    member: bool
    causes: tuple[Cause, ...]

    @property
    def deciding(self) -> tuple[Cause, ...]:
        """The causes that speak for what is the case."""
        return tuple(cause for cause in self.causes if (cause.kind in _INTO) is self.member) or self.causes


def excluded_of(selection: Selection, plan: FlatPlan | None, state: SessionState) -> frozenset[str]:
    """Return the ids of the jobs that do not run, not even for the sake of others."""
    jobs = state.job_list
    return selection.excluded(jobs, plan, matching(plan.mandatory, jobs) if plan is not None else ())


def membership_of(job: JobDefinition, selection: Selection, plan: FlatPlan | None, state: SessionState) -> Membership:
    """Return why a job is or is not one of those that a session runs, by what it was asked to run."""
    member = any(item.id == job.id for item in state.run_list) or bool(state.job_state_map[job.id].result_history)
    causes = [*_for(job, selection, plan), *_against(job, selection, plan)]
    if plan is None and selection.plan_id is not None:
        causes.append(Cause(CauseKind.UNKNOWN, f"the plan {selection.plan_id} of the session is not known any more"))
    if member:
        causes += _needed_by(job, state)
    if not causes:
        causes.append(_not_included(job, selection, plan))
    return Membership(member, tuple(causes))


def plans_with(job: JobDefinition, plans: Iterable[TestPlanUnit]) -> tuple[Cause, ...]:
    """Return the entries of test plans that mean a job, those of nested parts left to these parts."""
    return tuple(cause for plan in plans for cause in _for(job, Selection(), flatten([plan], {})))


def _for(job: JobDefinition, selection: Selection, plan: FlatPlan | None) -> Iterator[Cause]:
    if plan is None:
        for text in selection.patterns:
            if _means(text, job):
                yield Cause(CauseKind.INCLUDED, f"it was named on the command line: {text}")
        return
    for unit in plan.plans:
        for kind, field, entries in (
            (CauseKind.MANDATORY, "mandatory_include", unit.mandatory_include),
            (CauseKind.INCLUDED, "include", unit.include),
        ):
            for entry in entries:
                if matching([entry], [job]):
                    yield _of_entry(kind, f"the plan {unit.id} includes it", unit, field, entry)
        for kind, field, ids in (
            (CauseKind.SETUP, "setup_include", unit.setup_include),
            (CauseKind.BOOTSTRAP, "bootstrap_include", unit.bootstrap_include),
        ):
            if job.id in ids:
                yield Cause(kind, f"the plan {unit.id} names it for the {kind}", _place(unit, field))


def _against(job: JobDefinition, selection: Selection, plan: FlatPlan | None) -> Iterator[Cause]:
    if job.id in NEVER_RUN:
        yield Cause(CauseKind.EXCLUDED, "it is part of no run: plainbox manifest does its work")
    for text in selection.exclude:
        if _means(text, job):
            yield Cause(CauseKind.EXCLUDED, f"it was excluded on the command line: {text}")
    if selection.match and not any(_means(text, job) for text in selection.match):
        yield Cause(CauseKind.NOT_KEPT, f"the command line kept only {', '.join(selection.match)}")
    if plan is None or job.id in plan.bootstrap:
        return
    for unit in plan.plans:
        for entry in unit.exclude:
            if excluded_ids(attrs.evolve(plan, exclude=(entry,)), [job]):
                yield _of_entry(CauseKind.EXCLUDED, f"the plan {unit.id} excludes it", unit, "exclude", entry)


def _of_entry(kind: CauseKind, message: str, plan: TestPlanUnit, field: str, entry: IncludeEntry) -> Cause:
    return Cause(kind, f"{message}: {entry.pattern.text}", _place(plan, field, entry.line))


def _place(plan: TestPlanUnit, field: str, line: int = 0) -> str | None:
    origin = plan.origin_of(field, line)
    return str(origin) if origin is not None else None


def _means(text: str, job: JobDefinition) -> bool:
    return means(parse_pattern(text), job)


def _needed_by(job: JobDefinition, state: SessionState) -> Iterator[Cause]:
    # Those that could not be put in order are not on the run list; they have a result that says so.
    left_out = (item.job for item in state.job_state_map.values() if item.result.outcome == "skipped-dependency")
    members = {other.id: other for other in (*state.run_list, *left_out)}
    needers = (other.id for other in members.values() if other.id != job.id and job.id in needs_of(other))
    for other_id in itertools.islice(needers, _MAX_NEEDERS):
        yield Cause(CauseKind.NEEDED, f"{other_id} needs it", job_id=other_id)


def _not_included(job: JobDefinition, selection: Selection, plan: FlatPlan | None) -> Cause:
    if plan is None:
        named = ", ".join(selection.patterns)
        return Cause(CauseKind.NOT_INCLUDED, f"the session was asked for {named}" if named else "nothing has named it")
    if not plan.plans:
        return Cause(CauseKind.NOT_INCLUDED, "nothing has named it")
    known = [entry.pattern.text for entry in (*plan.include, *plan.mandatory)]
    near = difflib.get_close_matches(job.partial_id or job.id, known, n=1, cutoff=0.8)
    remark = f"; the nearest is {near[0]}" if near else ""
    return Cause(CauseKind.NOT_INCLUDED, f"no entry of the plan {plan.plans[0].id} means it{remark}")
