# SPDX-License-Identifier: Apache-2.0
"""The device context: providers and units through it, test plans and their overrides, its signals."""

from __future__ import annotations

import pytest
from manager_rig import PROVIDER, Provider, full, job, plan, records, result, template

from plainbox.errors import DependencyDuplicateError
from plainbox.session import SessionDeviceContext, SessionState
from plainbox.units import CategoryUnit, JobDefinition


def context_of(*units) -> SessionDeviceContext:
    return SessionDeviceContext(SessionState(list(units)))


def status(context: SessionDeviceContext, partial_id: str) -> str:
    return context.state.job_state_map[full(partial_id)].effective_certification_status


# -- what is there


def test_empty_context() -> None:
    """A new context has an empty state of its own."""
    context = SessionDeviceContext()
    assert context.device is None
    assert context.state.unit_list == context.unit_list == []
    assert context.provider_list == []
    assert context.test_plan_list == ()
    assert context.override_map == {}


@pytest.mark.parametrize("wrong", ["text", [], object()])
def test_state_of_a_wrong_type(wrong: object) -> None:
    """What is no state is refused."""
    with pytest.raises(TypeError):
        SessionDeviceContext(wrong)


def test_given_state() -> None:
    """A given state is the state, and its providers are those of its units, as they were first seen."""
    first, second = Provider("org.a", "org.a:a"), Provider("org.b", "org.b:b")
    units = [
        JobDefinition({"id": "1"}, provider=second),
        JobDefinition({"id": "without"}),
        JobDefinition({"id": "2"}, provider=first),
        JobDefinition({"id": "3"}, provider=second),
    ]
    state = SessionState(units)
    context = SessionDeviceContext(state)
    assert context.state is state
    assert context.unit_list is state.unit_list
    assert context.provider_list == [second, first]


# -- providers and units


def test_provider_is_announced_before_its_units() -> None:
    """Who hears of a provider can count on hearing of its units afterwards."""
    category = CategoryUnit({"id": "c", "name": "C"}, provider=PROVIDER)
    provider = Provider(unit_list=[job("one"), category])
    context = SessionDeviceContext()
    heard: list[object] = []
    context.on_provider_added.connect(lambda item: heard.append((item, list(context.unit_list))))
    context.on_unit_added.connect(heard.append)
    context.on_job_added.connect(lambda item: heard.append(f"job {item.partial_id}"))
    context.add_provider(provider)
    assert heard == [(provider, []), provider.unit_list[0], "job one", category]
    assert context.provider_list == [provider]


def test_provider_without_its_units() -> None:
    """A provider can be made known without its units."""
    context = SessionDeviceContext()
    context.add_provider(Provider(unit_list=[job("one")]), add_units=False)
    assert context.unit_list == []
    assert len(context.provider_list) == 1


def test_provider_twice() -> None:
    """A provider is there once."""
    context = SessionDeviceContext()
    provider = Provider()
    context.add_provider(provider)
    with pytest.raises(ValueError, match="samples"):
        context.add_provider(provider)


def test_clash_in_a_provider() -> None:
    """A unit that clashes keeps none of the others of its provider out."""
    context = context_of(job("one"))
    with pytest.raises(DependencyDuplicateError):
        context.add_provider(Provider(unit_list=[job("one", command="false"), job("two")]))
    assert list(context.state.job_state_map) == [full("one"), full("two")]


def test_unit_twice() -> None:
    """A unit that says the same as one that is there is refused; it makes no difference what kind it is."""
    category = CategoryUnit({"id": "c", "name": "C"}, provider=PROVIDER)
    context = context_of(job("one"), category)
    for twin in (job("one"), CategoryUnit({"id": "c", "name": "C"}, provider=PROVIDER)):
        with pytest.raises(ValueError, match="already"):
            context.add_unit(twin)
    assert len(context.unit_list) == 2
    context.add_unit(CategoryUnit({"id": "d", "name": "D"}, provider=PROVIDER))
    with pytest.raises(ValueError, match="already"):
        context.add_unit(CategoryUnit({"id": "d", "name": "D"}, provider=PROVIDER))


