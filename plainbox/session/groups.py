# SPDX-License-Identifier: Apache-2.0
"""The groups of a plan: each one runs in one piece.

The planner asks for the order, and for the jobs because of which there is none. A group would have to run both before and
after some other job when two of its members say so, or one of them and a job of another group; each such job is shown a
way around that has only steps that are real: a job that must run before, or another member of its group.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import attrs

from plainbox.session.graph import Graph, components, cycle_through, topological

__all__ = ["Groups"]


@attrs.frozen
class _Tangle:
    """Nodes that all come before each other.

    ``steps`` are the edges between the jobs of different nodes, by the later job; ``doors`` one of them for each pair of
    nodes.
    """

    nodes: Graph
    steps: Mapping[str, list[str]]
    doors: Mapping[tuple[str, str], tuple[str, str]]


class Groups:
    """The jobs of a graph with each group as one node.

    A node is named by the first job of its group; a job without a group is its own node. False when there is no group of
    more than one job.
    """

    def __init__(self, graph: Graph, group_of: Mapping[str, str | None]) -> None:
        self._graph = graph
        self._group_of = group_of
        self._members: dict[str, list[str]] = {}
        self._node: dict[str, str] = {}
        first_of: dict[str, str] = {}
        for job_id in graph:
            group = group_of[job_id]
            node = job_id if group is None else first_of.setdefault(group, job_id)
            self._node[job_id] = node
            self._members.setdefault(node, []).append(job_id)
        self._nodes: Graph = {
            node: list(
                dict.fromkeys(
                    self._node[earlier]
                    for member in members
                    for earlier in graph[member]
                    if self._node[earlier] != node
                )
            )
            for node, members in self._members.items()
        }

    def __bool__(self) -> bool:
        return len(self._members) < len(self._graph)

    def tangled(self) -> bool:
        """Whether a group would have to run both before and after some other job."""
        return topological(self._nodes)[1]

    def arranged(self) -> list[str]:
        """Return all jobs in order, each group in one piece."""
        result: list[str] = []
        for node in topological(self._nodes)[0]:
            members = self._members[node]
            if len(members) == 1:
                result += members
                continue
            inside = set(members)
            within = {job_id: [item for item in self._graph[job_id] if item in inside] for job_id in members}
            result += topological(within)[0]
        return result

    # -- what goes round in circles

    def cycles(self, limit: int) -> dict[str, tuple[str, ...]]:
        """Return, for each job that ties a group into a cycle, its way around.

        Of more than ``limit`` jobs in one tangle only the first has its way; the others have their next job. The other
        jobs of such a group are innocent: without those that are returned nothing is tangled.
        """
        ways: dict[str, tuple[str, ...]] = {}
        for nodes in components(self._nodes):
            tangle = self._tangle(nodes)
            tied = dict.fromkeys(job for later, before in tangle.steps.items() for job in (later, *before))
            shown = len(tied) if len(tied) <= limit else 1
            for number, job_id in enumerate(tied):
                ways[job_id] = self._around(job_id, tangle) if number < shown else self._next(job_id, tangle)
        return ways

    def words(self, way: tuple[str, ...]) -> str:
        """Return one of the ways of :meth:`cycles` as text that names the groups whose jobs it goes through."""
        parts = []
        for job_id, following in itertools.pairwise(way):
            same = self._node[job_id] == self._node[following]
            parts.append(f"{job_id} (group {self._group_of[job_id]!r})" if same else job_id)
        return " -> ".join([*parts, way[-1]])

    def _tangle(self, nodes: list[str]) -> _Tangle:
        inside = set(nodes)
        steps: dict[str, list[str]] = {}
        doors: dict[tuple[str, str], tuple[str, str]] = {}
        for node in nodes:
            for job_id in self._members[node]:
                for earlier in self._graph[job_id]:
                    other = self._node[earlier]
                    if other != node and other in inside:
                        steps.setdefault(job_id, []).append(earlier)
                        doors.setdefault((node, other), (job_id, earlier))
        return _Tangle({node: self._nodes[node] for node in nodes}, steps, doors)

    def _around(self, job_id: str, tangle: _Tangle) -> tuple[str, ...]:
        node, nodes = self._node[job_id], tangle.nodes
        if job_id in tangle.steps:
            # Its own steps show best what it has to do with it.
            nodes = {**nodes, node: [self._node[earlier] for earlier in tangle.steps[job_id]]}
        way = [job_id]
        for here, there in itertools.pairwise(cycle_through(node, nodes, tangle.nodes)):
            own = [earlier for earlier in tangle.steps.get(way[-1], ()) if self._node[earlier] == there]
            if own:
                way.append(job_id if job_id in own else own[0])
            else:
                way += tangle.doors[here, there]
        return tuple(way if way[-1] == job_id else [*way, job_id])

    def _next(self, job_id: str, tangle: _Tangle) -> tuple[str, ...]:
        """Return the job and the next one on a way around, if need be one of its group."""
        if job_id in tangle.steps:
            return job_id, tangle.steps[job_id][0]
        node = self._node[job_id]
        other = next(other for other in tangle.nodes[node] if other in tangle.nodes)
        return job_id, tangle.doors[node, other][0]
