# SPDX-License-Identifier: Apache-2.0
"""Directed graphs as the planner needs them: order, cycles, and a way around a cycle.

A graph maps each node to the nodes that come before it, in the order in which they should; every node that is
mentioned is a key. All functions take time linear in nodes and edges, use no recursion, and always give the same
answer for the same graph.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import TypeAlias

__all__ = ["Graph", "components", "cycle_through", "topological"]

Graph: TypeAlias = dict[str, list[str]]


def topological(graph: Mapping[str, list[str]]) -> tuple[list[str], bool]:
    """Return the nodes, each after those that come before it, and whether a cycle has made that impossible.

    Nodes keep their order in the graph except where an edge moves one forward.
    """
    order: list[str] = []
    done: dict[str, bool] = {}
    cyclic = False
    for root in graph:
        if root in done:
            continue
        node, pending = root, iter(graph[root])
        stack: list[tuple[str, Iterator[str]]] = []
        done[root] = False
        while True:
            for earlier in pending:
                finished = done.get(earlier)
                if finished is None:
                    stack.append((node, pending))
                    node, pending = earlier, iter(graph[earlier])
                    done[earlier] = False
                    break
                cyclic = cyclic or not finished
            else:
                done[node] = True
                order.append(node)
                if not stack:
                    break
                node, pending = stack.pop()
    return order, cyclic


def components(graph: Mapping[str, list[str]]) -> list[list[str]]:
    """Return the tangles of the graph: the largest sets of nodes that all come before each other.

    A node alone is one only if it comes before itself. This is Tarjan's algorithm with a stack of its own.
    """
    found: list[list[str]] = []
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    open_nodes: dict[str, None] = {}
    for root in graph:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        open_nodes[root] = None
        stack = [(root, iter(graph[root]))]
        while stack:
            node, pending = stack[-1]
            for earlier in pending:
                if earlier not in index:
                    index[earlier] = low[earlier] = len(index)
                    open_nodes[earlier] = None
                    stack.append((earlier, iter(graph[earlier])))
                    break
                if earlier in open_nodes:
                    low[node] = min(low[node], index[earlier])
            else:
                stack.pop()
                if stack:
                    above = stack[-1][0]
                    low[above] = min(low[above], low[node])
                if low[node] == index[node]:
                    members = []
                    while True:
                        member, _ = open_nodes.popitem()
                        members.append(member)
                        if member == node:
                            break
                    if len(members) > 1 or node in graph[node]:
                        found.append(members[::-1])
    return found


def cycle_through(node: str, graph: Mapping[str, list[str]], inside: Collection[str]) -> tuple[str, ...]:
    """Return a shortest way from a node back to it that stays ``inside`` its tangle; first and last are the node."""
    came_from: dict[str, str] = {}
    queue = deque([node])
    while queue:
        here = queue.popleft()
        for earlier in graph[here]:
            if earlier == node:
                way = []
                while here != node:
                    way.append(here)
                    here = came_from[here]
                return (node, *reversed(way), node)
            if earlier in inside and earlier not in came_from:
                came_from[earlier] = here
                queue.append(earlier)
    raise ValueError(f"{node!r} is in no cycle")
