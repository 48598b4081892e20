# SPDX-License-Identifier: Apache-2.0
"""From the state of a session to the reasons why one of its jobs has not run, or would not.

``plainbox why`` asks. What keeps a job from starting is asked of :mod:`plainbox.session.readiness`, what cannot be put in
order of the planner, what an expression holds of its evaluation: no reason says anything else than the run did. Nothing is
changed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping

import attrs

from plainbox.errors import DependencyCycleError, DependencyError, DependencyMissingError, ExpressionError
from plainbox.session.jobs import InhibitionCause, JobReadinessInhibitor, JobState
from plainbox.session.outcome import failed
from plainbox.session.planner import Planner
from plainbox.session.readiness import inhibitors_of
from plainbox.session.reasons import JobReasons, ManifestAnswer, Reason, ReasonKind
from plainbox.session.resources import ResourceRecord
from plainbox.session.state import SessionState
from plainbox.units.explanation import explain
from plainbox.units.expressions import ResourceExpression
from plainbox.units.job import JobDefinition
from plainbox.units.manifest import ManifestEntryUnit

__all__ = ["Reasoning"]

_MAX_DEPTH = 6  # of reasons of reasons
_MAX_NAMED = 5  # jobs that a phase still has to run

_RAN = ("pass", "fail", "crash", "undecided")
_BECAME: Mapping[str | None, str] = {
    None: "has not run",
    "pass": "passed",
    "fail": "failed",
    "crash": "crashed",
    "undecided": "has no verdict",
    "not-implemented": "is not implemented",
}


@attrs.frozen
class _Facts:
    """What readiness depends on, with the present manifest: a stored session has none."""

    job_state_map: Mapping[str, JobState]
    resource_map: Mapping[str, list[ResourceRecord]]
    manifest: Mapping[str, bool | int]
    dropped: Mapping[str, DependencyError]


class Reasoning:
    """Finds the reasons of the jobs of one session.

    ``manifest`` are the answers that are stored now; ``excluded`` the ids of the jobs that the session leaves out;
    ``coming`` the jobs that run in a phase after the one that the session is in. With ``planned`` the state is that of a
    session in which nothing has run: the reasons say what a job needs.
    """

    def __init__(
        self,
        state: SessionState,
        manifest: Mapping[str, bool | int],
        *,
        excluded: Iterable[str] = (),
        coming: Iterable[JobDefinition] = (),
        planned: bool = False,
    ) -> None:
        self._state = state
        self._facts = _Facts(state.job_state_map, state.resource_map, manifest, state.dropped)
        self._excluded = frozenset(excluded)
        self._coming = {job.id: job for job in coming}
        self._planned = planned
        self._told: set[str] = set()
        self._dropped: Mapping[str, DependencyError] = {}
        self._all_left_out: Mapping[str, DependencyError] | None = None

    def of(self, job: JobDefinition) -> JobReasons:
        """Return what became of a job and why, the reasons of what it waits for included, each job explained once."""
        self._told = set()
        self._dropped = self._left_out(job)
        return self._of(job.id, 0)

    def absent(self, job_id: str) -> JobReasons:
        """Return what there is to say about a job that nobody defines."""
        return JobReasons(job_id, None, f"is not defined{self._near(job_id)}")

    # -- one job

    def _of(self, job_id: str, depth: int) -> JobReasons:
        job_state = self._state.job_state_map.get(job_id)
        if job_state is None:
            return self.absent(job_id)
        found = self._bare(job_state)
        if job_id in self._told or depth > _MAX_DEPTH:
            is_kept = found.outcome is not None or job_id in self._dropped or inhibitors_of(job_state.job, self._facts)
            return attrs.evolve(found, cut=_was_kept(job_state) and bool(is_kept))
        self._told.add(job_id)
        return attrs.evolve(found, reasons=tuple(self._reasons(job_state, depth)))

    def _bare(self, job_state: JobState) -> JobReasons:
        """Return what became of a job, without the reasons."""
        result, job = job_state.result, job_state.job
        return JobReasons(
            job.id,
            result.outcome,
            self._became(job_state),
            comment=result.comments or None,
            return_code=result.return_code,
            origin=str(job.origin) if job.origin is not None else None,
        )

    def _became(self, job_state: JobState) -> str:
        outcome = job_state.result.outcome
        if outcome is None and job_state.job.id in self._state.metadata.running:
            return "was started and has no result"
        return _BECAME.get(outcome, "was skipped")

    def _near(self, job_id: str) -> str:
        near = difflib.get_close_matches(job_id, self._state.job_state_map, n=1, cutoff=0.8)
        return f" (did you mean {near[0]!r}?)" if near else ""

    def _reasons(self, job_state: JobState, depth: int) -> Iterator[Reason]:
        job, result = job_state.job, job_state.result
        kept = _was_kept(job_state)
        if job.origin is None:
            # All that is left of the definition is what the session has stored of it.
            yield from self._of_note(job_state, depth)
            return
        if kept or result.outcome == "fail":
            for error in job.errors:
                yield Reason(ReasonKind.DEFINITION, f"its definition is wrong: {error}")
        if not kept:
            return
        if depth == 0 and job.id in self._coming:
            yield from self._of_phase()
        problem = self._dropped.get(job.id)
        if problem is not None:
            yield self._of_order(problem, depth)
            return
        inhibitors = inhibitors_of(job, self._facts)
        if inhibitors:
            yield from self._of_inhibitors(job, inhibitors, depth)
        else:
            # What kept it does so no more: a manifest entry has another answer, the definition has changed.
            yield from self._of_note(job_state, depth)

    # -- the phase of the session

    def _of_phase(self) -> Iterator[Reason]:
        """Yield what the phase that the session is in still has to do before any job of a later one."""
        phase = "setup" if self._state.metadata.setting_up else "bootstrap"
        states = [self._state.job_state_map[job.id] for job in self._state.run_list]
        if phase == "setup":
            for item in states:
                if failed(item.result.outcome):
                    message = f"{item.job.id} failed in the setup, and nothing else runs before that passes"
                    yield Reason(ReasonKind.PHASE, message, jobs=(attrs.evolve(self._bare(item), cut=True),))
        waiting = [item.job.id for item in states if item.result.outcome is None or item.result.get("retry")]
        if waiting:
            more = f" and {len(waiting) - _MAX_NAMED} more" if len(waiting) > _MAX_NAMED else ""
            listed = f"{', '.join(waiting[:_MAX_NAMED])}{more}"
            yield Reason(ReasonKind.PHASE, f"the {phase} comes first, with {listed} still to run")

    # -- the order of the jobs

    def _left_out(self, job: JobDefinition) -> Mapping[str, DependencyError]:
        """Return the jobs that cannot be put in order when this one is wanted too, and why."""
        states = self._state.job_state_map
        wanted = {item.id: item for item in self._state.desired_job_list} | self._coming
        # What the run could not put in order is not on the list that it has stored.
        wanted.update(
            (job_id, item.job) for job_id, item in states.items() if item.result.outcome == "skipped-dependency"
        )
        if job.id not in wanted:
            return self._plan([*wanted.values(), job], self._excluded - {job.id})
        if self._all_left_out is None:
            self._all_left_out = self._plan(wanted.values(), self._excluded)
        return self._all_left_out

    def _plan(self, wanted: Iterable[JobDefinition], excluded: frozenset[str]) -> Mapping[str, DependencyError]:
        known = {job_id: item.job for job_id, item in self._state.job_state_map.items()}
        return Planner(known).plan(wanted, mandatory=self._state.mandatory_job_list, excluded=excluded).dropped

    def _of_order(self, problem: DependencyError, depth: int) -> Reason:
        if isinstance(problem, DependencyCycleError):
            return Reason(ReasonKind.ORDER, f"it would have to run before itself: {problem.way}")
        if not isinstance(problem, DependencyMissingError):
            return Reason(ReasonKind.ORDER, problem.message)
        missing = problem.missing_job_id
        edge, _, excluded = problem.dependency_type.partition(", ")
        needs = f"it needs {missing} ({edge}), which" if edge != "group" else f"its group has {missing} in it, which"
        if excluded:
            return Reason(ReasonKind.ORDER, f"{needs} is excluded")
        if missing not in self._state.job_state_map:
            return Reason(ReasonKind.ORDER, f"{needs} {self.absent(missing).became}")
        return Reason(ReasonKind.ORDER, f"{needs} cannot be put in order", jobs=(self._of(missing, depth + 1),))

    # -- what inhibits

    def _of_inhibitors(
        self, job: JobDefinition, inhibitors: Iterable[JobReadinessInhibitor], depth: int
    ) -> Iterator[Reason]:
        told: set[str] = set()
        for inhibitor in inhibitors:
            expression = inhibitor.related_expression
            if inhibitor.cause is InhibitionCause.REQUIRED_MANIFEST:
                yield self._of_manifest(job, inhibitor.related_manifests)
            elif expression is not None:
                # There is an inhibitor for each resource of the expression.
                if expression.text not in told:
                    told.add(expression.text)
                    yield self._of_expression(expression, depth)
            elif inhibitor.related_job is not None:
                yield self._of_edge(job, inhibitor.related_job.id, depth)

    def _of_edge(self, job: JobDefinition, other: str, depth: int) -> Reason:
        found = self._of(other, depth + 1)
        if other in job.depends:
            kind, planned, so_far = ReasonKind.DEPENDS, f"it needs {other} to pass", f"it depends on {other}"
        elif other in job.after:
            kind, planned, so_far = ReasonKind.AFTER, f"it runs after {other}", f"it runs after {other}"
        else:
            kind, planned, so_far = ReasonKind.SALVAGES, f"it runs only if {other} fails", ""
        if self._planned and other in self._state.job_state_map:
            return Reason(kind, planned, jobs=(found,))
        if kind is ReasonKind.SALVAGES:
            return Reason(kind, f"{planned}, and that one {found.became}", jobs=(found,))
        return Reason(kind, f"{so_far}, which {found.became}", jobs=(found,))

    def _of_expression(self, expression: ResourceExpression, depth: int) -> Reason:
        resources = self._state.resource_map
        jobs = tuple(self._of(resource_id, depth + 1) for resource_id in expression.resource_ids)
        manifest = tuple(self._answer(entry_id) for entry_id in expression.manifest_ids)
        if self._planned:
            return Reason(ReasonKind.REQUIRES, f"it requires {expression.text}", None, manifest, jobs)
        absent = [resource_id for resource_id in expression.resource_ids if resource_id not in resources]
        if absent:
            message = f"its requirement waits for {', '.join(absent)}: {expression.text}"
        else:
            message = f"its requirement is not met: {expression.text}"
        return Reason(ReasonKind.REQUIRES, message, explain(expression, resources), manifest, jobs)

    def _of_manifest(self, job: JobDefinition, entry_ids: Iterable[str]) -> Reason:
        required: Mapping[str, bool | int] = getattr(job, "required_manifest", None) or {}
        answers = tuple(self._answer(entry_id, required.get(entry_id)) for entry_id in entry_ids)
        names = ", ".join(answer.id for answer in answers)
        return Reason(ReasonKind.MANIFEST, f"it asks for other answers of the manifest: {names}", None, answers)

    def _answer(self, entry_id: str, wanted: bool | int | None = None) -> ManifestAnswer:
        entry = self._entry(entry_id)
        if entry is None:
            return ManifestAnswer(entry_id, self._facts.manifest.get(entry_id), wanted=wanted)
        return ManifestAnswer(
            entry.id,
            self._facts.manifest.get(entry.id),
            prompt=entry.translated("prompt") or entry.prompt,
            wanted=wanted,
            hidden_reason=(entry.hidden_reason or "nobody is asked for it") if entry.is_hidden else None,
        )

    def _entry(self, entry_id: str) -> ManifestEntryUnit | None:
        """Return the entry with this id; expressions know it by the name of its value in the manifest resource."""
        entries = [unit for unit in self._state.unit_list if isinstance(unit, ManifestEntryUnit)]
        namespace, _, name = entry_id.rpartition("::")
        by_id = (entry for entry in entries if entry.id == entry_id)
        by_key = (entry for entry in entries if entry.resource_key == name and entry.namespace == (namespace or None))
        return next(by_id, None) or next(by_key, None)

    # -- what the session has noted

    def _of_note(self, job_state: JobState, depth: int) -> Iterator[Reason]:
        job, noted = job_state.job, job_state.result.get("skip_reason") or {}
        for other in map(str, noted.get("related_dependencies", ())):
            found = self._of(other, depth + 1)
            became = found.became if other in self._state.job_state_map else "was not part of the session"
            if job_state.result.outcome == "not-supported":
                message = f"it was to run only if {other} failed, and that one {became}"
                yield Reason(ReasonKind.SALVAGES, message, jobs=(found,))
            else:
                yield Reason(ReasonKind.DEPENDS, f"it waited for {other}, which {became}", jobs=(found,))
        for text in map(str, noted.get("related_resources", ())):
            try:
                yield self._of_expression(self._guessed(text, job.namespace), depth)
            except ExpressionError:
                yield Reason(ReasonKind.REQUIRES, f"its requirement was not met: {text}")
        if not noted.get("related_resources") and noted.get("related_manifests"):
            yield self._of_manifest(job, map(str, noted["related_manifests"]))

    def _guessed(self, text: str, namespace: str | None) -> ResourceExpression:
        """Return an expression whose imports are not known any more: its names mean the resources that have them."""
        expression = ResourceExpression(text, namespace)
        known = self._state.resource_map
        imports = {}
        for name, resource_id in expression.variables.items():
            others = [other for other in known if other.rpartition("::")[2] == name]
            if resource_id not in known and len(others) == 1:
                imports[name] = others[0]
        return ResourceExpression(text, namespace, imports)


def _was_kept(job_state: JobState) -> bool:
    """Tell whether something has kept a job from starting, or may do so."""
    result = job_state.result
    return result.outcome not in _RAN or result.get("skip_reason") is not None
