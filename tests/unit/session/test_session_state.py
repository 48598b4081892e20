# SPDX-License-Identifier: Apache-2.0
"""The state of a session."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainbox.errors import DependencyDuplicateError, DependencyMissingError
from plainbox.session.iolog import IOLogWriter
from plainbox.session.jobs import UndesiredJobReadinessInhibitor
from plainbox.session.result import DiskJobResult, MemoryJobResult
from plainbox.session.state import SessionState
from plainbox.units import CategoryUnit, JobDefinition, TemplateUnit, TestPlanUnit, Unit

TestPlanUnit.__test__ = False  # type: ignore[attr-defined]


def job(name: str, **fields: object) -> JobDefinition:
    return JobDefinition({"id": name, "plugin": "shell", "command": "true", **fields})


def resource(name: str, **fields: object) -> JobDefinition:
    return job(name, plugin="resource", **fields)


def template(name: str, of: str, /, **fields: object) -> TemplateUnit:
    data = {"template-resource": of, "id": name, "plugin": "shell", "command": "true", **fields}
    return TemplateUnit({key: value for key, value in data.items() if value is not None})


def result(outcome: str, output: bytes = b"") -> MemoryJobResult:
    return MemoryJobResult({"outcome": outcome, "io_log": [(0.0, "stdout", output)] if output else []})


def ids(units: Iterable[Unit]) -> list[str]:
    return [unit.id for unit in units]


def heard_by(state: SessionState) -> list[tuple[str, ...]]:
    """Return the list that every signal of the state goes to from now on."""
    heard: list[tuple[str, ...]] = []
    state.on_job_state_map_changed.connect(lambda: heard.append(("map",)))
    state.on_job_result_changed.connect(lambda job, result: heard.append(("result", job.id, str(result.outcome))))
    state.on_job_added.connect(lambda job: heard.append(("job added", job.id)))
    state.on_job_removed.connect(lambda job: heard.append(("job removed", job.id)))
    state.on_unit_added.connect(lambda unit: heard.append(("unit added", unit.id)))
    state.on_unit_removed.connect(lambda unit: heard.append(("unit removed", unit.id)))
    return heard


# -- units


def test_a_new_state_knows_its_units() -> None:
    """The list is kept by reference; every job has a state and nobody wants any."""
    units: list[Unit] = [job("b"), CategoryUnit({"id": "c", "name": "C"}), job("a")]
    state = SessionState(units)
    assert state.unit_list is units
    assert ids(state.job_list) == list(state.job_state_map) == ["b", "a"]
    assert state.desired_job_list == state.mandatory_job_list == state.run_list == []
    assert state.resource_map == {}
    assert state.manifest == {}
    assert state.system_information is None
    assert state.metadata.title is None


def test_two_equal_jobs_are_one() -> None:
    """A second job that says the same is not there; one that says something else is refused."""
    first = job("a")
    state = SessionState([first, job("a")])
    assert state.job_list == [first]
    assert state.job_list[0] is first
    with pytest.raises(DependencyDuplicateError, match="'a'"):
        SessionState([job("a"), job("b"), job("a", command="false")])


def test_a_unit_that_is_added_is_announced() -> None:
    """A job is there when the signals fire; other units are only announced as units."""
    state = SessionState([])
    heard = heard_by(state)
    category = CategoryUnit({"id": "c", "name": "C"})
    new = job("a")
    assert state.add_unit(new) is new
    assert state.add_unit(category) is category
    assert heard == [("map",), ("unit added", "a"), ("job added", "a"), ("unit added", "c")]
    assert state.unit_list == [new, category]
    assert state.job_state_map["a"].via_job is None


def test_a_job_that_is_known_is_not_added_again() -> None:
    """The known job comes back without a word; a different one of that name is refused and changes nothing."""
    first = job("a")
    state = SessionState([first])
    heard = heard_by(state)
    assert state.add_unit(job("a")) is first
    with pytest.raises(DependencyDuplicateError):
        state.add_unit(job("a", command="false"))
    assert heard == []
    assert state.unit_list == [first]


def test_many_units_are_added_past_a_bad_one() -> None:
    """One clash does not keep the other units out, and is raised at the end."""
    state = SessionState([job("a")])
    with pytest.raises(DependencyDuplicateError, match="'a'"):
        state.add_units([job("b"), job("a", command="false"), job("c")])
    assert ids(state.job_list) == ["a", "b", "c"]


def test_a_job_added_by_its_old_name() -> None:
    """The deprecated name does the same."""
    state = SessionState([])
    state.add_job(job("a"))
    assert ids(state.job_list) == ["a"]


def test_a_unit_that_is_removed_is_announced() -> None:
    """With a job go its state and its resources."""
    state = SessionState([resource("a"), CategoryUnit({"id": "c", "name": "C"})])
    state.set_resource_list("a", [{"x": "1"}])
    heard = heard_by(state)
    state.remove_unit(state.unit_list[1])
    state.remove_unit(resource("a"))
    assert heard == [("unit removed", "c"), ("unit removed", "a"), ("job removed", "a"), ("map",)]
    assert not state.unit_list
    assert not state.job_state_map
    assert not state.resource_map
    with pytest.raises(ValueError, match="not a unit of this session"):
        state.remove_unit(job("a"))


def test_a_job_on_the_run_list_stays() -> None:
    """What is going to run cannot be removed, and the attempt changes nothing."""
    state = SessionState([job("a"), job("b")])
    state.update_desired_job_list(state.job_list)
    heard = heard_by(state)
    with pytest.raises(ValueError, match="'a' is on the run list"):
        state.remove_unit(state.job_list[0])
    with pytest.raises(ValueError, match=r": a, b$"):
        state.trim_job_list(lambda job: True)
    assert ids(state.unit_list) == ids(state.job_list) == ["a", "b"]
    assert heard == []


def test_trimming_forgets_all_selected_jobs() -> None:
    """One signal about the map, then two for each job; selecting nothing is no change."""
    state = SessionState([job("a"), job("b"), CategoryUnit({"id": "c", "name": "C"}), job("d")])
    state.update_desired_job_list([state.job_state_map["b"].job])
    heard = heard_by(state)

    class NotB:
        def designates(self, job: JobDefinition) -> bool:
            return job.id != "b"

    state.trim_job_list(NotB())
    assert ids(state.unit_list) == ["b", "c"]
    assert ids(state.job_list) == ["b"]
    assert heard == [
        ("map",),
        ("job removed", "a"),
        ("unit removed", "a"),
        ("job removed", "d"),
        ("unit removed", "d"),
    ]
    heard.clear()
    state.trim_job_list(NotB())
    assert heard == []


def test_trimming_takes_every_definition_of_a_job_along() -> None:
    """A job that stands in the list of units twice is gone from it altogether."""
    state = SessionState([job("a"), job("b"), job("a")])
    state.trim_job_list(lambda job: job.id == "a")
    assert ids(state.unit_list) == ["b"]


@pytest.mark.parametrize("how", ["remove", "trim"])
def test_a_job_that_is_gone_is_not_mandatory(how: str) -> None:
    """A mandatory job that is not to run can be forgotten, and is no part of any list then."""
    state = SessionState([job("a"), job("b")])
    state.update_mandatory_job_list(state.job_list)
    if how == "remove":
        state.remove_unit(state.job_list[0])
    else:
        state.trim_job_list(lambda job: job.id == "a")
    assert ids(state.mandatory_job_list) == ["b"]
    assert state.update_desired_job_list([]) == []


@pytest.mark.parametrize("how", ["remove", "trim"])
def test_what_is_gone_cannot_be_salvaged(how: str) -> None:
    """A job that salvages one that failed has nothing to do any more when that one is forgotten."""
    state = SessionState([job("a"), job("b", salvages="a")])
    state.audit_readiness = True
    a, b = state.job_list
    state.update_desired_job_list([a, b])
    state.update_job_result(a, result("fail"))
    state.update_desired_job_list([b])
    assert state.job_state_map["b"].can_start()
    if how == "remove":
        state.remove_unit(a)
    else:
        state.trim_job_list(lambda job: job is a)
    assert [str(item) for item in state.job_state_map["b"].readiness_inhibitor_list] == ["it runs only if 'a' fails"]
    assert state.outdated_readiness() == []


def test_a_mandatory_job_must_be_known() -> None:
    """A job of somewhere else is left out and named among the problems."""
    state = SessionState([job("a")])
    state.update_mandatory_job_list([job("elsewhere"), *state.job_list])
    assert ids(state.mandatory_job_list) == ["a"]
    assert [str(problem) for problem in state.problems] == ["unknown job referenced: 'elsewhere'"]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ([1], TypeError),
        ({"a": object()}, ValueError),
        ({"a": float("nan")}, ValueError),
        ({"a": 2**53}, ValueError),
        ({"a": "x" * (16 * 1024 * 1024)}, ValueError),
    ],
    ids=["list", "object", "nan", "integer", "long"],
)
def test_system_information_can_be_stored(wrong: Any, error: type[Exception]) -> None:
    """What no record can hold is refused when it is set, and the old value stays."""
    state = SessionState([])
    assert state.system_information is None
    state.system_information = {"cpu": {"cores": 2}}
    with pytest.raises(error):
        state.system_information = wrong
    assert state.system_information == {"cpu": {"cores": 2}}
    state.system_information = None


def test_versions_tell_that_lists_have_changed() -> None:
    """Whoever keeps something made from the units or the job lists can see that it is out of date."""
    state = SessionState([job("a")])
    seen = [state.unit_list_version]
    state.add_unit(job("b"))
    seen.append(state.unit_list_version)
    state.remove_unit(state.unit_list[1])
    seen.append(state.unit_list_version)
    state.add_unit(job("c"))
    state.trim_job_list(lambda job: job.id == "c")
    seen.append(state.unit_list_version)
    assert seen == sorted(set(seen))


# -- siblings


def test_siblings_follow_their_job() -> None:
    """A declared sibling is a job right behind the one that declares it, at the start as later on."""
    base = job("a", siblings=[{"id": "a2", "command": "false"}])
    state = SessionState([base, job("z")])
    assert ids(state.unit_list) == ids(state.job_list) == ["a", "a2", "z"]
    heard = heard_by(state)
    state.add_unit(job("b", siblings=[{"id": "b2"}], flags="also-after-suspend"))
    assert ids(state.job_list) == ["a", "a2", "z", "b", "b2", "after-suspend-b2", "after-suspend-b"]
    assert [name for kind, *name in heard if kind == "job added"] == [
        ["b"],
        ["b2"],
        ["after-suspend-b2"],
        ["after-suspend-b"],
    ]


def test_a_sibling_may_be_there_already() -> None:
    """A sibling that is known is one job; one that clashes is a problem and ends nothing."""
    units: list[Unit] = [
        job("a", siblings=[{"id": "b"}, {"id": "c", "command": "false"}]),
        JobDefinition({**job("a").data, "id": "b"}),
        job("c"),
    ]
    state = SessionState(units)
    assert ids(state.unit_list) == ["a", "b", "c"]
    assert [str(problem) for problem in state.problems] == ["duplicate job id: 'c'"]
    state.add_unit(job("d", siblings=[{"id": "c", "command": "sleep 1"}]))
    assert ids(state.job_list) == ["a", "b", "c", "d"]
    assert len(state.problems) == 2


# -- what is to run


def test_the_run_list_has_what_the_wish_list_needs() -> None:
    """Needed jobs are pulled in, and the argument is not touched."""
    state = SessionState([job("a"), job("b", depends="a"), job("c")])
    wanted = [state.job_state_map["b"].job]
    assert state.update_desired_job_list(wanted) == []
    assert ids(state.run_list) == ["a", "b"]
    assert ids(state.desired_job_list) == ["b"]
    assert ids(wanted) == ["b"]
    assert state.job_state_map["a"].can_start()
    assert not state.job_state_map["c"].can_start()


def test_a_missing_dependency_is_a_problem_and_not_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """The job and what needs it are dropped with one problem each; the rest is planned, the argument untouched."""
    jobs = [job("a", depends="nope"), job("b", depends="a"), job("c")]
    state = SessionState([*jobs])
    with caplog.at_level(logging.WARNING):
        problems = state.update_desired_job_list(jobs)
    assert [(type(problem), problem.affected_job_id) for problem in problems] == [
        (DependencyMissingError, "a"),
        (DependencyMissingError, "b"),
    ]
    assert state.dropped == {"a": problems[0], "b": problems[1]}
    assert ids(state.run_list) == ids(state.desired_job_list) == ["c"]
    assert ids(jobs) == ["a", "b", "c"]
    assert "Dependency problem: missing dependency: 'nope' (depends)" in caplog.text
    assert state.update_desired_job_list([jobs[2]]) == []
    assert state.dropped == {}


def test_a_cycle_ends_with_problems() -> None:
    """Jobs that need each other are all reported, and nothing hangs."""
    state = SessionState([job("a", depends="b"), job("b", depends="a")])
    assert len(state.update_desired_job_list(state.job_list)) == 2
    assert state.run_list == []


def test_mandatory_jobs_are_effective_with_the_next_wish() -> None:
    """They come first and once, unless they are left out on purpose."""
    state = SessionState([job("a"), job("b"), job("m", depends="n"), job("n")])
    a, b, m, _ = state.job_list
    state.update_desired_job_list([a])
    state.update_mandatory_job_list([m])
    assert ids(state.run_list) == ["a"]
    state.update_desired_job_list([a, m, b])
    assert ids(state.desired_job_list) == ["m", "a", "b"]
    assert ids(state.run_list) == ["n", "m", "a", "b"]
    state.update_desired_job_list([a], include_mandatory=False)
    assert ids(state.run_list) == ["a"]


def test_excluded_jobs_stay_excluded() -> None:
    """Exclusions hold for later wishes until others are given."""
    state = SessionState([job("a"), job("b", depends="a"), job("c")])
    [problem] = state.update_desired_job_list(state.job_list, excluded=["a"])
    assert "excluded" in str(problem)
    assert ids(state.run_list) == ["c"]
    state.update_desired_job_list(state.job_list)
    assert ids(state.run_list) == ["c"]
    state.update_desired_job_list(state.job_list, excluded=())
    assert ids(state.run_list) == ["a", "b", "c"]


def test_a_job_that_is_wanted_no_more_is_undesired() -> None:
    """Leaving the run list is an inhibitor of its own."""
    state = SessionState([job("a"), job("b")])
    state.audit_readiness = True
    a, b = state.job_list
    state.update_desired_job_list([a, b])
    state.update_desired_job_list([b])
    assert state.job_state_map["a"].readiness_inhibitor_list == [UndesiredJobReadinessInhibitor]
    assert state.job_state_map["b"].can_start()


# -- results


def test_the_signals_of_a_result_in_their_order() -> None:
    """First the job's own, then the map, the result, and what it brought about."""
    state = SessionState([resource("r"), template("t-{x}", "r")])
    job_state = state.job_state_map["r"]
    heard = heard_by(state)
    job_state.on_result_changed.connect(lambda old, new: heard.append(("own result",)))
    job_state.on_result_history_changed.connect(lambda old, new: heard.append(("own history",)))
    state.update_job_result(job_state.job, result("pass", b"x: 1\n"))
    assert heard == [
        ("own result",),
        ("own history",),
        ("map",),
        ("result", "r", "pass"),
        ("map",),
        ("unit added", "t-1"),
        ("job added", "t-1"),
    ]


