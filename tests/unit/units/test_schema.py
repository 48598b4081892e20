# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of YAML units: what it holds, what it says, and that the validator says the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from agreement import mutated, schema_errors, verdicts
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from strategies import durations

from plainbox.errors import ExpressionError, FieldError
from plainbox.units import KINDS, Severity, TemplateUnit, fields
from plainbox.units.expressions import parse_imports
from plainbox.units.fields import InTemplate
from plainbox.units.job import FLAGS
from plainbox.units.schema import CONDITIONS, condition_of, schema

SCHEMA = schema()

#: A good unit of each kind, and some more that differ in what they must have.
UNITS: tuple[dict[str, Any], ...] = (
    {"id": "a", "plugin": "shell", "command": "true", "timeout": 90, "cache": True, "depends": ["b", "c d"]},
    {"unit": "job", "id": "a", "flags": "simple", "_summary": "A", "command": "true", "requires": ["a.x == '1'"]},
    {"id": "a", "flags": ["simple"], "command": "true", "imports": ["from a import b as c"], "uses": "x, y # z"},
    {"id": "a", "plugin": "manual", "_purpose": "A", "siblings": [{"id": "b", "_summary": "B"}]},
    {"id": "a", "plugin": "function", "function": "a:b", "args": [1, "b"], "kwargs": {"c": [True]}},
    {"id": "a", "plugin": "resource", "command": "true", "estimated_duration": "1h 30m", "kwargs": '{"a": 1}'},
    {"unit": "setup job", "id": "a", "plugin": "shell", "command": "true", "requires_manifest": ["a", {"b": False}]},
    {"unit": "setup job", "id": "a", "command": "true"},
    {
        "unit": "template",
        "template-resource": "r",
        "id": "a-{x}",
        "plugin": "shell",
        "command": "{x}",
        "timeout": "{x}s",
    },
    {
        "unit": "template",
        "template-resource": "r",
        "template-id": "t",
        "id": "a-{x}",
        "flags": "simple",
        "command": "x",
    },
    {
        "unit": "template",
        "template-unit": "test plan",
        "template-resource": "r",
        "template-engine": "jinja2",
        "id": "a-{{ x }}",
        "_name": "A {{ x }}",
        "include": ["{{ x }}/.*"],
    },
    {"unit": "test plan", "id": "a", "name": "A", "include": ["a", {"b/.*": {"category-id": "c"}}], "exclude": "d"},
    {"unit": "test plan", "id": "a", "_name": "A", "include": "", "category_overrides": ["apply a to b"]},
    {"unit": "category", "id": "a", "_name": "A"},
    {"unit": "manifest entry", "id": "a", "_name": "A", "value-type": "bool"},
    {"unit": "manifest entry", "id": "_a", "_name": "A", "value-type": "natural", "hidden-reason": "B"},
    {"unit": "exporter", "id": "a", "entry_point": "text", "file_extension": "txt", "data": {"a": 1}},
    {"unit": "packaging meta-data", "os-id": "debian", "os-version-id": 12, "Depends": ["a (>= 1)", "b"]},
)


def errors(document: object) -> str:
    return "\n".join(schema_errors(document))


# -- what it holds


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_it_is_a_schema(kind: str | None) -> None:
    """All of it, and that of each kind alone, is good JSON Schema of the dialect that it names."""
    made = schema() if kind is None else schema({kind: KINDS[kind]})
    Draft202012Validator.check_schema(made)
    assert json.loads(json.dumps(made)) == made


