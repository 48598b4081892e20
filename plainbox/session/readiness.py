# SPDX-License-Identifier: Apache-2.0
"""Whether a job can start, which jobs a new result can make ready, and what becomes of a job that cannot start.

The session state calls it: after planning for every job of the run list, after a result only for the jobs that the
result can reach. Nothing here changes any state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from plainbox.errors import UnitError
from plainbox.session.jobs import AbsentJob, InhibitionCause, JobReadinessInhibitor, JobState, RelatedJob
from plainbox.session.outcome import Outcome, failed
from plainbox.session.planner import needs_of

if TYPE_CHECKING:
    from plainbox.errors import DependencyError
    from plainbox.session.resources import ResourceRecord
    from plainbox.units.expressions import ResourceExpression
    from plainbox.units.job import JobDefinition

__all__ = ["SessionFacts", "UnstartableOutcome", "dependents_in", "inhibitors_of", "outcome_of_unstartable"]

_PENDING_DEP = InhibitionCause.PENDING_DEP
_FAILED_DEP = InhibitionCause.FAILED_DEP
_NOT_FAILED_DEP = InhibitionCause.NOT_FAILED_DEP
_PENDING_RESOURCE = InhibitionCause.PENDING_RESOURCE
_FAILED_RESOURCE = InhibitionCause.FAILED_RESOURCE
_REQUIRED_MANIFEST = InhibitionCause.REQUIRED_MANIFEST


class SessionFacts(Protocol):
    """What readiness depends on; the session state provides it."""

    @property
    def job_state_map(self) -> Mapping[str, JobState]: ...
    @property
    def resource_map(self) -> Mapping[str, list[ResourceRecord]]: ...
    @property
    def manifest(self) -> Mapping[str, bool | int]: ...
    @property
    def dropped(self) -> Mapping[str, DependencyError]: ...


class UnstartableOutcome(NamedTuple):
    """What becomes of a job that cannot start, a sentence about it, and its ``skip_reason``."""

    outcome: str
    comment: str
    skip_reason: dict[str, list[str]]


def dependents_in(run_list: Iterable[JobDefinition]) -> dict[str, list[str]]:
    """Return, for each job id, the jobs of the run list whose readiness a result of that job can change."""
    dependents: dict[str, list[str]] = {}
    for job in run_list:
        job_id = job.id
        for target in (*needs_of(job), *job.salvages):
            affected = dependents.get(target)
            if affected is None:
                dependents[target] = [job_id]
            elif affected[-1] != job_id:
                affected.append(job_id)
    return dependents


def inhibitors_of(job: JobDefinition, facts: SessionFacts) -> list[JobReadinessInhibitor]:
    """Return what keeps a job of the run list from starting.

    The order is: the manifest, the resources, then ``depends``, ``after`` and ``salvages``, each sorted by id. A
    requirement that cannot be understood inhibits nothing: the job is started, and fails for that reason.
    """
    found: list[JobReadinessInhibitor] = []
    states = facts.job_state_map
    unmet = _unmet_manifest(job, facts.manifest)
    if unmet:
        found.append(JobReadinessInhibitor(_REQUIRED_MANIFEST, job, None, unmet))
    try:
        program = job.resource_program
    except UnitError:
        program = None
    if program is not None:
        for expression in program.expressions:
            found.extend(_of_expression(expression, facts))
    for target in _in_order(job.depends):
        state = states.get(target)
        outcome = state.result.outcome if state is not None else None
        if outcome != "pass":
            cause = _FAILED_DEP if outcome is not None else _PENDING_DEP
            found.append(JobReadinessInhibitor(cause, _related(target, state)))
    for target in _in_order(job.after):
        state = states.get(target)
        if state is None or state.result.outcome is None:
            found.append(JobReadinessInhibitor(_PENDING_DEP, _related(target, state)))
    for target in _in_order(job.salvages):
        state = states.get(target)
        if state is None or not failed(state.result.outcome):
            found.append(JobReadinessInhibitor(_NOT_FAILED_DEP, _related(target, state)))
    return found


def outcome_of_unstartable(job_state: JobState, facts: SessionFacts) -> UnstartableOutcome:
    """Return what becomes of a job whose turn has come and that cannot start.

    By priority: a dependency that a person skipped (``skip``), the manifest, a failed dependency, an unmet resource
    (``fail`` with the flag fail-on-resource), a dependency or a resource that never got a result, a job to be
    salvaged that did not fail. A job that the planner has dropped is skipped for the reason of its problem. A job
    that can start, or that nobody wants, raises :class:`ValueError`.
    """
    job = job_state.job
    inhibitors = job_state.readiness_inhibitor_list
    problem = facts.dropped.get(job.id)
    if problem is not None:
        affecting = problem.affecting_job_id
        return UnstartableOutcome(
            Outcome.SKIPPED_DEPENDENCY.value, problem.message, _reason([affecting] if affecting else [], [], [])
        )
    outcome = next((outcome for applies, outcome in _priorities(job_state, facts) if applies), None)
    if outcome is None:
        raise ValueError(f"the job {job.id!r} is not kept from starting")
    related = [
        item.related_job.id for item in inhibitors if item.cause in _OF_DEPENDENCIES and item.related_job is not None
    ]
    expressions = [item.related_expression for item in inhibitors if item.related_expression is not None]
    manifests = [entry for item in inhibitors for entry in item.related_manifests]
    manifests += [entry for expression in expressions for entry in expression.manifest_ids]
    reason = _reason(related, [expression.text for expression in expressions], manifests)
    comment = "; ".join(dict.fromkeys(map(str, inhibitors)))
    return UnstartableOutcome(outcome.value, comment, reason)


_OF_DEPENDENCIES = (_PENDING_DEP, _FAILED_DEP, _NOT_FAILED_DEP)


def _priorities(job_state: JobState, facts: SessionFacts) -> Iterator[tuple[bool, Outcome]]:
    inhibitors = job_state.readiness_inhibitor_list
    causes = {item.cause for item in inhibitors}
    skipped = any(item.cause is _FAILED_DEP and _was_skipped(item.related_job, facts) for item in inhibitors)
    strict = "fail-on-resource" in job_state.job.flags
    yield skipped, Outcome.SKIP
    yield _REQUIRED_MANIFEST in causes or any(map(_asks_manifest, inhibitors)), Outcome.SKIPPED_MANIFEST
    yield _FAILED_DEP in causes, Outcome.SKIPPED_DEPENDENCY
    yield _FAILED_RESOURCE in causes, Outcome.FAIL if strict else Outcome.SKIPPED_RESOURCE
    yield _PENDING_DEP in causes, Outcome.SKIPPED_DEPENDENCY
    yield _PENDING_RESOURCE in causes, Outcome.SKIPPED_RESOURCE
    yield _NOT_FAILED_DEP in causes, Outcome.NOT_SUPPORTED


def _was_skipped(job: RelatedJob | None, facts: SessionFacts) -> bool:
    state = facts.job_state_map.get(job.id) if job is not None else None
    return state is not None and state.result.outcome == "skip"


def _asks_manifest(inhibitor: JobReadinessInhibitor) -> bool:
    expression = inhibitor.related_expression
    return inhibitor.cause is _FAILED_RESOURCE and expression is not None and bool(expression.manifest_ids)


def _reason(dependencies: list[str], resources: list[str], manifests: list[str]) -> dict[str, list[str]]:
    return {
        "related_dependencies": list(dict.fromkeys(dependencies)),
        "related_resources": list(dict.fromkeys(resources)),
        "related_manifests": list(dict.fromkeys(manifests)),
    }


def _of_expression(expression: ResourceExpression, facts: SessionFacts) -> Iterator[JobReadinessInhibitor]:
    resources = facts.resource_map
    absent = [resource_id for resource_id in expression.resource_ids if resource_id not in resources]
    if not absent:
        if not expression.evaluate(resources):
            for resource_id in expression.resource_ids:
                job = _related(resource_id, facts.job_state_map.get(resource_id))
                yield JobReadinessInhibitor(_FAILED_RESOURCE, job, expression)
        return
    for resource_id in expression.resource_ids:
        state = facts.job_state_map.get(resource_id)
        if resource_id in absent or state is None or state.result.outcome != "pass":
            yield JobReadinessInhibitor(_PENDING_RESOURCE, _related(resource_id, state), expression)


def _unmet_manifest(job: JobDefinition, manifest: Mapping[str, bool | int]) -> tuple[str, ...]:
    # Only setup jobs ask for entries of the manifest in this way; an entry without an answer is a no.
    required: Mapping[str, bool | int] | None = getattr(job, "required_manifest", None)
    if not required:
        return ()
    return tuple(entry for entry, value in required.items() if manifest.get(entry, False) != value)


def _in_order(targets: tuple[str, ...]) -> Iterable[str]:
    return sorted(set(targets)) if len(targets) > 1 else targets


def _related(job_id: str, state: JobState | None) -> RelatedJob:
    return state.job if state is not None else AbsentJob(job_id)
