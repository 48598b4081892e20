# SPDX-License-Identifier: Apache-2.0
"""The state of a test session: which jobs there are, which are to run in which order, what became of them.

The manager keeps one per device and stores what its signals announce; the runner asks it for the next job and gives
it results; exporters read it. What must stay true: a result is complete (history, resources, generated jobs,
readiness of the others) before the call that brings it returns or raises; what a result costs depends on the jobs
that it can reach and never on the size of the session.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Protocol

from plainbox.errors import (
    DependencyDuplicateError,
    DependencyError,
    DependencyUnknownError,
    PlainboxError,
    SessionError,
    UnitError,
)
from plainbox.events import signal
from plainbox.session import summary
from plainbox.session.announcement import Announcement, fire
from plainbox.session.codec import MAX_PAYLOAD_BYTES, encode_body
from plainbox.session.jobs import JobState, UndesiredJobReadinessInhibitor
from plainbox.session.metadata import SessionMetaData
from plainbox.session.planner import Planner
from plainbox.session.readiness import dependents_in, inhibitors_of
from plainbox.session.resources import ResourceRecord, records_of
from plainbox.session.result import JobResult, JsonValue, log_is_partial
from plainbox.units.job import JobDefinition
from plainbox.units.template import TemplateUnit
from plainbox.units.unit import Unit

__all__ = ["JobQualifier", "SessionMetaData", "SessionState"]

_log = logging.getLogger(__name__)

#: So much of a checksum tells two definitions apart.
_STORED_DIGITS = 32


class JobQualifier(Protocol):
    """Something that selects jobs."""

    def designates(self, job: JobDefinition) -> bool: ...


class SessionState:
    """The state of the jobs of one device.

    ``unit_list`` is kept by reference: it grows and shrinks with the session. Of two jobs with one id and one
    definition the second is not there; with different definitions :class:`DependencyDuplicateError` is raised.
    """

    def __init__(self, unit_list: list[Unit]) -> None:
        self.unit_list = unit_list
        self.job_state_map: dict[str, JobState] = {}
        self.desired_job_list: list[JobDefinition] = []
        self.mandatory_job_list: list[JobDefinition] = []
        self.run_list: list[JobDefinition] = []
        self.resource_map: dict[str, list[ResourceRecord]] = {}
        self.metadata = SessionMetaData()
        #: Ids of jobs that do not run, not even for the sake of others.
        self.excluded_job_ids: frozenset[str] = frozenset()
        #: The jobs that the last planning has left out, and why.
        self.dropped: Mapping[str, DependencyError] = {}
        #: What was wrong with units and records that came in the course of the session; they are not part of it.
        self.problems: list[PlainboxError] = []
        #: Changes whenever the units have changed.
        self.unit_list_version = 0
        #: Compare every readiness that was worked out for a few jobs with that of all jobs. For tests: it is slow.
        self.audit_readiness = False
        #: Which resource job has made a job, when that is known before: the first of several that could.
        self.makers: Mapping[str, str] = {}
        self._manifest: dict[str, bool | int] = {}
        self._system_information: dict[str, JsonValue] | None = None
        self._templates: dict[str, list[TemplateUnit]] = {}
        #: Checksums of the units that templates made and that are no jobs.
        self._instances: set[str] = set()
        self._run_ids: set[str] = set()
        self._dependents: dict[str, list[str]] = {}
        self._readiness_deferred = False
        self._take_in(unit_list)

    # -- signals

    @signal
    def on_job_state_map_changed(self) -> None:
        """A job came, went, or has a result."""

    @signal
    def on_job_result_changed(self, job: JobDefinition, result: JobResult) -> None:
        """A job has a result."""

    @signal
    def on_job_added(self, job: JobDefinition) -> None:
        """A job became known after the construction."""

    @signal
    def on_job_removed(self, job: JobDefinition) -> None:
        """A job is not known any more."""

    @signal
    def on_unit_added(self, unit: Unit) -> None:
        """A unit became known after the construction."""

    @signal
    def on_unit_removed(self, unit: Unit) -> None:
        """A unit is not known any more."""

    # -- units

    @property
    def job_list(self) -> list[JobDefinition]:
        """All known jobs, in the order in which they became known; made anew at each access."""
        return [state.job for state in self.job_state_map.values()]

    def add_unit(self, unit: Unit, recompute: bool = True, via: JobDefinition | None = None) -> Unit:
        """Make a unit known, and the siblings that a job declares; ``via`` is the resource job that it comes from.

        Return the unit, or the one that is known already when the two are the same job. Another job with the id of a
        known one raises :class:`DependencyDuplicateError` and changes nothing; a sibling like that becomes one of the
        :attr:`problems`. ``recompute`` is accepted for old callers: a new job inhibits none.
        """
        if not isinstance(unit, JobDefinition):
            self._list(unit)
            self.on_unit_added(unit)
            return unit
        known = self._known(unit)
        if known is not None:
            return known
        with Announcement() as announcement:
            self._add_job(unit, via, announcement)
            for sibling in unit.descendants():
                try:
                    if self._known(sibling) is None:
                        self._add_job(sibling, via, announcement)
                except DependencyDuplicateError as error:
                    self._note(error)
        return unit

    def add_units(self, units: Iterable[Unit]) -> None:
        """Make many units known; the first error is raised when all the others have been added."""
        with Announcement() as announcement:
            for unit in units:
                announcement.step(self.add_unit, unit)

    def add_job(self, job: JobDefinition, recompute: bool = True, via: JobDefinition | None = None) -> Unit:
        """The old name of :meth:`add_unit`."""
        return self.add_unit(job, recompute, via)

    def remove_unit(self, unit: Unit, *, recompute: bool = True) -> None:
        """Forget a unit, and with a job its state and its resources.

        A job on the run list, or a unit that is not known, raises :class:`ValueError` and changes nothing.
        """
        if isinstance(unit, JobDefinition) and unit.id in self._run_ids:
            raise ValueError(f"the job {unit.id!r} is on the run list")
        place = self._place_of(unit)
        unit = self.unit_list.pop(place)
        self.unit_list_version += 1
        if isinstance(unit, TemplateUnit):
            self._templates[unit.resource_id] = [
                template for template in self._templates[unit.resource_id] if template is not unit
            ]
        with Announcement() as announcement:
            if not isinstance(unit, JobDefinition):
                announcement.step(self.on_unit_removed, unit)
                return
            self._forget(unit.id)
            self._release({unit.id})
            announcement.step(self.on_unit_removed, unit)
            announcement.step(self.on_job_removed, unit)
            announcement.step(self.on_job_state_map_changed)

    def trim_job_list(self, qualifier: JobQualifier | Callable[[JobDefinition], bool]) -> None:
        """Forget the jobs that are selected.

        A selected job on the run list raises :class:`ValueError` with all such ids, and nothing is changed.
        """
        selects = qualifier if callable(qualifier) else qualifier.designates
        selected = [state.job for state in self.job_state_map.values() if selects(state.job)]
        needed = sorted(job.id for job in selected if job.id in self._run_ids)
        if needed:
            raise ValueError(f"these jobs are on the run list: {', '.join(needed)}")
        if not selected:
            return
        gone = {job.id for job in selected}
        self.unit_list[:] = [
            unit for unit in self.unit_list if not (isinstance(unit, JobDefinition) and unit.id in gone)
        ]
        self.unit_list_version += 1
        for job_id in gone:
            self._forget(job_id)
        self._release(gone)
        with Announcement() as announcement:
            announcement.step(self.on_job_state_map_changed)
            for job in selected:
                announcement.step(self.on_job_removed, job)
                announcement.step(self.on_unit_removed, job)

    def _take_in(self, units: list[Unit]) -> None:
        """Make the initial units known: the jobs in their order, each followed by its siblings."""
        declared: dict[str, JobDefinition] = {}
        for unit in units:
            if isinstance(unit, TemplateUnit):
                self._templates.setdefault(unit.resource_id, []).append(unit)
            elif isinstance(unit, JobDefinition):
                first = declared.setdefault(unit.id, unit)
                if first is not unit and first != unit:
                    raise DependencyDuplicateError(unit.id, (first.origin, unit.origin))
        followers: dict[int, list[JobDefinition]] = {}
        for job_id, job in declared.items():
            self.job_state_map[job_id] = JobState(job)
            for sibling in job.descendants():
                known = declared.get(sibling.id) or self._state_job(sibling.id)
                if known is None:
                    self.job_state_map[sibling.id] = JobState(sibling)
                    followers.setdefault(id(job), []).append(sibling)
                elif known != sibling:
                    self._note(DependencyDuplicateError(sibling.id, (known.origin, sibling.origin)))
        if followers:
            units[:] = [item for unit in units for item in (unit, *followers.get(id(unit), ()))]

    def _known(self, job: JobDefinition) -> JobDefinition | None:
        """Return the job of the same id, if any; a different one raises :class:`DependencyDuplicateError`."""
        known = self._state_job(job.id)
        if known is not None and known is not job and known != job and not _stands_for(known, job):
            raise DependencyDuplicateError(job.id, (known.origin, job.origin))
        return known

    def _state_job(self, job_id: str) -> JobDefinition | None:
        state = self.job_state_map.get(job_id)
        return state.job if state is not None else None

    def _add_job(self, job: JobDefinition, via: JobDefinition | None, announcement: Announcement) -> None:
        self.job_state_map[job.id] = JobState(job, via_job=via)
        self._list(job)
        announcement.step(self.on_job_state_map_changed)
        announcement.step(self.on_unit_added, job)
        announcement.step(self.on_job_added, job)

    def _list(self, unit: Unit) -> None:
        self.unit_list.append(unit)
        self.unit_list_version += 1
        if isinstance(unit, TemplateUnit):
            self._templates.setdefault(unit.resource_id, []).append(unit)

    def _place_of(self, unit: Unit) -> int:
        # Comparing units means computing their checksums: try without first.
        for same in (lambda item: item is unit, lambda item: item == unit):
            for place, item in enumerate(self.unit_list):
                if same(item):
                    return place
        raise ValueError(f"{unit!r} is not a unit of this session")

    def _forget(self, job_id: str) -> None:
        self.job_state_map.pop(job_id, None)
        self.resource_map.pop(job_id, None)
        # A job that salvages this one is there without it.
        self._refresh_dependents_of(job_id)

    def _release(self, job_ids: Collection[str]) -> None:
        """Let jobs that are not known any more not be mandatory any more."""
        if any(job.id in job_ids for job in self.mandatory_job_list):
            self.update_mandatory_job_list(job for job in self.mandatory_job_list if job.id not in job_ids)

    def _note(self, problem: PlainboxError) -> None:
        self.problems.append(problem)
        _log.info("%s", problem)

    # -- what is to run

    def update_mandatory_job_list(self, mandatory_job_list: Iterable[JobDefinition]) -> None:
        """Set the jobs that run whatever is desired; effective when the desired list is set the next time.

        A job that is not known is left out and becomes one of the :attr:`problems`.
        """
        self.mandatory_job_list = []
        for job in mandatory_job_list:
            if job.id in self.job_state_map:
                self.mandatory_job_list.append(job)
            else:
                self._note(DependencyUnknownError(job.id))

    def update_desired_job_list(
        self,
        desired_job_list: Iterable[JobDefinition],
        include_mandatory: bool = True,
        *,
        excluded: Collection[str] | None = None,
    ) -> list[DependencyError]:
        """Set the jobs that are wanted, make the run list of them and of what they need.

        Jobs that cannot be put in order are left out of both lists; the problems returned say why, one for each, and
        :attr:`dropped` keeps them. ``excluded`` replaces the ids of :attr:`excluded_job_ids`.
        """
        if excluded is not None:
            self.excluded_job_ids = frozenset(excluded)
        known = {job_id: state.job for job_id, state in self.job_state_map.items()}
        mandatory = self.mandatory_job_list if include_mandatory else ()
        plan = Planner(known).plan(desired_job_list, mandatory=mandatory, excluded=self.excluded_job_ids)
        for problem in plan.problems:
            _log.warning("Dependency problem: %s", problem)
        before = self._run_ids
        self.desired_job_list = list(plan.wanted)
        self.run_list = list(plan.run_list)
        self.dropped = plan.dropped
        self._run_ids = {job.id for job in self.run_list}
        self._dependents = dependents_in(self.run_list)
        for job_id in before - self._run_ids:
            state = self.job_state_map.get(job_id)
            if state is not None:
                state.readiness_inhibitor_list = [UndesiredJobReadinessInhibitor]
        self.recompute_readiness()
        return list(plan.problems)

    def recompute_readiness(self) -> None:
        """Work out for every job of the run list what keeps it from starting."""
        if not self._readiness_deferred:
            self._refresh(job.id for job in self.run_list)

    @contextlib.contextmanager
    def deferred_readiness(self) -> Iterator[None]:
        """Work out the readiness once at the end of the block, for all jobs, and not for each result in it.

        For bringing back many results at once.
        """
        if self._readiness_deferred:
            yield
            return
        self._readiness_deferred = True
        try:
            yield
        finally:
            self._readiness_deferred = False
            self.recompute_readiness()

    def _refresh(self, job_ids: Iterable[str]) -> None:
        states = self.job_state_map
        for job_id in job_ids:
            state = states[job_id]
            state.readiness_inhibitor_list = inhibitors_of(state.job, self)

    def _refresh_dependents_of(self, job_id: str) -> None:
        if self._readiness_deferred:
            return
        self._refresh(self._dependents.get(job_id, ()))
        if self.audit_readiness:
            outdated = self.outdated_readiness()
            if outdated:
                raise AssertionError(f"the readiness of {outdated} was not brought up to date")

    def outdated_readiness(self) -> list[str]:
        """Return the ids of the jobs whose readiness is not what a look at all jobs would find; there should be none."""
        if self._readiness_deferred:
            return []
        return [
            job_id
            for job_id, state in self.job_state_map.items()
            if state.readiness_inhibitor_list
            != (inhibitors_of(state.job, self) if job_id in self._run_ids else [UndesiredJobReadinessInhibitor])
        ]

    # -- results

    def update_job_result(self, job: JobDefinition, result: JobResult, *, replace: bool = False) -> None:
        """Take in a result: the only way in which an outcome enters a session.

        It joins the job's history and is announced; the records of a resource job are published and the jobs that
        templates make of them added; then the readiness of the jobs that it can reach is worked out. All of that is
        done even when a listener raises; the error is raised at the end. With ``replace`` the result takes the
        place of the last one of the job.
        """
        state = self.job_state_map[job.id]
        with Announcement() as announcement:
            state.take_result(result, announcement, replace=replace)
            announcement.step(fire, self, "on_job_state_map_changed")
            announcement.step(fire, self, "on_job_result_changed", state.job, state.result)
            if state.result.outcome is not None and state.job.plugin == "resource":
                announcement.step(self._publish, state.job, state.result, announcement)
            announcement.step(self._refresh_dependents_of, job.id)

    def set_resource_list(self, resource_id: str, resource_list: Iterable[Mapping[str, str]]) -> None:
        """Replace the records of a resource."""
        self.resource_map[resource_id] = [dict(record) for record in resource_list]
        self._refresh_dependents_of(resource_id)

    def _publish(self, job: JobDefinition, result: JobResult, announcement: Announcement) -> None:
        if log_is_partial(result):
            # Half of an answer is worse than none: what is missing cannot be told from what is not there.
            records: list[ResourceRecord] = []
            self._note(SessionError(f"the output of the resource job {job.id!r} is incomplete and does not count"))
        else:
            records = records_of(result, job.id)
        self.resource_map[job.id] = records or [{}]
        strict = "strict_template_expansion" in self.metadata.flags
        for template in tuple(self._templates.get(job.id, ())):
            accepted = 0
            for record in records:
                try:
                    unit = template.instantiate(record, accepted + 1)
                    if unit is not None:
                        accepted += 1
                        if strict or not unit.errors:
                            announcement.step(self._add_instance, unit, job)
                        else:
                            self._note(_left_out(unit))
                except PlainboxError as error:
                    self._note(error)

    def _add_instance(self, unit: Unit, via: JobDefinition) -> None:
        if self.makers.get(unit.id, via.id) != via.id:
            return
        try:
            # A resource job that runs again makes the same units again.
            if isinstance(unit, JobDefinition):
                self.add_unit(unit, via=via)
            elif unit.checksum not in self._instances:
                self._instances.add(unit.checksum)
                self.add_unit(unit)
        except DependencyDuplicateError as error:
            self._note(error)

    # -- the machine

    @property
    def manifest(self) -> Mapping[str, bool | int]:
        """What is known of the machine by full id of the manifest entry; setting it works out the readiness again."""
        return self._manifest

    @manifest.setter
    def manifest(self, values: Mapping[str, bool | int]) -> None:
        self._manifest = dict(values)
        self.recompute_readiness()

    @property
    def system_information(self) -> dict[str, JsonValue] | None:
        """What the machine is; ``None`` until somebody has collected it. Set it anew to change it.

        What cannot be stored, for its kind or for more than 16 MiB of it, leaves the old value: a :class:`TypeError` for
        what is no mapping, else a :class:`ValueError`.
        """
        return self._system_information

    @system_information.setter
    def system_information(self, values: dict[str, JsonValue] | None) -> None:
        if values is not None:
            if not isinstance(values, dict):
                raise TypeError(f"system_information must be a dict, not {type(values).__name__}")
            size_bytes = len(encode_body({"t": "full", "sys": values}))
            if size_bytes > MAX_PAYLOAD_BYTES:
                raise ValueError(f"the system information has {size_bytes} bytes; {MAX_PAYLOAD_BYTES} can be stored")
        self._system_information = values

    # -- sums

    def get_outcome_stats(self) -> dict[str, int]:
        """Return how many jobs have each outcome."""
        return summary.outcome_stats(self.job_state_map.values())

    def get_test_outcome_stats(self) -> dict[str, int]:
        """Return how many jobs have each outcome, without those that only collect."""
        return summary.outcome_stats(self.job_state_map.values(), without_plugins=("resource", "attachment"))

    def get_estimated_duration(self, manual_overhead: float = 30.0) -> tuple[float | None, float | None]:
        """Return how long the automated and the manual jobs of the run list take, ``None`` where nobody knows."""
        return summary.estimated_duration(self.run_list, manual_overhead)

    def get_certification_status_map(
        self, outcomes: Collection[str] = ("fail",), statuses: Collection[str] = ("blocker",)
    ) -> dict[str, JobState]:
        """Return the jobs with one of the outcomes and one of the certification statuses."""
        return summary.with_outcome_and_status(self.job_state_map, outcomes, statuses)

    @property
    def category_map(self) -> dict[str, str]:
        """The names of the categories of the jobs that have an outcome."""
        return summary.category_names(self.unit_list, self.job_state_map.values())

    @property
    def category_outcome_map(self) -> dict[str, str]:
        """What each category came to."""
        return summary.category_outcomes(self.job_state_map.values())


def _stands_for(known: JobDefinition, job: JobDefinition) -> bool:
    """Tell whether ``known`` was made from what a session has stored of ``job``: the beginning of its checksum."""
    return _STORED_DIGITS <= len(known.checksum) < len(job.checksum) and job.checksum.startswith(known.checksum)


def _left_out(instance: Unit) -> PlainboxError:
    error = instance.errors[0]
    return UnitError(f"{instance.id} is left out of the session: {error.message}", origin=error.origin, hint=error.hint)
