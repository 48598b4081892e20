# SPDX-License-Identifier: Apache-2.0
"""Things that go round: jobs that wait for each other. Test plans that contain each other are found in the same way."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeAlias

from plainbox.errors import ExpressionError
from plainbox.units.checks.index import UnitIndex
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.job import JobDefinition

__all__ = ["check", "cycles", "cycles_through"]

Graph: TypeAlias = Mapping[str, Iterable[str]]

#: What a job needs -> the field that says so.
_Needs: TypeAlias = dict[str, str]


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

    A cycle of dependencies keeps its jobs from running in every plan: an error. One in which ``before`` or ``salvages``
    takes part does so only where all of its jobs are selected: a warning.
    """
    own = {job.id: job for job in jobs}
    known = [job for job in index.of_kind(JobDefinition.kind).values() if isinstance(job, JobDefinition)]
    needs: dict[str, _Needs] = {job.id: _needs(job) for job in known}
    told: set[str] = set()
    for way in cycles_through(own, needs):
        told.update(way)
        yield _issue(own[way[0]], way, needs, Severity.ERROR)
    for job in known:
        for target in job.salvages:
            needs[job.id].setdefault(target, "salvages")
        for target in job.before:
            if target in needs:
                needs[target].setdefault(job.id, "before")
    for way in cycles_through(own, needs):
        if told.isdisjoint(way):
            yield _issue(own[way[0]], way, needs, Severity.WARNING)


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


def _issue(job: JobDefinition, way: tuple[str, ...], needs: Mapping[str, _Needs], severity: Severity) -> Issue:
    field = needs[way[0]][way[1]]
    steps = [f"{one} ({needs[one][other]})" for one, other in itertools.pairwise(way)]
    return job.issue(
        Code.DEPENDENCY_CYCLE,
        f"dependency cycle: {' -> '.join([*steps, way[-1]])}",
        severity=severity,
        # What is before this job says so itself.
        field=field if field in job.data else None,
    )
