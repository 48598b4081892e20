# SPDX-License-Identifier: Apache-2.0
"""The state of one job."""

from __future__ import annotations

import pytest

from plainbox.session.jobs import (
    InhibitionCause,
    JobReadinessInhibitor,
    JobState,
    OverridableJobField,
    UndesiredJobReadinessInhibitor,
)
from plainbox.session.result import JobResult, MemoryJobResult
from plainbox.units.expressions import ResourceExpression
from plainbox.units.job import JobDefinition

A = JobDefinition({"id": "a", "plugin": "shell", "command": "true", "category_id": "disk"})
EXPRESSION = ResourceExpression("r.x == '1'")
PASS = MemoryJobResult({"outcome": "pass"})
FAIL = MemoryJobResult({"outcome": "fail"})


# -- fields


def test_a_new_job_state() -> None:
    """A job that nobody has spoken of is undesired, has not run, and may be tried three times."""
    state = JobState(A)
    assert state.job is A
    assert state.readiness_inhibitor_list == [UndesiredJobReadinessInhibitor]
    assert state.result.is_hollow
    assert state.result_history == ()
    assert state.attempts == 3
    assert state.via_job is None
    assert not state.can_start()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("readiness_inhibitor_list", ()),
        ("result", "pass"),
        ("result_history", [PASS]),
        ("attempts", "3"),
        ("attempts", True),
        ("job", 1),
    ],
)
def test_a_wrong_type_is_refused(field: str, value: object) -> None:
    """A value of a wrong type leaves the old one."""
    state = JobState(A)
    old = getattr(state, field)
    with pytest.raises(TypeError):
        setattr(state, field, value)
    assert getattr(state, field) is old


def test_the_job_is_constant() -> None:
    """A state is about one job for good; it cannot be made about something else either."""
    state = JobState(A)
    with pytest.raises(AttributeError):
        state.job = A
    with pytest.raises(TypeError):
        JobState("a")  # type: ignore[arg-type]


def test_a_history_holds_results_only() -> None:
    """Every item of the history is a result."""
    with pytest.raises(TypeError):
        JobState(A, result_history=(PASS, "fail"))  # type: ignore[arg-type]


# -- results


def heard_by(state: JobState) -> list[tuple[str, object, object]]:
    heard: list[tuple[str, object, object]] = []
    state.on_result_changed.connect(lambda old, new: heard.append(("result", old, new)))
    state.on_result_history_changed.connect(lambda old, new: heard.append(("history", old, new)))
    state.on_attempts_changed.connect(lambda old, new: heard.append(("attempts", old, new)))
    return heard


def test_each_result_joins_the_history_as_an_attempt() -> None:
    """Results are stamped with the number of their attempt; equal ones are attempts of their own."""
    state = JobState(A)
    assert state.next_attempt == 1
    state.result = PASS
    state.result = PASS
    state.result = FAIL
    assert [(result.outcome, result.attempt) for result in state.result_history] == [
        ("pass", 1),
        ("pass", 2),
        ("fail", 3),
    ]
    assert state.result is state.result_history[-1]
    assert state.next_attempt == 4
    assert PASS.attempt is None


def test_a_result_is_announced_before_the_history() -> None:
    """Both signals have old and new values, and both values are in place when the first one fires."""
    state = JobState(A)
    seen: list[int] = []
    state.on_result_changed.connect(lambda old, new: seen.append(len(state.result_history)))
    heard = heard_by(state)
    hollow = state.result
    state.result = PASS
    assert [name for name, _, _ in heard] == ["result", "history"]
    assert heard[0][1:] == (hollow, state.result)
    assert heard[1][1:] == ((), state.result_history)
    assert seen == [1]


def test_two_equal_results_are_both_announced() -> None:
    """The second of two equal results is another attempt, and says so."""
    state = JobState(A)
    heard = heard_by(state)
    state.result = PASS
    state.result = PASS
    assert [name for name, _, _ in heard] == ["result", "history"] * 2


