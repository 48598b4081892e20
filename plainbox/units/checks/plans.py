# SPDX-License-Identifier: Apache-2.0
"""What a test plan names: units that are not there, entries that mean nothing, jobs that are named twice.

``plainbox run`` tells the dead entries of the plan that it runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from plainbox.units.checks.cycles import cycles_through
from plainbox.units.checks.index import UnitIndex
from plainbox.units.checks.references import AUTOMATED_JOB, CATEGORY, PLAN, SETUP_JOB, line_of, lines_of, look_up
from plainbox.units.converters import qualify
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.job import JobDefinition
from plainbox.units.patterns import IncludeEntry, Pattern
from plainbox.units.template import TemplateUnit
from plainbox.units.test_plan import TestPlanUnit

__all__ = ["check", "check_loops", "dead_entries"]

#: What no id has; its dots make a regular expression of a full id, which nobody has meant.
_SPECIAL = re.compile(r"[\^$*+?{}\[\]\\|()]")
_GLOB = re.compile(r"(?:^|[^.\])}\\])\*")
_INCLUDING = ("include", "mandatory_include")
_SELECTABLE = (JobDefinition.kind, TemplateUnit.kind)


def check(plan: TestPlanUnit, index: UnitIndex) -> Iterator[Issue]:
    """Yield what is wrong with what a plan names."""
    yield from look_up(plan, "setup_include", plan.setup_include, SETUP_JOB, index)
    yield from look_up(plan, "bootstrap_include", plan.bootstrap_include, AUTOMATED_JOB, index)
    yield from look_up(plan, "nested_part", plan.nested_part, PLAN, index, Severity.WARNING)
    yield from _categories(plan, index)
    yield from dead_entries(plan, index)
    yield from _overlaps(plan, index)


def dead_entries(plan: TestPlanUnit, index: UnitIndex, fields: Sequence[str] | None = None) -> Iterator[Issue]:
    """Yield the entries of the lists of a plan that can never mean a job; by default those of all its lists."""
    for field, line, pattern in _entries(plan):
        if (fields is None or field in fields) and not index.means_something(pattern):
            is_plain = pattern.is_fixed or not _SPECIAL.search(pattern.full)
            if is_plain:
                hint = index.guess(_SELECTABLE, pattern.full, plan.namespace)
            else:
                hint = index.guess_namespace(pattern)
                if hint is None and _GLOB.search(pattern.text):
                    hint = "write .* for any text"
            what = f"no job {pattern.full!r}" if is_plain else f"no job matches {pattern.text[:80]!r}"
            yield plan.issue(
                Code.DEAD_ENTRY,
                f"{what}: this entry means nothing",
                severity=Severity.WARNING,
                field=field,
                line=line,
                hint=hint,
            )


def check_loops(plans: Iterable[TestPlanUnit], index: UnitIndex) -> Iterator[Issue]:
    """Yield a finding for each loop of nested parts that goes through one of ``plans``."""
    known = index.of_kind(TestPlanUnit.kind).values()
    own = {plan.id: plan for plan in plans}
    graph = {plan.id: plan.nested_part for plan in known if isinstance(plan, TestPlanUnit)}
    for way in cycles_through(own, graph):
        plan = own[way[0]]
        yield plan.issue(
            Code.NESTED_LOOP,
            f"the plan is part of itself: {' -> '.join(way)}",
            severity=Severity.ADVICE,
            field="nested_part",
            line=line_of(way[1], "nested_part", plan),
        )


def _entries(plan: TestPlanUnit) -> Iterator[tuple[str, int, Pattern]]:
    """Yield (field, line, pattern) of all lists of patterns."""
    for field in (*_INCLUDING, "exclude"):
        for entry in _of(plan, field):
            yield field, entry.line, entry.pattern
    for field, overrides in (
        ("category_overrides", plan.category_overrides),
        ("certification_status_overrides", plan.certification_status_overrides),
    ):
        for override in overrides:
            yield field, override.line, override.pattern


def _of(plan: TestPlanUnit, field: str) -> tuple[IncludeEntry, ...]:
    entries: tuple[IncludeEntry, ...] = getattr(plan, field)
    return entries


def _categories(plan: TestPlanUnit, index: UnitIndex) -> Iterator[Issue]:
    named: list[tuple[str, int, str]] = [
        (field, entry.line, value)
        for field in _INCLUDING
        for entry in _of(plan, field)
        for name, value in entry.overrides
        if name == "category_id"
    ]
    named += [("category_overrides", override.line, override.value) for override in plan.category_overrides]
    for field, line, value in named:
        yield from look_up(plan, field, [qualify(value, plan.namespace)], CATEGORY, index, Severity.WARNING, line=line)


def _overlaps(plan: TestPlanUnit, index: UnitIndex) -> Iterator[Issue]:
    """Yield what is in another list of the plan although ``include`` means it too."""
    if not (plan.mandatory_include or plan.bootstrap_include or plan.setup_include):
        return
    is_included = _matcher(entry.pattern for entry in plan.include)
    for entry in plan.mandatory_include:
        twice = next((item for item in index.selected_by(entry.pattern) if is_included(item)), None)
        if twice is not None:
            yield _overlap(plan, "mandatory_include", entry.line, twice)
    for field in ("bootstrap_include", "setup_include"):
        lines = lines_of(field, plan)
        for identifier in filter(is_included, getattr(plan, field)):
            yield _overlap(plan, field, lines.get(identifier, 0), identifier)


def _overlap(plan: TestPlanUnit, field: str, line: int, identifier: str) -> Issue:
    return plan.issue(
        Code.OVERLAP,
        f"{identifier!r} is also matched by include",
        severity=Severity.WARNING,
        field=field,
        line=line,
    )


def _matcher(patterns: Iterable[Pattern]) -> Callable[[str], bool]:
    known = list(patterns)
    fixed = {pattern.full for pattern in known}
    expressions = [pattern for pattern in known if not pattern.is_fixed]
    return lambda identifier: identifier in fixed or any(pattern.matches(identifier) for pattern in expressions)
