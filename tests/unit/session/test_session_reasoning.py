# SPDX-License-Identifier: Apache-2.0
"""Reasons of jobs that are far from their cause, told once and within bounds."""

from __future__ import annotations

from collections.abc import Iterator

from plainbox.session import SessionState
from plainbox.session.reasoning import Reasoning
from plainbox.session.reasons import JobReasons, ReasonKind
from plainbox.session.result import MemoryJobResult
from plainbox.units import JobDefinition, SetupJobDefinition
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


def test_what_a_bootstrap_still_has_to_run_comes_first() -> None:
    """A job of a later phase waits for the jobs of this one that have no result, few of them named."""
    first = [job(f"r{number}", plugin="resource") for number in range(8)]
    late, other = job("late"), job("other")
    state = SessionState([*first, late, other])
    state.metadata.bootstrapping = True
    state.update_desired_job_list(first)
    state.update_job_result(first[0], MemoryJobResult({"outcome": "fail"}))
    reasoning = Reasoning(state, {}, coming=[late])
    [reason] = reasoning.of(late).reasons
    assert reason.kind is ReasonKind.PHASE
    assert reason.message == "the bootstrap comes first, with r1, r2, r3, r4, r5 and 2 more still to run"
    assert reasoning.of(other).reasons == ()
    for item in first[1:]:
        state.update_job_result(item, MemoryJobResult({"outcome": "pass"}))
    assert reasoning.of(late).reasons == ()


def test_a_job_that_will_not_fit_in_any_order_says_so_before_its_phase() -> None:
    """In the setup the order of the jobs that come is known already."""
    setup, one, two = SetupJobDefinition({"id": "s", "command": "true"}), job("one"), job("two", depends="one nobody")
    state = SessionState([setup, one, two])
    state.metadata.setting_up = True
    state.update_desired_job_list([setup])
    state.update_job_result(setup, MemoryJobResult({"outcome": "fail", "return_code": 1}))
    phase, order = Reasoning(state, {}, coming=[one, two]).of(two).reasons
    assert phase.message == "s failed in the setup, and nothing else runs before that passes"
    assert [(item.id, item.became, item.cut) for item in phase.jobs] == [("s", "failed", True)]
    assert order.message == "it needs nobody (depends), which is not defined"


def test_a_member_of_a_group_that_goes_round_in_circles() -> None:
    """The steps are those that the jobs have, and the group is named where it is the reason."""
    jobs = [job("l1", group="g", after="l2"), job("l2"), job("l3", group="g", before="l2")]
    state = wanted(*jobs)
    for item in jobs:
        state.update_job_result(item, MemoryJobResult({"outcome": "skipped-dependency"}))
    messages = [reason.message for reason in Reasoning(state, {}).of(jobs[1]).reasons]
    assert messages == ["it would have to run before itself: l2 -> l3 (group 'g') -> l1 -> l2"]


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
