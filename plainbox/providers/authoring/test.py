# SPDX-License-Identifier: Apache-2.0
"""``test``: has tools look at the programs of a provider, and runs its unit tests."""

from __future__ import annotations

import argparse
import enum
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from plainbox.providers.authoring.command import Command
from plainbox.providers.authoring.shellcheck import findings, inline_commands
from plainbox.providers.files import classify
from plainbox.streams import clean
from plainbox.units.file import FileRole

__all__ = ["TestCommand"]

_NO_TESTS = 5  # exit code of pytest, and of unittest from Python 3.12 on
_PYTHON = re.compile(rb"#!.*\bpython[0-9.]*\b")


class Verdict(enum.Enum):
    """``ABSENT``: the tool that should have looked is not installed."""

    PASSED = "passed"
    FAILED = "failed"
    ABSENT = "not done"


class TestCommand(Command):
    """check the programs and run the unit tests

    Checks the commands in units and the scripts bin/*.sh with shellcheck, the Python programs and tests with flake8, or
    with ruff where there is no flake8, and runs the unit tests in tests with pytest, or with unittest where there is no
    pytest. Without options it does all of this, as far as the tools are installed; a tool that is missing counts as a
    failure when its check is asked for.

    Ends with code 1 when anything is found.
    """

    __test__: ClassVar[bool] = False  # it is no test case, whatever pytest thinks of its name

    name = "test"

    def register_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("-i", "--inline", action="store_true", help="check the commands in units")
        parser.add_argument("-f", "--flake8", action="store_true", help="check the Python programs and tests")
        parser.add_argument("-s", "--shellcheck", action="store_true", help="check the scripts bin/*.sh")
        parser.add_argument("-u", "--unittest", action="store_true", help="run the unit tests in tests")
        parser.add_argument(
            "-k", dest="pattern", metavar="GLOB", help="only the unit tests whose names have this in them"
        )
        parser.add_argument("-v", "--verbose", action="store_true", help="name each unit test")

    def invoked(self, ns: argparse.Namespace) -> int | None:
        checks: Mapping[str, Callable[[argparse.Namespace], Verdict]] = {
            "inline": self._check_inline,
            "shellcheck": self._check_scripts,
            "flake8": self._check_python,
            "unittest": self._run_tests,
        }
        wanted = [name for name in checks if getattr(ns, name)]
        verdicts = {name: checks[name](ns) for name in wanted or checks}
        for name, verdict in verdicts.items():
            self.output.say(f"{name}: {verdict.value}")
        failures = {Verdict.FAILED, Verdict.ABSENT} if wanted else {Verdict.FAILED}
        return 1 if failures.intersection(verdicts.values()) else 0

    def _check_inline(self, ns: argparse.Namespace) -> Verdict:
        provider = self.tree.provider
        commands = list(inline_commands(provider.unit_list))
        for problem in provider.problem_list:
            self.output.warn(str(problem), problem.hint)
        if not commands:
            return Verdict.PASSED
        program = self._find("shellcheck")
        if program is None:
            return Verdict.ABSENT
        found = list(findings(program, commands, self.tree.base_dir / ".shellcheckrc"))
        for line in found:
            self.output.write(clean(line.removeprefix(f"{self.tree.base_dir}/")))
        return Verdict.FAILED if found else Verdict.PASSED

    def _check_scripts(self, ns: argparse.Namespace) -> Verdict:
        scripts = sorted(str(path.relative_to(self.tree.base_dir)) for path in self.tree.base_dir.glob("bin/*.sh"))
        if not scripts:
            return Verdict.PASSED
        program = self._find("shellcheck")
        return Verdict.ABSENT if program is None else _verdict(self._run([program, "--", *scripts]))

    def _check_python(self, ns: argparse.Namespace) -> Verdict:
        programs = list(self._python_files())
        if not programs:
            return Verdict.PASSED
        program = self._find("flake8", "ruff")
        if program is None:
            return Verdict.ABSENT
        options = [] if os.path.basename(program) == "flake8" else ["check", "--quiet", "--no-cache"]
        return _verdict(self._run([program, *options, "--", *programs]))

    def _python_files(self) -> Iterator[str]:
        for unit in classify(self.tree.provider):
            path = Path(unit.path)
            # Beside the programs: modules that they import, which need not be executable, and tests.
            if (unit.role == FileRole.SCRIPT and _is_python(path)) or (
                unit.role in (FileRole.INVALID, FileRole.UNKNOWN) and path.suffix == ".py"
            ):
                yield os.path.relpath(path, self.tree.base_dir)

    def _run_tests(self, ns: argparse.Namespace) -> Verdict:
        if not (self.tree.base_dir / "tests").is_dir():
            return Verdict.PASSED
        runner = _pytest if importlib.util.find_spec("pytest") is not None else _unittest
        path = [str(self.tree.base_dir / "bin"), *filter(None, [os.environ.get("PYTHONPATH")])]
        code = self._run(
            [sys.executable, "-m", *runner(ns.pattern, ns.verbose)],
            PYTHONPATH=os.pathsep.join(path),
            # What Python compiles in bin would be installed with the programs.
            PYTHONDONTWRITEBYTECODE="1",
        )
        if code == _NO_TESTS:
            # With a pattern somebody has expected a test.
            return Verdict.FAILED if ns.pattern else Verdict.PASSED
        return _verdict(code)

    def _run(self, command: Sequence[str], **variables: str) -> int:
        """Run a program whose output goes where ours does."""
        sys.stdout.flush()  # what was found before it comes before it
        done = subprocess.run(
            command,
            cwd=self.tree.base_dir,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode

    def _find(self, *names: str) -> str | None:
        """Return the path of the first of some programs that is installed, or tell that none is."""
        # Also beside Python: the programs of a virtual environment that is not active.
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), os.path.dirname(sys.executable)])
        program = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
        if program is None:
            self.output.warn(f"{names[0]} is not installed", f"on Debian: sudo apt-get install {names[0]}")
        return program


def _verdict(code: int) -> Verdict:
    return Verdict.FAILED if code else Verdict.PASSED


def _is_python(path: Path) -> bool:
    with open(path, "rb") as stream:
        return bool(_PYTHON.match(stream.readline(200)))


def _unittest(pattern: str | None, verbose: bool) -> list[str]:
    options = [*(["-k", pattern] if pattern else []), *(["-v"] if verbose else [])]
    return ["unittest", "discover", "-s", "tests", *options]


def _pytest(pattern: str | None, verbose: bool) -> list[str]:
    # It knows no globs, but names with several things in them.
    pieces = [piece for piece in re.split(r"[*?]+", pattern or "") if piece]
    options = ["-k", " and ".join(pieces)] if pieces else []
    return ["pytest", "-p", "no:cacheprovider", "-v" if verbose else "-q", *options, "tests"]
