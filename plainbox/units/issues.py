# SPDX-License-Identifier: Apache-2.0
"""What a check has found about a unit: a stable code, how bad it is, where it is, and what to do.

Units make the findings that they can make alone; :mod:`plainbox.units.checks` adds those that need all units together.
What each code means is written down in :mod:`plainbox.units.checks.codes`.
"""

from __future__ import annotations

import enum

import attrs

from plainbox.units.origin import Origin

__all__ = ["Code", "Issue", "Severity"]


class Severity(enum.StrEnum):
    """``ERROR``: the unit cannot do its work. ``WARNING``: it does not do what it seems to. ``ADVICE``: style."""

    ERROR = "error"
    WARNING = "warning"
    ADVICE = "advice"


class Code(enum.StrEnum):
    """Codes never change their meaning; a retired one is not used again.

    PB0: what cannot be read. PB1: the unit alone. PB2: the unit among all others. PB3: the files of the provider.
    """

    SYNTAX = "PB001"
    NO_UNIT = "PB002"
    UNREADABLE = "PB003"
    MISSING = "PB101"
    WRONG = "PB102"
    UNKNOWN_FIELD = "PB103"
    DEPRECATED = "PB104"
    USELESS = "PB105"
    TEMPLATE_CONSTANT = "PB106"
    TEMPLATE_VARIABLE = "PB107"
    UNKNOWN_PARAMETER = "PB108"
    UNKNOWN_FLAG = "PB109"
    BAD_EXPRESSION = "PB110"
    BAD_PATTERN = "PB111"
    TEMPLATE_SYNTAX = "PB112"
    NOT_A_LINE = "PB113"
    SHELL_SYNTAX = "PB114"
    TEXT_FOR_LIST = "PB115"
    UNKNOWN_REFERENCE = "PB201"
    WRONG_REFERENCE = "PB202"
    NOT_UNIQUE = "PB203"
    DEAD_ENTRY = "PB204"
    OVERLAP = "PB205"
    NESTED_LOOP = "PB206"
    DEPENDENCY_CYCLE = "PB207"
    NOT_EXECUTABLE = "PB301"
    SKIPPED_FILE = "PB302"
    NO_DATA_FILE = "PB303"
    BAD_SETTING = "PB304"


@attrs.frozen
class Issue:
    """``beyond_checkbox`` findings are those that Checkbox does not look for: they fail no validation that it passes."""

    code: Code
    severity: Severity
    message: str
    unit_id: str | None = None
    field: str | None = None
    origin: Origin | None = None
    hint: str | None = None
    beyond_checkbox: bool = attrs.field(default=False, eq=False)

    def __str__(self) -> str:
        place = f"{self.origin}: " if self.origin is not None else ""
        unit = f"{self.unit_id}: " if self.unit_id else ""
        field = f"field {self.field!r}: " if self.field else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.code} {self.severity}: {unit}{field}{self.message}{hint}"
