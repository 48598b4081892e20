# SPDX-License-Identifier: Apache-2.0
"""The answer of ``plainbox why``: a job, or a template with its jobs, in one session or in none.

The command finds the session and asks here; what comes out is shown as text or as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias, TypeVar

import attrs

from plainbox.cli.names import ids_with_name, several, unknown
from plainbox.providers import Catalogue
from plainbox.runner.membership import (
    Cause,
    Membership,
    coming_jobs,
    excluded_of,
    membership_of,
    name_to_run,
    plans_with,
)
from plainbox.runner.selection import Selection
from plainbox.session.instances import RecordUse, uses_of
from plainbox.session.manager import SessionManager
from plainbox.session.reasoning import Reasoning
from plainbox.session.reasons import JobReasons
from plainbox.session.result import JobResult
from plainbox.session.state import SessionState
from plainbox.units import JobDefinition, TemplateUnit, TestPlanUnit, Unit

__all__ = ["Answer", "JobAnswer", "SessionFacts", "TemplateAnswer", "answer_of_session", "answer_without_session"]

#: The answers that are stored for this machine, by full id of their entry.
Manifest: TypeAlias = Mapping[str, bool | int]

U = TypeVar("U", bound=Unit)

_TAIL_BYTES = 2000
_MAX_LINE_CHARS = 160


@attrs.frozen
class JobAnswer:
    """``membership`` is ``None`` without a session; then ``plans`` are the test plans that mean the job.

    ``to_run`` is what a run is asked for to run it, ``None`` when nothing does that; ``last_line`` is the last one that a
    failed job has printed.
    """

    reasons: JobReasons
    summary: str
    to_run: str | None
    membership: Membership | None = None
    plans: tuple[Cause, ...] = ()
    last_line: str = ""

    def as_dict(self) -> dict[str, object]:
        causes = self.plans if self.membership is None else self.membership.causes
        return {
            "summary": self.summary,
            **self.reasons.as_dict(),
            "last_line": self.last_line,
            "selected": None if self.membership is None else self.membership.member,
            "to_run": self.to_run,
            "causes": [attrs.asdict(cause) for cause in causes],
        }


@attrs.frozen
class TemplateAnswer:
    """What jobs are made of; ``records`` is ``None`` when the resource has not run.

    Without an ``origin`` the template is not defined any more; ``errors`` are what is wrong with its definition.
    """

    id: str
    origin: str | None
    filter: tuple[str, ...]
    resource: JobReasons | None
    records: tuple[RecordUse, ...] | None
    errors: tuple[str, ...] = ()


@attrs.frozen
class SessionFacts:
    """``state`` is ``running``, ``incomplete`` or ``complete``; ``phase`` the one before the jobs themselves (``setup``,
    ``bootstrap``) that a session is still in; ``providers`` are the directories that were named for it."""

    id: str
    state: str
    plan: str | None
    phase: str | None
    providers: tuple[str, ...]


@attrs.frozen
class Answer:
    """``session`` is ``None`` when no session was asked."""

    id: str
    session: SessionFacts | None
    jobs: tuple[JobAnswer, ...]
    template: TemplateAnswer | None

    def as_dict(self) -> dict[str, object]:
        """Return the answer as plain JSON values."""
        return {
            "id": self.id,
            "kind": "job" if self.template is None else "template",
            "session": attrs.asdict(self.session) if self.session is not None else None,
            "jobs": [job.as_dict() for job in self.jobs],
            "template": attrs.asdict(self.template) if self.template is not None else None,
        }


def answer_of_session(
    manager: SessionManager, name: str, manifest: Manifest, providers: frozenset[str] | None = None
) -> Answer:
    """Return why the job or template with this name did what it did in a session.

    A name that is not known there, or with ``providers`` in none of these, raises :class:`UsageError`.
    """
    state, context = manager.state, manager.default_device_context
    assert state is not None
    assert context is not None
    metadata = state.metadata
    selection = Selection.from_blob(metadata.app_blob)
    plan = context.flat_plan() if manager.test_plans else None
    coming = coming_jobs(selection, plan, state)
    reasoning = Reasoning(state, manifest, excluded=excluded_of(selection, plan, state), coming=coming)
    plans = [unit for unit in state.unit_list if isinstance(unit, TestPlanUnit)]

    def about(job: JobDefinition) -> JobAnswer:
        membership = membership_of(job, selection, plan, state, coming)
        last_line = _last_line(state.job_state_map[job.id].result)
        return JobAnswer(reasoning.of(job), job.tr_summary(), name_to_run(job, plans), membership, last_line=last_line)

    phase = "setup" if metadata.setting_up else "bootstrap" if metadata.bootstrapping else None
    facts = SessionFacts(manager.storage.id, _state_of(manager), selection.plan_id, phase, selection.providers)
    return _answer(_named(name, state, providers), state, facts, reasoning, about)


def _state_of(manager: SessionManager) -> str:
    if manager.storage.is_locked():
        return "running"
    assert manager.state is not None
    return "incomplete" if manager.state.metadata.flags & {"incomplete", "setting_up"} else "complete"


def answer_without_session(catalogue: Catalogue, name: str, manifest: Manifest) -> Answer:
    """Return what the job or template with this name needs.

    A name that is not known raises :class:`UsageError`.
    """
    state = SessionState(list(catalogue.units))
    reasoning = Reasoning(state, manifest, planned=True)
    plans = catalogue.of_kind(TestPlanUnit).values()

    def about(job: JobDefinition) -> JobAnswer:
        return JobAnswer(reasoning.of(job), job.tr_summary(), name_to_run(job, plans), plans=plans_with(job, plans))

    return _answer(_named(name, state, None), state, None, reasoning, about)


def _named(name: str, state: SessionState, providers: frozenset[str] | None) -> str:
    """Return the full id of the job or template with this name."""
    jobs = [job_state.job for job_state in state.job_state_map.values()]
    templates = [unit for unit in state.unit_list if isinstance(unit, TemplateUnit)]
    made_of = [job.template_id for job in jobs if job.template_id]
    if providers is not None:
        jobs, templates, made_of = _of(jobs, providers), _of(templates, providers), []
    ids = {*(unit.id for unit in (*jobs, *templates)), *made_of}
    found = ids_with_name(name, ids)
    if len(found) > 1:
        # What the session has to do with comes before what merely happens to be installed.
        listed = {job.id for job in jobs if state.job_state_map[job.id].result_history}
        listed.update(job.id for job in state.run_list)
        found = found & listed or found
    if len(found) > 1:
        raise several(name, found)
    if not found:
        raise unknown(name, ids, templates)
    return next(iter(found))


def _of(units: Iterable[U], providers: frozenset[str]) -> list[U]:
    return [unit for unit in units if unit.provider is not None and unit.provider.name in providers]


def _answer(
    full_id: str,
    state: SessionState,
    session: SessionFacts | None,
    reasoning: Reasoning,
    about: Callable[[JobDefinition], JobAnswer],
) -> Answer:
    if full_id in state.job_state_map:
        return Answer(full_id, session, (about(state.job_state_map[full_id].job),), None)
    jobs = tuple(about(item.job) for item in state.job_state_map.values() if item.job.template_id == full_id)
    templates = (unit for unit in state.unit_list if isinstance(unit, TemplateUnit) and unit.id == full_id)
    template = next(templates, None)
    if template is None:
        return Answer(full_id, session, jobs, TemplateAnswer(full_id, None, (), None, None))
    known = state.job_state_map.get(template.resource_id)
    resource = reasoning.of(known.job) if known is not None else reasoning.absent(template.resource_id)
    origin = str(template.origin) if template.origin is not None else ""
    records = uses_of(template, state)
    errors = tuple(map(str, template.errors))
    about_it = TemplateAnswer(full_id, origin, template.template_filter, resource, records, errors)
    return Answer(full_id, session, jobs, about_it)


def _last_line(result: JobResult) -> str:
    if result.outcome not in ("fail", "crash"):
        return ""
    from plainbox.exporters.logtext import LogText

    pieces = (piece.text for piece in LogText(result, _TAIL_BYTES, keep="tail") if piece.stream != "note")
    lines = "".join(pieces).strip().splitlines()
    return lines[-1].strip()[:_MAX_LINE_CHARS] if lines else ""