def test_it_is_the_same_every_time() -> None:
    """The text does not change from one call to the next."""
    assert json.dumps(schema()) == json.dumps(SCHEMA)


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for item in part.values():
            yield from references(item)
    elif isinstance(part, list):
        for item in part:
            yield from references(item)


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_references_lead_somewhere(kind: str | None) -> None:
    """Each reference is to a part of the same schema, and each definition is referred to."""
    made = schema() if kind is None else schema({kind: KINDS[kind]})
    found = set(references(made))
    for reference in found:
        part: Any = made
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]
    used = {reference.split("/")[2] for reference in found}
    if kind is None:
        assert used == set(made["$defs"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_there_and_described(kind: str) -> None:
    """Each field of a kind, under each of its names, with its documentation; no others."""
    properties = SCHEMA["$defs"][kind.replace(" ", "-")]["properties"]
    names = {"unit"}
    for key, field in KINDS[kind].fields.items():
        names |= {key, f"_{key}"} if field.translatable else {key}
        assert field.doc in properties[key]["description"]
        assert bool(properties[key].get("deprecated")) == bool(field.deprecated)
    assert set(properties) == names


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_is_described(kind: str) -> None:
    """Each type of a field says in words what is written, unless it is a choice of words."""
    for field in KINDS[kind].fields.values():
        assert field.type.doc or field.type.schema["enum"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_required_in_some_cases_is_known(kind: str) -> None:
    """A field that only code knows when it is required, and that is an error when it is missing, has a condition."""
    for field in KINDS[kind].fields.values():
        if callable(field.required) and field.severity is Severity.ERROR:
            assert condition_of(KINDS[kind], field) is not None


def test_conditions_are_of_fields() -> None:
    """There is no condition for a field that is gone."""
    for kind, key in CONDITIONS:
        assert key in KINDS[kind].fields


# -- what it says


@pytest.mark.parametrize("unit", UNITS)
def test_good_units(unit: dict[str, Any]) -> None:
    """The validator finds no fault with them, nor does the schema."""
    [verdict] = verdicts(yaml.safe_dump(unit))
    assert (verdict.schema, verdict.sure, verdict.unsure) == ([], [], [])


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ({"unit": "jobs"}, r"^\$\.unit: 'jobs' is not one of \['job'"),
        ({"id": "a"}, r"'plugin' is a required property"),
        ({"id": "a", "plugin": "shell"}, r"'command' is a required property"),
        ({"id": "a", "plugin": "function"}, r"'function' is a required property"),
        ({"plugin": "manual"}, r"'id' is a required property"),
        ({"id": "a", "plugin": "shel", "command": "true"}, r"^\$\.plugin: 'shel' is not one of"),
        ({"id": "a::b", "plugin": "manual"}, r"^\$\.id: "),
        ({"id": "a", "plugin": "manual", "summry": "A"}, r"'summry' was unexpected"),
        ({"id": "a", "plugin": "manual", "_plugin": "manual"}, r"'_plugin' was unexpected"),
        ({"id": "a", "plugin": "manual", "summary": ["A"]}, r"^\$\.summary: \['A'\] is not of type"),
        ({"id": "a", "plugin": "manual", "depends": "b=c"}, r"^\$\.depends: 'b=c' does not match"),
        ({"id": "a", "plugin": "manual", "timeout": "90x"}, r"^\$\.timeout: '90x' does not match"),
        ({"id": "a", "plugin": "manual", "cache": "maybe"}, r"^\$\.cache: 'maybe' does not match"),
        ({"id": "a", "plugin": "manual", "siblings": [{"id": "b", "colour": "c"}]}, r"^\$\.siblings\[0\]: .*'colour'"),
        ({"id": "a", "plugin": "manual", "siblings": [{"plugin": "c"}]}, r"^\$\.siblings\[0\]\.plugin: 'c'"),
        ({"unit": "setup job", "id": "a", "plugin": "manual"}, r"^\$\.plugin: 'manual' is not one of \['shell'\]"),
        (
            {"unit": "setup job", "id": "a", "flags": "simple", "command": "a", "depends": "b"},
            r"'depends' was unexpected",
        ),
        ({"unit": "test plan", "id": "a", "include": "b"}, r"'name' is a required property"),
        ({"unit": "test plan", "id": "a", "name": "A"}, r"'include' is a required property"),
        ({"unit": "test plan", "id": "a", "name": "A", "include": [{"b": "c"}]}, r"^\$\.include\[0\]\.b: "),
        (
            {"unit": "test plan", "id": "a", "name": "A", "include": [{"b": {"colour": "c"}}]},
            r"'colour' was unexpected",
        ),
        ({"unit": "test plan", "id": "a", "name": "A", "include": [""]}, r"^\$\.include\[0\]: "),
        (
            {"unit": "test plan", "id": "a", "name": "A", "include": [], "category_overrides": ["a"]},
            r"overrides\[0\]: ",
        ),
        ({"unit": "manifest entry", "id": "_a", "name": "A", "value-type": "bool"}, r"'hidden-reason' is a required"),
        ({"unit": "category", "id": "a", "name": ""}, r"^\$\.name: '' does not match"),
        ({"unit": "exporter", "id": "a", "entry_point": "a", "file_extension": "b", "data": ["c"]}, r"^\$\.data: "),
        (
            {"unit": "packaging meta-data", "os-id": "a", "os-version-id": "=1"},
            r"^\$\['os-version-id'\]: '=1' does not",
        ),
    ],
)
def test_bad_units(unit: dict[str, Any], expected: str) -> None:
    """The error names the field, and is one of the kind that the unit says it is; the validator agrees."""
    assert re.search(expected, errors(unit), re.MULTILINE), errors(unit)
    [verdict] = verdicts(yaml.safe_dump(unit))
    assert verdict.sure


@pytest.mark.parametrize("seconds", [-1, 10**9])
def test_durations_have_bounds(seconds: int) -> None:
    """A number of seconds that no clock measures is refused."""
    assert "$.timeout: " in errors({"id": "a", "plugin": "manual", "timeout": seconds})


def test_an_unknown_flag_is_no_error() -> None:
    """The schema offers the known flags with what they do; another one is for the validator's warnings."""
    offered = SCHEMA["$defs"]["job"]["properties"]["flags"]["items"]["anyOf"]
    assert {item["const"]: item["description"] for item in offered if "const" in item} == FLAGS
    assert errors({"id": "a", "plugin": "manual", "flags": ["a-flag-of-somebody"]}) == ""


@pytest.mark.parametrize(
    "text",
    ["id: 5\nplugin: manual\nsummary: 1.0\n_description: yes\n", "id: a\nplugin: manual\nauto-retry: no\ncache: on\n"],
)
def test_numbers_and_truth_values_are_text(text: str) -> None:
    """What YAML takes for something else is the text that is written, for the schema as for the reader."""
    [verdict] = verdicts(text)
    assert (verdict.schema, verdict.sure) == ([], [])


# -- templates

TEMPLATE = {"unit": "template", "template-resource": "r", "plugin": "shell", "command": "true"}


def test_a_template_needs_a_parameter_where_instances_differ() -> None:
    """An id without a parameter would be that of all instances."""
    assert "$.id: " in errors({**TEMPLATE, "id": "a"})
    assert errors({**TEMPLATE, "id": "a{x}"}) == ""


def test_a_parameter_may_be_where_values_vary() -> None:
    """A duration that may vary is a parameter or a duration; one that is constant is a duration."""
    assert errors({**TEMPLATE, "id": "a{x}", "timeout": "{x}"}) == ""
    assert "$.timeout: " in errors({**TEMPLATE, "id": "a{x}", "timeout": "x"})
    assert "$.estimated_duration: " in errors({**TEMPLATE, "id": "a{x}", "estimated_duration": "{x}"})


@pytest.mark.parametrize("kind", [kind for kind, cls in KINDS.items() if cls is not TemplateUnit])
def test_a_template_has_the_fields_of_its_instances(kind: str) -> None:
    """Those of the kind and those of templates, and no others."""
    definition = SCHEMA["$defs"][f"template-of-{kind.replace(' ', '-')}"]
    own = {*SCHEMA["$defs"]["template"]["properties"], *SCHEMA["$defs"][kind.replace(" ", "-")]["properties"]}
    assert set(definition["properties"]) == own
    assert definition["additionalProperties"] is False
    for key, field in KINDS[kind].fields.items():
        if key not in TemplateUnit.fields:
            wants_parameter = definition["properties"][key].get("pattern") == r"\{"
            assert wants_parameter == (field.template is InTemplate.MUST_VARY), key


# -- agreement

_PIECES = st.sampled_from(
    [
        "a",
        "b-1",
        "::",
        ":",
        " ",
        "  ",
        "\n",
        "\t",
        ",",
        "=",
        "#",
        '"',
        "from",
        "import",
        "as",
        "yes",
        "No",
        "oN",
        "1",
        "0",
    ]
)


def takes(type_: fields.FieldType[Any], text: str) -> bool:
    return Draft202012Validator(type_.schema).is_valid(text)


def converts(type_: fields.FieldType[Any], text: str) -> bool:
    try:
        type_.convert(text, "org.example")
    except FieldError:
        return False
    return True


@pytest.mark.parametrize(
    "type_", [fields.IDENTIFIER, fields.WORDS, fields.REFERENCES, fields.FLAG], ids=lambda t: t.name
)
@given(text=st.lists(_PIECES, max_size=12).map("".join))
def test_a_pattern_takes_what_converts(type_: fields.FieldType[Any], text: str) -> None:
    """The pattern of a type takes a text if, and only if, the type converts it."""
    text = text.strip()  # as the reader has it
    assert takes(type_, text) == converts(type_, text)


@given(text=st.lists(_PIECES, max_size=12).map(" ".join))
def test_the_pattern_of_imports_takes_imports(text: str) -> None:
    """Each line is an import statement or empty."""
    try:
        parse_imports(fields.IMPORTS.convert(text, None))
    except ExpressionError:
        assert not takes(fields.IMPORTS, text)
    else:
        assert takes(fields.IMPORTS, text)


@given(durations.filter(str.isascii).filter(lambda text: "_" not in text and not text.startswith("-")))
def test_the_pattern_of_durations_never_refuses_one(text: str) -> None:
    """What it refuses is none; what it takes may be longer than a clock can measure."""
    text = text.strip()
    if converts(fields.DURATION, text):
        assert takes(fields.DURATION, text)
    elif takes(fields.DURATION, text):
        assert re.search("[0-9]{4}", text) or "e" in text.lower()


def test_a_long_text_takes_no_longer_than_its_length() -> None:
    """The pattern of word lists comes to an end for texts that nearly fit."""
    assert not takes(fields.WORDS, "a" * 20_000 + "=")
    assert not takes(fields.WORDS, "a, " * 5_000 + '"')


@given(st.data())
def test_schema_and_validator_agree(data: st.DataObject) -> None:
    """Units of all kinds of which something is gone, misspelt or of another form."""
    unit = data.draw(mutated(data.draw(st.sampled_from(UNITS))))
    for verdict in verdicts(yaml.safe_dump(unit, sort_keys=False)):
        assert verdict.agree, verdict
