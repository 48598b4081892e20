# SPDX-License-Identifier: Apache-2.0
"""What a unit says about advices, as ``plainbox lint`` sees it: whether it means anything, whatever chain its job gets."""

from __future__ import annotations

from collections.abc import Iterator

from plainbox.errors import ChainError
from plainbox.tasks.links import UNIT_LINE, check_of_unit
from plainbox.tasks.registry import known_advices, unknown
from plainbox.units import Code, Issue, JobDefinition, Severity, TemplateUnit, Unit
from plainbox.units.converters import numbered

__all__ = ["advice_issues"]

_FIELD = "advice-parameters"


def advice_issues(unit: Unit) -> Iterator[Issue]:
    """Yield what is wrong with the parameters of advices in a job, or in a template as far as it is known already."""
    is_template = isinstance(unit, TemplateUnit)
    if not (is_template or isinstance(unit, JobDefinition)) or _FIELD not in unit.data:
        return
    for number, line in numbered(unit.data[_FIELD], lambda error: None):
        match = UNIT_LINE.fullmatch(line)
        if match is None or (is_template and "{" in line):
            continue  # that it is no line at all is found elsewhere
        if match[1] not in known_advices():
            # The package that has it may be elsewhere.
            error, severity = unknown("advice", match[1], known_advices()), Severity.WARNING
        else:
            try:
                check_of_unit(match[1], match[2].replace("-", "_"), match[3].strip())
                continue
            except ChainError as wrong:
                error, severity = wrong, Severity.ERROR
        yield unit.issue(Code.WRONG, error.message, severity=severity, field=_FIELD, line=number, hint=error.hint)
