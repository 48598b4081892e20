# SPDX-License-Identifier: Apache-2.0
"""``develop``: lets Plainbox find a source tree where it is, so that every change counts at once."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from plainbox import dirs
from plainbox.errors import UsageError
from plainbox.providers.authoring.command import Command
from plainbox.providers.authoring.definition_file import definition_text
from plainbox.providers.authoring.writing import replace

__all__ = ["DevelopCommand"]


class DevelopCommand(Command):
    """let plainbox find this provider where it is

    Writes a definition that points to this directory. Nothing is copied, and changes of the provider count at once;
    when the directory moves, do it again.

    Without --directory the definition goes to the first directory of PROVIDERPATH, or, when that is not set, to
    plainbox-providers-1 below $XDG_DATA_HOME (~/.local/share).
    """

    name = "develop"

    def register_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("-u", "--uninstall", action="store_true", help="remove the definition again")
        parser.add_argument("-f", "--force", action="store_true", help="replace a definition that is there")
        # Programs that extend the command expect a text that can be joined, also when the option is not given.
        parser.add_argument(
            "-d", "--directory", metavar="DIR", default=_default_directory(), help="directory of the definition"
        )

    def invoked(self, ns: argparse.Namespace) -> int | None:
        if ns.directory is None:
            raise UsageError("PROVIDERPATH names no directory", hint="name one with --directory, or unset PROVIDERPATH")
        path = Path(ns.directory).absolute() / f"{self.tree.file_name}.provider"
        if ns.uninstall:
            return self._uninstall(path)
        if os.path.lexists(path) and not ns.force:
            self.output.warn(
                f"{path} exists; nothing is done", "replace it with --force, or remove it with --uninstall"
            )
            return 1
        replace(path, definition_text(self.tree, {"location": str(self.tree.base_dir)}).encode())
        self.output.say(f"{self.tree.name} is found through {path}")
        if path.parent not in dirs.provider_paths():
            self.output.warn(f"plainbox does not look into {path.parent}", f"set PROVIDERPATH={path.parent}")
        return 0

    def _uninstall(self, path: Path) -> int:
        try:
            path.unlink()
        except FileNotFoundError:
            self.output.say(f"there is no {path}")
        else:
            self.output.say(f"removed {path}")
        return 0


def _default_directory() -> str | None:
    """Return the strongest directory of definitions; there is none when PROVIDERPATH is empty."""
    return next(map(str, dirs.provider_paths()), None)
