# SPDX-License-Identifier: Apache-2.0
"""Which jobs a test plan means: its own lists and those of its nested parts, applied to the jobs that are known.

Used by the session (jobs, template instances) and by the commands that show a plan without running anything (jobs and
templates). An include entry decides where a job stands; any exclusion wins over all inclusions; the jobs of the
setup and of the bootstrap phase are not part of the selection.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import attrs

from plainbox.errors import ExpressionError, PlainboxError, UnitError
from plainbox.units import JobDefinition, SetupJobDefinition, TemplateUnit, TestPlanUnit, Unit
from plainbox.units.patterns import IncludeEntry, Pattern

__all__ = [
    "FlatPlan",
    "OverrideRules",
    "excluded_ids",
    "flatten",
    "literal_start",
    "manifest_ids",
    "matching",
    "select",
    "select_units",
]

U = TypeVar("U", bound=Unit)


@attrs.frozen
class FlatPlan:
    """A plan together with its nested parts, depth first, its own entries before theirs.

    ``overrides`` are (pattern, name of the field, value) in the order in which they count: a later one wins.
    """

    plans: tuple[TestPlanUnit, ...]
    include: tuple[IncludeEntry, ...]
    exclude: tuple[IncludeEntry, ...]
    mandatory: tuple[IncludeEntry, ...]
    setup: tuple[str, ...]
    bootstrap: tuple[str, ...]
    overrides: tuple[tuple[Pattern, str, str], ...]
    problems: tuple[PlainboxError, ...]


def flatten(roots: Iterable[TestPlanUnit], known: Mapping[str, TestPlanUnit]) -> FlatPlan:
    """Return the plans and all their nested parts, each once; a part that is not known is a problem."""
    plans: dict[str, TestPlanUnit] = {}
    problems: list[PlainboxError] = []
    pending = list(reversed(list(roots)))
    while pending:
        plan = pending.pop()
        if plan.id in plans:
            continue
        plans[plan.id] = plan
        for part_id in reversed(plan.nested_part):
            if part_id in known:
                pending.append(known[part_id])
            else:
                problems.append(
                    UnitError(
                        f"test plan {plan.id!r} names an unknown nested part {part_id!r}",
                        origin=plan.origin_of("nested_part"),
                    )
                )
    ordered = tuple(plans.values())
    return FlatPlan(
        plans=ordered,
        include=tuple(entry for plan in ordered for entry in plan.include),
        exclude=tuple(entry for plan in ordered for entry in plan.exclude),
        mandatory=tuple(entry for plan in ordered for entry in plan.mandatory_include),
        setup=tuple(dict.fromkeys(job_id for plan in ordered for job_id in plan.setup_include)),
        bootstrap=tuple(dict.fromkeys(job_id for plan in ordered for job_id in plan.bootstrap_include)),
        overrides=tuple(rule for plan in ordered for rule in plan.own_overrides()),
        problems=tuple(problems),
    )


@functools.lru_cache(maxsize=8192)
def literal_start(pattern: Pattern) -> str:
    """Return a text that every id begins with which the pattern means; asking for it first saves most of the matching."""
    if pattern.is_fixed:
        return pattern.full
    is_full = pattern.expression.startswith("(?:")
    namespace, colons, text = ("", "", pattern.full) if is_full else pattern.full.partition("::")
    start = namespace + colons
    if _has_alternatives(text):
        return start
    for index, character in enumerate(text):
        if character in _SPECIAL:
            # A quantifier that allows for nothing makes the character before it optional.
            return start + text[: max(index - 1, 0) if character in "*?{" else index]
    return start + text


def _has_alternatives(text: str) -> bool:
    """Tell whether a regular expression may match one thing or another as a whole; when in doubt, yes."""
    if "|" not in text:
        return False
    if "\\" in text or "[" in text:
        return True
    depth = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "|" and depth == 0:
            return True
    return False


@functools.lru_cache(maxsize=8192)
def _fixed_length(pattern: Pattern) -> int | None:
    """Return the length of what a pattern means if a dot is all that is special in it, as in most full ids."""
    is_full = pattern.expression.startswith("(?:")
    text = pattern.full if is_full else pattern.full.partition("::")[2]
    return None if _SPECIAL & set(text) - {"."} else len(pattern.full)


_SPECIAL = frozenset(r".^$*+?{}[]\|()")


class _Index:
    """Finds the units that a pattern means: by id, by the template they come from, by regular expression."""

    def __init__(self, units: Iterable[U], template_id: Callable[[U], str | None]) -> None:
        self.by_id: dict[str, Unit] = {}
        self.by_template: dict[str, list[str]] = {}
        for unit in units:
            self.by_id[unit.id] = unit
            template = template_id(unit)
            if template is not None:
                self.by_template.setdefault(template, []).append(unit.id)
        self._sorted = sorted(self.by_id)
        self._positions = {identifier: position for position, identifier in enumerate(self.by_id)}

    def find(self, pattern: Pattern) -> list[str]:
        if pattern.is_fixed:
            if pattern.full in self.by_id:
                return [pattern.full]
            return self.by_template.get(pattern.full, [])
        candidates = self._beginning_with(literal_start(pattern))
        length = _fixed_length(pattern)
        if length is not None:
            candidates = [identifier for identifier in candidates if len(identifier) == length]
        found = [identifier for identifier in candidates if pattern.matches(identifier)]
        found.sort(key=self._positions.__getitem__)
        return found or self.by_template.get(pattern.full, [])

    def _beginning_with(self, start: str) -> list[str]:
        first = bisect.bisect_left(self._sorted, start)
        # No id goes on with the very last of all characters.
        return self._sorted[first : bisect.bisect_right(self._sorted, start + chr(0x10FFFF), first)]


def matching(entries: Iterable[IncludeEntry], jobs: Iterable[JobDefinition]) -> list[str]:
    """Return the ids that the entries mean, each once, in the order of the entries and within one of the jobs."""
    index = _Index(jobs, lambda job: job.template_id)
    return list(dict.fromkeys(identifier for entry in entries for identifier in index.find(entry.pattern)))


def _without(ids: Iterable[str], excluded: Callable[[str], bool]) -> list[str]:
    return [identifier for identifier in ids if not excluded(identifier)]


def _excluder(
    entries: Iterable[IncludeEntry], template_of: Mapping[str, str | None], bootstrap: Iterable[str]
) -> Callable[[str], bool]:
    patterns = [entry.pattern for entry in entries]
    fixed = {pattern.full for pattern in patterns} | set(bootstrap)
    expressions = [pattern for pattern in patterns if not pattern.is_fixed]

    def excluded(identifier: str) -> bool:
        template = template_of.get(identifier)
        if identifier in fixed or (template is not None and template in fixed):
            return True
        return any(
            pattern.matches(identifier) or (template is not None and pattern.matches(template))
            for pattern in expressions
        )

    return excluded


def select(plan: FlatPlan, jobs: Iterable[JobDefinition]) -> tuple[list[str], list[str]]:
    """Return (mandatory, included) job ids; exclusions do not touch the mandatory ones.

    A setup job is never among them, whatever the patterns say.
    """
    known = [job for job in jobs if not isinstance(job, SetupJobDefinition)]
    excluded = _excluder(plan.exclude, {job.id: job.template_id for job in known}, plan.bootstrap)
    mandatory = matching(plan.mandatory, known)
    return mandatory, _without(matching(plan.include, known), excluded)


def excluded_ids(plan: FlatPlan, jobs: Iterable[JobDefinition]) -> frozenset[str]:
    """Return the ids of the jobs that the plan excludes, bootstrap jobs not counted."""
    known = list(jobs)
    if not plan.exclude:
        return frozenset()
    excluded = _excluder(plan.exclude, {job.id: job.template_id for job in known}, ())
    return frozenset(job.id for job in known if excluded(job.id))


def select_units(
    plan: FlatPlan, jobs: Iterable[JobDefinition], templates: Iterable[TemplateUnit]
) -> list[JobDefinition | TemplateUnit]:
    """Return the jobs and templates that the plan means before any template has instances, mandatory ones first.

    What the plan names for the bootstrap is not part of it, even if it is mandatory too.
    """
    units: list[JobDefinition | TemplateUnit] = [*jobs, *templates]
    index = _Index(units, lambda unit: None)
    excluded = _excluder(plan.exclude, {}, plan.bootstrap)
    entries = (*plan.mandatory, *plan.include)
    ids = list(dict.fromkeys(i for entry in entries for i in index.find(entry.pattern)))
    mandatory = {i for entry in plan.mandatory for i in index.find(entry.pattern)} - set(plan.bootstrap)
    return [
        unit
        for identifier in ids
        if (unit := index.by_id.get(identifier)) is not None
        and isinstance(unit, (JobDefinition, TemplateUnit))
        and (identifier in mandatory or not excluded(identifier))
    ]


def manifest_ids(units: Iterable[JobDefinition | TemplateUnit]) -> list[str]:
    """Return the full ids of the manifest entries that jobs and instances of templates ask for, sorted."""
    wanted: set[str] = set()
    for unit in units:
        job = unit if isinstance(unit, JobDefinition) else unit.unfilled()
        if isinstance(job, SetupJobDefinition):
            wanted.update(job.required_manifest)
        try:
            program = job.resource_program
        except ExpressionError:
            continue
        if program is not None:
            wanted.update(entry for expression in program.expressions for entry in expression.manifest_ids)
    return sorted(wanted)


class OverrideRules:
    """The overrides of a plan, arranged so that those of one job are found without trying them all."""

    def __init__(self, rules: Iterable[tuple[Pattern, str, str]]) -> None:
        self._fixed: dict[str, list[tuple[int, str, str]]] = {}
        self._expressions: list[tuple[str, Pattern, int, str, str]] = []
        for order, (pattern, field, value) in enumerate(rules):
            self._fixed.setdefault(pattern.full, []).append((order, field, value))
            if not pattern.is_fixed:
                self._expressions.append((literal_start(pattern), pattern, order, field, value))

    def __bool__(self) -> bool:
        return bool(self._fixed)

    def of(self, identifier: str, template_id: str | None) -> list[tuple[str, str]]:
        """Return (field, value) for the job with this id, made from this template, in the order to apply them."""
        names = (identifier,) if template_id is None else (identifier, template_id)
        found = {item for name in names for item in self._fixed.get(name, ())}
        for start, pattern, order, field, value in self._expressions:
            if any(name.startswith(start) and pattern.matches(name) for name in names):
                found.add((order, field, value))
        return [(field, value) for _, field, value in sorted(found)]
