# SPDX-License-Identifier: Apache-2.0
"""What a report is made of: one consistent view of a session, taken once, without any log.

Every exporter starts from :meth:`Report.of`. Taking the view changes nothing in the session and collects nothing: results
are values, and logs are read when an exporter comes to them. All reports count in the same way, by
:attr:`~plainbox.exporters.record.JobRecord.is_test`, so that two reports of one session never contradict each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from plainbox.exporters.characters import one_line
from plainbox.exporters.interrupted import InterruptedResult
from plainbox.exporters.record import JobRecord
from plainbox.exporters.times import instant
from plainbox.session.outcome import OUTCOME_METADATA_MAP, failed
from plainbox.session.result import JobResult, JsonValue

if TYPE_CHECKING:
    from plainbox.session.jobs import JobState
    from plainbox.session.manager import SessionManager
    from plainbox.session.state import SessionState

__all__ = ["SHOWN_ORDER", "Category", "Report", "by_category", "counts", "label_of_sum"]


@attrs.frozen(eq=False)
class Category:
    id: str
    name: str
    jobs: tuple[JobRecord, ...]


@attrs.frozen(eq=False)
class Report:
    """The view of a session. ``jobs`` has the run list in its order, then what else has an outcome."""

    session_id: str
    title: str = ""
    test_plan_ids: tuple[str, ...] = ()
    app_blob: bytes = b""
    custom_joblist: bool = False
    resume_count: int = 0
    jobs: tuple[JobRecord, ...] = ()
    #: What was deselected: all ids, and the jobs among them that are still known.
    rejected_ids: tuple[str, ...] = ()
    rejected: tuple[JobRecord, ...] = ()
    resources: Mapping[str, Sequence[Mapping[str, str]]] = attrs.field(factory=dict)
    system_information: Mapping[str, JsonValue] = attrs.field(factory=dict)
    category_names: Mapping[str, str] = attrs.field(factory=dict)

    @classmethod
    def of(cls, manager: SessionManager) -> Report:
        """Take the view; a session without a device gives an empty report."""
        storage_id = manager.storage.id
        state = manager.state
        if state is None:
            return cls(storage_id)
        metadata = state.metadata
        chosen = _chosen_states(state)
        rejected_ids = tuple(dict.fromkeys(metadata.rejected_jobs))
        rejected = [state.job_state_map[item] for item in rejected_ids if item in state.job_state_map]
        names = _category_names(state, [*chosen, *rejected])
        interrupted = _interrupted(manager)
        return cls(
            session_id=storage_id,
            title=metadata.title or "",
            test_plan_ids=tuple(metadata.test_plan_ids),
            app_blob=metadata.app_blob or b"",
            custom_joblist=metadata.custom_joblist,
            resume_count=metadata.resume_count,
            jobs=tuple(_record(number, item, names, interrupted) for number, item in enumerate(chosen, 1)),
            rejected_ids=rejected_ids,
            rejected=tuple(_record(number, item, names, {}) for number, item in enumerate(rejected, 1)),
            resources=dict(state.resource_map),
            system_information=state.system_information or {},
            category_names=names,
        )

    @property
    def heading(self) -> str:
        """The title for people."""
        return one_line(self.title) or one_line(", ".join(self.test_plan_ids)) or "Test session"

    @property
    def tests(self) -> list[JobRecord]:
        return [record for record in self.jobs if record.is_test]

    @property
    def supporting(self) -> list[JobRecord]:
        return [record for record in self.jobs if not record.is_test]

    @property
    def attachments(self) -> list[JobRecord]:
        return [record for record in self.jobs if record.job.plugin == "attachment"]

    @property
    def verdict(self) -> str:
        """``failed``, ``incomplete``, ``passed``, or ``nothing ran``: the first that is true."""
        outcomes = {record.outcome for record in self.jobs}
        if any(map(failed, outcomes)):
            return "failed"
        if None in outcomes or "undecided" in outcomes:
            return "incomplete"
        return "passed" if "pass" in outcomes else "nothing ran"

    @property
    def started(self) -> float | None:
        """When the first attempt began, in seconds since the epoch."""
        return min(self._times(), default=None)

    @property
    def ended(self) -> float | None:
        """When the last attempt was over."""
        return max((start + (result.execution_duration or 0.0) for start, result in self._attempts()), default=None)

    @property
    def duration_s(self) -> float:
        """How long the last attempts took together."""
        return sum(record.result.execution_duration or 0.0 for record in self.jobs)

    def _times(self) -> Iterator[float]:
        return (start for start, _ in self._attempts())

    def _attempts(self) -> Iterator[tuple[float, JobResult]]:
        for record in self.jobs:
            for result in record.history:
                if result.start_time is not None and instant(result.start_time) is not None:
                    yield result.start_time, result


def counts(records: Iterable[JobRecord]) -> dict[str | None, int]:
    """Return how many of the jobs have each outcome, in the order in which outcomes are always shown."""
    found = Counter(record.outcome for record in records)
    return {outcome: found[outcome] for outcome in SHOWN_ORDER if outcome in found}


def label_of_sum(outcome: str | None, records: Iterable[JobRecord]) -> str:
    """Return how the jobs with an outcome are called that :func:`counts` has counted among these."""
    if outcome is None and any(record.is_running for record in records):
        return "without a result"
    return OUTCOME_METADATA_MAP[outcome].label


def by_category(records: Iterable[JobRecord]) -> list[Category]:
    """Return the jobs under their categories, these by name, the jobs in their order."""
    groups: dict[str, list[JobRecord]] = {}
    for record in records:
        groups.setdefault(record.category_id, []).append(record)
    found = [Category(key, jobs[0].category_name, tuple(jobs)) for key, jobs in groups.items()]
    return sorted(found, key=lambda category: (category.name.casefold(), category.id))


#: From what to look at first to what needs no look.
SHOWN_ORDER: tuple[str | None, ...] = (
    "fail",
    "crash",
    "undecided",
    "pass",
    "skip",
    "skipped-dependency",
    "skipped-resource",
    "skipped-manifest",
    "not-supported",
    "not-implemented",
    None,
)
assert set(SHOWN_ORDER) == set(OUTCOME_METADATA_MAP)


def _chosen_states(state: SessionState) -> list[JobState]:
    """Return the states of the run list, then those that have an outcome, or were running, without being on it."""
    states = state.job_state_map
    running = state.metadata.running
    ids = dict.fromkeys(job.id for job in state.run_list)
    others = (
        item
        for job_id, item in states.items()
        if job_id not in ids and (item.result.outcome is not None or job_id in running)
    )
    return [*(states[job_id] for job_id in ids), *others]


def _category_names(state: SessionState, states: Iterable[JobState]) -> dict[str, str]:
    """Return the names of all categories that the report speaks of; one that no provider defines is named by its id."""
    names = {key: one_line(name) for key, name in state.category_map.items()}
    unnamed = {item.effective_category_id for item in states} - names.keys()
    if unnamed:
        from plainbox.units.category import CategoryUnit

        for unit in state.unit_list:
            if isinstance(unit, CategoryUnit) and unit.id in unnamed:
                names.setdefault(unit.id, one_line(unit.tr_name()))
        for category_id in sorted(unnamed - names.keys()):
            names[category_id] = _name_from_id(category_id)
    return names


def _name_from_id(category_id: str) -> str:
    words = one_line(category_id.rpartition("::")[2]).replace("-", " ").replace("_", " ")
    return words[:1].upper() + words[1:] or "Uncategorised"


def _interrupted(manager: SessionManager) -> dict[str, InterruptedResult]:
    """Return what is known of the attempts that have been started and have no result, by job id."""
    running = manager.state.metadata.running if manager.state is not None else {}
    if not running:
        return {}
    goes_on = manager.storage.owner() is not None
    location = manager.storage.location
    return {job_id: InterruptedResult.of(attempt, location, goes_on=goes_on) for job_id, attempt in running.items()}


def _record(
    number: int, state: JobState, names: Mapping[str, str], interrupted: Mapping[str, InterruptedResult]
) -> JobRecord:
    category_id = state.effective_category_id
    running = interrupted.get(state.job.id)
    return JobRecord(
        number,
        state.job,
        state.result if running is None else running,
        state.result_history if running is None else (*state.result_history, running),
        category_id,
        names[category_id],
        state.effective_certification_status,
    )