def test_refused_unit_can_be_added_later() -> None:
    """A unit counts as known only when the state has taken it."""
    context = context_of(job("one"))
    other = job("one", command="false")
    with pytest.raises(DependencyDuplicateError):
        context.add_unit(other)
    context.remove_unit(context.state.job_state_map[full("one")].job)
    context.add_unit(other)
    assert context.state.job_state_map[full("one")].job is other


def test_removed_unit() -> None:
    """Removing is announced, needs a unit that is there, and makes room for the same one again."""
    category = CategoryUnit({"id": "c", "name": "C"}, provider=PROVIDER)
    context = context_of(category)
    heard: list[object] = []
    context.on_unit_removed.connect(heard.append)
    with pytest.raises(ValueError, match="not there"):
        context.remove_unit(job("one"))
    with pytest.raises(ValueError, match="already"):
        context.add_unit(CategoryUnit({"id": "c", "name": "C"}, provider=PROVIDER))
    context.remove_unit(CategoryUnit({"id": "c", "name": "C"}, provider=PROVIDER))
    assert heard == [category]
    context.add_unit(category)


def test_get_unit() -> None:
    """A unit is found by its full id, and by its kind when two kinds share one."""
    one, category = job("one"), CategoryUnit({"id": "one", "name": "C"}, provider=PROVIDER)
    context = context_of(one, category)
    assert context.get_unit(full("one")) is one
    assert context.get_unit(full("one"), "category") is category
    for wrong in ((full("two"),), (full("one"), "template"), ("one",)):
        with pytest.raises(KeyError):
            context.get_unit(*wrong)


def test_shared_computations() -> None:
    """What is shared is computed once for each key, until it is invalidated."""
    context = SessionDeviceContext()
    calls: list[int] = []

    def compute() -> int:
        calls.append(1)
        return len(calls)

    assert [context.compute_shared("a", compute), context.compute_shared("a", compute)] == [1, 1]
    assert context.compute_shared("b", compute) == 2
    context.invalidate_shared("a")
    context.invalidate_shared("never there")
    assert context.compute_shared("a", compute) == 3
    assert context.compute_shared("sum", divmod, 7, 2) == (3, 1)


# -- test plans


def test_overrides() -> None:
    """The overrides of a plan are in effect for the jobs that its patterns mean, and for no others."""
    context = context_of(job("disk/a"), job("disk/b"), job("net"))
    context.set_test_plan_list([plan("p", include="disk/.* certification-status=blocker\nnet")])
    assert [status(context, name) for name in ("disk/a", "disk/b", "net")] == ["blocker", "blocker", "non-blocker"]


def test_patterns_mean_the_whole_id() -> None:
    """A pattern that matches the beginning of an id does not mean the job."""
    context = context_of(job("disk"), job("disk-extra"))
    context.set_test_plan_list([plan("p", include="disk certification-status=blocker")])
    assert status(context, "disk-extra") == "non-blocker"


def test_later_overrides_win() -> None:
    """Of two statements about one job the later one in the file counts, whatever the order of the alphabet."""
    context = context_of(job("ok"))
    context.set_test_plan_list([plan("p", category_overrides="apply audio to o.*\napply disk to .*")])
    assert context.state.job_state_map[full("ok")].effective_category_id == full("disk")


def test_override_map_keeps_the_order() -> None:
    """The map has the patterns as they come, each with what is said about it."""
    context = context_of(job("a"))
    context.set_test_plan_list(
        [
            plan("p", include="z certification-status=blocker, category-id=zz\na category-id=aa"),
            plan("q", category_overrides="apply other to z"),
        ]
    )
    said = {pattern.full: values for pattern, values in context.override_map.items()}
    assert list(said) == [full("z"), full("a")]
    assert said[full("z")] == [
        ("certification_status", "blocker"),
        ("category_id", full("zz")),
        ("category_id", full("other")),
    ]


