# SPDX-License-Identifier: Apache-2.0
"""``i18n``: from the messages of a provider to catalogues that its users see."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from babel.messages.catalog import Catalog

from plainbox.errors import ProviderError
from plainbox.providers.authoring import catalogues
from plainbox.providers.authoring.command import Command
from plainbox.providers.authoring.messages import add_messages, sources
from plainbox.providers.authoring.writing import replace

__all__ = ["I18NCommand"]

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([_@.-][A-Za-z0-9]+)*")


class I18NCommand(Command):
    """collect the messages, update and compile the translations

    Collects what is to be translated into po/DOMAIN.pot, brings each po/LANGUAGE.po up to it, and compiles these into
    build/mo. An empty file po/LANGUAGE.po begins a new language.

    The line "[type: gettext/rfc822deb] units/jobs.pxu" in po/POTFILES.in names a file with messages; other types are
    python and shell. Without POTFILES.in all unit files count, and the Python programs in bin.
    """

    name = "i18n"

    def register_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("-n", "--dry-run", action="store_true", help="say what would be written, and write nothing")
        parser.add_argument("--dont-update-pot", action="store_true", help="leave po/DOMAIN.pot as it is")
        parser.add_argument("--dont-merge-po", action="store_true", help="leave the files po/LANGUAGE.po as they are")
        parser.add_argument("--dont-build-mo", action="store_true", help="compile nothing")

    def invoked(self, ns: argparse.Namespace) -> int | None:
        domain = self.tree.gettext_domain
        if domain is None:
            raise ProviderError(
                "the provider has no gettext domain",
                origin=self.definition.origin,
                hint=f'add gettext_domain="{self.tree.name.replace(":", "-").replace(".", "-")}"',
            )
        template = self._template(domain, update=not ns.dont_update_pot)
        if template is not None and not len(template):
            self.output.warn("there is nothing to translate", "write _summary instead of summary, and so on")
            return None
        files: dict[Path, bytes] = {}
        if template is not None and not ns.dont_update_pot:
            path = self._template_path(domain)
            files[path] = catalogues.template_text(template, path)
        problems: list[ProviderError] = []
        for path in self._translations():
            try:
                catalogue = catalogues.read(path)
                catalogues.check(catalogue, path)
            except ProviderError as error:
                problems.append(error)
                continue
            if template is not None and not ns.dont_merge_po:
                catalogues.update(catalogue, template)
                files[path] = catalogues.rendered(catalogue)
            if not ns.dont_build_mo:
                files[self._compiled_path(path.stem, domain)] = catalogues.compiled(catalogue)
        if problems:
            for problem in problems:
                self.output.say(f"{problem}" + (f"\n  {problem.hint}" if problem.hint else ""))
            self.output.say("nothing was written")
            return 1
        self._write(files, dry_run=ns.dry_run)
        return None

    def _template_path(self, domain: str) -> Path:
        return self.tree.base_dir / "po" / f"{domain}.pot"

    def _compiled_path(self, language: str, domain: str) -> Path:
        return self.tree.base_dir / "build" / "mo" / language / "LC_MESSAGES" / f"{domain}.mo"

    def _template(self, domain: str, *, update: bool) -> Catalog | None:
        """Return the messages to translate: those of the files, or those that were collected before, if any."""
        if not update:
            path = self._template_path(domain)
            return catalogues.read(path) if path.is_file() else None
        template = catalogues.new_template(self.tree)
        for source in sources(self.tree, self.output):
            add_messages(template, source, self.tree, self.output)
        return template

    def _translations(self) -> Iterator[Path]:
        for path in sorted(self.tree.base_dir.glob("po/*.po")):
            if _LANGUAGE.fullmatch(path.stem):
                yield path
            else:
                self.output.warn(f"{path}: {path.stem!r} is no language: left out", "name it like de.po or pt_BR.po")

    def _write(self, files: Mapping[Path, bytes], *, dry_run: bool) -> None:
        for path, content in files.items():
            if path.is_file() and path.read_bytes() == content:
                continue
            if not dry_run:
                replace(path, content)
            self.output.say(f"{'would write' if dry_run else 'wrote'} {path.relative_to(self.tree.base_dir)}")
