# SPDX-License-Identifier: Apache-2.0
"""Things that go round: jobs that wait for each other. Test plans that contain each other are found in the same way."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from plainbox.errors import ExpressionError
from plainbox.units.checks.index import UnitIndex
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.job import JobDefinition

__all__ = ["check", "cycles", "cycles_through"]

Graph: TypeAlias = Mapping[str, Iterable[str]]

#: What a job needs -> the field that says so.
_Needs: TypeAlias = dict[str, str]

#: A job on the way around, and why the next one has to run before it.
_Step: TypeAlias = tuple[str, str]


def cycles(graph: Graph) -> Iterator[tuple[str, ...]]:
    """Yield cycles of a graph from nodes to their followers, no two of them with a node in common.

    There is one at least if there is any. Followers that are no nodes are ignored. Takes no recursion.
    """
    reported: set[str] = set()
    done: set[str] = set()
    for root in graph:
        path: dict[str, Iterator[str]] = {} if root in done else {root: iter(graph[root])}
        while path:
            node = next(reversed(path))
            for follower in path[node]:
                if follower in path and follower not in reported:
                    nodes = list(path)
                    way = tuple(nodes[nodes.index(follower) :])
                    if reported.isdisjoint(way):
                        reported.update(way)
                        yield way
                elif follower not in path and follower not in done and follower in graph:
                    path[follower] = iter(graph[follower])
                    break
            else:
                done.add(node)
                path.popitem()


def cycles_through(nodes: Collection[str], graph: Graph) -> Iterator[tuple[str, ...]]:
    """Yield those cycles that touch ``nodes``, each from one of them back to it: first and last are the same."""
    for way in cycles(graph):
        start = next((position for position, node in enumerate(way) if node in nodes), None)
        if start is not None:
            yield (*way[start:], *way[: start + 1])


def check(jobs: Iterable[JobDefinition], index: UnitIndex) -> Iterator[Issue]:
    """Yield a finding for each dependency cycle that goes through one of ``jobs``.

    A cycle of dependencies keeps its jobs from running in every plan: an error. One in which ``before``, ``salvages`` or a
    group takes part does so only where all of its jobs are selected: a warning.
    """
    own = {job.id: job for job in jobs}
    for sibling, job in index.siblings:
        if own.get(job.id) is job:
            own.setdefault(sibling.id, sibling)
    known = [job for job in index.of_kind(JobDefinition.kind).values() if isinstance(job, JobDefinition)]
    needs: dict[str, _Needs] = {job.id: _needs(job) for job in known}
    told: set[str] = set()
    for way in cycles_through(own, needs):
        told.update(way)
        yield _issue(own, _steps(way, needs), Severity.ERROR)
    for job in known:
        for target in job.salvages:
            needs[job.id].setdefault(target, "salvages")
        for target in job.precedes:
            if target in needs:
                needs[target].setdefault(job.id, "before" if target in job.before else "also-after-suspend")
    for way in cycles_through(own, needs):
        if told.isdisjoint(way):
            told.update(way)
            yield _issue(own, _steps(way, needs), Severity.WARNING)
    for steps in _through_groups(known, needs):
        names = [name for name, _ in steps]
        start = next((position for position, name in enumerate(names) if name in own), None)
        if start is not None and told.isdisjoint(names):
            yield _issue(own, [*steps[start:], *steps[:start]], Severity.WARNING)


def _needs(job: JobDefinition) -> _Needs:
    needs = dict.fromkeys(job.depends, "depends")
    for target in job.after:
        needs.setdefault(target, "after")
    try:
        program = job.resource_program
    except ExpressionError:
        program = None
    if program is not None:
        for target in program.resource_ids:
            needs.setdefault(target, "requires")
    return needs


def _steps(way: Sequence[str], needs: Mapping[str, _Needs]) -> list[_Step]:
    return [(one, needs[one][other]) for one, other in itertools.pairwise(way)]


def _through_groups(jobs: Iterable[JobDefinition], needs: Mapping[str, _Needs]) -> Iterator[list[_Step]]:
    """Yield ways around that are closed by a group, whose jobs run with nothing between them.

    A group stands as one job in the graph, under the name of its first.
    """
    first_of: dict[str, str] = {}
    group_of = {job.id: job.group for job in jobs if job.group}
    node_of = {name: first_of.setdefault(group_of[name], name) if name in group_of else name for name in needs}
    graph: dict[str, dict[str, tuple[str, str]]] = {node: {} for node in node_of.values()}
    if len(graph) == len(needs):
        return
    for one, others in needs.items():
        for other in others:
            if other in node_of and node_of[one] != node_of[other]:
                graph[node_of[one]].setdefault(node_of[other], (one, other))
    for way in cycles(graph):
        edges = [graph[node][following] for node, following in itertools.pairwise((*way, way[0]))]
        steps: list[_Step] = []
        for (one, other), (following, _) in zip(edges, (*edges[1:], edges[0]), strict=True):
            steps.append((one, needs[one][other]))
            if other != following:
                steps.append((other, f"group {group_of[other]!r}"))
        if len(steps) > len(edges):
            yield steps


def _issue(jobs: Mapping[str, JobDefinition], steps: Sequence[_Step], severity: Severity) -> Issue:
    """Return the finding about a way around, which begins at one of ``jobs``."""
    name, label = steps[0]
    field = label.partition(" ")[0]
    return jobs[name].issue(
        Code.DEPENDENCY_CYCLE,
        f"dependency cycle: {' -> '.join([*(f'{step} ({why})' for step, why in steps), name])}",
        severity=severity,
        # What is before this job says so itself.
        field=field if field in jobs[name].data else None,
    )