def test_a_hollow_result_clears_the_outcome_only() -> None:
    """A job that will run again has no outcome but keeps its history."""
    state = JobState(A)
    state.result = PASS
    heard = heard_by(state)
    state.result = MemoryJobResult({})
    assert state.result.is_hollow
    assert len(state.result_history) == 1
    assert [name for name, _, _ in heard] == ["result"]
    state.result = MemoryJobResult({})
    assert len(heard) == 1


def test_the_initial_result_is_not_an_attempt() -> None:
    """A result given at construction is where the state begins."""
    state = JobState(A, result=PASS)
    assert state.result is PASS
    assert state.result_history == ()


def test_restored_attempts_keep_their_numbers() -> None:
    """Numbers may be missing where attempts were dropped, but they never go back."""
    state = JobState(A)
    state.result = PASS.with_attempt(2)
    state.result = PASS.with_attempt(5)
    state.result = PASS.with_attempt(5)
    assert [result.attempt for result in state.result_history] == [2, 5, 6]


def test_the_last_result_can_be_replaced() -> None:
    """An attempt that is seen otherwise later stays the same attempt."""
    state = JobState(A)
    state.result = PASS
    state.result = PASS
    heard = heard_by(state)
    from plainbox.session.announcement import Announcement

    with Announcement() as announcement:
        state.take_result(FAIL, announcement, replace=True)
    assert [(result.outcome, result.attempt) for result in state.result_history] == [("pass", 1), ("fail", 2)]
    assert state.result.outcome == "fail"
    assert [name for name, _, _ in heard] == ["result", "history"]
    with pytest.raises(ValueError, match="replace"), Announcement() as announcement:
        state.take_result(MemoryJobResult({}), announcement, replace=True)
    with pytest.raises(ValueError, match="replace"), Announcement() as announcement:
        JobState(A).take_result(PASS, announcement, replace=True)


def test_a_raising_listener_does_not_stop_the_change() -> None:
    """The history is complete and announced whatever a listener of the result does."""
    state = JobState(A)
    heard: list[JobResult] = []

    def fail(old: object, new: object) -> None:
        raise RuntimeError("no")

    state.on_result_changed.connect(fail)
    state.on_result_history_changed.connect(lambda old, new: heard.extend(new))
    with pytest.raises(RuntimeError):
        state.result = PASS
    assert [result.outcome for result in heard] == ["pass"]


def test_attempts_are_announced() -> None:
    """Starting a job uses one of its attempts up, and whoever stores the state hears of it."""
    state = JobState(A)
    heard = heard_by(state)
    state.attempts -= 1
    assert heard == [("attempts", 3, 2)]


def test_a_state_nobody_listens_to_has_no_signals() -> None:
    """Results of jobs that nobody watches cost nothing in signals."""
    state = JobState(A)
    state.result = PASS
    state.attempts -= 1
    assert "__signals__" not in vars(state)


# -- readiness


def test_a_job_can_start_without_inhibitors_while_attempts_are_left() -> None:
    """Nothing may inhibit the job, and it must not have been tried too often."""
    state = JobState(A, [])
    assert state.can_start()
    assert state.get_readiness_description() == "job can be started"
    state.attempts = 0
    assert not state.can_start()
    assert state.get_readiness_description() == "job cannot be started: no attempts are left"