def test_equal_results_are_attempts() -> None:
    """The same outcome twice is a history of two."""
    state = SessionState([job("a")])
    state.update_job_result(state.job_list[0], result("pass"))
    state.update_job_result(state.job_list[0], result("pass"))
    assert [item.attempt for item in state.job_state_map["a"].result_history] == [1, 2]


def test_a_result_may_replace_the_last_one() -> None:
    """A verdict on an attempt that has one already is not another attempt."""
    state = SessionState([job("a"), job("b", depends="a")])
    state.audit_readiness = True
    a, b = state.job_list
    state.update_desired_job_list([b])
    with pytest.raises(ValueError, match="replace"):
        state.update_job_result(a, result("pass"), replace=True)
    state.update_job_result(a, result("fail"))
    state.update_job_result(a, result("pass"), replace=True)
    assert [(item.outcome, item.attempt) for item in state.job_state_map["a"].result_history] == [("pass", 1)]
    assert state.job_state_map["b"].can_start()


def test_a_result_of_a_wrong_type_changes_nothing() -> None:
    """What is not a result is refused before anything is announced."""
    state = SessionState([job("a")])
    heard = heard_by(state)
    with pytest.raises(TypeError):
        state.update_job_result(state.job_list[0], "pass")  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        state.update_job_result(job("nope"), result("pass"))
    assert heard == []


