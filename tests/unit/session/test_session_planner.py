# SPDX-License-Identifier: Apache-2.0
"""From the jobs that are wanted to the order in which they run."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Collection, Iterable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainbox.errors import DependencyCycleError, DependencyMissingError, DependencyUnknownError
from plainbox.session.planner import Plan, Planner, needs_of
from plainbox.units.job import JobDefinition


def job(name: str, **fields: object) -> JobDefinition:
    return JobDefinition({"id": name, "plugin": "shell", "command": "true", **fields})


def plan(
    jobs: Iterable[JobDefinition],
    wanted: str | None = None,
    *,
    mandatory: str = "",
    excluded: Collection[str] = (),
) -> Plan:
    known = {item.id: item for item in jobs}
    names = list(known) if wanted is None else wanted.split()
    return Planner(known).plan(
        [known.get(name) or job(name) for name in names],
        mandatory=[known[name] for name in mandatory.split()],
        excluded=excluded,
    )


def order(result: Plan) -> str:
    return " ".join(item.id for item in result.run_list)


def problems(result: Plan) -> list[str]:
    return [f"{problem.affected_job_id}: {problem.message}" for problem in result.problems]


# -- order


def test_the_wanted_order_is_kept() -> None:
    """Without edges the jobs run as they were listed, each once."""
    jobs = [job("a"), job("b"), job("c")]
    assert order(plan(jobs, "c a b a")) == "c a b"


def test_mandatory_jobs_come_first_and_once() -> None:
    """Mandatory jobs precede the wish list, with what they need, and are not repeated."""
    jobs = [job("a"), job("b", depends="d"), job("c"), job("d")]
    result = plan(jobs, "a b c", mandatory="c b")
    assert order(result) == "c d b a"
    assert [item.id for item in result.wanted] == ["c", "b", "a"]


def test_needed_jobs_come_just_before_in_the_order_of_their_declaration() -> None:
    """First what it depends on, then its resources, then what it runs after, each as declared."""
    jobs = [
        job("r1", plugin="resource"),
        job("r2", plugin="resource"),
        job("x", depends="d2 d1", requires="r2.a == '1'\nr1.b == '2' and r2.c == '3'", after="z y"),
        *map(job, ["y", "z", "d1", "d2", "other"]),
    ]
    assert order(plan(jobs, "other x")) == "other d2 d1 r2 r1 z y x"


def test_needs_of_a_job_without_edges() -> None:
    """A job that names no other needs none."""
    assert needs_of(job("a")) == ()
    assert needs_of(job("a", depends="b", after="c")) == ("b", "c")


def test_before_orders_but_does_not_pull() -> None:
    """A job that runs before another one does so when both are wanted, and is not run for it otherwise."""
    jobs = [job("a"), job("b"), job("c", before="a")]
    assert order(plan(jobs, "a b c")) == "c a b"
    assert order(plan(jobs, "a b")) == "a b"
    assert order(plan(jobs, "c")) == "c"


def test_before_an_unknown_job_is_said_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    """A name that means nothing is no reason not to run."""
    with caplog.at_level(logging.WARNING):
        assert order(plan([job("a", before="nope")])) == "a"
    assert "nope" in caplog.text


def test_salvages_orders_but_does_not_pull() -> None:
    """A job that salvages runs after its targets wherever it is listed, and does not bring them along."""
    jobs = [job("s", salvages="t nope"), job("t")]
    assert order(plan(jobs, "s t")) == "t s"
    assert order(plan(jobs, "s")) == "s"


def test_a_requirement_without_sense_names_nothing() -> None:
    """A job whose requirements do not parse stays in the plan, without its resources."""
    jobs = [job("r", plugin="resource"), job("a", requires="r.x = 1", depends="b"), job("b")]
    assert order(plan(jobs, "a")) == "b a"


def test_groups_run_in_one_piece() -> None:
    """Group members run one after the other, and what one of them needs runs before all of them."""
    jobs = [
        job("g2", group="g"),
        job("bad"),
        job("b1", before="bad"),
        job("ok"),
        job("g1", group="g", after="ok"),
    ]
    assert order(plan(jobs, "g2 bad b1 ok g1")) == "ok g2 g1 b1 bad"


def test_a_group_is_ordered_inside_by_its_own_edges() -> None:
    """Setup, tests and teardown of a group stay in order whatever the order of the list."""
    jobs = [
        job("teardown", group="g", after="test1 test2"),
        job("test2", group="g", depends="setup"),
        job("test1", group="g", depends="setup"),
        job("setup", group="g"),
        job("alone"),
    ]
    assert order(plan(jobs, "alone teardown test2 test1 setup")) == "alone setup test1 test2 teardown"


def test_depending_on_a_member_means_the_whole_group() -> None:
    """A job that needs one member of a group runs after all of them."""
    jobs = [job("x", depends="g1"), job("g1", group="g"), job("g2", group="g")]
    assert order(plan(jobs, "x g1 g2")) == "g1 g2 x"


# -- what cannot be


def test_an_unknown_job_is_a_problem_of_its_own() -> None:
    """A wanted job that is not known does not keep the others from running."""
    result = plan([job("a")], "nope a")
    assert order(result) == "a"
    assert [type(problem) for problem in result.problems] == [DependencyUnknownError]
    assert result.dropped["nope"] is result.problems[0]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [({"depends": "nope"}, "depends"), ({"after": "nope"}, "after"), ({"requires": "nope.x == '1'"}, "resource")],
)
def test_a_job_that_misses_something_is_dropped(fields: dict[str, str], kind: str) -> None:
    """The problem names what is missing and what it is needed for."""
    result = plan([job("a", **fields), job("b")])
    assert order(result) == "b"
    assert problems(result) == [f"a: missing dependency: 'nope' ({kind})"]
    [problem] = result.problems
    assert isinstance(problem, DependencyMissingError)
    assert (problem.missing_job_id, problem.dependency_type) == ("nope", kind)


def test_whatever_needs_a_dropped_job_is_dropped_with_the_nearest_reason() -> None:
    """Each dependent has one problem, which names the job that it needs itself."""
    jobs = [
        job("d", requires="c.x == '1'"),
        job("c", after="b"),
        job("b", depends="a"),
        job("a", depends="nope"),
        job("e"),
    ]
    result = plan(jobs)
    assert order(result) == "e"
    assert problems(result) == [
        "a: missing dependency: 'nope' (depends)",
        "b: missing dependency: 'a' (depends)",
        "c: missing dependency: 'b' (after)",
        "d: missing dependency: 'c' (resource)",
    ]


def test_a_job_that_is_needed_only_by_dropped_jobs_does_not_run() -> None:
    """What nobody wants any more is not run, and is no problem."""
    jobs = [job("a", depends="b nope"), job("b"), job("c")]
    result = plan(jobs, "a c")
    assert order(result) == "c"
    assert list(result.dropped) == ["a"]


def test_the_wanted_order_is_that_of_the_jobs_that_are_left() -> None:
    """What a dropped job would have pulled forward stays where it was listed."""
    jobs = [job("a", depends="b nope"), job("b"), job("c")]
    assert order(plan(jobs, "a c b")) == "c b"


def test_every_job_of_a_cycle_is_shown_its_way_around() -> None:
    """Each job of a cycle is dropped with the cycle as it looks from there, and what needs it with it."""
    jobs = [job("a", depends="b"), job("b", after="c"), job("c", depends="a"), job("d", depends="b"), job("e")]
    result = plan(jobs)
    assert order(result) == "e"
    assert {problem.affected_job_id: problem.message for problem in result.problems} == {
        "a": "dependency cycle detected: a -> b -> c -> a",
        "b": "dependency cycle detected: b -> c -> a -> b",
        "c": "dependency cycle detected: c -> a -> b -> c",
        "d": "missing dependency: 'b' (depends)",
    }


def test_a_job_that_needs_itself_is_a_cycle() -> None:
    """The shortest cycle has one job."""
    assert problems(plan([job("a", depends="a")])) == ["a: dependency cycle detected: a -> a"]


def test_two_cycles_and_a_missing_job_are_found_at_once() -> None:
    """One planning finds all that is wrong, and nothing that is not."""
    jobs = [
        job("a", depends="b"),
        job("b", depends="a"),
        job("c", before="d", depends="x"),
        job("d", before="c"),
        job("e", depends="nope"),
        job("x"),
    ]
    result = plan(jobs, "a b c d e x")
    assert order(result) == "x"
    assert {problem.affected_job_id: type(problem) for problem in result.problems} == {
        "a": DependencyCycleError,
        "b": DependencyCycleError,
        "c": DependencyCycleError,
        "d": DependencyCycleError,
        "e": DependencyMissingError,
    }


def test_jobs_that_order_each_other_are_a_cycle() -> None:
    """Before and salvages can go round in circles too."""
    assert problems(plan([job("a", before="b"), job("b", before="a")])) == [
        "a: dependency cycle detected: a -> b -> a",
        "b: dependency cycle detected: b -> a -> b",
    ]
    assert {type(problem) for problem in plan([job("a", salvages="b"), job("b", depends="a")]).problems} == {
        DependencyCycleError
    }


def test_a_dropped_job_closes_no_circle() -> None:
    """A job that is not run for other reasons orders nobody."""
    jobs = [job("a", before="b", depends="nope"), job("b", before="a")]
    result = plan(jobs)
    assert order(result) == "b"
    assert list(result.dropped) == ["a"]


def test_a_cycle_through_a_group_drops_those_that_tie_it() -> None:
    """A group that would run both before and after a job loses the members that say so, and keeps the others."""
    jobs = [
        job("g1", group="g"),
        job("x", after="g1"),
        job("g2", group="g", after="x"),
        job("g3", group="g"),
        job("g4", group="g", depends="g2"),
    ]
    result = plan(jobs)
    assert order(result) == "g3"
    assert problems(result) == [
        "g1: dependency cycle detected: g1 (group 'g') -> g2 -> x -> g1",
        "x: dependency cycle detected: x -> g1 (group 'g') -> g2 -> x",
        "g2: dependency cycle detected: g2 -> x -> g1 (group 'g') -> g2",
        "g4: missing dependency: 'g2' (depends)",
    ]


def test_a_cycle_through_a_group_is_shown_by_its_real_steps() -> None:
    """No step is told that no job has: members have their own names, and the group stands where it is the reason."""
    result = plan([job("l1", group="g", after="l2"), job("l2"), job("l3", group="g", before="l2")])
    assert problems(result) == [
        "l2: dependency cycle detected: l2 -> l3 (group 'g') -> l1 -> l2",
        "l1: dependency cycle detected: l1 -> l2 -> l3 (group 'g') -> l1",
        "l3: dependency cycle detected: l3 (group 'g') -> l1 -> l2 -> l3",
    ]
    cycle = result.dropped["l2"]
    assert isinstance(cycle, DependencyCycleError)
    assert (cycle.job_ids, cycle.affecting_job_id) == (("l2", "l3", "l1", "l2"), "l3")


def test_groups_that_want_to_be_before_each_other() -> None:
    """A way around can go through several groups, and each one is named."""
    jobs = [
        job("a1", group="a", after="b1"),
        job("a2", group="a"),
        job("b1", group="b"),
        job("b2", group="b", depends="a2"),
    ]
    assert {problem.affected_job_id: problem.message.partition(": ")[2] for problem in plan(jobs).problems} == {
        "a1": "a1 -> b1 (group 'b') -> b2 -> a2 (group 'a') -> a1",
        "a2": "a2 (group 'a') -> a1 -> b1 (group 'b') -> b2 -> a2",
        "b1": "b1 (group 'b') -> b2 -> a2 (group 'a') -> a1 -> b1",
        "b2": "b2 -> a2 (group 'a') -> a1 -> b1 (group 'b') -> b2",
    }


def test_excluded_jobs_are_neither_run_nor_a_problem() -> None:
    """A wanted job that is excluded is simply not wanted."""
    result = plan([job("a"), job("b")], excluded={"b"})
    assert order(result) == "a"
    assert not result.problems


def test_an_excluded_job_does_not_come_back_as_a_dependency() -> None:
    """A job that needs an excluded one cannot run, and says that this is why."""
    result = plan([job("a", depends="b"), job("b"), job("c")], "a c", excluded={"b"})
    assert order(result) == "c"
    assert problems(result) == ["a: missing dependency: 'b' (depends, excluded)"]


def test_mandatory_jobs_are_not_excluded() -> None:
    """What is mandatory runs whatever is excluded."""
    assert order(plan([job("a"), job("b", depends="a")], "b", mandatory="a", excluded={"a"})) == "a b"


# -- size


@pytest.mark.parametrize("step", [-1, 1], ids=["forward", "reversed"])
@pytest.mark.parametrize("field", ["depends", "before"])
def test_a_long_chain_is_no_special_case(step: int, field: str) -> None:
    """Ten thousand jobs in one chain are ordered in whichever direction it is written."""
    count = 10_000
    jobs = [
        job(f"j{index}", **({field: f"j{index + step}"} if 0 <= index + step < count else {})) for index in range(count)
    ]
    result = plan(jobs)
    numbers = [int(item.id[1:]) for item in result.run_list]
    ascending = (step == -1) == (field == "depends")
    assert numbers == sorted(range(count), reverse=not ascending)
    assert not result.problems


def test_a_group_that_is_tied_many_times_is_reported_in_bounded_space() -> None:
    """Of many jobs that tie a group one is shown the way around; the others name a job that they run after."""
    count = 3_000
    jobs = [job("g", group="g"), job("h", group="g", after=" ".join(f"j{index}" for index in range(count)))]
    jobs += [job(f"j{index}", after="g") for index in range(count)]
    result = plan(jobs)
    assert not result.run_list
    assert len(result.dropped) == count + 2
    [cycle] = [problem for problem in result.problems if isinstance(problem, DependencyCycleError)]
    assert len(cycle.job_ids) == 4
    assert str(result.dropped["j9"]) == "missing dependency: 'g' (after)"
    assert str(result.dropped["g"]) == "missing dependency: 'h' (group)"


@pytest.mark.parametrize("field", ["depends", "before"])
def test_a_ring_of_many_jobs_is_reported_in_bounded_space(field: str) -> None:
    """Of a huge cycle one job is shown the way around, the others the next job."""
    count = 3_000
    jobs = [job(f"j{index}", **{field: f"j{(index + 1) % count}"}) for index in range(count)]
    result = plan(jobs)
    assert not result.run_list
    assert len(result.problems) == len(result.dropped) == count
    cycles = [problem for problem in result.problems if isinstance(problem, DependencyCycleError)]
    assert [len(cycle.job_ids) for cycle in cycles] == [count + 1]


def test_a_broken_job_does_not_cost_a_new_start() -> None:
    """The definitions are read as often with many broken jobs as with none."""

    class Counted(JobDefinition):
        reads = 0

        @property
        def resource_program(self) -> None:  # type: ignore[override]
            Counted.reads += 1

    jobs = [Counted({"id": f"j{index}", "plugin": "shell", "depends": f"nope{index}"}) for index in range(50)]
    result = plan(jobs)
    assert len(result.problems) == 50
    assert Counted.reads == 50


# -- compared with a model


NAMES = [f"j{index}" for index in range(7)]
LIST = st.lists(st.sampled_from([*NAMES, "nope"]), max_size=2, unique=True).map(" ".join)
RARELY = st.one_of(st.just(""), st.just(""), LIST)


@st.composite
def catalogues(draw: st.DrawFn, edges: st.SearchStrategy[str] = RARELY) -> dict[str, JobDefinition]:
    jobs = {}
    for name in NAMES[: draw(st.integers(1, len(NAMES)))]:
        fields: dict[str, object] = {
            key: draw(edges) for key in ("depends", "after", "before", "salvages") if draw(st.booleans())
        }
        resource = draw(st.one_of(st.none(), st.none(), st.sampled_from(NAMES)))
        if resource is not None:
            fields["requires"] = f"{resource}.x == '1'"
        group = draw(st.sampled_from([None, None, "g", "h"]))
        if group is not None:
            fields["group"] = group
        jobs[name] = job(name, **{key: value for key, value in fields.items() if value})
    return jobs


@st.composite
def questions(
    draw: st.DrawFn,
) -> tuple[dict[str, JobDefinition], list[JobDefinition], list[JobDefinition], frozenset[str]]:
    known = draw(catalogues())
    names = st.sampled_from([*known, "unknown"])
    wanted = [known.get(name) or job(name) for name in draw(st.lists(names, max_size=8))]
    mandatory = [known[name] for name in draw(st.lists(st.sampled_from(list(known)), max_size=2))]
    excluded = draw(st.frozensets(st.sampled_from(list(known)), max_size=2)) if draw(st.booleans()) else frozenset()
    return known, wanted, mandatory, excluded


Relation = Mapping[str, set[str]]


def after_all(relation: Relation, start: Iterable[str]) -> set[str]:
    """Return what is reached over one or more edges."""
    found: set[str] = set()
    pending = list(start)
    while pending:
        for item in relation.get(pending.pop(), ()):
            if item not in found:
                found.add(item)
                pending.append(item)
    return found


def is_step(known: Mapping[str, JobDefinition], later: str, earlier: str) -> bool:
    """Tell whether a job runs before another one, or in one piece with it, because one of them says so."""
    one, other = known[later], known[earlier]
    said = earlier in (*needs_of(one), *one.salvages) or later in other.before
    return said or (one.group is not None and one.group == other.group)


def naive_plan(
    known: Mapping[str, JobDefinition],
    wanted: Iterable[JobDefinition],
    mandatory: Iterable[JobDefinition],
    excluded: frozenset[str],
) -> tuple[set[str], set[str]]:
    """Return (jobs to run, jobs with a problem), worked out from the definitions alone and at any price."""
    forced = {item.id for item in mandatory}
    out = excluded - forced
    roots = (forced | {item.id for item in wanted}) - out
    bad = {name for name in roots if name not in known}
    usable = {name: item for name, item in known.items() if name not in out}
    needs = {name: set(needs_of(item)) for name, item in usable.items()}
    inner = {name: targets & usable.keys() for name, targets in needs.items()}

    def pulled() -> set[str]:
        good = {root for root in roots if root not in bad}
        return good | after_all(inner, good)

    def drop(present: set[str], faults: set[str]) -> None:
        bad.update(name for name in present if name in faults or after_all(inner, [name]) & faults)

    present = pulled()
    drop(
        present,
        {name for name in present if needs[name] - usable.keys() or name in after_all(inner, [name])},
    )

    def edges(present: set[str]) -> dict[str, set[str]]:
        relation = {name: (needs[name] | set(known[name].salvages)) & present for name in present}
        for name in present:
            for target in set(known[name].before) & present:
                relation[target].add(name)
        return relation

    present = pulled()
    relation = edges(present)
    drop(present, {name for name in present if name in after_all(relation, [name])})

    present = pulled()
    relation = edges(present)
    block = {name: known[name].group or f"alone {name}" for name in present}
    blocks: dict[str, set[str]] = {node: set() for node in block.values()}
    for name in present:
        blocks[block[name]] |= {block[other] for other in relation[name] if block[other] != block[name]}
    tied = set()
    for name in present:
        for other in relation[name]:
            if block[name] != block[other] and block[name] in after_all(blocks, [block[other]]) | {block[other]}:
                tied |= {name, other}
    drop(present, tied)
    return pulled(), bad


@settings(max_examples=150, deadline=None)
@given(questions())
def test_the_plan_agrees_with_the_model(
    question: tuple[dict[str, JobDefinition], list[JobDefinition], list[JobDefinition], frozenset[str]],
) -> None:
    """Whatever the graph: who runs and who has a problem, the order of all edges, groups in one piece, no surprises."""
    known, wanted, mandatory, excluded = question
    planner = Planner(known)
    result = planner.plan(wanted, mandatory=mandatory, excluded=excluded)
    run_ids = [item.id for item in result.run_list]
    expected_run, expected_bad = naive_plan(known, wanted, mandatory, excluded)

    assert len(set(run_ids)) == len(run_ids)
    assert set(run_ids) == expected_run
    assert set(result.dropped) == expected_bad
    assert sorted(problem.affected_job_id for problem in result.problems) == sorted(result.dropped)
    assert all(result.dropped[problem.affected_job_id] is problem for problem in result.problems)

    for problem in result.problems:
        if isinstance(problem, DependencyCycleError):
            assert problem.job_ids[0] == problem.job_ids[-1] == problem.affected_job_id
            assert all(is_step(known, *step) for step in itertools.pairwise(problem.job_ids))

    place = {name: index for index, name in enumerate(run_ids)}
    for item in result.run_list:
        assert all(place[need] < place[item.id] for need in needs_of(item))
        assert all(place[target] < place[item.id] for target in item.salvages if target in place)
        assert all(place[item.id] < place[target] for target in item.before if target in place)
    groups = [item.group for item in result.run_list]
    pieces = [group for group, _ in itertools.groupby(groups) if group is not None]
    assert len(pieces) == len(set(pieces))

    again = planner.plan(wanted, mandatory=mandatory, excluded=excluded)
    assert [item.id for item in again.run_list] == run_ids
    assert problems(again) == problems(result)
    once_more = planner.plan(result.run_list)
    assert not once_more.problems


def recursive_order(known: Mapping[str, JobDefinition], wanted: Iterable[JobDefinition]) -> list[str]:
    found: list[str] = []

    def visit(name: str) -> None:
        if name not in found:
            for need in needs_of(known[name]):
                visit(need)
            found.append(name)

    for item in wanted:
        visit(item.id)
    return found


@given(st.data())
def test_ties_are_broken_by_the_lists_alone(data: st.DataObject) -> None:
    """Without before, salvages and groups the order is that of a plain depth-first walk over the lists."""
    known: dict[str, JobDefinition] = {}
    for name in NAMES:
        targets = st.lists(st.sampled_from(list(known) or ["-"]), max_size=3, unique=True)
        lists = {key: " ".join(data.draw(targets)) for key in ("depends", "after")} if known else {}
        known[name] = job(name, **lists)
    wanted = data.draw(st.permutations(list(known.values())))
    result = Planner(known).plan(wanted)
    assert [item.id for item in result.run_list] == recursive_order(known, wanted)
