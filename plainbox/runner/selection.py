# SPDX-License-Identifier: Apache-2.0
"""What a run is asked to run: a test plan or patterns, less what is excluded, as the session stores it.

The selection is applied twice: before the bootstrap, to find the resource jobs that templates need, and after it, when
the instances are there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from plainbox.errors import CorruptedSessionError, NothingSelectedError, UsageError
from plainbox.session.state import SessionState
from plainbox.units import JobDefinition, SetupJobDefinition, TemplateUnit
from plainbox.units.patterns import Pattern
from plainbox.units.selection import FlatPlan, excluded_ids, select

__all__ = ["NEVER_RUN", "Selection", "WantedReport", "means", "parse_pattern"]

#: Ids that no run contains, whatever a plan says: their work is done before the run.
NEVER_RUN = frozenset({"com.canonical.plainbox::collect-manifest"})


def _texts(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


def _limit(value: float) -> float:
    seconds = float(value)
    if not 0 < seconds < math.inf:
        raise ValueError(f"{value!r} is no number of seconds above 0")
    return seconds


@attrs.frozen
class WantedReport:
    """A report that is to be written at the end; ``path`` is absolute, or ``-`` for standard output."""

    format: str
    path: str
    options: tuple[str, ...] = attrs.field(default=(), converter=_texts)


def _reports(value: Iterable[WantedReport]) -> tuple[WantedReport, ...]:
    return tuple(value)


@attrs.frozen
class Selection:
    """``plan_id`` or ``patterns`` say what runs; ``match`` keeps, ``exclude`` drops what their patterns match.

    ``providers`` are the directories that were named on the command line; a resume finds its units with them.
    ``timeout_s`` is the limit for jobs that name none of their own; it and ``reports`` hold for the whole session,
    however often it is gone on with. So do ``chain``, the advice chain that all jobs get, ``on``, the
    machine that they run on (the name of a remote, or its URL), and ``advices``, definitions
    ``NAME=ADVICES`` of chains; ``advice_chains`` are all chains and rules as they were, secrets masked, None when nobody
    has noted them.
    """

    plan_id: str | None = None
    patterns: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    match: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    exclude: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    providers: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    timeout_s: float | None = attrs.field(default=None, converter=attrs.converters.optional(_limit))
    reports: tuple[WantedReport, ...] = attrs.field(default=(), converter=_reports)
    chain: str | None = None
    on: str | None = None
    advices: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    advice_chains: Mapping[str, str] | None = None

    def __attrs_post_init__(self) -> None:
        # A pattern that cannot be used is refused before there is a session that it would end.
        for text in (*self.patterns, *self.match, *self.exclude):
            parse_pattern(text)

    def as_blob(self) -> bytes:
        """Return the form in which the session stores the selection."""
        document = {"testplan_id": self.plan_id, "description": "", "launcher": "", **attrs.asdict(self)}
        del document["plan_id"]
        return json.dumps(document, sort_keys=True).encode("ascii")

    @classmethod
    def from_blob(cls, blob: bytes | None) -> Selection:
        """Return the selection that :meth:`as_blob` described."""
        try:
            document: Mapping[str, Any] = json.loads(blob or b"{}")
            lists = {
                name: tuple(map(str, document.get(name, ())))
                for name in ("patterns", "match", "exclude", "providers", "advices")
            }
            chains = document.get("advice_chains")
            return cls(
                plan_id=document.get("testplan_id"),
                timeout_s=document.get("timeout_s"),
                chain=document.get("chain"),
                on=document.get("on"),
                advice_chains=None if chains is None else {str(name): str(text) for name, text in chains.items()},
                reports=[
                    WantedReport(str(report["format"]), str(report["path"]), map(str, report.get("options", ())))
                    for report in document.get("reports", ())
                ],
                **lists,
            )
        except (ValueError, TypeError, AttributeError, KeyError, OverflowError):
            raise CorruptedSessionError("what the session was asked to run makes no sense") from None

    def setup_jobs(self, state: SessionState, plan: FlatPlan | None) -> list[JobDefinition]:
        """Return the setup jobs of the plan, in its order; without a plan there are none."""
        jobs = self._named(plan.setup, state) if plan is not None else []
        return [job for job in jobs if isinstance(job, SetupJobDefinition)]

    def unknown_setup(self, jobs: Iterable[JobDefinition], plan: FlatPlan | None) -> list[str]:
        """Return the ids of setup jobs that the plan names, that are not among ``jobs`` and that nobody has excluded."""
        known = {job.id for job in jobs}
        by_hand = [parse_pattern(text) for text in self.exclude]
        wanted = [job_id for job_id in plan.setup if job_id not in known] if plan is not None else []
        return [
            job_id
            for job_id in wanted
            if not any(pattern.matches(name) for pattern in by_hand for name in (job_id, job_id.rpartition("::")[2]))
        ]

    def bootstrap_jobs(self, state: SessionState, plan: FlatPlan | None) -> list[JobDefinition]:
        """Return the jobs that run before the selection: those the plan names, or what templates need."""
        if plan is not None:
            return self._named(plan.bootstrap, state)
        states = state.job_state_map
        patterns = [parse_pattern(text) for text in self.patterns]
        needed = dict.fromkeys(
            unit.resource_id
            for unit in state.unit_list
            if isinstance(unit, TemplateUnit) and any(_may_mean(pattern, unit) for pattern in patterns)
        )
        return [states[job_id].job for job_id in needed if job_id in states]

    def _named(self, ids: Iterable[str], state: SessionState) -> list[JobDefinition]:
        by_hand = [parse_pattern(text) for text in self.exclude]
        jobs = [state.job_state_map[job_id].job for job_id in ids if job_id in state.job_state_map]
        return [job for job in jobs if not any(means(pattern, job) for pattern in by_hand)]

    def foreseen(self, state: SessionState, plan: FlatPlan | None) -> list[JobDefinition]:
        """Return the jobs that are selected as far as is known now; others may come with what resource jobs find."""
        mandatory, wanted, _ = self._meant(state, plan)
        return [*(state.job_state_map[job_id].job for job_id in mandatory), *wanted]

    def _meant(
        self, state: SessionState, plan: FlatPlan | None
    ) -> tuple[Sequence[str], list[JobDefinition], frozenset[str]]:
        """Return the ids of the mandatory jobs, the other jobs that are selected, and the ids that are excluded."""
        jobs = state.job_list
        if plan is not None:
            mandatory, included = select(plan, jobs)
        else:
            mandatory, included = [], self._hand_picked(jobs)
        excluded = self.excluded(jobs, plan, mandatory)
        keep = [parse_pattern(text) for text in self.match]
        states = state.job_state_map
        wanted = [
            states[job_id].job
            for job_id in included
            if job_id not in excluded and (not keep or any(means(pattern, states[job_id].job) for pattern in keep))
        ]
        return mandatory, wanted, excluded

    def apply(self, state: SessionState, plan: FlatPlan | None) -> None:
        """Set the wish list of the state; a selection without jobs raises :class:`NothingSelectedError`."""
        mandatory, wanted, excluded = self._meant(state, plan)
        if not wanted and not mandatory:
            raise NothingSelectedError(
                "nothing is selected: no job matches", hint="plainbox expand PLAN shows what a plan contains"
            )
        state.metadata.custom_joblist = bool(self.match or self.exclude)
        state.update_mandatory_job_list([state.job_state_map[job_id].job for job_id in mandatory])
        state.update_desired_job_list(wanted, excluded=excluded)

    def excluded(
        self, jobs: Iterable[JobDefinition], plan: FlatPlan | None, mandatory: Iterable[str]
    ) -> frozenset[str]:
        """Return the ids of the jobs that do not run, not even for the sake of others."""
        known = list(jobs)
        by_hand = [parse_pattern(text) for text in self.exclude]
        excluded = {job.id for job in known if any(means(pattern, job) for pattern in by_hand)} | NEVER_RUN
        if plan is not None:
            # The bootstrap jobs have run: whoever needs one of them can have it.
            excluded |= excluded_ids(plan, known) - set(plan.bootstrap)
        return frozenset(excluded.difference(mandatory))

    def _hand_picked(self, jobs: Iterable[JobDefinition]) -> list[str]:
        known = [job for job in jobs if not isinstance(job, SetupJobDefinition)]
        found: dict[str, None] = {}
        for text in self.patterns:
            pattern = parse_pattern(text)
            found.update((job.id, None) for job in known if means(pattern, job))
        return list(found)


def parse_pattern(text: str) -> Pattern:
    """Return the pattern of a selection by hand: a regular expression for full or partial ids."""
    from plainbox.errors import FieldError

    try:
        return Pattern.parse(text, None)
    except FieldError as error:
        raise UsageError(error.message) from None


def means(pattern: Pattern, job: JobDefinition) -> bool:
    """Tell whether a pattern of a selection by hand means a job: by its id or that of its template, full or partial."""
    names = [job.id, job.partial_id or ""]
    if job.template_id:
        names += [job.template_id, job.template_id.partition("::")[2]]
    return any(pattern.matches(name) for name in names)


def _may_mean(pattern: Pattern, template: TemplateUnit) -> bool:
    """Tell whether the pattern means a template or could mean an instance of it."""
    if pattern.matches(template.id) or pattern.matches(template.partial_id or ""):
        return True
    wanted = _literal_start(pattern.full, r".^$*+?{}[]\|()")
    for name in (template.instance_id_pattern, template.instance_id_pattern.partition("::")[2]):
        start = _literal_start(name, "{")
        if start.startswith(wanted) or (wanted.startswith(start) and "{" in name):
            return True
    return False


def _literal_start(text: str, special: str) -> str:
    for index, character in enumerate(text):
        if character in special:
            # A quantifier makes the character before it optional.
            return text[: max(index - 1, 0)] if character in "*?{" and special != "{" else text[:index]
    return text
