# SPDX-License-Identifier: Apache-2.0
"""The unit that stands for a file."""

from __future__ import annotations

from plainbox.units import KINDS
from plainbox.units.file import FileRole, FileUnit


def test_fields() -> None:
    """A file unit says where the file is and what it is for."""
    unit = FileUnit({"path": "/p/units/a.pxu", "role": FileRole.UNIT_SOURCE, "base": "/p/units"})
    assert (unit.path, unit.role, unit.base, unit.id, unit.issues) == (
        "/p/units/a.pxu",
        "unit-source",
        "/p/units",
        "",
        (),
    )
    assert unit.summary == "/p/units/a.pxu (unit-source)"


def test_bad_role_is_an_issue() -> None:
    """A role that is none reads as nothing and is an issue with a guess."""
    unit = FileUnit({"path": "/p/a", "role": "scirpt", "base": "/p"})
    assert unit.role is None
    assert [(issue.field, issue.hint) for issue in unit.issues] == [("role", "did you mean 'script'?")]


def test_files_cannot_declare_files() -> None:
    """No unit file can hold a unit of kind file."""
    assert FileUnit.kind not in KINDS
