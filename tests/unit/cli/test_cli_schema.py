# SPDX-License-Identifier: Apache-2.0
"""``plainbox schema``: what it prints, and where it writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from plainbox.units import KINDS
from plainbox.units.schema import schema


def test_it_prints_the_schema_of_all_kinds(run: Callable[..., Any]) -> None:
    """Nothing but the schema goes to standard output."""
    ran = run("schema")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json == schema()


def test_it_prints_the_schema_of_one_kind(run: Callable[..., Any]) -> None:
    """Blanks of a kind may be dashes; a unit of another kind is refused."""
    ran = run("schema", "test-plan")
    assert ran.json == run("schema", "Test Plan").json
    validator = Draft202012Validator(ran.json)
    assert validator.is_valid({"unit": "test plan", "id": "a", "name": "A", "include": []})
    assert not validator.is_valid({"unit": "category", "id": "a", "name": "A"})
    assert not validator.is_valid({"id": "a", "plugin": "manual"})


def test_it_writes_a_file(run: Callable[..., Any], tmp_path: Path) -> None:
    """The file holds what would be printed, and nothing is."""
    path = tmp_path / "unit.schema.json"
    ran = run("schema", "--output", path)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert path.read_text(encoding="utf-8") == run("schema").out
    assert list(json.loads(path.read_text(encoding="utf-8"))["properties"]["unit"]["enum"]) == list(KINDS)


def test_an_unknown_kind(run: Callable[..., Any]) -> None:
    """The error names the kinds, or the one that is near."""
    ran = run("schema", "tset-plan")
    assert (ran.code, ran.out) == (2, "")
    assert "did you mean 'test-plan'?" in ran.err
    assert "known are job, " in run("schema", "nothing").err


def test_a_file_that_cannot_be_written(run: Callable[..., Any], tmp_path: Path) -> None:
    """The error names the file."""
    ran = run("schema", "--output", tmp_path / "none" / "unit.schema.json")
    assert ran.code != 0
    assert "none/unit.schema.json" in ran.err
