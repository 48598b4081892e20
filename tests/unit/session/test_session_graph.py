# SPDX-License-Identifier: Apache-2.0
"""Order and cycles in graphs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainbox.session.graph import Graph, components, cycle_through, topological


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    names = [f"n{index}" for index in range(draw(st.integers(0, 9)))]
    if not names:
        return {}
    earlier = st.lists(st.sampled_from(names), max_size=4)
    return {name: draw(earlier) for name in names}


def reachable(graph: Graph, start: str) -> set[str]:
    """Return the nodes that can be reached over at least one edge."""
    found: set[str] = set()
    pending = [start]
    while pending:
        for node in graph[pending.pop()]:
            if node not in found:
                found.add(node)
                pending.append(node)
    return found


@given(graphs())
def test_the_order_respects_every_edge_unless_there_is_a_cycle(graph: Graph) -> None:
    """Every node is in the order once, and a graph without cycles is ordered completely."""
    order, cyclic = topological(graph)
    assert sorted(order) == sorted(graph)
    assert cyclic == any(node in reachable(graph, node) for node in graph)
    if not cyclic:
        place = {node: index for index, node in enumerate(order)}
        assert all(place[earlier] < place[node] for node in graph for earlier in graph[node])


@given(graphs())
def test_tangles_are_what_reaches_each_other(graph: Graph) -> None:
    """Two nodes are in one tangle when each comes before the other."""
    reach = {node: reachable(graph, node) for node in graph}
    expected = {
        frozenset(other for other in graph if other in reach[node] and node in reach[other])
        for node in graph
        if node in reach[node]
    }
    found = components(graph)
    assert {frozenset(members) for members in found} == expected
    assert len(found) == len(expected)


@given(graphs())
def test_a_way_around_follows_the_edges(graph: Graph) -> None:
    """The way begins and ends with its node, visits no other twice and stays in the tangle."""
    for members in components(graph):
        for node in members:
            way = cycle_through(node, graph, set(members))
            assert way[0] == way[-1] == node
            assert len(set(way)) == len(way) - 1
            assert set(way) <= set(members)
            assert all(after in graph[before] for before, after in itertools.pairwise(way))


def test_no_way_around_where_there_is_no_cycle() -> None:
    """Asking for the cycle of a node that is in none is a mistake."""
    with pytest.raises(ValueError, match="in no cycle"):
        cycle_through("a", {"a": ["b"], "b": []}, {"a", "b"})
