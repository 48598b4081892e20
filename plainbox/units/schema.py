# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of YAML unit files, made from the fields: what editors check and complete while somebody writes.

``plainbox schema`` prints it. It describes one document of a file as YAML 1.2 reads it; ``unit`` says which kind is meant.
Schema and validator (``unit.issues``) agree in what is *structural*:

* a field that is required and is not there (``PB101`` as an error);
* a value that the type of its field does not take (``PB102``, ``PB111``, ``PB110`` of imports), of whatever severity;
* a field that the kind does not have (``PB103``), in siblings too; an underscore where nothing is translated (``PB105``);
* in a template, an ``id`` or the like without a parameter (``PB106``), and a parameter where the type has no room for it,
  as in ``plugin`` (``PB107``).

The schema never refuses what the validator takes, but for null, which the reader leaves out and an editor should show;
values of siblings, which the validator sees in the jobs that are made of them; a field that ``_field`` beside it makes
void; and lists and mappings in templates, where the validator leaves what is beside a parameter to the instances. It
knows less: whether a text is a good regular expression, resource expression, JSON or include list, which exporters are
there, how long a duration in words is, which braces are meant. What is no fault of form is for ``plainbox lint`` alone:
flags that nobody knows, lines that are too long, fields that are deprecated or do nothing, descriptions that are missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from plainbox.units import fields
from plainbox.units.fields import Field, FieldType, InTemplate
from plainbox.units.issues import Severity
from plainbox.units.job import FLAGS
from plainbox.units.kinds import KINDS
from plainbox.units.template import TemplateUnit
from plainbox.units.unit import Unit

__all__ = ["CONDITIONS", "Condition", "condition_of", "schema"]

Schema: TypeAlias = dict[str, Any]  # whatever JSON holds

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ID = "urn:plainbox:unit:1"
_DEFAULT_KIND = "job"

#: Types that take an empty text although it is no value; an id has a pattern of its own.
_NOT_EMPTY = (fields.TEXT, fields.LINE)
_FILLED = {"pattern": r"\S", "patternErrorMessage": "this field is required and empty"}
_WITH_PARAMETER = {
    "type": "string",
    "pattern": r"\{",
    "patternErrorMessage": "the instances of a template need different values here: use a parameter",
}


@attrs.frozen
class Condition:
    """When a field is required: in words, and as a schema of the units for which it is."""

    words: str
    schema: Mapping[str, object]


def _has(key: str, value: Mapping[str, object]) -> Schema:
    return {"required": [key], "properties": {key: value}} if value else {"required": [key]}


_SIMPLE = _has(
    "flags",
    {
        "type": ["string", "array"],
        "pattern": r"(?:^|[\s,])simple(?:$|[\s,])",
        "contains": {"type": "string", "pattern": r"^\s*simple\s*$"},
    },
)

#: (kind, field) -> when it is required, for what :class:`Field` can only say in code. Kinds inherit it with the field.
CONDITIONS: Mapping[tuple[str, str], Condition] = {
    ("job", "id"): Condition("without `name`", {"not": {"required": ["name"]}}),
    ("job", "description"): Condition(
        "in manual jobs without `purpose`, `steps` and `verification`", _has("plugin", {"const": "manual"})
    ),
    ("job", "plugin"): Condition("without the flag `simple`", {"not": _SIMPLE}),
    ("job", "command"): Condition(
        "except in manual and function jobs", {"not": _has("plugin", {"enum": ["manual", "function"]})}
    ),
    ("job", "function"): Condition("in function jobs", _has("plugin", {"const": "function"})),
    ("manifest entry", "hidden-reason"): Condition(
        "in hidden entries, whose `id` begins with an underscore", _has("id", {"type": "string", "pattern": r"^\s*_"})
    ),
}


def condition_of(cls: type[Unit], field: Field[Any]) -> Condition | None:
    """Return when a field of a kind is required, ``None`` when that does not depend on other fields."""
    if not callable(field.required):
        return None
    kinds = [base.kind for base in cls.__mro__ if issubclass(base, Unit)]
    return next((CONDITIONS[kind, field.key] for kind in kinds if (kind, field.key) in CONDITIONS), None)


def schema(kinds: Mapping[str, type[Unit]] = KINDS) -> Schema:
    """Return the schema of a document that holds a unit of one of the kinds; the order of its parts is always the same."""
    # The instances of a template may be of any kind.
    described = {**kinds, **KINDS} if TemplateUnit.kind in kinds else kinds
    definitions: Schema = {}
    for cls in described.values():
        definitions |= _template() if cls is TemplateUnit else _unit(cls)
    for cls in described.values():
        for field in cls.fields.values():
            if not _is_choice(field.type):
                definitions[_name(field.type.name)] = dict(field.type.schema)
    return {
        "$schema": _DIALECT,
        "$id": _ID,
        "title": "Plainbox unit",
        "description": "One document of a YAML unit file of a provider.",
        "type": "object",
        "properties": {
            "unit": {
                "description": f"The kind of unit; {_DEFAULT_KIND} when it is not given.",
                "enum": list(kinds),
                **({"default": _DEFAULT_KIND} if _DEFAULT_KIND in kinds else {}),
            }
        },
        "required": [] if _DEFAULT_KIND in kinds else ["unit"],
        "allOf": [_when("unit", kind, _name(kind)) for kind in kinds],
        "$defs": definitions,
    }