@pytest.mark.parametrize(
    "signal_name", ["on_result_changed", "on_job_state_map_changed", "on_job_result_changed", "on_job_added"]
)
def test_a_raising_listener_does_not_stop_a_result(signal_name: str) -> None:
    """Whoever raises, the result is complete: history, resources, new jobs, readiness, all announced."""
    state = SessionState([resource("r"), template("t-{x}", "r"), job("u", requires="r.x == '1'")])
    state.update_desired_job_list([state.job_state_map["u"].job])
    job_state = state.job_state_map["r"]

    def fail(*args: object) -> None:
        raise RuntimeError("a listener")

    owner: Any = job_state if signal_name == "on_result_changed" else state
    getattr(owner, signal_name).connect(fail)
    heard = heard_by(state)
    with pytest.raises(RuntimeError, match="a listener"):
        state.update_job_result(job_state.job, result("pass", b"x: 1\n\nx: 2\n"))
    assert len(job_state.result_history) == 1
    assert ids(state.job_list) == ["r", "u", "t-1", "t-2"]
    assert state.job_state_map["u"].can_start()
    assert [item for item in heard if item[0] == "job added"] == [("job added", "t-1"), ("job added", "t-2")]


def test_listeners_of_one_state_do_not_hear_another() -> None:
    """Signals belong to the object, not to its class."""
    one, two = SessionState([job("a")]), SessionState([job("a")])
    heard = heard_by(one)
    two.update_job_result(two.job_list[0], result("pass"))
    assert heard == []


