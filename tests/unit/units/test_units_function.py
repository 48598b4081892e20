# SPDX-License-Identifier: Apache-2.0
"""The fields of function jobs: what is called, and with which values."""

from __future__ import annotations

import pytest

from plainbox.errors import FieldError
from plainbox.units import JobDefinition, converters
from plainbox.units.yaml import parse

YAML = """
id: job
plugin: function
function: checks.fan:Fan.turns
args: [1, 2.5, -1e3, "3", '1.10', true, "true", True, null, ~, fan, 007, "'quoted'", [1, "1"], "{text}"]
kwargs:
  count: 4
  name: "4"
  none: null
  deep: {a: [false, "false"], args: [1]}
"""
ARGS = (1, 2.5, -1000.0, "3", "1.10", True, "true", True, None, None, "fan", "007", "'quoted'", [1, "1"], "{text}")


def job_of(text: str) -> JobDefinition:
    [record] = parse(text, "units.yaml")
    return JobDefinition(record.data)


def test_yaml_values_keep_their_types() -> None:
    """In lists and mappings of YAML a value has the type that YAML gives it; quotes make a text."""
    job = job_of(YAML)
    assert job.args == ARGS
    assert job.kwargs == {"count": 4, "name": "4", "none": None, "deep": {"a": [False, "false"], "args": [1]}}


def test_other_fields_stay_text() -> None:
    """What the values of functions are does not change other fields."""
    job = job_of("id: job\nflags: [simple]\ncommand: 'true'\nestimated_duration: 5\nargs: '[1, \"1\"]'\nkwargs:\n")
    assert (job.command, job.estimated_duration, job.args, job.kwargs) == ("true", 5, (1, "1"), None)


def test_a_template_fills_values_in() -> None:
    """What a template fills in is a text where quotes are, whatever it looks like."""
    [record] = parse('id: job-{n}\nplugin: function\nfunction: a:b\nargs: ["{n}", 3, "it is {n}"]\n', "units.yaml")
    job = JobDefinition(record.data, parameters={"n": "42"})
    assert job.args == ("42", 3, "it is 42")


def test_siblings_have_values_too() -> None:
    """A sibling that differs in its arguments keeps their types."""
    job = job_of("id: job\nplugin: function\nfunction: a:b\nsiblings:\n  - {id: other, args: [1, '1']}\n")
    [sibling] = job.siblings_units()
    assert sibling.args == (1, "1")


@pytest.mark.parametrize("name", ["a:b", "a.b.c:d.e", "_x1:Y", "größe:messen"])
def test_functions(name: str) -> None:
    """A function is named by its module and its name in it."""
    assert converters.function(name) == name


@pytest.mark.parametrize("name", ["", "a", "a:", ":b", "a b:c", "a.:b", "a:b()", "1a:b", "a:b:c", "a/b:c"])
def test_no_functions(name: str) -> None:
    """Anything else is an error that says how it is written."""
    with pytest.raises(FieldError) as caught:
        converters.function(name)
    assert "package.module:name" in str(caught.value.hint)


@pytest.mark.parametrize("text", ["[NaN]", "[1", '{"a": 1}', "[Infinity]"])
def test_no_values(text: str) -> None:
    """A text that is no JSON array is an error."""
    with pytest.raises(FieldError):
        converters.values(text)