def _when(key: str, word: str, definition: str) -> Schema:
    """Return that units with the word in a field are of a definition; without the field they are jobs."""
    condition: Schema = {"properties": {key: {"const": word}}}
    if word != _DEFAULT_KIND:
        condition["required"] = [key]
    return {"if": condition, "then": {"$ref": f"#/$defs/{definition}"}}


# -- units


def _unit(cls: type[Unit]) -> Schema:
    """Return the definitions of a kind: its units, and their siblings where they have any."""
    name = _name(cls.kind)
    properties: Schema = {"unit": {"const": cls.kind}}
    for field in cls.fields.values():
        properties |= dict.fromkeys(_names(field), _property(cls, field))
    definitions: Schema = {name: _closed(cls.kind, properties, list(_demands(cls)))}
    if "siblings" in cls.fields:
        siblings = {key: {"$ref": f"#/$defs/{name}/properties/{key}"} for key in properties}
        definitions[f"{name}-sibling"] = _closed(f"sibling of a {cls.kind}", siblings)
    return definitions


def _template() -> Schema:
    """Return the definitions of templates: what all have, then one for each kind of instances."""
    kinds = {kind: cls for kind, cls in KINDS.items() if cls is not TemplateUnit}
    own: Schema = {"unit": {"const": TemplateUnit.kind}}
    for field in TemplateUnit.fields.values():
        own |= dict.fromkeys(_names(field), _property(TemplateUnit, field))
    own["template-unit"] = {"description": own["template-unit"]["description"], "enum": list(kinds), "default": "job"}
    demands = [*_demands(TemplateUnit), *(_when("template-unit", kind, _name(f"template of {kind}")) for kind in kinds)]
    definitions: Schema = {
        _name(TemplateUnit.kind): {"title": TemplateUnit.kind, "type": "object", "properties": own, "allOf": demands}
    }
    for kind, cls in kinds.items():
        properties: Schema = dict.fromkeys(own, True)
        for field in cls.fields.values():
            for key in _names(field):
                properties.setdefault(key, _filled_in(cls, field))
        # The id of a template is made of that of its instances, where these have one.
        demands = list(_demands(cls)) if "id" in cls.fields else [*_demands(cls), {"required": ["template-id"]}]
        definitions[_name(f"template of {kind}")] = _closed(f"template of {kind}", properties, demands)
    return definitions


def _closed(title: str, properties: Schema, demands: list[Schema] | None = None) -> Schema:
    """Return the definition of mappings that have these keys and no others."""
    result: Schema = {"title": title, "type": "object", "properties": properties}
    if demands:
        result["allOf"] = demands
    result["additionalProperties"] = False
    return result


def _demands(cls: type[Unit]) -> Iterator[Schema]:
    """Yield what units of a kind must have."""
    for field in cls.fields.values():
        if field.severity is not Severity.ERROR:
            continue
        condition = condition_of(cls, field)
        if condition is not None:
            yield {"if": condition.schema, "then": _demand(field)}
        elif field.required is True:
            yield _demand(field)


def _demand(field: Field[Any]) -> Schema:
    value = _FILLED if field.type in _NOT_EMPTY else {}
    plain, *translated = (_has(key, value) for key in _names(field))
    # Not anyOf: whoever checks a unit would only be told that it is neither.
    return (
        {"if": {"required": translated[0]["required"]}, "then": translated[0], "else": plain} if translated else plain
    )


# -- fields


def _name(text: str) -> str:
    return text.replace(" ", "-")


def _names(field: Field[Any]) -> tuple[str, ...]:
    return (field.key, f"_{field.key}") if field.translatable else (field.key,)


def _is_choice(type_: FieldType[Any]) -> bool:
    return "enum" in type_.schema


def _property(cls: type[Unit], field: Field[Any]) -> Schema:
    result: Schema = {"description": field.doc}
    if field.deprecated:
        result["description"] += f" Deprecated: {field.deprecated}."
        result["deprecated"] = True
    result |= field.type.schema if _is_choice(field.type) else {"$ref": f"#/$defs/{_name(field.type.name)}"}
    if isinstance(field.default, str | bool):
        result["default"] = field.default
    if field.type == fields.FLAGS:
        known = [{"const": flag, "description": meaning} for flag, meaning in FLAGS.items()]
        result["items"] = {"anyOf": [*known, {"type": fields.TEXT.schema["type"]}]}
    elif field.key == "siblings":
        result["items"] = {"$ref": f"#/$defs/{_name(cls.kind)}-sibling"}
    return result


def _filled_in(cls: type[Unit], field: Field[Any]) -> Schema:
    """Return the schema of a field of a template, whose text may have parameters where values may vary."""
    same: Schema = {"$ref": f"#/$defs/{_name(cls.kind)}/properties/{field.key}"}
    if field.template is InTemplate.MUST_VARY:
        return {"description": field.doc, **_WITH_PARAMETER}
    takes_any_text = not _is_choice(field.type) and "pattern" not in field.type.schema
    if field.template is InTemplate.CONSTANT or takes_any_text:
        return same
    return {"description": field.doc, "anyOf": [same, {"type": "string", "pattern": r"\{"}]}
