# SPDX-License-Identifier: Apache-2.0
"""From the jobs that are wanted to the order in which they run.

The state of a session calls it whenever the wish list changes; `plainbox expand` and `why` call it to explain. A
job *needs* the jobs it depends on, the resource jobs its requirements name and those it runs after: they are pulled
in and run before it. ``before`` and ``salvages`` only order jobs that are in the plan anyway. Jobs of one group run
one after the other: a job that must run before one of them runs before all of them.

What holds for every plan:

* each job of it runs after everything that it needs, and nothing is in it that nobody wants or needs;
* where no edge says otherwise the order is that of the wish list, mandatory jobs first; what a job needs comes just
  before it, in the order of its ``depends``, its requirements and its ``after``;
* a job that cannot run (it needs one that is not there, or itself) is left out, and so is whatever needs it; each of
  them has exactly one problem that says why. Everything else is planned: there is no starting over.

No recursion and no step that looks at all jobs for one of them, so ten thousand jobs in one chain are no special
case.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from plainbox.errors import (
    DependencyCycleError,
    DependencyError,
    DependencyMissingError,
    DependencyUnknownError,
    UnitError,
)
from plainbox.session.graph import Graph, components, cycle_through, topological
from plainbox.session.groups import Groups
from plainbox.units.setup_job import SetupJobDefinition

if TYPE_CHECKING:
    from plainbox.units.job import JobDefinition

__all__ = ["Plan", "Planner", "needs_of"]

_log = logging.getLogger(__name__)

#: Above so many jobs in one tangle of cycles only the first is shown its way around; the others name their next job.
_MAX_CYCLES_SHOWN = 50


@attrs.frozen
class Plan:
    """``run_list`` is the order; ``wanted`` the wish list without the jobs that are excluded or cannot run.

    ``problems`` has one error for each job that was left out, what is at fault before what suffers from it;
    ``dropped`` finds the same errors by the id of the job.
    """

    run_list: tuple[JobDefinition, ...]
    wanted: tuple[JobDefinition, ...]
    problems: tuple[DependencyError, ...]
    dropped: Mapping[str, DependencyError]


def needs_of(job: JobDefinition) -> tuple[str, ...]:
    """Return the ids of the jobs that a job needs, in the order in which they run before it.

    A requirement that cannot be understood names nothing here: the job stays in the plan and fails when its turn
    comes.
    """
    try:
        program = job.resource_program
    except UnitError:
        program = None
    if program is None:
        return job.depends + job.after if job.after else job.depends
    return job.depends + program.resource_ids + job.after


class Planner:
    """Plans over the known jobs, by id."""

    def __init__(self, known: Mapping[str, JobDefinition]) -> None:
        self._known = known

    def plan(
        self,
        wanted: Iterable[JobDefinition],
        *,
        mandatory: Iterable[JobDefinition] = (),
        excluded: Collection[str] = frozenset(),
    ) -> Plan:
        """Return the plan for a wish list.

        A wanted job whose id is in ``excluded`` is not wanted, and one that needs it cannot run; what is mandatory is
        never excluded.
        """
        return _Planning(self._known, wanted, mandatory, excluded).result()


class _Planning:
    """The making of one plan."""

    def __init__(
        self,
        known: Mapping[str, JobDefinition],
        wanted: Iterable[JobDefinition],
        mandatory: Iterable[JobDefinition],
        excluded: Collection[str],
    ) -> None:
        self._known = known
        forced = dict.fromkeys(job.id for job in mandatory)
        self._excluded = set(excluded) - forced.keys()
        wish_list = {**forced, **dict.fromkeys(job.id for job in wanted)}
        self._wanted = [job_id for job_id in wish_list if job_id not in self._excluded]
        self._needs: dict[str, tuple[str, ...]] = {}
        # Setup jobs have had their phase: nothing pulls one in, and whoever needs one that did not pass cannot start.
        self._setup = frozenset(job_id for job_id, job in self._known.items() if isinstance(job, SetupJobDefinition))
        self._missing: dict[str, str] = {}
        self._dropped: dict[str, DependencyError] = {}

    def result(self) -> Plan:
        unknown = [job_id for job_id in self._wanted if job_id not in self._known]
        for job_id in unknown:
            self._dropped[job_id] = DependencyUnknownError(job_id)
        order, cyclic = self._pull()
        everyone = unknown + order
        if self._missing or cyclic:
            self._drop(order, self._in_cycles(self._needs_graph(order)) if cyclic else {})
            order, _ = self._pull()
        order = self._arrange(order)
        problems = tuple(self._dropped[job_id] for job_id in everyone if job_id in self._dropped)
        return Plan(
            run_list=tuple(self._known[job_id] for job_id in order),
            wanted=tuple(self._known[job_id] for job_id in self._wanted if job_id not in self._dropped),
            problems=problems,
            dropped=MappingProxyType(self._dropped),
        )

    # -- who is in the plan

    def _pull(self) -> tuple[list[str], bool]:
        """Return the ids of the wanted jobs and of all that they need, in order, and whether some job needs itself.

        Jobs that were dropped are not there any more, and nothing that is left needs one of them.
        """
        known, needs, excluded = self._known, self._needs, self._excluded
        order: list[str] = []
        done: dict[str, bool] = {}  # False: its needs are being looked at
        cyclic = False
        for root in self._wanted:
            if root in done or root in self._dropped:
                continue
            job_id, pending = root, iter(self._needs_of(root))
            stack = []
            done[root] = False
            while True:
                for need in pending:
                    finished = done.get(need)
                    if finished:
                        continue
                    if finished is False:
                        cyclic = True
                        continue
                    if need not in known or need in excluded:
                        self._missing.setdefault(job_id, need)
                        continue
                    stack.append((job_id, pending))
                    job_id, pending = need, iter(needs[need] if need in needs else self._needs_of(need))
                    done[need] = False
                    break
                else:
                    done[job_id] = True
                    order.append(job_id)
                    if not stack:
                        break
                    job_id, pending = stack.pop()
        return order, cyclic

    def _needs_of(self, job_id: str) -> tuple[str, ...]:
        needs = self._needs.get(job_id)
        if needs is None:
            needs = needs_of(self._known[job_id])
            if not self._setup.isdisjoint(needs):
                needs = tuple(need for need in needs if need not in self._setup)
            self._needs[job_id] = needs
        return needs

    def _drop(self, order: Sequence[str], faults: Mapping[str, DependencyError]) -> None:
        """Drop the jobs at fault, those that miss one, and all that need any of them.

        One pass is enough: in ``order`` a job comes after what it needs, except in a cycle, whose jobs are all at
        fault.
        """
        dropped = self._dropped
        for job_id in order:
            if job_id in faults:
                dropped[job_id] = faults[job_id]
                continue
            absent = self._missing.get(job_id)
            if absent is None:
                absent = next((need for need in self._needs[job_id] if need in dropped), None)
            if absent is not None:
                dropped[job_id] = DependencyMissingError(job_id, absent, self._kind(job_id, absent))

    # -- in which order

    def _arrange(self, order: list[str]) -> list[str]:
        """Return the pulled jobs as all edges and the groups want them, dropping what goes round in circles."""
        if not any(self._orders(job_id) for job_id in order):
            return order
        graph = self._graph(order)
        arranged, cyclic = topological(graph)
        if cyclic:
            self._drop(order, self._in_cycles(graph))
            order, _ = self._pull()
            graph = self._graph(order)
            arranged, _ = topological(graph)
        groups = Groups(graph, {job_id: self._known[job_id].group for job_id in order})
        if not groups:
            return arranged
        if groups.tangled():
            ways = groups.cycles(_MAX_CYCLES_SHOWN)
            self._drop(order, {job_id: self._fault(job_id, way, groups.words(way)) for job_id, way in ways.items()})
            order, _ = self._pull()
            graph = self._graph(order)
            groups = Groups(graph, {job_id: self._known[job_id].group for job_id in order})
        return groups.arranged()

    def _orders(self, job_id: str) -> bool:
        job = self._known[job_id]
        return bool(job.precedes or job.salvages or job.group)

    def _needs_graph(self, order: Sequence[str]) -> Graph:
        present = set(order)
        return {job_id: [need for need in self._needs[job_id] if need in present] for job_id in order}

    def _graph(self, order: Sequence[str]) -> Graph:
        """Return, for each job, the jobs of the plan that run before it."""
        graph = self._needs_graph(order)
        for job_id in order:
            job = self._known[job_id]
            graph[job_id].extend(target for target in job.salvages if target in graph)
        for job_id in order:
            job = self._known[job_id]
            for target in job.precedes:
                if target in graph:
                    graph[target].append(job_id)
                elif target not in self._known and target in job.before:
                    _log.warning("The job %s runs before %s, which is not known", job_id, target)
        return graph

    # -- what is wrong

    def _in_cycles(self, graph: Graph) -> dict[str, DependencyError]:
        faults: dict[str, DependencyError] = {}
        place = {job_id: number for number, job_id in enumerate(graph)}
        for members in components(graph):
            inside = set(members)
            first = min(members, key=place.__getitem__)
            for job_id in members:
                if job_id == first or len(members) <= _MAX_CYCLES_SHOWN:
                    faults[job_id] = self._fault(job_id, cycle_through(job_id, graph, inside))
                else:
                    following = next(need for need in graph[job_id] if need in inside)
                    faults[job_id] = self._fault(job_id, (job_id, following))
        return faults

    def _fault(self, job_id: str, way: Sequence[str], words: str | None = None) -> DependencyError:
        if way[-1] == job_id:
            return DependencyCycleError(way, words)
        return DependencyMissingError(job_id, way[1], self._kind(job_id, way[1]))

    def _kind(self, job_id: str, other: str) -> str:
        """Return the word for the edge that makes ``other`` run before the job."""
        job = self._known[job_id]
        if other in self._needs[job_id]:
            kind = "depends" if other in job.depends else "after" if other in job.after else "resource"
            return f"{kind}, excluded" if other in self._excluded else kind
        if other in job.salvages:
            return "salvages"
        return "before" if other in self._known and job_id in self._known[other].precedes else "group"
