# SPDX-License-Identifier: Apache-2.0
"""``packaging``: hands the relations of a provider to the tools that build packages of a distribution.

Debian's tools fill in ``${plainbox:Depends}`` and the like in debian/control with what this writes.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from plainbox.errors import ProviderError
from plainbox.providers.authoring.command import Command
from plainbox.providers.authoring.writing import replace
from plainbox.units import PackagingMetaDataUnit
from plainbox.units.origin import Origin

__all__ = ["PackagingCommand", "read_os_release"]

_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_OWN_LINE = re.compile(r"plainbox:(Depends|Recommends|Suggests)\??=")


class PackagingCommand(Command):
    """tell the package builder what the provider depends on

    On Debian and systems like it: writes plainbox:Depends, plainbox:Recommends and plainbox:Suggests to
    debian/PACKAGE.substvars for each package with "X-Plainbox-Provider: yes" in debian/control. They come from the units
    "packaging meta-data" that are for this system. What an earlier run has written is replaced.
    """

    name = "packaging"

    def register_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--os-release",
            metavar="FILE",
            type=Path,
            default=Path("/etc/os-release"),
            help="the description of the system that the package is for (%(default)s)",
        )

    def invoked(self, ns: argparse.Namespace) -> int | None:
        system = read_os_release(ns.os_release)
        if "debian" not in (system.get("ID"), *system.get("ID_LIKE", "").split()):
            self.output.warn(f"nothing to do: packages of {system.get('ID', 'this system')!r} are not known here")
            return 0
        packages = list(_packages(self.tree.base_dir / "debian" / "control"))
        if not packages:
            self.output.warn(
                "nothing to do: no package in debian/control is marked", "add the line X-Plainbox-Provider: yes"
            )
            return 0
        lines = _variables(self._units(system))
        for package in packages:
            path = self.tree.base_dir / "debian" / f"{package}.substvars"
            replace(path, "".join(f"{line}\n" for line in (*_other_lines(path), *lines)).encode())
            self.output.say(f"wrote {path.relative_to(self.tree.base_dir)}")
        return 0

    def _units(self, system: Mapping[str, str]) -> list[PackagingMetaDataUnit]:
        provider = self.tree.provider
        units = [unit for unit in provider.unit_list if isinstance(unit, PackagingMetaDataUnit)]
        for problem in provider.problem_list:
            self.output.warn(str(problem), problem.hint)
        for unit in units:
            # A package that lacks a dependency is worse than none.
            for issue in unit.errors:
                raise ProviderError(f"field {issue.field!r}: {issue.message}", origin=issue.origin, hint=issue.hint)
        return [unit for unit in units if unit.matches(system)]


def _variables(units: Sequence[PackagingMetaDataUnit]) -> list[str]:
    """Return the lines that give the variables their values, each relation once."""
    relations = {
        "Depends": [relation for unit in units for relation in unit.depends],
        "Recommends": [relation for unit in units for relation in unit.recommends],
        "Suggests": [relation for unit in units for relation in unit.suggests],
    }
    # All three, also empty ones: Debian's tools warn of a variable that nobody sets.
    return [f"plainbox:{name}={', '.join(dict.fromkeys(items))}" for name, items in relations.items()]


def read_os_release(path: Path) -> dict[str, str]:
    """Return what an os-release file says; its values may be quoted as in a shell."""
    found: dict[str, str] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        key, equals, value = line.strip().partition("=")
        if not equals or key.startswith("#"):
            continue
        try:
            found[key] = "".join(shlex.split(value))
        except ValueError:
            raise ProviderError(f"the value of {key} is not quoted well", origin=Origin(str(path), number)) from None
    return found


def _packages(control: Path) -> Iterator[str]:
    """Yield the names of the binary packages that take the relations of a provider."""
    for paragraph, line in _paragraphs(_text(control)):
        package = paragraph.get("package")
        if package is None or paragraph.get("x-plainbox-provider", "").lower() != "yes":
            continue
        if not _PACKAGE.fullmatch(package):
            raise ProviderError(f"{package!r} is not the name of a package", origin=Origin(str(control), line))
        yield package


def _paragraphs(text: str) -> Iterator[tuple[dict[str, str], int]]:
    """Yield the paragraphs of a control file, with the first lines of their values, and the lines where they begin."""
    paragraph: dict[str, str] = {}
    start = 1
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            if paragraph:
                yield paragraph, start
            paragraph = {}
        elif not line[0].isspace():
            key, _, value = line.partition(":")
            if not paragraph:
                start = number
            paragraph[key.strip().lower()] = value.strip()


def _other_lines(path: Path) -> list[str]:
    """Return what others have written to a file of variables."""
    return [line for line in _text(path).splitlines() if not _OWN_LINE.match(line)] if path.exists() else []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ProviderError(f"cannot be read: {error.strerror}", origin=Origin(str(path))) from None
    except UnicodeDecodeError:
        raise ProviderError("not a text file", origin=Origin(str(path))) from None
