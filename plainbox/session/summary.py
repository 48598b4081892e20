# SPDX-License-Identifier: Apache-2.0
"""Sums over a session: how many jobs came to what, how long the rest will take, what each category came to.

Reports and faces call these through the session state. Each looks at all jobs once, so none belongs into what is
done for every result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from plainbox.session.jobs import JobState
from plainbox.session.outcome import Outcome, failed
from plainbox.units.category import CategoryUnit
from plainbox.units.job import JobDefinition
from plainbox.units.unit import Unit

__all__ = ["category_names", "category_outcomes", "estimated_duration", "outcome_stats", "with_outcome_and_status"]


def outcome_stats(states: Iterable[JobState], *, without_plugins: Collection[str] = ()) -> dict[str, int]:
    """Return how many jobs have each outcome; what no job came to is not there."""
    outcomes = (state.result.outcome for state in states if state.job.plugin not in without_plugins)
    return dict(Counter(outcome for outcome in outcomes if outcome is not None))


def estimated_duration(jobs: Iterable[JobDefinition], manual_overhead: float) -> tuple[float | None, float | None]:
    """Return the seconds that automated and manual jobs take, ``None`` where one of them is anybody's guess.

    A manual job takes ``manual_overhead`` and its estimate; one that runs nothing needs no estimate.
    """
    automated: float | None = 0.0
    manual: float | None = 0.0
    for job in jobs:
        estimate = job.estimated_duration
        if job.automated:
            automated = None if automated is None or estimate is None else automated + estimate
        elif estimate is None and job.command:
            manual = None
        elif manual is not None:
            manual += manual_overhead + (estimate or 0.0)
    return automated, manual


def category_names(units: Iterable[Unit], states: Iterable[JobState]) -> dict[str, str]:
    """Return the names, for the reader, of the categories of the jobs that have an outcome."""
    used = {state.effective_category_id for state in states if state.result.outcome is not None}
    return {unit.id: unit.tr_name() for unit in units if isinstance(unit, CategoryUnit) and unit.id in used}


def category_outcomes(states: Iterable[JobState]) -> dict[str, str]:
    """Return what each category came to: ``fail`` if a job of it failed, else ``pass`` if one passed, else ``skip``."""
    outcomes: dict[str, set[str]] = {}
    for state in states:
        outcome = state.result.outcome
        if outcome is not None:
            outcomes.setdefault(state.effective_category_id, set()).add(outcome)
    return {category: _rolled_up(seen) for category, seen in outcomes.items()}


def _rolled_up(outcomes: set[str]) -> str:
    if any(map(failed, outcomes)):
        return Outcome.FAIL.value
    return Outcome.PASS.value if Outcome.PASS in outcomes else Outcome.SKIP.value


def with_outcome_and_status(
    states: Mapping[str, JobState], outcomes: Collection[str], statuses: Collection[str]
) -> dict[str, JobState]:
    """Return the jobs that came to one of the outcomes and have one of the certification statuses in effect."""
    return {
        job_id: state
        for job_id, state in states.items()
        if state.result.outcome in outcomes and state.effective_certification_status in statuses
    }