@pytest.mark.parametrize(
    ("inhibitor", "text"),
    [
        (UndesiredJobReadinessInhibitor, "undesired"),
        (JobReadinessInhibitor(InhibitionCause.PENDING_DEP, A), "required dependency 'a' did not run yet"),
        (JobReadinessInhibitor(InhibitionCause.FAILED_DEP, A), "required dependency 'a' has failed"),
        (JobReadinessInhibitor(InhibitionCause.NOT_FAILED_DEP, A), "it runs only if 'a' fails"),
        (
            JobReadinessInhibitor(InhibitionCause.PENDING_RESOURCE, A, EXPRESSION),
            "resource expression \"r.x == '1'\" could not be evaluated because the resource it depends on did not run yet",
        ),
        (
            JobReadinessInhibitor(InhibitionCause.FAILED_RESOURCE, A, EXPRESSION),
            "resource expression \"r.x == '1'\" evaluates to false",
        ),
        (
            JobReadinessInhibitor(InhibitionCause.REQUIRED_MANIFEST, A, None, ["m1", "m2"]),
            "manifest: 'm1', 'm2' unmet",
        ),
    ],
)
def test_an_inhibitor_reads_as_a_sentence(inhibitor: JobReadinessInhibitor, text: str) -> None:
    """Each inhibitor says what is in the way, and the description of the job says it too."""
    assert str(inhibitor) == text
    assert JobState(A, [inhibitor]).get_readiness_description() == f"job cannot be started: {text}"


@pytest.mark.parametrize("cause", [cause for cause in InhibitionCause if cause])
def test_an_inhibitor_says_what_it_is_about(cause: InhibitionCause) -> None:
    """Every cause but being undesired needs a job, and those about resources and the manifest these."""
    with pytest.raises(ValueError, match="is about a job"):
        JobReadinessInhibitor(cause)
    if "RESOURCE" in cause.name or "MANIFEST" in cause.name:
        with pytest.raises(ValueError, match="is about"):
            JobReadinessInhibitor(cause, A)


def test_inhibitors_are_values() -> None:
    """Inhibitors with the same cause about the same things are equal and cannot be changed."""
    one = JobReadinessInhibitor(InhibitionCause.FAILED_RESOURCE, A, EXPRESSION)
    two = JobReadinessInhibitor(4, JobDefinition({"id": "a"}), ResourceExpression("r.x == '1'"))
    assert one == two
    assert hash(one) == hash(two)
    assert one != JobReadinessInhibitor(InhibitionCause.PENDING_RESOURCE, A, EXPRESSION)
    with pytest.raises(AttributeError):
        one.cause = InhibitionCause.UNDESIRED  # type: ignore[misc]
    with pytest.raises(ValueError, match="9"):
        JobReadinessInhibitor(9)


def test_the_numbers_of_the_causes() -> None:
    """The causes have the numbers that existing code knows."""
    assert [cause.name for cause in sorted(InhibitionCause)] == [
        "UNDESIRED",
        "PENDING_DEP",
        "FAILED_DEP",
        "PENDING_RESOURCE",
        "FAILED_RESOURCE",
        "NOT_FAILED_DEP",
        "REQUIRED_MANIFEST",
    ]


# -- overrides


def test_the_definition_is_in_effect_until_a_plan_says_otherwise() -> None:
    """Effective values are those of the job, then those of the plan, then those of the job again."""
    state = JobState(A)
    assert state.effective_category_id == "disk"
    assert state.effective_certification_status == "non-blocker"
    assert state.effective_auto_retry == "unspecified"
    state.apply_overrides([("category_id", "net"), ("effective_auto_retry", "no"), ("category_id", "usb")])
    assert (state.effective_category_id, state.effective_auto_retry) == ("usb", "no")
    state.reset_overrides()
    assert (state.effective_category_id, state.effective_auto_retry) == ("disk", "unspecified")


@pytest.mark.parametrize(
    ("field", "error"),
    [("nonsense", AttributeError), ("id", ValueError), ("command", ValueError), ("result", ValueError)],
)
def test_overrides_are_all_or_nothing(field: str, error: type[Exception]) -> None:
    """A field that no job has, or that cannot be overridden, leaves the others alone too."""
    state = JobState(A)
    with pytest.raises(error):
        state.apply_overrides([("category_id", "net"), (field, "x")])
    assert state.effective_category_id == "disk"


def test_effective_values_are_text() -> None:
    """An effective value can be assigned, if it is text."""
    state = JobState(A)
    state.effective_category_id = "net"
    with pytest.raises(TypeError):
        state.effective_category_id = None  # type: ignore[assignment]
    assert state.effective_category_id == "net"
    assert isinstance(JobState.effective_category_id, OverridableJobField)
