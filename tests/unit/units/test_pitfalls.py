# SPDX-License-Identifier: Apache-2.0
"""Texts of units that have surprised other readers: each means what it says, or is told with its place."""

from __future__ import annotations

import io

import pytest

from plainbox.errors import UnitSyntaxError
from plainbox.units import JobDefinition, TestPlanUnit, Unit, pxu
from plainbox.units.kinds import KINDS, unit_from_record


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("\tsecond line", "x.pxu:3: neither a field ('name: value') nor a continuation: 'second line'"),
        ("\t second line", "x.pxu:3: neither a field ('name: value') nor a continuation: 'second line'"),
    ],
)
def test_a_tab_does_not_continue_a_value(read, line: str, expected: str) -> None:
    """Only a blank does; the line is told, the other units count."""
    units, problems = read(f"id: a\ncommand: first\n{line}\n\nid: b\n")
    assert [unit.id for unit in units] == ["b"]
    assert problems == [expected]


def test_a_tab_behind_the_blank_is_of_the_value(read) -> None:
    """What follows the one blank is kept to the letter."""
    [[unit], _] = read("id: a\ncommand:\n if true; then\n \techo\n fi\n")
    assert unit.value_of("command") == "if true; then\n\techo\nfi"


def test_a_tab_before_a_field_is_no_part_of_its_name(read) -> None:
    """A name has no blanks around it."""
    [[unit], _] = read("id: a\n\tcommand : true\n")
    assert unit.value_of("command") == "true"


@pytest.mark.parametrize("name", ["x.pxu", "x.yaml"])
@pytest.mark.parametrize("value", ["100%", "a %s %d %(name)s %%", "date +%F"])
def test_percent_signs_are_text(read, name: str, value: str) -> None:
    """Nothing fills them in, whatever they look like."""
    [[unit], problems] = read(f"id: a\nplugin: shell\n_summary: {value}\ncommand: {value}\n", name)
    assert (problems, unit.issues) == ([], ())
    assert (unit.summary, unit.command, unit.tr_summary()) == (value, value, value)


@pytest.mark.parametrize("value", ["a\\b", "C:\\new\\table", "\\", "\\u0041", '"\\"'])
def test_backslashes_are_text(read, value: str) -> None:
    """No escape sequence is known in PXU."""
    [[unit], _] = read(f"id: a\nplugin: shell\n_summary: {value}\ncommand: echo '{value}'\n")
    assert (unit.summary, unit.command) == (value, f"echo '{value}'")


@pytest.mark.parametrize("kind", KINDS)
def test_units_without_a_file_tell_their_issues(kind: str) -> None:
    """A unit from a stream without a name, or from a mapping, has no place and no trouble with it."""
    stream = io.StringIO(f"unit: {kind}\nid: a\nx-unknown: b\n")
    units = [unit_from_record(record) for record in pxu.parse(stream, "")]
    units.append(KINDS[kind]({"unit": kind, "id": "a", "x-unknown": "b"}))
    for unit in units:
        assert "x-unknown" in [issue.field for issue in unit.issues]
        assert all(str(issue) for issue in unit.issues)
    assert units[-1].origin is None
    assert [issue.origin for issue in units[-1].issues] == [None] * len(units[-1].issues)


def test_a_bad_line_of_a_stream_without_a_name(read) -> None:
    """The number of the line is told all the same."""
    with pytest.raises(UnitSyntaxError, match=r"^:2: "):
        list(pxu.parse(io.StringIO("id: a\nnonsense\n"), ""))


@pytest.mark.parametrize("value", ["nobody", "nobody, a", '"no body"', "x::y"])
def test_unknown_ids_are_no_trouble_for_a_unit(value: str) -> None:
    """References are texts until somebody knows all units."""
    job = JobDefinition({"id": "a", "plugin": "shell", "command": "true", "salvages": value, "depends": value})
    assert job.salvages == job.depends
    assert job.errors == ()


def test_every_malformed_override_is_told(read) -> None:
    """The good ones count, in the order of the file, not of the alphabet."""
    [[plan], _] = read(
        "unit: test plan\nid: p\n_name: P\ninclude: .*\ncategory_overrides:\n apply z to .*\n aply y to .*\n"
        " apply x\n apply a to .*\n"
    )
    assert isinstance(plan, TestPlanUnit)
    assert [override.value for override in plan.category_overrides] == ["z", "a"]
    assert [(issue.field, issue.origin.line_start) for issue in plan.errors if issue.origin] == [
        ("category_overrides", 7),
        ("category_overrides", 8),
    ]


def test_equal_units_do_not_collide() -> None:
    """Two readings of the same text are one unit in a set."""
    assert len({JobDefinition({"id": "a"}), JobDefinition({"id": "a"}), Unit({"id": "a"})}) == 2
