# SPDX-License-Identifier: Apache-2.0
"""``build``: makes the programs of a provider from its sources.

Other build systems may be added by entry points of the group ``plainbox.buildsystem``: classes with the two methods of
:class:`BuildSystem`.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Protocol

from plainbox.errors import ProviderError
from plainbox.providers.authoring.command import Command, SourceTree
from plainbox.units.origin import Origin

__all__ = ["AutotoolsBuildSystem", "BuildCommand", "BuildSystem", "GoBuildSystem", "MakeBuildSystem", "built_programs"]

_GROUP = "plainbox.buildsystem"
_SIGNALLED = 128


class BuildSystem(Protocol):
    """A way to build; both directories are absolute paths."""

    def probe(self, src_dir: str) -> int:
        """Return how well the sources fit: 0 not at all, 100 beyond doubt."""

    def get_build_command(self, src_dir: str, build_dir: str) -> str:
        """Return the shell command, to be run in ``build_dir``."""


class AutotoolsBuildSystem:
    """``configure`` and ``make``."""

    def probe(self, src_dir: str) -> int:
        return 90 if os.path.isfile(os.path.join(src_dir, "configure")) else 0

    def get_build_command(self, src_dir: str, build_dir: str) -> str:
        return f"{shlex.quote(os.path.relpath(src_dir, build_dir))}/configure && make"


class MakeBuildSystem:
    """``make`` with a Makefile that finds its sources by VPATH."""

    def probe(self, src_dir: str) -> int:
        files = os.listdir(src_dir)
        return 90 if "Makefile" in files and "configure" not in files else 0

    def get_build_command(self, src_dir: str, build_dir: str) -> str:
        source = shlex.quote(os.path.relpath(src_dir, build_dir))
        return f"VPATH={source} make -f {source}/Makefile"


class GoBuildSystem:
    """``go build`` of all Go files, into one program."""

    def probe(self, src_dir: str) -> int:
        return 50 if any(name.endswith(".go") for name in os.listdir(src_dir)) else 0

    def get_build_command(self, src_dir: str, build_dir: str) -> str:
        return f"go build {shlex.quote(os.path.relpath(src_dir, build_dir))}/*.go"


class BuildCommand(Command):
    """build programs from the sources in src

    Runs the command that setup() names as build_cmd, otherwise configure, make or go build, whichever fits what is in
    src; when none does there is nothing to build. It is a shell command, run in build/bin with PLAINBOX_SRC_DIR set to
    the relative path of src.

    The file src/EXECUTABLES may list the programs that come out, one name in each line; build fails when one does not.
    """

    name = "build"

    _BUILT_IN: ClassVar[tuple[type[BuildSystem], ...]] = (AutotoolsBuildSystem, MakeBuildSystem, GoBuildSystem)

    def invoked(self, ns: argparse.Namespace) -> int | None:
        source = self.tree.base_dir / "src"
        if self.tree.build_cmd is None and not source.is_dir():
            self.output.say("nothing to build: there is no folder src")
            return 0
        target = self.tree.base_dir / "build" / "bin"
        command = self.tree.build_cmd or self._guessed(source, target)
        if command is None:
            # No failure: the packages of all providers run this command.
            self.output.say(
                "nothing to build: src has neither a configure script nor a Makefile nor Go files\n"
                '  build_cmd="COMMAND" in the call of setup() builds it in another way'
            )
            return 0
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProviderError(f"cannot be made: {error.strerror}", origin=Origin(str(target))) from None
        self.output.say(f"in {target.relative_to(self.tree.base_dir)}: {command}")
        code = _run(command, source, target)
        if code:
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            raise ProviderError(
                f"the build failed ({how}): {command}",
                origin=Origin(str(source)),
                hint="its own messages are above; build_cmd in the call of setup() names another command",
            )
        for program in built_programs(self.tree):
            self.output.say(f"built {program.relative_to(self.tree.base_dir)}")
        return 0

    def _guessed(self, source: Path, target: Path) -> str | None:
        systems = [system() for system in (*self._BUILT_IN, *_added_systems())]
        best = max(systems, key=lambda system: system.probe(str(source)))
        return None if best.probe(str(source)) <= 0 else best.get_build_command(str(source), str(target))


def built_programs(tree: SourceTree) -> list[Path]:
    """Return what a build has made, sorted: the programs that src/EXECUTABLES names, otherwise all in build/bin.

    One that is named and was not made is a :class:`ProviderError`.
    """
    target = tree.base_dir / "build" / "bin"
    listing = tree.base_dir / "src" / "EXECUTABLES"
    if not listing.is_file():
        found = target.iterdir() if target.is_dir() else ()
        return sorted(path for path in found if path.is_file() and os.access(path, os.X_OK))
    programs = []
    for number, line in enumerate(listing.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        path = target / name
        if name != path.name or not path.is_file() or not os.access(path, os.X_OK):
            raise ProviderError(
                f"the build has not made the program {name!r}",
                origin=Origin(str(listing), number),
                hint="build it, or take it from the list",
            )
        programs.append(path)
    return sorted(programs)


def _added_systems() -> Iterator[type[BuildSystem]]:
    from importlib.metadata import entry_points

    for point in entry_points(group=_GROUP):
        try:
            yield point.load()
        except (ImportError, AttributeError) as error:
            raise ProviderError(f"the build system {point.name!r} cannot be loaded: {error}") from None


def _run(command: str, source: Path, target: Path) -> int:
    """Run a shell command whose output goes where ours does."""
    done = subprocess.run(  # noqa: S602 - the author's own command, which this command is there to run
        command,
        shell=True,
        cwd=target,
        env={**os.environ, "PLAINBOX_SRC_DIR": os.path.relpath(source, target)},
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode
