# SPDX-License-Identifier: Apache-2.0
"""The schema of YAML units beside the validator: one document read twice, once as an editor does, once as Plainbox does."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

import attrs
import yaml
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from strategies import durations

from plainbox.errors import UnitError
from plainbox.units import KINDS, Code, Issue, JobDefinition, Severity, TemplateUnit, Unit
from plainbox.units import yaml as reader
from plainbox.units.fields import Field
from plainbox.units.kinds import unit_from_record
from plainbox.units.schema import schema

__all__ = ["Verdict", "documents", "mutated", "schema_errors", "verdicts"]


class _CoreLoader(yaml.SafeLoader):
    """Reads scalars as YAML 1.2 does: ``yes`` is text, and so are dates."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
_CoreLoader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))
_CoreLoader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(node.value))


def documents(text: str) -> list[Any]:
    """Return the documents of a YAML text as an editor has them, empty ones left out."""
    return [document for document in yaml.load_all(text, _CoreLoader) if document]


@functools.cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(schema())


def schema_errors(document: object) -> list[str]:
    """Return what the schema has against a document."""
    return [f"{error.json_path}: {error.message}" for error in _validator().iter_errors(document)]


@attrs.frozen
class Verdict:
    """``schema`` is what the schema says; ``sure`` what the validator says that the schema must see, ``unsure`` the rest
    that is about the form of a value, which the schema may see."""

    document: Any
    schema: list[str]
    sure: list[str]
    unsure: list[str]

    @property
    def agree(self) -> bool:
        return bool(self.schema) == bool(self.sure) or bool(self.schema and self.unsure)


def verdicts(text: str) -> Iterator[Verdict]:
    """Yield what schema and validator say of each document of a YAML text."""
    for document, record in zip(documents(text), reader.parse(text, "x.yaml"), strict=True):
        errors = schema_errors(document)
        try:
            unit = unit_from_record(record)
        except UnitError as error:
            yield Verdict(document, errors, [str(error)], [])
            continue
        sure: list[str] = []
        unsure: list[str] = []
        for issue in _issues(unit):
            if issue.code in _OF_THE_FORM:
                (sure if _seen(issue, unit) else unsure).append(str(issue))
        unsure += [key for key in unit.data if f"_{key}" in unit.data]  # the validator looks at the one that counts
        if isinstance(unit, TemplateUnit):
            unsure += [key for key in unit.data if _is_not_translated(unit, key)]
        yield Verdict(document, errors, sure, unsure)


_OF_THE_FORM = (
    *(Code.MISSING, Code.WRONG, Code.UNKNOWN_FIELD, Code.USELESS),
    *(Code.TEMPLATE_CONSTANT, Code.TEMPLATE_VARIABLE, Code.BAD_EXPRESSION, Code.BAD_PATTERN),
)
#: What kinds find out about values that are good for the type of their field.
_OF_THE_MEANING = {"user", "entry_point", "file_extension", "requires_manifest", "template-imports"}


def _issues(unit: Unit) -> Iterator[Issue]:
    yield from (issue for issue in unit.issues if issue.code is not Code.MISSING or issue.severity is Severity.ERROR)
    if isinstance(unit, JobDefinition):
        # What a sibling has of its job is not written in it.
        told = {(issue.code, issue.field) for issue in unit.issues}
        for sibling in unit.siblings_units():
            for issue in sibling.issues:
                if (issue.code, issue.field) not in told and issue.code is not Code.MISSING:
                    yield issue


def _seen(issue: Issue, unit: Unit) -> bool:
    """Tell whether an issue is one that the schema must see too."""
    key = issue.field or ""
    field = _field(unit, key)
    value = unit.data.get(f"_{key}", unit.data.get(key))
    match issue.code:
        case Code.MISSING | Code.UNKNOWN_FIELD:
            return True
        case Code.USELESS:
            return f"_{key}" in unit.data and _is_not_translated(unit, f"_{key}")
        case Code.TEMPLATE_CONSTANT:
            return isinstance(value, str) and "{" not in value
        case Code.TEMPLATE_VARIABLE:
            return field is not None and ("enum" in field.type.schema or field.type.name == "duration")
        case Code.BAD_EXPRESSION:
            return field is not None and field.type.name == "imports"
        case Code.BAD_PATTERN:
            return isinstance(value, list) and not re.search("regular expression|blocker", issue.message)
    if key in _OF_THE_MEANING or field is None or (isinstance(value, str) and "JSON" in issue.message):
        return False
    return "a clock can measure" not in issue.message


def _is_not_translated(unit: Unit, key: str) -> bool:
    field = _field(unit, key[1:])
    return key.startswith("_") and field is not None and not field.translatable


def _field(unit: Unit, key: str) -> Field[Any] | None:
    known = dict(unit.fields)
    if isinstance(unit, TemplateUnit) and unit.instance_kind is not None:
        known = {**unit.instance_kind.fields, **known}
    return known.get(key)


# -- mutations

_KEYS = sorted({key for cls in KINDS.values() for field in cls.fields.values() for key in (field.key, f"_{field.key}")})

_TEXTS = json.loads(
    r"""["", "a", "a b", "a::b", "a=b", "\"a", "a\nb", "{x}", "{}", "[]", "[{\"id\": \"b\"}]", "yes", "no", "bash", "shell",
    "manual", "function", "simple", "1h 30m", "5x", "blocker", "bool", "jinja2", ">=12", "==", ".*", "^$", "apply a to b",
    "from a import b", "from a import b as", "template", "exporter", "packaging meta-data"]"""
)
_LISTS = json.loads(
    """[[], [""], [" "], ["a"], ["a", 1], [true], [["a"]], ["simple"], ["apply a to b"], ["apply a"], ["from a import b"],
    ["^"], ["("], [{}], [{"a": "b"}], [{"a": {"category-id": "b"}}], [{"a": {"colour": "b"}}], [{"a": {}, "b": {}}],
    [{"a": {"auto-retry": "never"}}], [{"id": "b"}], [{"id": "b", "colour": "c"}], [{"plugin": "c"}], [{"_id": "c"}]]"""
)
_MAPPINGS = json.loads("""[{}, {"a": "b"}, {"a": ["b"]}, {"a": {"category-id": "b"}}]""")
_NUMBERS = (0, 1, 5, -1, 1.5, 2_000_000_000, True, False)

#: Values of every form, good for some fields and bad for others.
values = (
    st.sampled_from(_TEXTS)
    | st.sampled_from(_NUMBERS)
    | st.sampled_from(_LISTS)
    | st.sampled_from(_MAPPINGS)
    | durations
)


@st.composite
def mutated(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of which something is gone, misspelt or of another form."""
    result = dict(document)
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(sorted(result) or ["id"]))
        match draw(st.sampled_from(["drop", "misspell", "underscore", "replace", "replace", "add"])):
            case "drop":
                result.pop(key, None)
            case "misspell":
                result[key[:-1] + "x"] = result.pop(key, "a")
            case "underscore":
                result[f"_{key.removeprefix('_')}"] = result.pop(key, "a")
            case "replace":
                result[key] = draw(values)
            case "add":
                result[draw(st.sampled_from(_KEYS))] = draw(values)
    return result
