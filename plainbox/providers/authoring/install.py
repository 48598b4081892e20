# SPDX-License-Identifier: Apache-2.0
"""``install``: copies a provider to where Plainbox, and Checkbox, find installed ones.

Programs of existing providers extend this command: ``ns.prefix`` and ``ns.root`` stay texts that can be joined, and
``_get_dest_map`` keeps its name.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from plainbox import dirs
from plainbox.errors import ProviderError, UsageError
from plainbox.providers.authoring.build import built_programs
from plainbox.providers.authoring.command import Command
from plainbox.providers.authoring.contents import Entry, entries
from plainbox.providers.authoring.definition_file import definition_text
from plainbox.providers.authoring.writing import replace
from plainbox.units.origin import Origin

__all__ = ["InstallCommand"]

_DEFINITIONS = "{prefix}/share/plainbox-providers-1"
_FLAT = "{prefix}/lib/plainbox-providers-1/{name}"
_DIRECTORIES = ("units", "jobs", "data", "bin", "locale", "python")
_RELOCATABLE = "give each relocatable provider a prefix of its own"
#: Layout -> directory of the provider -> where it goes; the definition is in "definition".
_LAYOUTS = {
    "flat": {"definition": _DEFINITIONS, **{name: f"{_FLAT}/{name}" for name in _DIRECTORIES}},
    "unix": {
        "definition": _DEFINITIONS,
        **{name: f"{{prefix}}/share/{{name}}/{name}" for name in ("units", "jobs", "data", "python")},
        "bin": "{prefix}/lib/{name}/bin",
        "locale": "{prefix}/share/locale",
    },
    "relocatable": {"definition": "{prefix}", **{name: f"{{prefix}}/{name}" for name in _DIRECTORIES}},
}


class InstallCommand(Command):
    """install this provider

    Copies the provider below PREFIX and writes a definition, by which it is found. In the layout "flat" all of it is in
    one directory, PREFIX/lib/plainbox-providers-1/NAME. In "unix" it is in PREFIX/lib/NAME, PREFIX/share/NAME and
    PREFIX/share/locale; both have the definition in PREFIX/share/plainbox-providers-1. In "relocatable" PREFIX is the
    directory of the provider itself, of nothing else, and may be moved as a whole.

    What an earlier install of the provider in the same layout has put there is replaced.

    With --root everything goes below that directory, while the definition names the paths without it: for packages.
    """

    name = "install"

    def register_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--prefix", default="/usr/local", help="where to install (%(default)s)")
        parser.add_argument("--layout", choices=tuple(_LAYOUTS), default="flat", help="%(choices)s (%(default)s)")
        parser.add_argument("--root", default="", help="put everything below this directory, for packages")

    def invoked(self, ns: argparse.Namespace) -> int | None:
        if not ns.prefix:
            raise UsageError("the prefix is empty", hint="write it like --prefix=/usr, or leave it out")
        if ns.root and not os.path.isabs(ns.prefix):
            raise UsageError("with --root the prefix is an absolute path", hint="write it like --prefix=/usr")
        places = self._get_dest_map(ns.layout, ns.prefix)
        # All that can be wrong is known before anything is written.
        copies = self._copies()
        targets = {kind: _below(ns.root, places[kind]) for kind in _DIRECTORIES}
        definition = _below(ns.root, places["definition"]) / f"{self.tree.file_name}.provider"
        self._check(targets.values())
        if ns.layout == "relocatable":
            _check_own(definition, targets.values())
        for kind, target in targets.items():
            if target.exists() and not _is_shared(ns.layout, kind):
                shutil.rmtree(target)  # what an earlier version had there is no part of this one
            if kind in copies:
                _copy(copies[kind], target)
        replace(definition, definition_text(self.tree, self._locations(ns.layout, places, copies)).encode())
        self.output.say(f"installed {self.tree.name} {self.tree.version}: {definition}")
        if not ns.root and definition.parent not in dirs.provider_paths():
            self.output.say(f"plainbox does not look there by itself; name it with --provider {definition.parent}")
        return 0

    def _get_dest_map(self, layout: str, prefix: str) -> dict[str, str]:
        """Return where the definition and each directory go; extensions look up ``bin`` and ``build/mo`` here."""
        prefix = os.path.abspath(prefix)
        patterns = _LAYOUTS[layout].items()
        places = {kind: pattern.format(prefix=prefix, name=self.tree.name) for kind, pattern in patterns}
        return {**places, "build/mo": places["locale"]}

    def _check(self, targets: Iterable[Path]) -> None:
        """Refuse to install over the sources, or by links to elsewhere: what is there would be removed first."""
        sources = [self.tree.base_dir.resolve() / kind for kind in (*_DIRECTORIES, "build")]
        for target in targets:
            real = Path(os.path.realpath(target))
            if any(real.is_relative_to(source) or source.is_relative_to(real) for source in sources):
                raise UsageError("the provider would be installed over its sources", origin=Origin(str(target)))
            own = [target, target.parent] if target.parent.name == self.tree.name else [target]
            for path in own:
                if path.is_symlink() or (path.exists() and not path.is_dir()):
                    what = "a link" if path.is_symlink() else "a file"
                    raise UsageError(f"{what} where a directory is to be", origin=Origin(str(path)), hint="remove it")

    def _locations(self, layout: str, places: Mapping[str, str], copies: Iterable[str]) -> dict[str, str]:
        """Return the keys of the definition that say where the files are."""
        if layout == "relocatable":
            return {"relocatable": "True"}
        if layout == "flat":
            return {"location": os.path.dirname(places["units"])}
        return {f"{kind}_dir": places[kind] for kind in _DIRECTORIES if kind in copies}

    def _copies(self) -> dict[str, dict[str, Entry]]:
        """Return what is installed: for each directory its entries by relative path."""
        base = self.tree.base_dir
        sources = {kind: base / kind for kind in _DIRECTORIES}
        if (base / "build" / "mo").is_dir():
            sources["locale"] = base / "build" / "mo"
        copies = {kind: self._below(path) for kind, path in sources.items() if path.is_dir()}
        built = (entry for path in built_programs(self.tree) for entry in entries(path, base))
        programs = {entry.path.name: entry for entry in built}
        if programs:
            copies["bin"] = {**programs, **copies.get("bin", {})}
        if not copies:
            raise ProviderError("there is nothing to install", origin=self.definition.origin)
        return copies

    def _below(self, directory: Path) -> dict[str, Entry]:
        """Return the entries of a directory by relative path."""
        found = {str(entry.path.relative_to(directory)): entry for entry in entries(directory, self.tree.base_dir)}
        for entry in found.values():
            if entry.target is not None and entry.path.is_dir():
                raise ProviderError("a link to a directory is not installed", origin=Origin(str(entry.path)))
        return found


def _is_shared(layout: str, kind: str) -> bool:
    """Tell whether files of others are in this directory too."""
    return layout == "unix" and kind == "locale"


def _check_own(definition: Path, targets: Iterable[Path]) -> None:
    """Refuse to make a provider of a directory that is another one, or that holds anything else by our names."""
    others = [path for path in sorted(definition.parent.glob("*.provider")) if path != definition]
    if others:
        raise UsageError("another provider is there", origin=Origin(str(others[0])), hint=_RELOCATABLE)
    taken = [path for path in targets if os.path.lexists(path)]
    if taken and not definition.exists():
        raise UsageError(
            "is there already, and not from an earlier install", origin=Origin(str(taken[0])), hint=_RELOCATABLE
        )


def _below(root: str, path: str) -> Path:
    return Path(root).absolute() / path.lstrip("/") if root else Path(path)


def _copy(contents: Mapping[str, Entry], directory: Path) -> None:
    """Copy entries with their modes; files that are there are replaced, not written to."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, entry in contents.items():
        place = directory / name
        if entry.is_directory:
            place.mkdir(exist_ok=True)
        else:
            # What is there may be in use, or a link to elsewhere.
            place.unlink(missing_ok=True)
            shutil.copy(entry.path, place)
