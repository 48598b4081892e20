# SPDX-License-Identifier: Apache-2.0
"""Jobs that wait for each other."""

from __future__ import annotations

import pytest
from linting import Workshop

from plainbox.units.checks.cycles import cycles, cycles_through


def jobs(**fields: str) -> str:
    return "\n".join(f"id: {name}\nplugin: resource\ncommand: true\n{field}\n" for name, field in fields.items())


@pytest.mark.parametrize("field", ["depends: {}", "after: {}", "requires: {}.x == '1'"])
def test_cycle_of_dependencies(workshop: Workshop, field: str) -> None:
    """Jobs that cannot run before each other are one error, which shows the way around."""
    [finding] = workshop.found(jobs(a=field.format("b"), b=field.format("c"), c=field.format("a")))
    name = field.partition(":")[0]
    assert "PB207 error" in finding
    assert (
        f"dependency cycle: org.example::a ({name}) -> org.example::b ({name}) -> org.example::c ({name}) ->"
        " org.example::a" in finding
    )


def test_job_that_waits_for_itself(workshop: Workshop) -> None:
    """A job that depends on itself is a cycle of one."""
    assert workshop.codes(jobs(a="depends: a")) == [(4, "PB207")]


def test_cycle_of_wishes(workshop: Workshop) -> None:
    """With ``before`` or ``salvages`` in it, a cycle matters only when all its jobs are selected: a warning."""
    [finding] = workshop.found(jobs(a="before: b", b="before: a"))
    assert "PB207 warning" in finding
    [finding] = workshop.found(jobs(a="salvages: b", b="after: a"))
    assert "PB207 warning" in finding


def test_order_is_no_cycle(workshop: Workshop) -> None:
    """The same wish, said twice, is no cycle; neither is a diamond."""
    assert workshop.codes(jobs(a="before: b", b="after: a")) == []
    assert workshop.codes(jobs(a="depends: b c", b="depends: d", c="depends: d", d="")) == []


def test_cycle_of_two_providers(workshop: Workshop) -> None:
    """A cycle through another provider is told of the job that is ours; one that is not ours is not told."""
    other = workshop.provider(jobs(b="after: org.example::a", y="after: z", z="after: y"), "com.example.other:other")
    assert workshop.codes(jobs(a="after: com.example.other::b"), other) == [(4, "PB207")]


def test_cycle_through_a_group(workshop: Workshop) -> None:
    """A job that would run between the jobs of a group is a warning, which names the group where it closes the way."""
    text = jobs(l1="after: l2\ngroup: g", l2="", l3="before: l2\ngroup: g")
    assert workshop.found(text) == [
        (
            "units/x.pxu:4: PB207 warning: org.example::l1: field 'after': dependency cycle: org.example::l1 (after) ->"
            " org.example::l2 (before) -> org.example::l3 (group 'g') -> org.example::l1"
        )
    ]
    assert workshop.codes(text.replace("group: g", "", 1)) == []


def test_cycle_of_groups(workshop: Workshop) -> None:
    """Two groups that would each run before the other are found; order among and inside of groups is none."""
    [finding] = workshop.found(jobs(a="group: g\nafter: c", b="group: g", c="group: h", d="group: h\nafter: b"))
    assert "(group 'h')" in finding
    assert "(group 'g')" in finding
    assert workshop.codes(jobs(a="group: g", b="group: g\nafter: a", c="group: h", d="group: h\nafter: b")) == []


def test_cycle_of_siblings(workshop: Workshop) -> None:
    """The siblings of a job may wait for each other, which is told of them."""
    text = jobs(a='siblings: [{"id": "b", "after": "c"}, {"id": "c", "after": "b"}]')
    [finding] = workshop.found(text)
    assert finding.startswith("units/x.pxu:1: PB207 error: org.example::b: field 'after': dependency cycle")


def test_cycle_through_a_suspend(workshop: Workshop) -> None:
    """A job with a sibling after the suspend runs before it, and cannot wait for it."""
    suspend = "id: suspend/suspend_advanced_auto\nflags: simple\ncommand: true\n"
    other = workshop.provider(suspend + "after: org.example::b\n", "com.canonical.certification:suspend")
    text = jobs(a="flags: also-after-suspend", b="after: a")
    assert workshop.codes(text, other) == []
    [finding] = workshop.found(text + "before: a\n", other)
    assert "PB207 warning" in finding


def test_cycles_have_no_node_in_common() -> None:
    """Of a tangle one cycle is found, of two tangles two."""
    graph = {"a": "bc", "b": "a", "c": "a", "d": "d", "e": "a"}
    assert list(cycles(graph)) == [("a", "b"), ("d",)]


def test_every_tangle_is_found_behind_a_long_way() -> None:
    """Depth costs no recursion, and what was passed before is found when it closes a way."""
    graph = {str(n): [str(n + 1)] for n in range(20_000)}
    graph["20000"] = ["7"]
    [way] = cycles(graph)
    assert (way[0], way[-1], len(way)) == ("7", "20000", 19_994)
    assert next(cycles_through({"10"}, graph))[:2] == ("10", "11")
    assert list(cycles_through({"5"}, graph)) == []
