# SPDX-License-Identifier: Apache-2.0
"""The state of one job in a session: its results, what keeps it from starting, what a test plan has said about it.

The session state holds one :class:`JobState` for each job it knows. Only ``job`` and the results are facts; what
inhibits the job and what is in effect for it are worked out again whenever something they depend on has changed.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any, Protocol, overload

import attrs

from plainbox.events import signal
from plainbox.session.announcement import Announcement, fire
from plainbox.session.fields import const, integer, notify, typed, typed_sequence
from plainbox.session.result import JobResult, MemoryJobResult
from plainbox.units.expressions import ResourceExpression
from plainbox.units.job import JobDefinition

__all__ = [
    "AbsentJob",
    "InhibitionCause",
    "JobReadinessInhibitor",
    "JobState",
    "OverridableJobField",
    "RelatedJob",
    "UndesiredJobReadinessInhibitor",
]

_HOLLOW = MemoryJobResult({})
_ATTEMPTS = 3


class InhibitionCause(enum.IntEnum):
    """Why a job cannot start."""

    UNDESIRED = 0
    PENDING_DEP = 1
    FAILED_DEP = 2
    PENDING_RESOURCE = 3
    FAILED_RESOURCE = 4
    NOT_FAILED_DEP = 5
    REQUIRED_MANIFEST = 6


_RESOURCE_CAUSES = (InhibitionCause.PENDING_RESOURCE, InhibitionCause.FAILED_RESOURCE)


class RelatedJob(Protocol):
    """A job as far as an inhibitor speaks of it."""

    @property
    def id(self) -> str: ...


@attrs.frozen
class AbsentJob:
    """A job that another one names and nobody knows."""

    id: str


def _id_of(value: Any) -> Any:
    # Comparing jobs means comparing their checksums; an inhibitor is about the job of that name.
    return getattr(value, "id", None)


def _text_of(value: Any) -> Any:
    return getattr(value, "text", None)


def _ids(value: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(value or ())


@attrs.frozen
class JobReadinessInhibitor:
    """One thing that keeps a job from starting.

    Every cause but ``UNDESIRED`` has a ``related_job``, those about resources a ``related_expression``, the one
    about the manifest ``related_manifests`` (full ids); anything less raises :class:`ValueError`.
    """

    cause: InhibitionCause = attrs.field(converter=InhibitionCause)
    related_job: RelatedJob | None = attrs.field(default=None, eq=_id_of)
    related_expression: ResourceExpression | None = attrs.field(default=None, eq=_text_of)
    related_manifests: tuple[str, ...] = attrs.field(default=(), converter=_ids)

    def __attrs_post_init__(self) -> None:
        cause = self.cause
        if cause and self.related_job is None:
            raise ValueError(f"{cause.name} is about a job")
        if cause in _RESOURCE_CAUSES and self.related_expression is None:
            raise ValueError(f"{cause.name} is about a resource expression")
        if cause is InhibitionCause.REQUIRED_MANIFEST and not self.related_manifests:
            raise ValueError(f"{cause.name} is about entries of the manifest")

    def __str__(self) -> str:
        job_id = self.related_job.id if self.related_job is not None else ""
        expression = self.related_expression.text if self.related_expression is not None else ""
        match self.cause:
            case InhibitionCause.PENDING_DEP:
                return f"required dependency {job_id!r} did not run yet"
            case InhibitionCause.FAILED_DEP:
                return f"required dependency {job_id!r} has failed"
            case InhibitionCause.NOT_FAILED_DEP:
                return f"it runs only if {job_id!r} fails"
            case InhibitionCause.PENDING_RESOURCE:
                return (
                    f"resource expression {expression!r} could not be evaluated because the resource it depends on"
                    " did not run yet"
                )
            case InhibitionCause.FAILED_RESOURCE:
                return f"resource expression {expression!r} evaluates to false"
            case InhibitionCause.REQUIRED_MANIFEST:
                return f"manifest: {', '.join(map(repr, self.related_manifests))} unmet"
            case _:
                return "undesired"


#: The inhibitor of every job that is not on the run list.
UndesiredJobReadinessInhibitor = JobReadinessInhibitor(InhibitionCause.UNDESIRED)


class OverridableJobField:
    """What is in effect for a job: the value of its definition until a test plan overrides it."""

    def __init__(self, job_field: str) -> None:
        self.job_field = job_field

    def __set_name__(self, owner: type[JobState], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, state: None, owner: type[JobState]) -> OverridableJobField: ...

    @overload
    def __get__(self, state: JobState, owner: type[JobState]) -> str: ...

    def __get__(self, state: JobState | None, owner: type[JobState]) -> OverridableJobField | str:
        if state is None:
            return self
        value: str | None = state.__dict__.get(self._name)
        if value is None:
            natural: str = getattr(state.job, self.job_field)
            return natural
        return value

    def __set__(self, state: JobState, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"JobState.{self._name} must be str, not {type(value).__name__}")
        state.__dict__[self._name] = value

    def reset(self, state: JobState) -> None:
        """Let the value of the definition be in effect again."""
        state.__dict__.pop(self._name, None)


def _set_result(state: JobState, attribute: attrs.Attribute[Any], new: JobResult) -> JobResult:
    """Set the result: a hollow one makes the job look as if it had not run, any other joins the history."""
    with Announcement() as announcement:
        state.take_result(new, announcement)
    return state.result


@attrs.define(slots=False, eq=False)
class JobState:
    """The state of one job.

    Setting ``result`` stamps the result with the number of its attempt and appends it to ``result_history``; a
    hollow one is only set. ``attempts`` is how often the job may still be started.
    """

    job: JobDefinition = attrs.field(validator=typed(JobDefinition), on_setattr=[attrs.setters.validate, const])
    readiness_inhibitor_list: list[JobReadinessInhibitor] = attrs.field(
        factory=lambda: [UndesiredJobReadinessInhibitor], validator=typed(list)
    )
    result: JobResult = attrs.field(
        default=_HOLLOW, validator=typed(JobResult), on_setattr=[attrs.setters.validate, _set_result]
    )
    result_history: tuple[JobResult, ...] = attrs.field(
        default=(),
        validator=[typed(tuple), typed_sequence(JobResult)],
        on_setattr=[attrs.setters.validate, notify("on_result_history_changed")],
    )
    attempts: int = attrs.field(
        default=_ATTEMPTS, validator=integer(), on_setattr=[attrs.setters.validate, notify("on_attempts_changed")]
    )
    #: The resource job whose records the job was made from, if it was.
    via_job: JobDefinition | None = attrs.field(default=None, kw_only=True)

    effective_category_id = OverridableJobField("category_id")
    effective_certification_status = OverridableJobField("certification_status")
    effective_auto_retry = OverridableJobField("auto_retry")

    @signal
    def on_result_changed(self, old: JobResult, new: JobResult) -> None:
        """The result was set to another one."""

    @signal
    def on_result_history_changed(self, old: tuple[JobResult, ...], new: tuple[JobResult, ...]) -> None:
        """Results were appended or dropped."""

    @signal
    def on_attempts_changed(self, old: int, new: int) -> None:
        """The job was started, or given further attempts."""

    # -- results

    @property
    def next_attempt(self) -> int:
        """The number of the attempt that the next result will be of."""
        history = self.result_history
        return (history[-1].attempt or len(history)) + 1 if history else 1

    def take_result(self, new: JobResult, announcement: Announcement, *, replace: bool = False) -> None:
        """Take in a result as part of a change that others announce.

        With ``replace`` the result takes the place of the last one: the same attempt, seen otherwise. Without a last
        one, and for a hollow result, that raises :class:`ValueError`; a wrong type raises :class:`TypeError`. Neither
        changes or announces anything.
        """
        if not isinstance(new, JobResult):
            raise TypeError(f"JobState.result must be JobResult, not {type(new).__name__}")
        values = self.__dict__
        old: JobResult = values["result"]
        old_history: tuple[JobResult, ...] = values["result_history"]
        history = old_history
        if replace:
            if not history or new.is_hollow:
                raise ValueError(f"there is no result of {self.job.id!r} to replace, or nothing to replace it with")
            new = new.with_attempt(history[-1].attempt or len(history))
            history = history[:-1]
        if new.is_hollow:
            values["result"] = new
        else:
            last = (history[-1].attempt or len(history)) if history else 0
            # A restored result knows its attempt; numbers may be missing, but they never go back.
            if (new.attempt or 0) <= last:
                new = new.with_attempt(last + 1)
            values["result"] = new
            values["result_history"] = history = (*history, new)
        if "__signals__" in values:
            if new != old:
                announcement.step(fire, self, "on_result_changed", old, new)
            if history is not old_history:
                announcement.step(fire, self, "on_result_history_changed", old_history, history)

    # -- readiness

    def can_start(self) -> bool:
        """Whether nothing inhibits the job and an attempt is left."""
        return not self.readiness_inhibitor_list and self.attempts > 0

    def get_readiness_description(self) -> str:
        """Return why the job cannot start, or that it can, in one line."""
        if not self.readiness_inhibitor_list:
            return "job can be started" if self.attempts > 0 else "job cannot be started: no attempts are left"
        return "job cannot be started: " + ", ".join(map(str, self.readiness_inhibitor_list))

    # -- overrides

    def apply_overrides(self, overrides: Iterable[tuple[str, str]]) -> None:
        """Set what test plans say: pairs of a field of the job and its value.

        A field that no job has raises :class:`AttributeError`, one that cannot be overridden :class:`ValueError`;
        then nothing is changed.
        """
        wanted = [(self._overridable(name), value) for name, value in overrides]
        for field, value in wanted:
            field.__set__(self, value)

    def reset_overrides(self) -> None:
        """Forget what test plans have said."""
        for field in vars(JobState).values():
            if isinstance(field, OverridableJobField):
                field.reset(self)

    def _overridable(self, name: str) -> OverridableJobField:
        field = vars(JobState).get(name if name.startswith("effective_") else f"effective_{name}")
        if isinstance(field, OverridableJobField):
            return field
        if hasattr(self, name) or hasattr(self.job, name):
            raise ValueError(f"the field {name!r} of a job cannot be overridden")
        raise AttributeError(f"a job has no field {name!r}")
