# SPDX-License-Identifier: Apache-2.0
"""The file: a unit that no unit file holds. :mod:`plainbox.providers.files` makes one for each file of a provider."""

from __future__ import annotations

import enum

from plainbox.units import fields
from plainbox.units.fields import Field, choice
from plainbox.units.unit import Unit

__all__ = ["FileRole", "FileUnit"]


class FileRole(enum.StrEnum):
    """What a file is for. ``INVALID``: it stands where only other files are used, so nothing ever uses it."""

    UNIT_SOURCE = "unit-source"
    SCRIPT = "script"
    BINARY = "binary"
    DATA = "data"
    I18N = "i18n"
    MANAGE_PY = "manage.py"
    LEGAL = "legal"
    DOCS = "docs"
    UNKNOWN = "unknown"
    BUILD = "build"
    INVALID = "invalid"
    VCS = "vcs"
    SRC = "src"


class FileUnit(Unit):
    """Has no id."""

    kind = "file"

    path = Field(fields.TEXT, "Absolute path of the file.", required=True)
    role = Field(choice(*(role.value for role in FileRole)), "What the file is for.", required=True)
    base = Field(fields.TEXT, "The folder of the provider that gives the file its role.", required=True)

    @property
    def summary(self) -> str:
        return f"{self.path} ({self.role})"
