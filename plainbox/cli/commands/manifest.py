# SPDX-License-Identifier: Apache-2.0
"""``plainbox manifest``.

Show and set what only a person knows of this machine: whether it has a piece of hardware, how many of them. Jobs ask for
it in their requirements. The answers are kept for all sessions of this user; hidden entries have none and stay as they
are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from plainbox import dirs
from plainbox.cli.arguments import add_json, add_providers, load_catalogue
from plainbox.cli.console.choose import ask, can_ask
from plainbox.cli.output import print_json, print_table, say, warn
from plainbox.errors import FieldError, UsageError
from plainbox.providers import Catalogue
from plainbox.providers.expansion import expand
from plainbox.runner.manifest import changed_manifest, load_manifest, read_answers
from plainbox.units import ManifestEntryUnit, TestPlanUnit

Answer = bool | int


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = commands.add_parser("show", help="show the entries and the answers")
    _add_plan(show)
    add_json(show)
    setting = commands.add_parser("set", help="answer without being asked: has_camera=yes disks=2")
    setting.add_argument("answers", metavar="ID=VALUE", nargs="+", help="full or partial id of an entry, and its value")
    add_providers(setting)
    unset = commands.add_parser("unset", help="forget answers")
    unset.add_argument("ids", metavar="ID", nargs="+", help="full or partial id of an entry, or of one that is no more")
    add_providers(unset)
    asking = commands.add_parser("ask", help="ask for what has no answer yet")
    _add_plan(asking)
    asking.add_argument("--all", action="store_true", help="ask again for what has an answer")
    importing = commands.add_parser("import", help="take over the answers in a file, such as Checkbox's")
    importing.add_argument("file", metavar="FILE", type=Path, help="a JSON object of full ids and values")
    add_providers(importing)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", metavar="PLAN", nargs="?", help="only what the jobs of this test plan ask for")
    add_providers(parser)


def run(arguments: argparse.Namespace) -> int:
    actions = {"show": _show, "set": _set, "unset": _unset, "ask": _ask, "import": _import}
    return actions[arguments.action](arguments)


def _show(arguments: argparse.Namespace) -> int:
    answers = load_manifest(dirs.machine_manifest())
    entries = _entries(load_catalogue(arguments.providers), arguments.plan)
    if arguments.json:
        print_json("plainbox.manifest/1", entries=[_describe(entry, answers) for entry in entries])
    else:
        print_table(((entry.id, _shown(entry, answers), entry.name) for entry in entries), ("id", "answer", "name"))
    return 0


def _describe(entry: ManifestEntryUnit, answers: dict[str, Answer]) -> dict[str, object]:
    """Return an entry as JSON; ``value`` is what jobs see, ``answered`` whether a person has said so."""
    answered = entry.id in answers and not entry.is_hidden
    return {
        "id": entry.id,
        "name": entry.name,
        "prompt": entry.prompt,
        "value_type": entry.value_type,
        "value_unit": entry.value_unit or entry.value_units,
        "resource_key": entry.resource_key,
        "value": answers[entry.id] if answered else entry.default_value,
        "answered": answered,
        "hidden": entry.is_hidden,
        "hidden_reason": entry.hidden_reason,
    }


def _shown(entry: ManifestEntryUnit, answers: dict[str, Answer]) -> str:
    if entry.is_hidden:
        return "(hidden)"
    return _word(answers[entry.id]) if entry.id in answers else "-"


def _word(answer: Answer) -> str:
    return {True: "yes", False: "no"}[answer] if isinstance(answer, bool) else str(answer)


def _set(arguments: argparse.Namespace) -> int:
    catalogue = load_catalogue(arguments.providers)
    given: dict[str, Answer] = {}
    for text in arguments.answers:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{text!r} is no answer", hint="write ID=VALUE, for example has_camera=yes")
        entry = catalogue.find(ManifestEntryUnit, name.strip())
        if entry.is_hidden:
            raise UsageError(f"{entry.id} is hidden and has no answer", hint=entry.hidden_reason)
        try:
            given[entry.id] = entry.convert(value)
        except FieldError as error:
            raise UsageError(error.message) from None
    _store(given)
    return 0


def _unset(arguments: argparse.Namespace) -> int:
    catalogue = load_catalogue(arguments.providers, quiet=True)
    with changed_manifest(dirs.machine_manifest()) as content:
        for name in arguments.ids:
            # Answers may be older than the provider that asked for them.
            identifier = name if name in content else catalogue.find(ManifestEntryUnit, name).id
            if content.pop(identifier, None) is not None:
                say(f"{identifier} has no answer any more")
    return 0


def _ask(arguments: argparse.Namespace) -> int:
    if not can_ask():
        raise UsageError("there is nobody to ask", hint="answer with: plainbox manifest set ID=VALUE")
    answers = load_manifest(dirs.machine_manifest())
    entries = [entry for entry in _entries(load_catalogue(arguments.providers), arguments.plan) if not entry.is_hidden]
    open_questions = [entry for entry in entries if arguments.all or entry.id not in answers]
    if not open_questions:
        say("Nothing is left to ask.")
    for entry in open_questions:
        answer = _answer(entry, _default(entry, answers))
        if answer is None:
            break
        # One by one: what was typed is kept when the next question is interrupted.
        _store({entry.id: answer})
    return 0


def _default(entry: ManifestEntryUnit, answers: dict[str, Answer]) -> Answer:
    """Return what counts now: the answer, unless the entry wants one of another kind today."""
    answer = answers.get(entry.id, entry.default_value)
    return answer if isinstance(answer, bool) == (entry.value_type == "bool") else entry.default_value


def _answer(entry: ManifestEntryUnit, default: Answer) -> Answer | None:
    """Return what a person says, ``None`` when the input has ended."""
    unit = entry.value_unit or entry.value_units
    say(entry.tr_prompt())
    say(f"  {entry.tr_name()} ({unit})" if unit else f"  {entry.tr_name()}")
    while True:
        text = ask(f"{'yes or no' if entry.value_type == 'bool' else 'a number'} [{_word(default)}] ")
        if text is None:
            return None
        try:
            return entry.convert(text) if text else default
        except FieldError as error:
            say(error.message)


def _import(arguments: argparse.Namespace) -> int:
    try:
        content = read_answers(arguments.file)
    except FileNotFoundError:
        raise UsageError(f"no file {str(arguments.file)!r}") from None
    entries = load_catalogue(arguments.providers, quiet=True).of_kind(ManifestEntryUnit)
    answers: dict[str, Answer] = {}
    for identifier, value in content.items():
        try:
            answers[identifier] = _taken_over(value, entries.get(identifier))
        except FieldError as error:
            warn(f"{identifier} is left out: {error.message}")
    _store(answers)
    return 0


def _taken_over(value: object, entry: ManifestEntryUnit | None) -> Answer:
    """Return the answer that a value of a file is; :class:`FieldError` when it is none."""
    if entry is not None and entry.is_hidden:
        raise FieldError("a hidden entry has no answer")
    if not isinstance(value, (bool, int, str)):
        raise FieldError(f"{value!r} is no answer")
    if entry is None:
        # Its provider is not here: what Checkbox would have written can be kept for the day it is.
        if isinstance(value, str):
            raise FieldError(f"{value!r} is no answer that can be understood without its provider")
        return value
    if isinstance(value, bool) and entry.value_type == "natural":
        raise FieldError(f"{_word(value)} is not a natural number")
    return entry.convert(str(value))


def _store(answers: dict[str, Answer]) -> None:
    with changed_manifest(dirs.machine_manifest()) as content:
        content.update(answers)
    for identifier, answer in answers.items():
        say(f"{identifier} = {_word(answer)}")


def _entries(catalogue: Catalogue, plan_name: str | None) -> list[ManifestEntryUnit]:
    """Return all entries, or those that a plan asks for."""
    if plan_name is None:
        return list(catalogue.of_kind(ManifestEntryUnit).values())
    return expand(catalogue.find(TestPlanUnit, plan_name), catalogue).manifest_entries
