# SPDX-License-Identifier: Apache-2.0
"""Whether a job can start, and what becomes of one that cannot."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from plainbox.session.jobs import InhibitionCause
from plainbox.session.readiness import UnstartableOutcome, dependents_in, inhibitors_of, outcome_of_unstartable
from plainbox.session.result import MemoryJobResult
from plainbox.session.state import SessionState
from plainbox.units.job import JobDefinition


def job(name: str, **fields: object) -> JobDefinition:
    return JobDefinition({"id": name, "plugin": "shell", "command": "true", **fields})


def session(*jobs: JobDefinition) -> SessionState:
    state = SessionState(list(jobs))
    state.audit_readiness = True
    state.update_desired_job_list(jobs)
    return state


def finish(state: SessionState, name: str, outcome: str, output: bytes = b"") -> None:
    log = [(0.0, "stdout", output)] if output else []
    result = MemoryJobResult({"outcome": outcome, "io_log": log})
    state.update_job_result(state.job_state_map[name].job, result)


def inhibitors(state: SessionState, name: str) -> list[tuple[str, str | None]]:
    found = state.job_state_map[name].readiness_inhibitor_list
    return [(item.cause.name, item.related_job.id if item.related_job else None) for item in found]


def fate(state: SessionState, name: str) -> UnstartableOutcome:
    return outcome_of_unstartable(state.job_state_map[name], state)


def reason(
    dependencies: list[str] | None = None, resources: list[str] | None = None, manifests: list[str] | None = None
) -> dict[str, list[str]]:
    return {
        "related_dependencies": dependencies or [],
        "related_resources": resources or [],
        "related_manifests": manifests or [],
    }


# -- inhibitors


def test_a_dependency_must_have_passed() -> None:
    """A dependency inhibits until it has run, and for good when it came to anything but a pass."""
    state = session(job("a"), job("x", depends="a"))
    assert inhibitors(state, "x") == [("PENDING_DEP", "a")]
    finish(state, "a", "fail")
    assert inhibitors(state, "x") == [("FAILED_DEP", "a")]
    finish(state, "a", "pass")
    assert state.job_state_map["x"].can_start()


def test_a_job_runs_after_another_whatever_became_of_it() -> None:
    """Running after a job asks for an outcome, not for a good one."""
    state = session(job("a"), job("x", after="a"))
    assert inhibitors(state, "x") == [("PENDING_DEP", "a")]
    finish(state, "a", "crash")
    assert inhibitors(state, "x") == []


def test_a_rerun_makes_the_dependents_wait_again() -> None:
    """A job that is to run again has no outcome, and what depends on it waits."""
    state = session(job("a"), job("x", depends="a"))
    finish(state, "a", "pass")
    state.update_job_result(state.job_state_map["a"].job, MemoryJobResult({}))
    assert inhibitors(state, "x") == [("PENDING_DEP", "a")]


@pytest.mark.parametrize(("outcome", "runs"), [("fail", True), ("crash", True), ("pass", False), ("skip", False)])
def test_a_job_salvages_what_failed(outcome: str, runs: bool) -> None:
    """A failure or a crash is salvaged; anything else leaves nothing to do."""
    state = session(job("t"), job("s", salvages="t"))
    assert inhibitors(state, "s") == [("NOT_FAILED_DEP", "t")]
    finish(state, "t", outcome)
    assert state.job_state_map["s"].can_start() is runs
    if not runs:
        assert fate(state, "s") == (
            "not-supported",
            "it runs only if 't' fails",
            reason(["t"]),
        )


def test_a_target_that_nobody_knows_did_not_fail() -> None:
    """A salvaging job with an unknown target does not run, and says why."""
    state = session(job("s", salvages="nope"))
    assert inhibitors(state, "s") == [("NOT_FAILED_DEP", "nope")]
    assert fate(state, "s").outcome == "not-supported"


def test_a_resource_must_be_known_and_the_expression_true() -> None:
    """An expression waits for its resource, then holds or does not."""
    state = session(job("r", plugin="resource"), job("x", requires="r.a == '1'"))
    assert inhibitors(state, "x") == [("PENDING_RESOURCE", "r")]
    finish(state, "r", "pass", b"a: 2\n")
    assert inhibitors(state, "x") == [("FAILED_RESOURCE", "r")]
    finish(state, "r", "pass", b"a: 1\n")
    assert inhibitors(state, "x") == []


def test_a_failed_resource_job_has_published_all_the_same() -> None:
    """What a resource job printed counts, whatever it came to."""
    state = session(job("r", plugin="resource"), job("x", requires="r.a == '1'"))
    finish(state, "r", "fail", b"a: 1\n")
    assert state.job_state_map["x"].can_start()


def test_a_skipped_resource_job_makes_expressions_false() -> None:
    """A resource without records answers every question with no, rather than with nothing."""
    state = session(job("r", plugin="resource"), job("x", requires="r.a == '1'"))
    finish(state, "r", "skip")
    assert state.resource_map["r"] == [{}]
    assert inhibitors(state, "x") == [("FAILED_RESOURCE", "r")]


def test_every_expression_and_every_resource_of_it_is_named() -> None:
    """Inhibitors tell all that is missing, each resource with its expression."""
    state = session(
        job("r", plugin="resource"),
        job("q", plugin="resource"),
        job("x", requires="r.a == '1' and q.b == '1'\nr.a == '2'"),
    )
    assert inhibitors(state, "x") == [("PENDING_RESOURCE", "r"), ("PENDING_RESOURCE", "q"), ("PENDING_RESOURCE", "r")]
    finish(state, "r", "pass", b"a: 1\n")
    assert inhibitors(state, "x") == [("PENDING_RESOURCE", "q"), ("FAILED_RESOURCE", "r")]
    finish(state, "q", "pass", b"b: 2\n")
    assert inhibitors(state, "x") == [("FAILED_RESOURCE", "r"), ("FAILED_RESOURCE", "q"), ("FAILED_RESOURCE", "r")]


class SetupJob(JobDefinition):
    """A job that asks for entries of the manifest by itself."""

    @property
    def required_manifest(self) -> Mapping[str, bool | int]:
        return {"ns::has_x": True, "ns::count": 2}


def test_manifest_entries_must_have_their_values() -> None:
    """An entry without an answer is a no; an answer that is given later counts at once."""
    setup = SetupJob({"id": "setup", "plugin": "shell", "command": "true"})
    state = session(setup)
    [inhibitor] = state.job_state_map["setup"].readiness_inhibitor_list
    assert inhibitor.cause is InhibitionCause.REQUIRED_MANIFEST
    assert inhibitor.related_manifests == ("ns::has_x", "ns::count")
    assert fate(state, "setup")[::2] == ("skipped-manifest", reason(manifests=["ns::has_x", "ns::count"]))
    state.manifest = {"ns::has_x": True, "ns::count": 2}
    assert state.job_state_map["setup"].can_start()


def test_the_order_of_inhibitors() -> None:
    """Manifest, resources, then depends, after and salvages, each sorted by id and named once."""
    x = SetupJob(
        {
            "id": "x",
            "plugin": "shell",
            "command": "true",
            "requires": "r.a == '1'",
            "depends": "d2 d1 d2",
            "after": "a2 a1",
            "salvages": "s2 s1",
        }
    )
    others = [job(name) for name in ("d1", "d2", "a1", "a2", "s1", "s2")]
    state = session(job("r", plugin="resource"), *others, x)
    assert inhibitors(state, "x") == [
        ("REQUIRED_MANIFEST", "x"),
        ("PENDING_RESOURCE", "r"),
        ("PENDING_DEP", "d1"),
        ("PENDING_DEP", "d2"),
        ("PENDING_DEP", "a1"),
        ("PENDING_DEP", "a2"),
        ("NOT_FAILED_DEP", "s1"),
        ("NOT_FAILED_DEP", "s2"),
    ]


def test_requirements_without_sense_do_not_inhibit() -> None:
    """A job whose requirements do not parse is started, and fails for that reason."""
    state = session(job("x", requires="not an expression"))
    assert state.job_state_map["x"].can_start()


def test_a_job_that_is_needed_and_not_there_is_named() -> None:
    """Asked about a job outside of any plan, readiness names what it misses."""
    state = session()
    found = inhibitors_of(job("x", depends="d", after="a", requires="r.x == '1'"), state)
    assert [(item.cause.name, item.related_job.id) for item in found if item.related_job] == [
        ("PENDING_RESOURCE", "r"),
        ("PENDING_DEP", "d"),
        ("PENDING_DEP", "a"),
    ]


def test_dependents_are_all_that_a_result_can_reach() -> None:
    """Every kind of edge leads from a result to the jobs whose readiness it can change, each once."""
    jobs = [
        job("a", depends="t", after="t"),
        job("b", after="t"),
        job("c", requires="t.x == '1'\nt.y == '2'"),
        job("d", salvages="t"),
        job("e", before="t"),
    ]
    assert dependents_in(jobs) == {"t": ["a", "b", "c", "d"]}


# -- the outcome of a job that cannot start


def test_a_failed_dependency_skips() -> None:
    """The reason names the dependency."""
    state = session(job("a"), job("b"), job("x", depends="a b"))
    finish(state, "a", "fail")
    assert fate(state, "x") == (
        "skipped-dependency",
        "required dependency 'a' has failed; required dependency 'b' did not run yet",
        reason(["a", "b"]),
    )


def test_a_dependency_that_a_person_skipped_counts_as_skipped_here_too() -> None:
    """The will of a person wins over every other reason."""
    state = session(
        job("a"), job("b"), job("r", plugin="resource"), job("x", depends="a b", requires="r.manifest == '1'")
    )
    finish(state, "a", "fail")
    finish(state, "b", "skip")
    finish(state, "r", "pass", b"x: 1\n")
    assert fate(state, "x").outcome == "skip"


def test_an_unmet_resource_skips() -> None:
    """The reason has the texts of the expressions."""
    state = session(job("r", plugin="resource"), job("x", requires="r.a == '1'"))
    finish(state, "r", "pass", b"a: 2\n")
    assert fate(state, "x") == (
        "skipped-resource",
        "resource expression \"r.a == '1'\" evaluates to false",
        reason(resources=["r.a == '1'"]),
    )


def test_an_unmet_resource_may_be_a_failure() -> None:
    """With the flag fail-on-resource a machine without the resource has failed."""
    state = session(job("r", plugin="resource"), job("x", requires="r.a == '1'", flags="fail-on-resource"))
    finish(state, "r", "pass", b"a: 2\n")
    assert fate(state, "x").outcome == "fail"


@pytest.mark.parametrize("flags", ["", "fail-on-resource"])
def test_an_unmet_manifest_is_no_failure(flags: str) -> None:
    """An expression about the manifest skips, and the reason has the entries."""
    state = session(job("manifest", plugin="resource"), job("x", requires="manifest.has_x == 'True'", flags=flags))
    finish(state, "manifest", "pass", b"has_x: False\n")
    assert fate(state, "x")[::2] == (
        "skipped-manifest",
        reason(resources=["manifest.has_x == 'True'"], manifests=["has_x"]),
    )


@pytest.mark.parametrize(
    ("fields", "outcome", "why"),
    [
        ({"depends": "a"}, "skipped-dependency", reason(["a"])),
        ({"after": "a"}, "skipped-dependency", reason(["a"])),
        ({"requires": "r.a == '1'"}, "skipped-resource", reason(resources=["r.a == '1'"])),
    ],
)
def test_what_never_got_a_result_is_a_reason_too(
    fields: dict[str, str], outcome: str, why: dict[str, list[str]]
) -> None:
    """A job whose turn has come while something it needs has no result is skipped for that."""
    state = session(job("a"), job("r", plugin="resource"), job("x", **fields))
    assert fate(state, "x")[::2] == (outcome, why)


def test_a_dropped_job_is_skipped_for_its_problem() -> None:
    """The planner's problem becomes the reason."""
    state = session(job("x", depends="nope"), job("y", depends="x"))
    assert fate(state, "x") == (
        "skipped-dependency",
        "missing dependency: 'nope' (depends)",
        reason(["nope"]),
    )
    assert fate(state, "y")[::2] == ("skipped-dependency", reason(["x"]))


def test_a_job_that_can_start_has_no_such_outcome() -> None:
    """Asking for the fate of a job that can start, or that nobody wants, is a mistake."""
    state = session(job("a"))
    with pytest.raises(ValueError, match="not kept from starting"):
        fate(state, "a")
    state.update_desired_job_list([])
    with pytest.raises(ValueError, match="not kept from starting"):
        fate(state, "a")
