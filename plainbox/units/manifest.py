# SPDX-License-Identifier: Apache-2.0
"""The manifest entry: a fact about the machine that only a person can tell."""

from __future__ import annotations

from plainbox.errors import FieldError
from plainbox.units import converters, fields
from plainbox.units.fields import Field, choice
from plainbox.units.unit import Unit

__all__ = ["ManifestEntryUnit"]


class ManifestEntryUnit(Unit):
    """An entry whose id begins with an underscore is hidden: nobody is asked for it."""

    kind = "manifest entry"

    _id = Field(fields.IDENTIFIER, "Name of the entry, unique in its namespace.", key="id", required=True)
    name = Field(
        fields.TEXT,
        "What the entry is called.",
        required=True,
        default=lambda entry: entry.partial_id or "",
        translatable=True,
    )
    value_type = Field(choice("bool", "natural"), "What an answer is.", key="value-type", required=True, default="bool")
    value_unit = Field(fields.TEXT, "What a number counts.", key="value-unit")
    value_units = Field(
        fields.TEXT, "Other spelling of value-unit.", key="value-units", deprecated="write 'value-unit'"
    )
    resource_key = Field(
        fields.TEXT,
        "Name of the value in the manifest resource.",
        key="resource-key",
        default=lambda entry: entry.partial_id or "",
    )
    prompt = Field(
        fields.TEXT,
        "The question that a person is asked.",
        translatable=True,
        default=lambda entry: (
            "Does this machine have this piece of hardware?"
            if entry.value_type == "bool"
            else "Please enter the requested data:"
        ),
    )
    hidden_reason = Field(
        fields.TEXT,
        "Why nobody is asked for a hidden entry.",
        key="hidden-reason",
        required=lambda entry: entry.is_hidden,
    )

    @property
    def summary(self) -> str:
        return self.name

    def tr_name(self) -> str:
        """The name in the reader's language."""
        return self.translated("name") or self.name

    def tr_prompt(self) -> str:
        """The question in the reader's language."""
        return self.translated("prompt") or self.prompt

    @property
    def is_hidden(self) -> bool:
        return (self.partial_id or "").startswith("_")

    @property
    def default_value(self) -> bool | int:
        """What the entry is taken for until somebody answers."""
        return False if self.value_type == "bool" else 0

    def convert(self, text: str) -> bool | int:
        """Return the value that a text means; a bad one raises :class:`FieldError`."""
        try:
            return converters.flag(text) if self.value_type == "bool" else converters.natural(text)
        except FieldError as error:
            raise FieldError(f"{self.id}: {error.message}", field=self.id, hint=error.hint) from None