# -- resources and templates


def test_a_resource_is_replaced_as_a_whole() -> None:
    """The records of the last run count; nonsense keeps the records before it, nothing is one empty record."""
    state = SessionState([resource("r")])
    [r] = state.job_list
    state.update_job_result(r, result("pass", b"a: 1\n\na: 2\n"))
    assert state.resource_map == {"r": [{"a": "1"}, {"a": "2"}]}
    state.update_job_result(r, result("fail", b"b: 1\n\nnonsense\n"))
    assert state.resource_map == {"r": [{"b": "1"}]}
    state.update_job_result(r, result("pass"))
    assert state.resource_map == {"r": [{}]}


def test_only_resource_jobs_with_an_outcome_publish() -> None:
    """Other jobs may print what they like, and clearing a result takes no records away."""
    state = SessionState([resource("r"), job("a")])
    r, a = state.job_list
    state.update_job_result(a, result("pass", b"x: 1\n"))
    state.update_job_result(r, result("pass", b"x: 1\n"))
    state.update_job_result(r, MemoryJobResult({}))
    assert state.resource_map == {"r": [{"x": "1"}]}


@pytest.mark.parametrize("flag", ["incomplete", "truncated"])
def test_half_of_the_output_of_a_resource_does_not_count(tmp_path: Path, flag: str) -> None:
    """Without all of the output there is one empty record and no instance, and a problem names the job."""
    (tmp_path / "io-logs").mkdir()
    log = IOLogWriter(tmp_path, "res", 1)
    log.write("stdout", b"name: x\n")
    reference = log.close()
    state = SessionState(
        [resource("res"), template("made-{name}", "res"), asks := job("asks", requires="res.name == 'x'")]
    )
    state.update_desired_job_list([asks])
    partial = DiskJobResult({"outcome": "pass", "log": {**reference, flag: True}}, tmp_path)
    state.update_job_result(state.job_state_map["res"].job, partial)
    assert state.resource_map == {"res": [{}]}
    assert not state.job_state_map["asks"].can_start()
    assert "made-x" not in state.job_state_map
    assert ["'res' is incomplete" in str(problem) for problem in state.problems] == [True]
    state.update_job_result(
        state.job_state_map["res"].job, DiskJobResult({"outcome": "pass", "log": reference}, tmp_path)
    )
    assert state.job_state_map["asks"].can_start()
    assert "made-x" in state.job_state_map


