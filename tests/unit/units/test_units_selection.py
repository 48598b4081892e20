# SPDX-License-Identifier: Apache-2.0
"""Which jobs a test plan means: ids, templates and regular expressions, exclusions, nested parts, overrides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manager_rig import PROVIDER, full, job, plan, template

from plainbox.errors import FieldError
from plainbox.units import JobDefinition
from plainbox.units.patterns import Pattern
from plainbox.units.selection import OverrideRules, excluded_ids, flatten, matching, select, select_units


def flat(*plans, known=()):
    return flatten(plans, {item.id: item for item in (*plans, *known)})


def instance(partial_id: str, template_id: str) -> JobDefinition:
    return JobDefinition(
        {"id": partial_id, "plugin": "shell", "command": "true", "template-id": template_id},
        provider=PROVIDER,
        parameters={},
    )


def selected(plan_unit, *jobs, known=()) -> list[str]:
    """The partial ids of the jobs that a plan means, mandatory ones not counted."""
    return [job_id.partition("::")[2] for job_id in select(flat(plan_unit, known=known), jobs)[1]]


JOBS = [job(name) for name in ("disk/a", "disk/b", "disk/b-extra", "net", "other")]


# -- what a pattern means


@pytest.mark.parametrize(
    ("include", "wanted"),
    [
        ("net", ["net"]),
        ("ne", []),
        ("NET", []),
        ("disk/.*", ["disk/a", "disk/b", "disk/b-extra"]),
        ("disk/b", ["disk/b"]),
        ("disk", []),
        ("^net$", ["net"]),
        ("disk/a|net", ["disk/a", "net"]),
        ("n.t", ["net"]),
        ("org.example::net", ["net"]),
        ("org.other::net", []),
        (".*", ["disk/a", "disk/b", "disk/b-extra", "net", "other"]),
        ("nothing", []),
        ("", []),
        ("# a remark", []),
    ],
)
def test_patterns(include: str, wanted: list[str]) -> None:
    """A pattern means whole ids of its namespace: itself, or all that the regular expression matches."""
    assert selected(plan("p", include=include), *JOBS) == wanted


def test_order() -> None:
    """The first entry that means a job decides where it stands; within one entry the order is that of the jobs."""
    assert selected(plan("p", include="other\ndisk/.*\nnet\ndisk/a"), *JOBS) == [
        "other",
        "disk/a",
        "disk/b",
        "disk/b-extra",
        "net",
    ]


def test_template_by_its_id() -> None:
    """The partial id of a template means its instances, in the order in which they were made."""
    jobs = [instance("made-b", full("maker")), job("made-x"), instance("made-a", full("maker"))]
    assert selected(plan("p", include="maker"), *jobs) == ["made-b", "made-a"]


def test_template_by_its_full_id() -> None:
    """The full id of a template means its instances too, although it is a regular expression for its dots."""
    jobs = [instance("made-b", full("maker")), instance("made-a", full("maker"))]
    assert selected(plan("p", include=full("maker")), *jobs) == ["made-b", "made-a"]


def test_job_wins_over_template() -> None:
    """A name that a job and a template share means the job."""
    jobs = [instance("made-a", full("same")), job("same")]
    assert selected(plan("p", include="same"), *jobs) == ["same"]


def test_instances_by_expression() -> None:
    """Instances are jobs like others for a regular expression; ids of templates are not matched by it."""
    jobs = [instance("made-a", full("maker")), instance("made-b", full("maker"))]
    assert selected(plan("p", include="made-.*"), *jobs) == ["made-a", "made-b"]
    assert selected(plan("p", include="make.*"), *jobs) == []


# -- exclusions


@pytest.mark.parametrize(
    ("exclude", "wanted"),
    [
        ("net", ["disk/a", "disk/b", "disk/b-extra", "other"]),
        ("disk/.*", ["net", "other"]),
        ("disk/b", ["disk/a", "disk/b-extra", "net", "other"]),
        (".*", []),
        ("nothing", [item.partial_id for item in JOBS]),
    ],
)
def test_exclusion_wins(exclude: str, wanted: list[str]) -> None:
    """An exclusion wins over every inclusion, whatever their order."""
    assert selected(plan("p", include=".*\nnet\ndisk/a", exclude=exclude), *JOBS) == wanted


def test_excluded_template() -> None:
    """Excluding a template excludes all its instances, by partial and by full id and by expression."""
    jobs = [instance("made-a", full("maker")), instance("made-b", full("maker")), job("net")]
    for exclude in ("maker", full("maker"), "make.*"):
        assert selected(plan("p", include=".*", exclude=exclude), *jobs) == ["net"]


def test_mandatory_jobs_are_not_excluded() -> None:
    """What is mandatory is selected whatever is excluded."""
    mandatory, included = select(flat(plan("p", include=".*", mandatory_include="net", exclude="net")), JOBS)
    assert mandatory == [full("net")]
    assert full("net") not in included


def test_bootstrap_jobs_are_not_part_of_the_selection() -> None:
    """Jobs that have run before the selection are left out of it; they do not count as excluded for others."""
    flat_plan = flat(plan("p", include=".*", bootstrap_include="net"))
    assert full("net") not in select(flat_plan, JOBS)[1]
    assert excluded_ids(flat_plan, JOBS) == frozenset()


# -- nested parts


def test_nested_parts() -> None:
    """Own entries come first, then those of the parts, depth first; every list of a part counts."""
    inner = plan("inner", include="disk/a\nother", bootstrap_include="boot-inner", mandatory_include="must")
    middle = plan("middle", include="net", nested_part="inner", exclude="other")
    outer = plan("outer", include="disk/b", nested_part="middle", bootstrap_include="boot-outer boot-inner")
    jobs = [*JOBS, job("must"), job("boot-inner"), job("boot-outer")]
    assert selected(outer, *jobs, known=(inner, middle)) == ["disk/b", "net", "disk/a"]
    together = flat(outer, known=(inner, middle))
    assert together.bootstrap == (full("boot-outer"), full("boot-inner"))
    assert select(together, jobs)[0] == [full("must")]
    assert together.problems == ()


def test_loop_of_nested_parts() -> None:
    """Parts that contain each other, or themselves, count once each."""
    one = plan("one", include="disk/a", nested_part="two")
    two = plan("two", include="net", nested_part="one two")
    assert selected(one, *JOBS, known=(two,)) == ["disk/a", "net"]
    assert [item.partial_id for item in flat(two, known=(one,)).plans] == ["two", "one"]


def test_deep_nesting() -> None:
    """A chain of parts may be as long as it likes."""
    plans = [plan(f"p{number}", nested_part=f"p{number + 1}") for number in range(5000)]
    last = plan("p5000", include="net")
    assert selected(plans[0], *JOBS, known=(*plans, last)) == ["net"]


def test_unknown_part() -> None:
    """A part that is not known is a problem and keeps nothing else out."""
    outer = plan("outer", include="net", nested_part="nobody")
    assert selected(outer, *JOBS) == ["net"]
    [problem] = flat(outer).problems
    assert "nobody" in str(problem)


def test_several_plans() -> None:
    """Several plans are as one with their entries in the order of the plans."""
    together = flat(plan("one", include="net"), plan("two", include="disk/a\nnet"))
    assert select(together, JOBS)[1] == [full("net"), full("disk/a")]


# -- without running anything


def test_units_of_a_plan() -> None:
    """Before anything has run a plan means jobs and templates, mandatory ones first and never excluded."""
    templates = [template("made-{name}", "res", **{"template-id": "maker"}), template("left-{x}", "res")]
    chosen = select_units(
        flat(plan("p", include="disk/.*\nmaker\nleft-x", exclude="disk/a\nother", mandatory_include="other")),
        JOBS,
        templates,
    )
    assert [unit.partial_id for unit in chosen] == ["other", "disk/b", "disk/b-extra", "maker", "left-x"]
    bootstrapped = plan("p", include="net\nother", mandatory_include="disk/a", bootstrap_include="disk/a net")
    assert [unit.partial_id for unit in select_units(flat(bootstrapped), JOBS, templates)] == ["other"]


# -- overrides


def rules(*statements: tuple[str, str, str]) -> OverrideRules:
    return OverrideRules((Pattern.parse(text, PROVIDER.namespace), field, value) for text, field, value in statements)


def test_overrides_in_their_order() -> None:
    """All statements about a job apply in the order in which they are written."""
    found = rules(("z.*", "category_id", "1"), ("net", "category_id", "2"), ("n.*", "category_id", "3"))
    assert found.of(full("net"), None) == [("category_id", "2"), ("category_id", "3")]
    assert found.of(full("zoo"), None) == [("category_id", "1")]
    assert found.of(full("disk"), None) == []


def test_overrides_by_template_id() -> None:
    """A statement about a template counts for its instances, among the others at its own place."""
    found = rules(("made-.*", "category_id", "1"), ("maker", "category_id", "2"), ("made-a", "category_id", "3"))
    assert found.of(full("made-a"), full("maker")) == [("category_id", value) for value in "123"]
    assert found.of(full("made-b"), full("maker")) == [("category_id", value) for value in "12"]
    assert found.of(full("made-b"), None) == [("category_id", "1")]


def test_no_overrides() -> None:
    """Rules say whether there are any."""
    assert not rules()
    assert rules(("a", "category_id", "b"))


def test_overrides_of_a_plan_in_file_order() -> None:
    """Statements of the include list come before those of the override fields, own ones before those of parts."""
    inner = plan("inner", include="net category-id=inner")
    outer = plan(
        "outer",
        include="net category-id=own",
        category_overrides="apply later to net",
        certification_status_overrides="apply blocker to n.*",
        nested_part="inner",
    )
    found = OverrideRules(flat(outer, known=(inner,)).overrides).of(full("net"), None)
    assert found == [
        ("category_id", full("own")),
        ("category_id", full("later")),
        ("certification_status", "blocker"),
        ("category_id", full("inner")),
    ]


# -- against the definition


def is_pattern(text: str) -> bool:
    try:
        Pattern.parse(text, PROVIDER.namespace)
    except FieldError:
        return False
    return True


texts = st.text(alphabet="ab/.*|?+{1}()", min_size=1, max_size=6).filter(is_pattern)


@given(st.lists(texts, max_size=6), st.lists(texts, max_size=3), st.lists(st.text("ab/.", min_size=1, max_size=4)))
def test_selection_is_what_it_is_defined_to_be(include: list[str], exclude: list[str], names: list[str]) -> None:
    """However the search is arranged, it finds what trying every pattern on every job finds, in that order."""
    jobs = [job(name) for name in dict.fromkeys(names)]
    plan_unit = plan("p", include="\n".join(include), exclude="\n".join(exclude))
    wanted: dict[str, None] = {}
    for entry in plan_unit.include:
        wanted.update((item.id, None) for item in jobs if entry.pattern.matches(item.id))
    rejected = {item.id for item in jobs for entry in plan_unit.exclude if entry.pattern.matches(item.id)}
    assert select(flat(plan_unit), jobs)[1] == [job_id for job_id in wanted if job_id not in rejected]
    assert matching(plan_unit.include, jobs) == list(wanted)
    statements = [(entry.pattern, "category_id", str(number)) for number, entry in enumerate(plan_unit.include)]
    for item in jobs:
        about = [(field, value) for pattern, field, value in statements if pattern.matches(item.id)]
        assert OverrideRules(statements).of(item.id, None) == about
    assert excluded_ids(flat(plan_unit), jobs) == rejected
