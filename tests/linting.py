# SPDX-License-Identifier: Apache-2.0
"""Providers on disk, and what is found in them."""

from __future__ import annotations

import functools
from pathlib import Path

import attrs

from plainbox.providers import Catalogue, Provider
from plainbox.providers.discovery import bundled_providers, named_providers
from plainbox.providers.lint import LintReport, format_issue, lint
from plainbox.units import Code, Issue

__all__ = ["Workshop"]


@functools.cache
def _bundled() -> list[Provider]:
    """Return the bundled providers, read once for all tests."""
    return list(bundled_providers([]))


def _is_about_summary(issue: Issue) -> bool:
    return (issue.code, issue.field) == (Code.MISSING, "summary")


@attrs.frozen
class Workshop:
    """Writes providers below a directory and lints them beside the bundled ones.

    Units of tests have summaries only where these matter: that they have none is in the report alone.
    """

    directory: Path

    def provider(self, files: dict[str, str] | str, name: str = "org.example:demo") -> Path:
        """Write a provider and return its directory; a text stands for ``units/x.pxu``."""
        base = self.directory / name.replace(":", ".")
        for relative, text in ({"units/x.pxu": files} if isinstance(files, str) else files).items():
            path = base / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (base / f"{name.partition(':')[2]}.provider").write_text(
            f"[PlainBox Provider]\nname = {name}\nversion = 1.0\nrelocatable = True\n"
        )
        return base

    def report(self, files: dict[str, str] | str, *others: Path) -> LintReport:
        """Return what is found in a provider when others are there too."""
        places = [self.provider(files), *others]
        catalogue = Catalogue([*(provider for place in places for provider in named_providers(place)), *_bundled()])
        return lint(catalogue.providers[:1], catalogue)

    def issues(self, files: dict[str, str] | str, *others: Path) -> tuple[Issue, ...]:
        return tuple(issue for issue in self.report(files, *others).issues if not _is_about_summary(issue))

    def found(self, files: dict[str, str] | str, *others: Path) -> list[str]:
        """Return the findings, paths relative to the provider."""
        base = self.directory / "org.example.demo"
        return [format_issue(issue, base) for issue in self.issues(files, *others)]

    def codes(self, files: dict[str, str] | str, *others: Path) -> list[tuple[int | None, str]]:
        """Return the findings as (line, code)."""
        return [(issue.origin and issue.origin.line_start, issue.code.value) for issue in self.issues(files, *others)]
