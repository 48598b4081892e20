# SPDX-License-Identifier: Apache-2.0
"""Sums over a session."""

from __future__ import annotations

import pytest

from plainbox.session.result import MemoryJobResult
from plainbox.session.state import SessionState
from plainbox.units import CategoryUnit, JobDefinition


def job(name: str, **fields: object) -> JobDefinition:
    return JobDefinition({"id": name, "plugin": "shell", "command": "true", **fields})


def finish(state: SessionState, outcomes: dict[str, str | None]) -> None:
    for name, outcome in outcomes.items():
        state.update_job_result(state.job_state_map[name].job, MemoryJobResult({"outcome": outcome}))


def test_outcomes_are_counted_as_far_as_there_are_any() -> None:
    """An outcome that no job has is not there, and neither are jobs without one."""
    state = SessionState(
        [job("a"), job("b"), job("c"), job("r", plugin="resource"), job("t", plugin="attachment"), job("never")]
    )
    assert state.get_outcome_stats() == {}
    finish(state, {"a": "pass", "b": "fail", "c": "pass", "r": "pass", "t": "crash", "never": None})
    assert state.get_outcome_stats() == {"pass": 3, "fail": 1, "crash": 1}
    assert state.get_test_outcome_stats() == {"pass": 2, "fail": 1}


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ([], (0.0, 0.0)),
        ([{"estimated_duration": "10"}, {"estimated_duration": "1m"}], (70.0, 0.0)),
        ([{"estimated_duration": "10"}, {}], (None, 0.0)),
        ([{}, {"estimated_duration": "10"}], (None, 0.0)),
        ([{"plugin": "manual", "command": None}], (0.0, 30.0)),
        ([{"plugin": "manual", "command": None, "estimated_duration": "5"}], (0.0, 35.0)),
        ([{"plugin": "user-interact", "estimated_duration": "5"}, {"estimated_duration": "1"}], (1.0, 35.0)),
        ([{"plugin": "user-interact"}, {"plugin": "manual", "command": None}], (0.0, None)),
    ],
)
def test_the_duration_is_known_when_every_part_is(
    jobs: list[dict[str, object]], expected: tuple[float | None, float | None]
) -> None:
    """Automated and manual jobs are estimated apart; one that nobody can tell makes its sum unknown."""
    state = SessionState([job(f"j{index}", **fields) for index, fields in enumerate(jobs)])
    state.update_desired_job_list(state.job_list)
    assert state.get_estimated_duration() == expected


def test_the_overhead_of_manual_jobs_can_be_given() -> None:
    """A person's time for each manual job is the caller's guess; only the run list counts."""
    state = SessionState([job("a", plugin="manual", command=None), job("b", plugin="manual", command=None)])
    state.update_desired_job_list(state.job_list[:1])
    assert state.get_estimated_duration(manual_overhead=5.0) == (0.0, 5.0)


def test_categories_come_to_the_worst_of_their_jobs() -> None:
    """A failure or crash fails a category; else a pass passes it; else it was skipped."""
    state = SessionState(
        [
            *(
                CategoryUnit({"id": name, "name": f"Category {name}"})
                for name in ("disk", "net", "usb", "audio", "unused")
            ),
            job("d1", category_id="disk"),
            job("d2", category_id="disk"),
            job("n1", category_id="net"),
            job("n2", category_id="net"),
            job("u", category_id="usb"),
            job("a", category_id="disk"),
            job("never", category_id="unused"),
        ]
    )
    state.job_state_map["a"].effective_category_id = "audio"
    finish(state, {"d1": "pass", "d2": "crash", "n1": "skip", "n2": "pass", "u": "skipped-resource", "a": "fail"})
    assert state.category_outcome_map == {"disk": "fail", "net": "pass", "usb": "skip", "audio": "fail"}
    assert state.category_map == {
        "disk": "Category disk",
        "net": "Category net",
        "usb": "Category usb",
        "audio": "Category audio",
    }


def test_blockers_that_failed_are_found() -> None:
    """By default the failed blockers; other outcomes and statuses can be asked for."""
    blocker = {"certification-status": "blocker"}
    state = SessionState([job("a", **blocker), job("b", **blocker), job("c"), job("d", **blocker)])
    finish(state, {"a": "fail", "b": "pass", "c": "fail", "d": "fail"})
    state.job_state_map["d"].effective_certification_status = "non-blocker"
    assert list(state.get_certification_status_map()) == ["a"]
    assert state.get_certification_status_map()["a"] is state.job_state_map["a"]
    assert list(state.get_certification_status_map(("pass", "fail"), ("blocker", "non-blocker"))) == list("abcd")
