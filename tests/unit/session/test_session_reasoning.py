# SPDX-License-Identifier: Apache-2.0
"""Reasons of jobs that are far from their cause, told once and within bounds."""

from __future__ import annotations

from collections.abc import Iterator

from plainbox.session import SessionState
from plainbox.session.reasoning import Reasoning
from plainbox.session.reasons import JobReasons, ReasonKind
from plainbox.session.result import MemoryJobResult
from plainbox.units import JobDefinition
from plainbox.units.origin import Origin


def job(name: str, **fields: str) -> JobDefinition:
    return JobDefinition({"id": name, "plugin": "shell", "command": "true", **fields}, origin=Origin("units.pxu", 1))


def wanted(*jobs: JobDefinition) -> SessionState:
    state = SessionState(list(jobs))
    state.update_desired_job_list(list(jobs))
    return state


def all_jobs(reasons: JobReasons) -> Iterator[JobReasons]:
    yield reasons
    for reason in reasons.reasons:
        for other in reason.jobs:
            yield from all_jobs(other)


def test_a_long_chain_is_cut() -> None:
    """However far away the cause is, the reasons end after a few steps and say that there are more."""
    jobs = [job("j0"), *(job(f"j{number}", depends=f"j{number - 1}") for number in range(1, 5000))]
    told = list(all_jobs(Reasoning(wanted(*jobs), {}).of(jobs[-1])))
    assert len(told) < 20
    assert [item.cut for item in told] == [False] * (len(told) - 1) + [True]


def test_a_job_that_many_wait_for_is_explained_once() -> None:
    """Its reasons stand where it is first met; elsewhere it is only named."""
    middle = [job(f"m{number}", depends="root") for number in range(30)]
    jobs = [
        job("root", depends="cause"),
        job("cause"),
        *middle,
        job("top", depends=" ".join(item.id for item in middle)),
    ]
    told = list(all_jobs(Reasoning(wanted(*jobs), {}).of(jobs[-1])))
    assert len([item for item in told if item.id == "root"]) == 30
    assert len([item for item in told if item.id == "root" and item.reasons]) == 1
    assert len([item for item in told if item.id == "root" and item.cut]) == 29


def test_nothing_keeps_a_job_that_can_start() -> None:
    """A job without needs has no reasons, nor has one that ran."""
    one, two = job("one"), job("two", depends="one")
    state = wanted(one, two)
    assert Reasoning(state, {}).of(one).reasons == ()
    assert [reason.kind for reason in Reasoning(state, {}).of(two).reasons] == [ReasonKind.DEPENDS]
    state.update_job_result(one, MemoryJobResult({"outcome": "pass"}))
    state.update_job_result(two, MemoryJobResult({"outcome": "fail", "return_code": 1}))
    reasons = Reasoning(state, {}).of(two)
    assert (reasons.became, reasons.return_code, reasons.reasons) == ("failed", 1, ())


def test_looking_changes_nothing() -> None:
    """The run list and what inhibits its jobs are as before, also after a job that was not wanted."""
    one, two, other = job("one"), job("two", depends="one", requires="one.x == '1'"), job("other", depends="nobody")
    state = SessionState([one, two, other])
    state.update_desired_job_list([two])
    before = (
        [item.id for item in state.run_list],
        {item.job.id: list(map(str, item.readiness_inhibitor_list)) for item in state.job_state_map.values()},
    )
    reasoning = Reasoning(state, {"a": True})
    assert [reason.kind for reason in reasoning.of(other).reasons] == [ReasonKind.ORDER]
    reasoning.of(two)
    after = (
        [item.id for item in state.run_list],
        {item.job.id: list(map(str, item.readiness_inhibitor_list)) for item in state.job_state_map.values()},
    )
    assert before == after
    assert dict(state.dropped) == {}