def test_setting_a_resource_makes_jobs_ready() -> None:
    """Records that come from elsewhere count like those of the job."""
    state = SessionState([resource("r"), job("u", requires="r.x == '1'")])
    state.audit_readiness = True
    state.update_desired_job_list(state.job_list)
    state.set_resource_list("r", [{"x": "1"}])
    assert state.job_state_map["u"].can_start()
    state.set_resource_list("r", [{"x": "2"}])
    assert not state.job_state_map["u"].can_start()


def test_templates_make_jobs_of_accepted_records() -> None:
    """Each accepted record is an instance, counted from one; the jobs know where they come from."""
    state = SessionState(
        [
            resource("r"),
            template("n-{__index__}-{x}", "r", **{"template-filter": "r.use == 'yes'"}),
            template("other-{x}", "q"),
        ]
    )
    r = state.job_list[0]
    state.update_job_result(r, result("pass", b"x: a\nuse: no\n\nx: b\nuse: yes\n\nx: c\nuse: yes\n"))
    assert ids(state.job_list) == ["r", "n-1-b", "n-2-c"]
    assert state.job_state_map["n-1-b"].via_job is r


def test_an_empty_resource_makes_no_jobs() -> None:
    """The empty record that stands for no records is not a record for templates."""
    state = SessionState([resource("r"), template("t{x}", "r")])
    state.update_job_result(state.job_list[0], result("pass"))
    assert ids(state.job_list) == ["r"]


