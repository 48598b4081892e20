# SPDX-License-Identifier: Apache-2.0
"""The category: a heading that jobs are reported under."""

from __future__ import annotations

from plainbox.units import fields
from plainbox.units.fields import Field, InTemplate
from plainbox.units.unit import Unit

__all__ = ["CategoryUnit"]


class CategoryUnit(Unit):
    kind = "category"

    _id = Field(
        fields.IDENTIFIER,
        "Name of the category, unique in its namespace.",
        key="id",
        required=True,
        template=InTemplate.MUST_VARY,
    )
    name = Field(
        fields.LINE,
        "What the category is called, in one line of at most 80 characters.",
        required=True,
        default=lambda category: category.partial_id or "",
        translatable=True,
        template=InTemplate.MUST_VARY,
    )

    @property
    def summary(self) -> str:
        return self.name

    def tr_name(self) -> str:
        """The name in the reader's language."""
        return self.translated("name") or self.name
