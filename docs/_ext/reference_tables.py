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
from plainbox.session.outcome import OUTCOME_METADATA_MAP
from plainbox.units import KINDS, Code
from plainbox.units.fields import Field
from plainbox.units.job import FLAGS

__all__ = ["TABLES", "command_line", "issue_codes", "job_flags", "outcomes", "parsers", "unit_fields"]

_WIDTH = 96  # of the usage lines: what a page shows without scrolling

#: Finding -> (how bad it is, what it means).
_ISSUES: Mapping[Code, tuple[str, str]] = {
    Code.MISSING: (
        "error, advice",
        "A field that this unit needs is not there or is empty. Advice only for the summary of a template.",
    ),
    Code.WRONG: ("error", "A value that its field does not accept, for example `plugin: shel`."),
    Code.UNKNOWN_FIELD: ("warning, error", "No kind of unit has such a field. An error inside of `siblings`."),
    Code.DEPRECATED: ("advice", "A field or a value that has a better successor, which the hint names."),
    Code.USELESS: ("warning", "A field that does nothing here, such as the `command` of a manual job."),
    Code.TEMPLATE_CONSTANT: ("error", "All instances of a template would have the same `id`, `name` or the like."),
    Code.TEMPLATE_VARIABLE: ("error", "A field that must be the same for all instances of a template has a parameter."),
    Code.UNKNOWN_PARAMETER: ("error", "The resource record has no value for a parameter of the template."),
    Code.UNKNOWN_FLAG: ("warning", "No flag of this name is known; it has no effect."),
    Code.BAD_EXPRESSION: ("error", "A line of `requires`, `imports` or `template-filter` is outside the language."),
    Code.BAD_PATTERN: ("error", "An entry of an include, exclude or override list that means nothing."),
    Code.TEMPLATE_SYNTAX: ("error", "The braces of a template do not match, or its Jinja2 is wrong."),
    Code.NOT_A_LINE: ("warning", "A summary or a name has several lines, or more characters than are shown."),
}


def unit_fields(kind: str) -> str:
    """Return the table of the fields of one kind of unit."""
    return _table(
        ("Field", "Type", "Meaning"),
        (
            (f"`{key}`" + _marks(field), _code(field.type.name), _meaning(field))
            for key, field in KINDS[kind].fields.items()
        ),
    )


def _marks(field: Field[object]) -> str:
    required = ("○" if callable(field.required) else "●") if field.required else ""
    return f" {required}".rstrip() + (" `_`" if field.translatable else "")


def _meaning(field: Field[object]) -> str:
    parts = [_escaped(field.doc)]
    if callable(field.default):
        parts.append("Default: from other fields.")
    elif field.default not in (None, "", (), frozenset()):
        default = {False: "no", True: "yes"}.get(field.default, field.default)
        parts.append(f"Default: {_code(str(default))}.")
    if field.deprecated:
        parts.append(f"Deprecated: {_escaped(field.deprecated)}.")
    return " ".join(parts)


def job_flags(argument: str = "") -> str:
    """Return the table of the flags of jobs."""
    return _table(("Flag", "Meaning"), ((f"`{name}`", _escaped(meaning)) for name, meaning in FLAGS.items()))


def issue_codes(argument: str = "") -> str:
    """Return the table of the codes of findings."""
    return _table(("Code", "Severity", "Meaning"), ((f"`{code}`", *map(_escaped, _ISSUES[code])) for code in Code))


def outcomes(argument: str = "") -> str:
    """Return the table of outcomes, the job that did not run left out."""
    return _table(
        ("Outcome", "Shown as", "Sign", "In a submission"),
        (
            (f"`{outcome}`", _escaped(data.label), data.sigil, f"`{data.submission_status}`")
            for outcome, data in OUTCOME_METADATA_MAP.items()
            if outcome is not None
        ),
    )


def command_line(command: str) -> str:
    """Return what a command and its sub-commands take, from the parsers themselves."""
    parts = [part for parser in parsers(command) for part in _command(parser)]
    return "\n\n".join(part for part in parts if part)


def parsers(command: str) -> Iterator[argparse.ArgumentParser]:
    """Yield the parser of a command, then those of its sub-commands."""
    if command not in COMMANDS:
        raise ValueError(f"there is no command {command!r}")
    module = importlib.import_module(f"plainbox.cli.commands.{command}")
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
        (_written(action), _escaped(_sentence(action.help)))
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
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _code(text: str) -> str:
    return f"`{_escaped(text)}`"


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


#: Name of the directive -> what makes its text from the argument.
TABLES: Mapping[str, Callable[[str], str]] = {
    "command-line": command_line,
    "issue-codes": issue_codes,
    "job-flags": job_flags,
    "outcomes": outcomes,
    "unit-fields": unit_fields,
}