def test_other_plans_reset_overrides() -> None:
    """Overrides of plans that are not in effect any more are gone."""
    context = context_of(job("a"), job("b"))
    context.set_test_plan_list([plan("p", include="a certification-status=blocker")])
    context.set_test_plan_list([plan("q", include="b certification-status=blocker")])
    assert [status(context, name) for name in ("a", "b")] == ["non-blocker", "blocker"]
    context.set_test_plan_list([])
    assert [status(context, name) for name in ("a", "b")] == ["non-blocker", "non-blocker"]


def test_overrides_reach_later_jobs() -> None:
    """A job that comes later, also one that a template makes, has its overrides when it is announced."""
    resource = job("res", plugin="resource")
    context = context_of(resource, template("made-{name}", "res"))
    include = "made-.* certification-status=blocker\nlate certification-status=blocker"
    context.set_test_plan_list([plan("p", include=include)])
    seen: dict[str, str] = {}
    context.on_job_added.connect(lambda added: seen.update({added.partial_id: status(context, added.partial_id)}))
    context.add_unit(job("late"))
    context.state.update_job_result(resource, records("name: a"))
    assert seen == {"late": "blocker", "made-a": "blocker"}


def test_overrides_by_template() -> None:
    """An override that names a template means all its instances."""
    resource = job("res", plugin="resource")
    context = context_of(resource, template("made-{name}", "res", **{"template-id": "maker"}))
    context.set_test_plan_list([plan("p", include="maker certification-status=blocker")])
    context.state.update_job_result(resource, records("name: a", "name: b"))
    assert [status(context, name) for name in ("made-a", "made-b")] == ["blocker", "blocker"]


def test_mandatory_jobs() -> None:
    """The mandatory jobs of the plans join the wish list, in front, and what was wanted stays."""
    jobs = [job("a"), job("b"), job("must")]
    context = context_of(*jobs)
    context.state.update_desired_job_list(jobs[:2])
    context.set_test_plan_list([plan("p", mandatory_include="must")])
    assert [item.partial_id for item in context.state.mandatory_job_list] == ["must"]
    assert [item.partial_id for item in context.state.run_list] == ["must", "a", "b"]


def test_nested_parts_count() -> None:
    """What nested parts say counts for the plan, after its own."""
    context = context_of(
        job("a"), plan("inner", include="a certification-status=blocker"), outer := plan("outer", nested_part="inner")
    )
    context.set_test_plan_list([outer])
    assert status(context, "a") == "blocker"
    assert [item.partial_id for item in context.flat_plan().plans] == ["outer", "inner"]


def test_nested_part_that_comes_later() -> None:
    """A part that was not known when the plan came into effect is found once it is there."""
    context = context_of(job("a"), outer := plan("outer", nested_part="inner"))
    context.set_test_plan_list([outer])
    assert len(context.flat_plan().problems) == 1
    inner = plan("inner", include="a")
    context.add_unit(inner)
    assert [item.partial_id for item in context.flat_plan().plans] == ["outer", "inner"]
    context.remove_unit(inner)
    assert len(context.flat_plan().problems) == 1


def test_listener_that_raises() -> None:
    """A listener that raises keeps neither the overrides nor the other listeners from what they have to do."""
    context = context_of()
    context.set_test_plan_list([plan("p", include="late certification-status=blocker")])
    heard: list[object] = []

    def fail(added: JobDefinition) -> None:
        raise RuntimeError("mine")

    context.on_job_added.connect(fail)
    context.on_job_added.connect(heard.append)
    late = job("late")
    with pytest.raises(RuntimeError, match="mine"):
        context.add_unit(late)
    assert heard == [late]
    assert status(context, "late") == "blocker"
    context.state.update_job_result(late, result())
