# SPDX-License-Identifier: Apache-2.0
"""Packaging meta-data: what a distribution's package of the provider depends on, and on which systems that holds."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from plainbox.errors import FieldError
from plainbox.units import converters, fields
from plainbox.units.fields import Field, FieldType
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.record import Value
from plainbox.units.unit import Unit

__all__ = ["PackagingMetaDataUnit"]

_CONDITION = re.compile(r"(==|!=|>=|<=|>|<|)\s*([0-9A-Za-z][0-9A-Za-z._~+-]*)")
_Version: TypeAlias = "tuple[tuple[bool, int, str], ...]"
_COMPARISONS: Mapping[str, Callable[[_Version, _Version], bool]] = {
    "": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def _condition(value: Value, namespace: str | None) -> str:
    text = converters.text(value)
    if not _CONDITION.fullmatch(text):
        raise FieldError(f"{text[:60]!r} is not a version with a comparison", hint="write it like 24.04 or >=12")
    return text


def _relations(value: Value, namespace: str | None) -> tuple[str, ...]:
    """Return the package relations of a list apart by commas; line ends mean nothing."""
    items = [converters.text(item) for item in value] if isinstance(value, list) else converters.text(value).split(",")
    return tuple(" ".join(item.split()) for item in items if item.strip())


CONDITION = FieldType(
    "version with a comparison",
    _condition,
    {
        "description": "A version, with `==`, `!=`, `>=`, `<=`, `>` or `<` before it or nothing, which means `==`.",
        "type": ["string", "number"],
        "minimum": 0,
        "pattern": rf"^\s*(?:{_CONDITION.pattern})\s*$",
        "patternErrorMessage": "write it like 24.04 or >=12",
    },
)
RELATIONS = FieldType(
    "package relations",
    _relations,
    {
        "description": "Relations to packages as a Debian control file has them: apart by commas, or a YAML list.",
        "type": ["string", "number", "boolean", "array"],
        "items": {"type": ["string", "number", "boolean"]},
    },
)


class PackagingMetaDataUnit(Unit):
    """Has no id; a provider may hold several, and a system takes the relations of all that match it."""

    kind = "packaging meta-data"

    os_id = Field(fields.TEXT, "ID of the system in os-release.", key="os-id", required=True)
    os_version_id = Field(
        CONDITION,
        "VERSION_ID of the system, with an optional comparison: ==, !=, >=, <=, > or <.",
        key="os-version-id",
    )
    depends = Field(RELATIONS, "Packages that the provider cannot work without.", key="Depends", default=())
    recommends = Field(RELATIONS, "Packages that most jobs want.", key="Recommends", default=())
    suggests = Field(RELATIONS, "Packages that some jobs can use.", key="Suggests", default=())

    @property
    def summary(self) -> str:
        return f"{self.os_id} {self.os_version_id or ''}".strip()

    def matches(self, os_release: Mapping[str, str]) -> bool:
        """Tell whether the relations hold on a system, which its os-release describes.

        The system's own ID counts, and where the unit names no version also each word of its ID_LIKE.
        """
        if self.data.get("os-version-id") is not None:
            # One that is wrong matches nothing, rather than every version.
            version = os_release.get("VERSION_ID", "")
            return self.os_id == os_release.get("ID") and bool(version) and self._holds_for(version)
        return self.os_id in (os_release.get("ID"), *os_release.get("ID_LIKE", "").split())

    def _holds_for(self, version: str) -> bool:
        match = _CONDITION.fullmatch(self.os_version_id or "")
        return match is not None and _COMPARISONS[match[1]](_order(version), _order(match[2]))

    def check(self) -> Iterator[Issue]:
        yield from super().check()
        for key, relations in (
            ("Depends", self.depends),
            ("Recommends", self.recommends),
            ("Suggests", self.suggests),
        ):
            for relation in sorted({item for item in relations if relations.count(item) > 1}):
                yield self.issue(Code.USELESS, f"{relation!r} is given twice", severity=Severity.WARNING, field=key)


def _order(version: str) -> _Version:
    """Return what versions sort by: numbers by their value, words by their letters and before numbers.

    Zeros at the end mean nothing: 12 is 12.0.
    """
    parts = [
        (part.isdecimal(), int(part) if part.isdecimal() else 0, "" if part.isdecimal() else part)
        for part in re.findall(r"[0-9]+|[a-z]+", version.lower())
    ]
    while parts and parts[-1] == (True, 0, ""):
        parts.pop()
    return tuple(parts)
