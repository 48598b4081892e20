# SPDX-License-Identifier: Apache-2.0
"""What a check has found about a unit: a stable code, how bad it is, where it is, and what to do."""

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
    """Codes never change their meaning; a retired one is not used again."""

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


@attrs.frozen
class Issue:
    code: Code
    severity: Severity
    message: str
    unit_id: str | None = None
    field: str | None = None
    origin: Origin | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.origin}: " if self.origin is not None else ""
        unit = f"{self.unit_id}: " if self.unit_id else ""
        field = f"field {self.field!r}: " if self.field else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.code} {self.severity}: {unit}{field}{self.message}{hint}"
