# SPDX-License-Identifier: Apache-2.0
"""The parts of the reference pages that come from the code, as Markdown.

The Sphinx extension beside this file and the tests of the documentation call it. It needs Plainbox and nothing else, and
whatever the code declares and nobody has described here is an error.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from plainbox.cli.main import COMMANDS
from plainbox.config import declared_settings
from plainbox.session.outcome import OUTCOME_METADATA_MAP
from plainbox.units import KINDS, Code
from plainbox.units.checks.codes import CODES
from plainbox.units.fields import Field, InTemplate
from plainbox.units.job import FLAGS
from plainbox.units.schema import condition_of
from plainbox.units.template import TemplateUnit
from plainbox.units.unit import Unit

__all__ = [
    "TABLES",
    "command_line",
    "command_list",
    "field_type_list",
    "field_types",
    "issue_codes",
    "job_flag_list",
    "job_flags",
    "outcomes",
    "parsers",
    "settings",
    "unit_field_list",
    "unit_fields",
]

_WIDTH = 96  # of the usage lines: what a page shows without scrolling


def unit_fields(kind: str) -> str:
    """Return the table of the fields of one kind of unit."""
    return _table(
        ("Field", "Type", "Meaning"),
        (
            (
                ", ".join(f"`{name}`" for name in _names(field)),
                ", ".join(map(_code, field.type.name.split(" | "))) if _is_choice(field) else field.type.name,
                " ".join((_meaning(field), *(f"{fact[0].upper()}{fact[1:]}." for fact in _facts(KINDS[kind], field)))),
            )
            for field in KINDS[kind].fields.values()
        ),
    )


def unit_field_list(kind: str) -> str:
    """Return the fields of one kind of unit as a list of definitions, which fits a terminal."""
    return "\n\n".join(_definition(KINDS[kind], field) for field in KINDS[kind].fields.values())


def _definition(cls: type[Unit], field: Field[object]) -> str:
    names = ", ".join(f"**{name}**" for name in _names(field))
    return f"{names} ({'; '.join([field.type.name, *_facts(cls, field)])})\n: {_meaning(field)}"


def _facts(cls: type[Unit], field: Field[object]) -> Iterator[str]:
    """Yield whether a field is required, its default, and what a template may do with it."""
    condition = condition_of(cls, field)
    if condition is not None:
        yield f"required {condition.words}"
    elif callable(field.required):
        raise ValueError(f"nobody has described when {field.key!r} of a {cls.kind} is required")
    elif field.required:
        yield "required"
    if callable(field.default):
        yield "default: from other fields"
    elif field.default not in (None, "", (), frozenset()):
        yield f"default: {_code(str({False: 'no', True: 'yes'}.get(field.default, field.default)))}"
    if cls is not TemplateUnit and field.template is not InTemplate.MAY_VARY:
        yield f"{field.template.value} in templates"


def field_types(argument: str = "") -> str:
    """Return the table of the types of fields, those that are a choice of words left out."""
    return _table(("Type", "What is written"), ((name, _flat(doc)) for name, doc in _types().items()))


def field_type_list(argument: str = "") -> str:
    """Return the types of fields as a list of definitions."""
    return "\n\n".join(f"**{name}**\n: {doc}" for name, doc in _types().items())


def _types() -> Mapping[str, str]:
    types = [field.type for cls in KINDS.values() for field in cls.fields.values() if not _is_choice(field)]
    for type_ in types:
        if not type_.doc:
            raise ValueError(f"the type {type_.name!r} has no description in its schema")
    return {type_.name: type_.doc for type_ in sorted(types, key=lambda type_: type_.name)}


def _is_choice(field: Field[object]) -> bool:
    return "enum" in field.type.schema


def _names(field: Field[object]) -> Sequence[str]:
    return (field.key, f"_{field.key}") if field.translatable else (field.key,)


def _meaning(field: Field[object]) -> str:
    deprecated = f" Deprecated: {_flat(field.deprecated)}." if field.deprecated else ""
    return _flat(field.doc) + deprecated


def job_flags(argument: str = "") -> str:
    """Return the table of the flags of jobs."""
    return _table(("Flag", "Meaning"), ((f"`{name}`", _flat(meaning)) for name, meaning in FLAGS.items()))


def job_flag_list(argument: str = "") -> str:
    """Return the flags of jobs as a list of definitions."""
    return "\n\n".join(f"**{name}**\n: {_flat(meaning)}" for name, meaning in FLAGS.items())


def issue_codes(argument: str = "") -> str:
    """Return the table of the codes of findings."""
    return _table(
        ("Code", "Severity", "Meaning", "What to do"),
        (
            (f"`{code}`", ", ".join(CODES[code].severities), _flat(CODES[code].meaning), _flat(CODES[code].remedy))
            for code in Code
        ),
    )


def outcomes(argument: str = "") -> str:
    """Return the table of outcomes, the job that did not run left out."""
    return _table(
        ("Outcome", "Shown as", "Sign", "In a submission"),
        (
            (f"`{outcome}`", _flat(data.label), data.sigil, f"`{data.submission_status}`")
            for outcome, data in OUTCOME_METADATA_MAP.items()
            if outcome is not None
        ),
    )


def settings(argument: str = "") -> str:
    """Return the table of the settings, in the order of their declaration."""
    return _table(
        ("Section", "Key", "Value", "Default", "Meaning"),
        (
            (f"`{item.section}`", f"`{item.key}`", item.kind.name, _default(item.default), _flat(item.doc))
            for item in declared_settings()
        ),
    )


def _default(value: object) -> str:
    if isinstance(value, bool):
        return "`yes`" if value else "`no`"
    return "not set" if value is None else f"`{value}`"


def command_line(command: str) -> str:
    """Return what a command and its sub-commands take, from the parsers themselves."""
    parts = [part for parser in parsers(command) for part in _command(parser)]
    return "\n\n".join(part for part in parts if part)


def command_list(argument: str = "") -> str:
    """Return all commands with what they take, as lists of definitions."""
    return "\n\n".join(part for command in COMMANDS for parser in parsers(command) for part in _command_item(parser))


def _command_item(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"**{parser.prog.removeprefix('plainbox ')}**\n: {' '.join((parser.description or '').split())}"
    for action in _actions(parser):
        if not isinstance(action, argparse._SubParsersAction | argparse._HelpAction):
            yield f"  {_written(action)}\n  : {_flat(_sentence(action.help))}"


def parsers(command: str) -> Iterator[argparse.ArgumentParser]:
    """Yield the parser of a command, then those of its sub-commands."""
    if command not in COMMANDS:
        raise ValueError(f"there is no command {command!r}")
    module = importlib.import_module(f"plainbox.cli.commands.{command.replace('-', '_')}")
    description = (module.__doc__ or "").split("\n\n", 1)[-1].strip()
    parser = argparse.ArgumentParser(prog=f"plainbox {command}", description=description)
    module.configure(parser)
    yield parser
    for action in _actions(parser):
        if isinstance(action, argparse._SubParsersAction):
            summaries = {choice.dest: choice.help for choice in action._choices_actions}
            for name, sub_parser in action.choices.items():
                sub_parser.description = sub_parser.description or _sentence(summaries.get(name))
                yield sub_parser


def _command(parser: argparse.ArgumentParser) -> Iterator[str]:
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=_WIDTH)  # type: ignore[assignment]
    yield " ".join((parser.description or "").split())
    yield f"```text\n{parser.format_usage().removeprefix('usage: ').rstrip()}\n```"
    rows = [
        (_written(action), _flat(_sentence(action.help)))
        for action in _actions(parser)
        if not isinstance(action, argparse._SubParsersAction | argparse._HelpAction)
    ]
    yield _table(("Argument", "Meaning"), rows) if rows else ""


def _actions(parser: argparse.ArgumentParser) -> Sequence[argparse.Action]:
    return parser._actions


def _written(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return _code(value)
    takes_value = action.nargs != 0
    return ", ".join(_code(f"{option} {value}" if takes_value else option) for option in action.option_strings)


def _sentence(text: str | None) -> str:
    if not text:
        raise ValueError("an argument without a help text")
    return f"{text[:1].upper()}{text[1:]}."


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _code(text: str) -> str:
    return f"`{_flat(text)}`"


def _flat(text: str) -> str:
    return " ".join(text.split())


#: Name of the directive -> what makes its text from the argument.
TABLES: Mapping[str, Callable[[str], str]] = {
    "command-line": command_line,
    "command-list": command_list,
    "issue-codes": issue_codes,
    "field-type-list": field_type_list,
    "field-types": field_types,
    "job-flag-list": job_flag_list,
    "job-flags": job_flags,
    "outcomes": outcomes,
    "settings": settings,
    "unit-field-list": unit_field_list,
    "unit-fields": unit_fields,
}