def test_a_resource_that_runs_again_makes_the_same_jobs() -> None:
    """The same record makes the same job, which keeps its results; a different one of that id is a problem."""
    state = SessionState([resource("r"), template("t-{x}", "r", summary="{y}")])
    r = state.job_list[0]
    state.update_job_result(r, result("pass", b"x: 1\ny: a\n"))
    state.update_job_result(state.job_state_map["t-1"].job, result("pass"))
    state.update_job_result(r, result("pass", b"x: 1\ny: a\n"))
    assert not state.problems
    state.update_job_result(r, result("pass", b"x: 1\ny: b\n"))
    assert [type(problem) for problem in state.problems] == [DependencyDuplicateError]
    assert state.job_state_map["t-1"].result.outcome == "pass"
    assert ids(state.unit_list) == ["r", "t-x", "t-1"]


def test_a_template_that_is_added_or_removed_later_counts() -> None:
    """Templates are found by their resource, whenever they came; one that is gone makes nothing."""
    state = SessionState([resource("r")])
    later = template("t-{x}", "r")
    state.add_unit(later)
    state.update_job_result(state.job_list[0], result("pass", b"x: 1\n"))
    state.remove_unit(later)
    state.update_job_result(state.job_list[0], result("pass", b"x: 2\n"))
    assert ids(state.job_list) == ["r", "t-1"]


def test_generated_resource_jobs_have_templates_of_their_own() -> None:
    """Instances may be resource jobs that other templates wait for."""
    state = SessionState([resource("r"), template("r-{x}", "r", plugin="resource"), template("t-{y}", "r-1")])
    state.update_job_result(state.job_state_map["r"].job, result("pass", b"x: 1\n"))
    state.update_job_result(state.job_state_map["r-1"].job, result("pass", b"y: 2\n"))
    assert ids(state.job_list) == ["r", "r-1", "t-2"]


def test_an_instance_that_is_no_good_unit_is_there_all_the_same() -> None:
    """In a strict session a job with a parameter that the record does not have is added, and its issues say so."""
    state = SessionState([resource("r"), template("t-{nope}", "r")])
    state.metadata.flags = {"strict_template_expansion"}
    state.update_job_result(state.job_state_map["r"].job, result("pass", b"x: 1\n"))
    [instance] = state.job_list[1:]
    assert instance.id == "t-MISSING_PARAM_1"
    assert instance.errors


def test_an_instance_that_is_no_good_unit_is_left_out() -> None:
    """In a session that is not strict it is a problem that names the parameter, and the good instances are there."""
    state = SessionState([resource("r"), template("t-{y}", "r")])
    state.update_job_result(state.job_state_map["r"].job, result("pass", b"x: 1\n\ny: 2\n"))
    assert [job.id for job in state.job_list[1:]] == ["t-2"]
    [problem] = state.problems
    assert "'y' has no value" in str(problem)


def test_instances_that_are_no_jobs_are_added_once() -> None:
    """A template of another kind of unit makes one unit for each record, however often the resource runs."""
    fields = {"template-unit": "category", "name": "Category {x}", "plugin": None, "command": None}
    state = SessionState([resource("r"), template("c-{x}", "r", **fields)])
    for _ in range(2):
        state.update_job_result(state.job_list[0], result("pass", b"x: 1\n"))
    assert [unit.id for unit in state.unit_list if isinstance(unit, CategoryUnit)] == ["c-1"]


