# SPDX-License-Identifier: Apache-2.0
"""``validate``: what is wrong with the units of a provider, seen together with all providers of this machine."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from plainbox.providers.authoring.command import Command
from plainbox.streams import clean
from plainbox.units.issues import Code

if TYPE_CHECKING:
    from plainbox.providers.catalogue import Catalogue

__all__ = ["ValidateCommand"]

#: What still works and is written in another way today.
_OLD = (Code.DEPRECATED, Code.TEXT_FOR_LIST)


class ValidateCommand(Command):
    """look for mistakes in the units

    Checks the units of this provider together with those of all installed ones, since they refer to each other. The exit
    code is 1 when there is an error, and, unless --loose is given, when there is a warning; advice never fails, nor does
    what Checkbox would not look for.

    What counts without options is in setup(): strict=False is --loose, deprecated=False is --legacy.
    """

    name = "validate"

    def register_arguments(self, parser: argparse.ArgumentParser) -> None:
        strictness = parser.add_mutually_exclusive_group()
        strictness.add_argument(
            "-s", "--strict", dest="strict", action="store_true", default=None, help="fail on warnings too"
        )
        strictness.add_argument("-l", "--loose", dest="strict", action="store_false", help="fail on errors only")
        age = parser.add_mutually_exclusive_group()
        age.add_argument(
            "-d", "--deprecated", dest="deprecated", action="store_true", default=None, help="tell what is deprecated"
        )
        age.add_argument("-L", "--legacy", dest="deprecated", action="store_false", help="allow what is deprecated")
        parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")

    def invoked(self, ns: argparse.Namespace) -> int | None:
        from plainbox.providers.lint import format_issue, lint

        strict = self.tree.strict if ns.strict is None else ns.strict
        deprecated = self.tree.deprecated if ns.deprecated is None else ns.deprecated
        report = lint([self.get_provider()], self._catalogue())
        if not deprecated:
            report = report.without(lambda issue: issue.code in _OLD)
        if ns.json:
            import json

            document = {"schema": "plainbox.lint/1", **report.as_dict(self.tree.base_dir)}
            self.output.write(json.dumps(document, indent=2))
        else:
            for issue in report.issues:
                self.output.write(clean(format_issue(issue, self.tree.base_dir)))
        self.output.say(f"{self.tree.name}: {report.summary()}")
        return int(report.failed(strict, as_checkbox=True))

    def _catalogue(self) -> Catalogue:
        from plainbox.errors import PlainboxError
        from plainbox.providers.catalogue import Catalogue
        from plainbox.providers.discovery import bundled_providers, installed_providers

        problems: list[PlainboxError] = []
        # This provider first: another one of its name may be installed.
        return Catalogue([self.get_provider(), *installed_providers(problems), *bundled_providers(problems)], problems)
