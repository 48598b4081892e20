# SPDX-License-Identifier: Apache-2.0
"""Which systems packaging meta-data is for."""

from __future__ import annotations

import pytest

from plainbox.units import PackagingMetaDataUnit

UBUNTU = {"ID": "ubuntu", "ID_LIKE": "debian", "VERSION_ID": "22.04"}
DEBIAN = {"ID": "debian", "VERSION_ID": "12"}
SID = {"ID": "debian"}
MINT = {"ID": "linuxmint", "ID_LIKE": "ubuntu debian", "VERSION_ID": "21.3"}


def unit(os_id: str, version: str | None = None) -> PackagingMetaDataUnit:
    return PackagingMetaDataUnit({"os-id": os_id, "os-version-id": version})


@pytest.mark.parametrize(
    ("os_id", "version", "matching"),
    [
        ("debian", None, (UBUNTU, DEBIAN, SID, MINT)),
        ("ubuntu", None, (UBUNTU, MINT)),
        ("fedora", None, ()),
        # A version is one of the system itself, not of those that it is like.
        ("debian", "12", (DEBIAN,)),
        ("debian", "22.04", ()),
        ("ubuntu", "22.04", (UBUNTU,)),
        ("ubuntu", "==22.04", (UBUNTU,)),
        ("ubuntu", "!=22.04", ()),
        ("ubuntu", "!=20.04", (UBUNTU,)),
        ("ubuntu", ">=20.04", (UBUNTU,)),
        ("ubuntu", ">= 22.04", (UBUNTU,)),
        ("ubuntu", ">22.04", ()),
        ("ubuntu", "<=22.04", (UBUNTU,)),
        ("ubuntu", "<22.04.1", (UBUNTU,)),
        # By number, not by letter.
        ("ubuntu", ">9.10", (UBUNTU,)),
        ("debian", "<9", ()),
        ("debian", "12.0", (DEBIAN,)),
        ("debian", ">=trixie", (DEBIAN,)),
        # What is wrong matches nothing.
        ("debian", "=>12", ()),
        ("debian", "", ()),
    ],
)
def test_matches(os_id: str, version: str | None, matching: tuple[dict[str, str], ...]) -> None:
    """A unit matches by id and version, by id, and without a version by any word of ID_LIKE."""
    found = [system for system in (UBUNTU, DEBIAN, SID, MINT) if unit(os_id, version).matches(system)]
    assert found == list(matching)


@pytest.mark.parametrize("version", ["=>12", "12 or 13", ">=", "~12", "", "12,13"])
def test_bad_condition_is_an_issue(version: str) -> None:
    """A version that is none is an error of its field, with an example of a good one."""
    issues = unit("debian", version).issues
    assert [(issue.code, issue.severity, issue.field) for issue in issues] == [("PB102", "error", "os-version-id")]
    assert "24.04" in (issues[0].hint or "")


def test_relation_twice_is_an_issue() -> None:
    """A relation that a field names twice is told once."""
    found = PackagingMetaDataUnit({"os-id": "debian", "Depends": "a, b, a,\na", "Suggests": "b"}).issues
    assert [(issue.code, issue.field, issue.message) for issue in found] == [
        ("PB105", "Depends", "'a' is given twice"),
    ]