# -- readiness and cost


NAMES = [f"j{index}" for index in range(6)]


@st.composite
def catalogues(draw: st.DrawFn) -> list[JobDefinition]:
    jobs = []
    for index, name in enumerate(NAMES):
        earlier = st.lists(st.sampled_from(NAMES[:index] or ["-"]), max_size=2, unique=True).map(" ".join)
        fields: dict[str, str] = {key: draw(earlier) for key in ("depends", "after", "salvages")} if index else {}
        if index and draw(st.booleans()):
            fields["requires"] = f"{draw(st.sampled_from(NAMES[:index]))}.x == '1'"
        plugin = draw(st.sampled_from(["shell", "resource"]))
        jobs.append(job(name, **{"plugin": plugin, **{key: value for key, value in fields.items() if value}}))
    return jobs


OUTCOMES = st.tuples(
    st.sampled_from(NAMES), st.sampled_from(["pass", "fail", "skip", ""]), st.sampled_from([b"", b"x: 1\n", b"x: 2\n"])
)


@settings(max_examples=60, deadline=None)
@given(catalogues(), st.lists(OUTCOMES, max_size=12), st.sets(st.sampled_from(NAMES)))
def test_looking_at_reachable_jobs_only_is_enough(
    jobs: list[JobDefinition], results: list[tuple[str, str, bytes]], wanted: set[str]
) -> None:
    """Whatever the results, readiness is what looking at all jobs would have found."""
    state = SessionState([*jobs])
    state.audit_readiness = True
    state.update_desired_job_list([item for item in jobs if item.id in wanted])
    for name, outcome, output in results:
        new = result(outcome, output) if outcome else MemoryJobResult({})
        state.update_job_result(state.job_state_map[name].job, new)
    found = {name: item.readiness_inhibitor_list for name, item in state.job_state_map.items()}
    state.recompute_readiness()
    assert {name: item.readiness_inhibitor_list for name, item in state.job_state_map.items()} == found


def test_the_audit_finds_a_forgotten_job() -> None:
    """The comparison with all jobs notices a readiness that was not brought up to date."""
    state = SessionState([job("a"), job("b", depends="a"), job("c")])
    state.update_desired_job_list(state.job_list)
    state.audit_readiness = True
    state.job_state_map["b"].readiness_inhibitor_list = []
    with pytest.raises(AssertionError, match="'b'"):
        state.update_job_result(state.job_state_map["c"].job, result("pass"))


def test_many_results_at_once_are_looked_at_in_the_end() -> None:
    """Inside the block readiness stands still; afterwards it is that of all the results, also after an error."""
    state = SessionState([job("a"), job("b", depends="a")])
    state.audit_readiness = True
    a, b = state.job_list
    with state.deferred_readiness(), state.deferred_readiness():
        state.update_desired_job_list([b])
        state.update_job_result(a, result("pass"))
        assert state.job_state_map["b"].readiness_inhibitor_list == [UndesiredJobReadinessInhibitor]
    assert state.job_state_map["b"].can_start()

    def interrupted() -> None:
        with state.deferred_readiness():
            state.update_job_result(a, result("fail"))
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert not state.job_state_map["b"].can_start()


def lines_run(action: Any, *args: object) -> int:
    """Return how many lines of Python an action runs through: a measure of cost that no clock disturbs."""
    count = 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    previous = sys.gettrace()
    gc.disable()  # a collection would run through callbacks of others
    sys.settrace(trace)
    try:
        action(*args)
    finally:
        sys.settrace(previous)
        gc.enable()
    return count


def test_a_result_costs_the_same_in_a_large_session() -> None:
    """What is done for a result depends on the jobs that it can reach, not on how many there are."""
    costs = []
    for size in (100, 2_000):
        state = SessionState(
            [job(f"j{index}", **({"depends": f"j{index - 1}"} if index else {})) for index in range(size)]
        )
        jobs = state.job_list
        state.update_desired_job_list(jobs)
        for item in jobs[:50]:
            state.update_job_result(item, result("pass"))
        costs.append(lines_run(state.update_job_result, jobs[50], result("pass")))
    assert costs[0] == costs[1]
