# SPDX-License-Identifier: Apache-2.0
"""The setup job: prepares the machine before a test plan looks at it.

A plan names its setup jobs in ``setup_include``. They run before everything else, in the order of that list, so nothing
that orders jobs or asks for resources has a meaning here; what they may ask for is the manifest of the machine.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import ClassVar

from plainbox.errors import FieldError
from plainbox.units import converters, fields
from plainbox.units.converters import OnError, qualify
from plainbox.units.fields import Field, FieldType, InTemplate, choice
from plainbox.units.issues import Code, Issue
from plainbox.units.job import JobDefinition
from plainbox.units.record import Value

__all__ = ["SetupJobDefinition"]

#: What an entry of the manifest must be, as text: the entry's own type decides what the text means.
Wanted = tuple[str, str]


def _wanted_entries(
    value: Value, namespace: str | None = None, on_error: OnError = converters.refuse
) -> tuple[Wanted, ...]:
    """Return (full id, wanted value) for each item: an id, which must be true, or a mapping of one id to its value."""
    result = []
    if isinstance(value, str):
        return tuple((entry, "true") for entry in converters.references(value, namespace, on_error))
    if not isinstance(value, list):
        raise FieldError("a list is wanted here, not a mapping")
    for number, item in enumerate(value):
        [(name, wanted)] = item.items() if isinstance(item, dict) and len(item) == 1 else [(item, "true")]
        if isinstance(name, str) and name.strip() and isinstance(wanted, str):
            result.append((qualify(name.strip(), namespace), wanted))
        else:
            on_error(
                FieldError("an item is the id of a manifest entry, or a mapping of one id to a value", line=number)
            )
    return tuple(result)


MANIFEST_ENTRIES = FieldType(
    "manifest requirements",
    _wanted_entries,
    {
        "description": "A YAML list or a word list of ids of manifest entries, which must be true. An item of a YAML list "
        "may be a mapping of one id to the value that the entry must have.",
        "type": ["string", "number", "boolean", "array"],
        "pattern": fields.WORDS.schema["pattern"],
        "items": {
            "type": ["string", "number", "boolean", "object"],
            "pattern": r"\S",
            "minProperties": 1,
            "maxProperties": 1,
            "propertyNames": {"pattern": r"\S"},
            "additionalProperties": {"type": ["boolean", "number", "string"]},
        },
    },
    salvage=_wanted_entries,
)


class SetupJobDefinition(JobDefinition):
    """A job of the setup phase. Its id is that of a job: no other job of the namespace can have it."""

    kind = "setup job"
    #: For code written against Checkbox, which takes it for a job.
    Meta: ClassVar[SimpleNamespace] = SimpleNamespace(name="job")
    not_fields = (
        *("requires", "imports", "depends", "after", "before", "salvages", "group"),
        *("function", "args", "kwargs", "cache", "uses"),
    )

    plugin = Field(
        choice("shell"),
        "The kind of job: a setup job is a shell job.",
        default="shell",
        template=InTemplate.CONSTANT,
    )
    requires_manifest = Field(
        MANIFEST_ENTRIES,
        "Manifest entries that must be true, or have the value given with them, for the job to run.",
        default=(),
        template=InTemplate.CONSTANT,
    )

    @functools.cached_property
    def required_manifest(self) -> Mapping[str, bool | int]:
        """The wanted values by full id of the manifest entry; a number is a natural one, anything else yes or no."""
        return {entry: wanted for entry, text in self.requires_manifest if (wanted := _meaning(text)) is not None}

    def value_of(self, key: str) -> Value | None:
        return None if key in self.not_fields else super().value_of(key)

    def check(self) -> Iterator[Issue]:
        yield from super().check()
        for line, (entry, text) in enumerate(self.requires_manifest):
            if _meaning(text) is None:
                yield self.issue(
                    Code.WRONG,
                    f"{text[:60]!r} is neither yes, no nor a natural number: no {entry!r} can have it",
                    field="requires_manifest",
                    line=line,
                )


def _meaning(text: str) -> bool | int | None:
    for convert in (converters.natural, converters.flag):
        try:
            return convert(text)
        except FieldError:
            continue
    return None
