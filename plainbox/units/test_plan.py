# SPDX-License-Identifier: Apache-2.0
"""The test plan: which jobs run, in which order, and how they count."""

from __future__ import annotations

from collections.abc import Iterator

from plainbox.units import converters, fields
from plainbox.units.fields import Field, FieldType, InTemplate
from plainbox.units.issues import Code, Severity
from plainbox.units.overrides import Override, overrides_of
from plainbox.units.patterns import Pattern, parse_include
from plainbox.units.unit import Unit

__all__ = ["TestPlanUnit"]

_WORD = r'(?:"[^"\n]+"|[^\s#,="\0][^\s#,=\0]*)'

INCLUDE = FieldType(
    "include list",
    parse_include,
    {
        "description": "A YAML list of patterns, or text with one on a line, each optionally with overrides of fields.",
        "type": ["string", "number", "boolean", "array"],
        "items": {
            "description": "A pattern, or a mapping of one pattern to the fields that it overrides.",
            "type": ["string", "number", "boolean", "object"],
            "pattern": r"^(?!\s*\^?\$?\s*$)",
            "patternErrorMessage": "an empty pattern",
            "minProperties": 1,
            "maxProperties": 1,
            "propertyNames": {"pattern": r"^(?!\^?\$?$)"},
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "category-id": {"type": ["string", "number", "boolean"], "minLength": 1},
                    "category_id": {"type": ["string", "number", "boolean"], "minLength": 1},
                    "certification-status": {"enum": ["blocker", "non-blocker"]},
                    "certification_status": {"enum": ["blocker", "non-blocker"]},
                    "auto-retry": {"enum": ["unspecified", "no"]},
                    "auto_retry": {"enum": ["unspecified", "no"]},
                },
                "additionalProperties": False,
            },
        },
    },
    salvage=parse_include,
    code=Code.BAD_PATTERN,
)


def _overrides(field: str) -> FieldType[tuple[Override, ...]]:
    parse = overrides_of(field)
    return FieldType(
        "override list",
        lambda value, namespace: parse(value, namespace, converters.refuse),
        {
            "description": "A YAML list of statements, or text with one on a line: `apply VALUE to PATTERN`.",
            "type": ["string", "array"],
            "items": {
                "type": "string",
                "pattern": rf"^\s*(?:apply\s+{_WORD}\s+to\s+{_WORD}\s*)?(?:#[^\n]*)?$",
                "patternErrorMessage": "write: apply VALUE to PATTERN",
            },
        },
        salvage=parse,
        code=Code.BAD_PATTERN,
    )


class TestPlanUnit(Unit):
    """A test plan; its lists are as written, references as full ids."""

    kind = "test plan"
    #: Not a test class, whatever its name says to pytest.
    __test__ = False

    _id = Field(
        fields.IDENTIFIER,
        "Name of the plan, unique in its namespace.",
        key="id",
        required=True,
        template=InTemplate.MUST_VARY,
    )
    name = Field(
        fields.LINE,
        "What the plan is called, in one line of at most 80 characters.",
        required=True,
        default=lambda plan: plan.partial_id or "",
        translatable=True,
        template=InTemplate.MUST_VARY,
    )
    description = Field(fields.TEXT, "What the plan is for.", translatable=True)
    include = Field(INCLUDE, "The jobs of the plan, one pattern on a line.", default=(), required=True)
    mandatory_include = Field(INCLUDE, "Jobs that always run, first.", default=())
    bootstrap_include = Field(
        fields.REFERENCES, "Jobs that run before the selection: resources that templates need.", default=()
    )
    setup_include = Field(fields.REFERENCES, "Setup jobs that run before everything else.", default=())
    exclude = Field(INCLUDE, "Jobs that do not run although something includes them.", default=())
    nested_part = Field(fields.REFERENCES, "Plans that are part of this one.", default=())
    category_overrides = Field(
        _overrides("category_id"), "apply CATEGORY to PATTERN: report jobs in another category.", default=()
    )
    certification_status_overrides = Field(
        _overrides("certification_status"), "apply blocker|non-blocker to PATTERN: count jobs otherwise.", default=()
    )
    estimated_duration = Field(
        fields.DURATION,
        "How long the plan takes, in seconds or as 1h 2m 3s.",
        severity=Severity.WARNING,
        template=InTemplate.CONSTANT,
    )
    icon = Field(fields.TEXT, "Accepted for existing providers; not used.")

    @property
    def summary(self) -> str:
        return self.name

    def tr_name(self) -> str:
        """The name in the reader's language."""
        return self.translated("name") or self.name

    def tr_description(self) -> str | None:
        """The description in the reader's language."""
        return self.translated("description")

    def own_overrides(self) -> Iterator[tuple[Pattern, str, str]]:
        """Yield (pattern, name of the field, value) in the order in which they count; a later one wins.

        Inline overrides come first (mandatory, include), then category and certification overrides.
        """
        for entry in (*self.mandatory_include, *self.include):
            for field, value in entry.overrides:
                yield entry.pattern, field, self._qualified(field, value)
        for override in self.category_overrides:
            yield override.pattern, "category_id", self._qualified("category_id", override.value)
        for override in self.certification_status_overrides:
            yield override.pattern, "certification_status", override.value

    def _qualified(self, field: str, value: str) -> str:
        return converters.qualify(value, self.namespace) if field == "category_id" else value
