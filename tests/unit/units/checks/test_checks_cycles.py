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
