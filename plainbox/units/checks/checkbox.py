# SPDX-License-Identifier: Apache-2.0
"""What the validation of Checkbox makes of a finding: how bad it is, and whether Checkbox looks for such a thing at all.

A unit calls a warning what a run can live with, so that its job runs. Whoever validates a provider wants to know what
Checkbox calls an error. The other way round, a provider that Checkbox takes for valid stays so for the commands that
existing continuous integration calls, whatever else is found in it.
"""

from __future__ import annotations

import attrs

from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.job import JobDefinition
from plainbox.units.template import TemplateUnit
from plainbox.units.unit import Unit

__all__ = ["judged"]

#: Findings about jobs that are warnings in a run and errors for whoever validates: code, field.
_ERRORS = frozenset(
    {
        (Code.WRONG, "user"),
        (Code.WRONG, "estimated_duration"),
        (Code.WRONG, "certification-status"),
        (Code.WRONG, "auto-retry"),
        (Code.UNKNOWN_FIELD, "siblings"),
        (Code.MISSING, "description"),
    }
)

#: What Checkbox does not look for.
_NEVER = frozenset(
    {
        *(Code.UNKNOWN_FIELD, Code.UNKNOWN_FLAG, Code.BAD_PATTERN),
        *(Code.DEAD_ENTRY, Code.NESTED_LOOP, Code.DEPENDENCY_CYCLE),
        *(Code.NOT_EXECUTABLE, Code.SKIPPED_FILE, Code.BAD_SETTING),
    }
)
#: Where Checkbox does not look for it.
_NOT_IN = frozenset(
    {
        # Siblings are there in a session only, long after the validation.
        (Code.UNKNOWN_REFERENCE, "siblings"),
        (Code.WRONG_REFERENCE, "siblings"),
        (Code.NOT_UNIQUE, "siblings"),
        (Code.NOT_UNIQUE, "flags"),
        # Checkbox reads these lists as text alone.
        *((Code.TEXT_FOR_LIST, field) for field in ("siblings", "Depends", "Recommends", "Suggests")),
        *((Code.TEXT_FOR_LIST, field) for field in ("category_overrides", "certification_status_overrides")),
    }
)
#: Fields that Checkbox does not have.
_ADDED = frozenset(
    {
        *("function", "args", "kwargs", "timeout", "uses", "on-crash", "cache", "tags"),
        *("advice-chain", "advice-parameters"),
    }
)


def judged(issue: Issue, unit: Unit | None = None) -> Issue:
    """Return a finding as Checkbox would judge it; ``unit`` is what it is about, if it is about a unit."""
    if unit is not None and (issue.code, issue.field) in _ERRORS and _is_for_jobs(unit):
        return attrs.evolve(issue, severity=Severity.ERROR)
    if issue.beyond_checkbox or not _is_beyond(issue, unit):
        return issue
    return attrs.evolve(issue, beyond_checkbox=True)


def _is_for_jobs(unit: Unit) -> bool:
    kind = unit.instance_kind if isinstance(unit, TemplateUnit) else type(unit)
    return kind is not None and issubclass(kind, JobDefinition)


def _is_beyond(issue: Issue, unit: Unit | None) -> bool:
    code, field = issue.code, issue.field
    if code in _NEVER or field in _ADDED or (code, field) in _NOT_IN:
        return True
    match code:
        case Code.UNKNOWN_REFERENCE | Code.WRONG_REFERENCE:
            # Checkbox knows no warnings here, and takes templates as they are.
            return issue.severity is Severity.WARNING or isinstance(unit, TemplateUnit)
        case Code.WRONG:
            # The duration of a plan; an exporter that Checkbox has.
            return issue.severity is Severity.WARNING
        case Code.NO_DATA_FILE:
            return unit is not None and unit.value_of("entry_point") != "jinja2"
        case Code.USELESS:
            return unit is not None and not _is_known_useless(unit, field)
    return False


def _is_known_useless(unit: Unit, field: str | None) -> bool:
    """Tell whether Checkbox, too, takes a field for useless: not one that is empty, or only not translated."""
    match field:
        case "command":
            return unit.value_of("plugin") == "manual"
        case "user" | "environ":
            return unit.value_of("command") is None
        case _:
            return field in ("Depends", "Recommends", "Suggests")
