# SPDX-License-Identifier: Apache-2.0
"""``plainbox lint``.

Check providers: their files, their units, and what these refer to. Nothing of the providers is run. A finding is silenced
by a comment '# noqa: CODE' above its line, its field or its unit, and by a file lint.conf in the provider. Exit codes: 0
nothing that counts, 1 errors (with --strict also warnings), 2 no provider.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from plainbox.cli.arguments import add_json, add_providers, load_catalogue
from plainbox.cli.output import clean, print_json, say, write
from plainbox.errors import FieldError, UsageError
from plainbox.providers import Provider
from plainbox.providers.lint import LintReport, format_issue, lint
from plainbox.providers.silence import parse_code
from plainbox.tasks.unit_advice import advice_issues
from plainbox.units import Code, Issue, Severity
from plainbox.units.checks.codes import CODES

_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.ADVICE: "36"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        type=Path,
        help="a provider, or a file or directory of one to see only the findings in it (this directory by default)",
    )
    parser.add_argument("--strict", action="store_true", help="warnings fail too")
    parser.add_argument("--no-advice", action="store_true", help="leave out what is about style")
    parser.add_argument(
        "--ignore", metavar="CODE", action="append", default=[], help="silence these findings, as PB104 or PB104,PB113"
    )
    parser.add_argument("--explain", metavar="CODE", help="say what a code means, and nothing else")
    add_providers(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.explain is not None:
        return _explain(_code(arguments.explain))
    ignored = {_code(word) for words in arguments.ignore for word in words.split(",") if word.strip()}
    report = _lint(arguments.paths or [Path()], arguments.providers).without(lambda issue: issue.code in ignored)
    if arguments.no_advice:
        report = report.only(lambda issue: issue.severity is not Severity.ADVICE)
    base = Path.cwd()
    if arguments.json:
        print_json("plainbox.lint/1", **report.as_dict(base))
    else:
        for issue in report.issues:
            write(_coloured(clean(format_issue(issue, base)), issue))
        say(report.summary())
    return int(report.failed(arguments.strict))


def _code(text: str) -> Code:
    try:
        return parse_code(text)
    except FieldError as error:
        raise UsageError(error.message, hint=error.hint or "the reference has a page of issue codes") from None


def _explain(code: Code) -> int:
    explanation = CODES[code]
    write(f"{code} ({', '.join(explanation.severities)})\n\n{explanation.meaning} {explanation.remedy}")
    for title, text in (("Instead of", explanation.bad), ("write", explanation.good)):
        if text:
            write(f"\n{title}\n\n" + "\n".join(f"    {line}".rstrip() for line in text.split("\n")))
    return 0


def _lint(paths: Iterable[Path], others: Iterable[Path]) -> LintReport:
    """Return what is wrong with the providers in these places, or with parts of them; ``others`` may be referred to."""
    found = [(path, _provider_of(path)) for path in map(os.path.realpath, paths)]
    places = dict.fromkeys(place for _, place in found)
    catalogue = load_catalogue([*map(Path, places), *others], quiet=True)
    providers: list[Provider] = []
    wanted: list[Path] = []
    left_out = set(places)
    for provider in catalogue.providers:
        definition = os.path.realpath(provider.definition.origin.source)
        own = {definition, os.path.dirname(definition)}
        parts = [path for path, place in found if place in own]
        if parts:
            providers.append(provider)
        for path in parts:
            wanted += _places(provider) if path in own else [Path(path)]
        left_out -= own
    for place in sorted(left_out):
        raise UsageError(f"{place!r} is left out: there is another provider of its name")
    return lint(providers, catalogue, advice_issues).only(
        lambda issue: issue.origin is None or any(Path(issue.origin.source).is_relative_to(path) for path in wanted)
    )


def _places(provider: Provider) -> list[Path]:
    """Return everything that belongs to a provider."""
    folders = (provider.base_dir, provider.units_dir, provider.jobs_dir, provider.data_dir, provider.bin_dir)
    return [folder for folder in folders if folder is not None]


def _provider_of(path: str) -> str:
    """Return the place of the provider that a path is or belongs to."""
    if not os.path.exists(path):
        raise UsageError(f"{path!r} is not there")
    if path.endswith(".provider") and os.path.isfile(path):
        return path
    for directory in (Path(path), *Path(path).parents):
        if any(directory.glob("*.provider")) or (directory / "manage.py").is_file():
            return str(directory)
    raise UsageError(
        f"{path!r} is no provider, nor part of one",
        hint="name a directory that holds a .provider file or a manage.py",
    )


def _coloured(text: str, issue: Issue) -> str:
    """Return the line of a finding with its severity in colour, if a terminal shows it."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        return text
    word = f"{issue.code} {issue.severity}"
    return text.replace(word, f"\x1b[{_COLOURS[issue.severity]}m{word}\x1b[0m", 1)
