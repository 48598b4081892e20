# SPDX-License-Identifier: Apache-2.0
"""Override lists, and all the overrides of a test plan in the order in which they count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import override_lists

from plainbox.errors import FieldError
from plainbox.units import TestPlanUnit
from plainbox.units.overrides import parse_overrides

NS = "org.example"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("apply x to foo", [("x", "org.example::foo", 0)]),
        ("\n# c\napply x to foo/.* # c\n", [("x", "org.example::foo/.*", 2)]),
        ("apply o::x to a\napply y to b", [("o::x", "org.example::a", 0), ("y", "org.example::b", 1)]),
        ('apply "x y" to "a b"', [("x y", "org.example::a b", 0)]),
        (["apply x to a", "", "apply y to b"], [("x", "org.example::a", 0), ("y", "org.example::b", 2)]),
        ("", []),
    ],
)
def test_override_lists(value: str | list[str], expected: list[tuple[str, str, int]]) -> None:
    """One statement on a line or in an item, in the order in which they are written."""
    found = parse_overrides(value, NS)  # type: ignore[arg-type]
    assert [(override.value, override.pattern.full, override.line) for override in found] == expected


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("apply x foo", 0),
        ("apply x to foo bar", 0),
        ("aply x to foo", 0),
        ("apply x To foo", 0),
        ("apply x, y to foo", 0),
        ('apply x to "foo', 0),
        ("apply x to a\napply x to (", 1),
        ('apply "" to foo', 0),
        (["apply x to a", ["b"]], 1),
    ],
)
def test_what_is_no_override(value: object, line: int) -> None:
    """A malformed line is an error that names it."""
    with pytest.raises(FieldError) as caught:
        parse_overrides(value, NS)  # type: ignore[arg-type]
    assert caught.value.line == line


def test_a_mapping_is_no_override_list() -> None:
    """Statements are text."""
    with pytest.raises(FieldError):
        parse_overrides({"a": "b"}, NS)


def test_a_bad_statement_does_not_empty_the_list() -> None:
    """With a handler the other statements are kept."""
    found: list[FieldError] = []
    kept = parse_overrides("apply x to a\nbad\napply y to (\napply z to b", NS, found.append)
    assert [override.value for override in kept] == ["x", "z"]
    assert [error.line for error in found] == [1, 2]


def test_values_are_those_that_the_field_can_have() -> None:
    """A certification status is a known one, a category any id."""
    with pytest.raises(FieldError, match="'bloker' is not one of"):
        parse_overrides("apply bloker to a", NS, field="certification_status")
    assert parse_overrides("apply blocker to a", NS, field="certification_status")


@given(override_lists | st.lists(override_lists | st.lists(override_lists)))
def test_any_list_is_read_or_refused(value: object) -> None:
    """Nothing but field errors with a line comes out."""
    found: list[FieldError] = []
    kept = parse_overrides(value, NS, found.append)  # type: ignore[arg-type]
    lines = len(value.split("\n")) if isinstance(value, str) else len(value)  # type: ignore[arg-type]
    assert all(0 <= item.line < lines for item in (*found, *kept))


def test_a_plan_tells_its_overrides_in_the_order_in_which_they_count() -> None:
    """Inline ones first, then categories, then certification, each in the order of the file; categories are full ids."""
    plan = TestPlanUnit(
        {
            "id": "p",
            "name": "P",
            "mandatory_include": "m auto-retry=no",
            "include": "z category-id=c\na certification-status=blocker",
            "category_overrides": "apply audio to o.*\napply x::disk to .*",
            "certification_status_overrides": "apply non-blocker to b",
        }
    )
    assert [(pattern.text, field, value) for pattern, field, value in plan.own_overrides()] == [
        ("m", "auto_retry", "no"),
        ("z", "category_id", "c"),
        ("a", "certification_status", "blocker"),
        ("o.*", "category_id", "audio"),
        (".*", "category_id", "x::disk"),
        ("b", "certification_status", "non-blocker"),
    ]
    assert plan.issues == ()


def test_a_plan_reports_bad_overrides() -> None:
    """What cannot be applied is an error of its field."""
    plan = TestPlanUnit(
        {
            "id": "p",
            "name": "P",
            "include": "a",
            "category_overrides": "bad",
            "certification_status_overrides": ["apply x to y"],
        }
    )
    assert [(issue.field, str(issue.code)) for issue in plan.issues] == [
        ("category_overrides", "PB111"),
        ("certification_status_overrides", "PB111"),
    ]
    assert list(plan.own_overrides()) == []
