# SPDX-License-Identifier: Apache-2.0
"""``test``: tools look at the programs of a provider, and its own tests run."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from workshop_rig import Workshop

from plainbox.providers.authoring import test as command_module

UNITS = """\
id: good
plugin: shell
command: test -e "$HOME"

id: bad
plugin: shell
command:
 test -d "$HOME" || exit 1
 rm $1

unit: template
template-resource: r
id: template-{x}
plugin: shell
command: ls {x} "$1"; cat $2

id: other-shell
plugin: shell
shell: python3
command: print($1)

id: silenced
plugin: shell
command:
 # shellcheck disable=SC2086
 rm $1
"""
HAS_SHELLCHECK = shutil.which("shellcheck") is not None
TESTS = """\
import unittest
import module_in_bin

class TestIt(unittest.TestCase):
    def test_first(self):
        self.assertEqual(module_in_bin.VALUE, 3)

    def test_second(self):
        self.fail("on purpose")
"""


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    workshop = Workshop(tmp_path / "tree")
    workshop.manage()
    return workshop


@pytest.fixture
def no_tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No tool is installed, neither in PATH nor beside Python."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))


def install(monkeypatch: pytest.MonkeyPatch, directory: Path, name: str, script: str) -> None:
    Workshop(directory).file(name, f"#!/bin/sh\n{script}\n", 0o755)
    monkeypatch.setenv("PATH", str(directory), prepend=os.pathsep)


def test_nothing_to_test(workshop: Workshop) -> None:
    """A provider without programs and tests passes."""
    assert workshop.run("test") == 0
    assert workshop.said == ["inline: passed", "shellcheck: passed", "flake8: passed", "unittest: passed"]


def test_inline(workshop: Workshop) -> None:
    """What shellcheck finds in the commands of jobs and templates is told with the lines of the unit file."""
    workshop.file("units/a.pxu", UNITS)
    code = workshop.run("test", "--inline")
    assert code == 1
    if HAS_SHELLCHECK:
        assert [line.rpartition(" ")[0].split(" ")[:3] for line in workshop.written] == [
            ["units/a.pxu:9:", "org.example::bad:", "SC2086"],
            ["units/a.pxu:15:", "org.example::template-x:", "SC2086"],
        ]
        assert workshop.said == ["inline: failed"]
    else:
        assert workshop.said == ["inline: not done"]
        assert "shellcheck is not installed" in workshop.warned[0]


def test_inline_rules_of_the_tree(workshop: Workshop) -> None:
    """A .shellcheckrc of the provider holds for the commands in its units."""
    workshop.file("units/a.pxu", UNITS)
    workshop.file(".shellcheckrc", "disable=SC2086\n")
    assert workshop.run("test", "--inline") == (0 if HAS_SHELLCHECK else 1)


def test_scripts(workshop: Workshop, capfd: pytest.CaptureFixture[str]) -> None:
    """The scripts in bin whose names end with .sh are checked."""
    workshop.file("bin/good.sh", '#!/bin/sh\nls "$1"\n', 0o755)
    assert workshop.run("test", "-s") == (0 if HAS_SHELLCHECK else 1)
    workshop.file("bin/bad.sh", "#!/bin/sh\nls $1\n", 0o755)
    assert workshop.run("test", "-s") == 1
    assert not HAS_SHELLCHECK or "bin/bad.sh" in capfd.readouterr().out


def test_python(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Python programs, the modules beside them and tests are given to flake8."""
    install(monkeypatch, tmp_path / "tools", "flake8", f'echo "$@" > {tmp_path}/given; exit 1')
    workshop.file("bin/program", "#!/usr/bin/env python3\n", 0o755)
    workshop.file("bin/script.sh", "#!/bin/sh\n", 0o755)
    workshop.file("bin/module.py", "")
    workshop.file("tests/test_a.py", "")
    workshop.file("data/example.py", "")
    assert workshop.run("test", "-f") == 1
    assert (tmp_path / "given").read_text() == "-- bin/module.py bin/program tests/test_a.py\n"
    assert workshop.said == ["flake8: failed"]


def test_ruff_in_place_of_flake8(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_tools: None
) -> None:
    """Where there is no flake8, ruff looks."""
    install(monkeypatch, tmp_path / "tools", "ruff", f'echo "$@" > {tmp_path}/given')
    workshop.file("bin/module.py", "")
    assert workshop.run("test", "-f") == 0
    assert (tmp_path / "given").read_text().startswith("check ")
    assert (tmp_path / "given").read_text().endswith("-- bin/module.py\n")


def test_tools_beside_python(workshop: Workshop, tmp_path: Path, no_tools: None) -> None:
    """The programs of a virtual environment count also where it is not active."""
    Workshop(tmp_path).file("flake8", f'#!/bin/sh\necho "$@" > {tmp_path}/given\n', 0o755)
    workshop.file("bin/module.py", "")
    assert workshop.run("test", "-f") == 0
    assert (tmp_path / "given").read_text() == "-- bin/module.py\n"


def test_missing_tool(workshop: Workshop, no_tools: None) -> None:
    """A tool that is missing is told; it is a failure for whoever has asked for its check."""
    workshop.file("units/a.pxu", UNITS)
    workshop.file("bin/a.sh", "")
    workshop.file("bin/a.py", "")
    assert workshop.run("test") == 0
    assert workshop.said == ["inline: not done", "shellcheck: not done", "flake8: not done", "unittest: passed"]
    assert [text.partition(" ")[0] for text in workshop.warned] == ["shellcheck", "shellcheck", "flake8"]
    for option in ("--inline", "--shellcheck", "--flake8"):
        assert workshop.run("test", option) == 1


@pytest.mark.parametrize("has_pytest", [True, False])
def test_unit_tests(
    has_pytest: bool, workshop: Workshop, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The tests see the modules in bin; one that fails fails the command, a pattern chooses among them."""
    if not has_pytest:
        monkeypatch.setattr(command_module.importlib.util, "find_spec", lambda name: None)
    workshop.file("bin/module_in_bin.py", "VALUE = 3\n")
    workshop.file("tests/test_it.py", TESTS)
    before = sorted(workshop.directory.rglob("*"))
    assert workshop.run("test", "-u") == 1
    assert "on purpose" in "".join(capfd.readouterr())
    assert workshop.run("test", "-u", "-v", "-k", "*it*first") == 0
    assert "test_first" in "".join(capfd.readouterr())
    assert sorted(workshop.directory.rglob("*")) == before


def test_pattern_that_fits_nothing(workshop: Workshop) -> None:
    """No test at all is well, unless a pattern says that one was expected."""
    workshop.file("tests/test_it.py", "")
    assert workshop.run("test", "-u") == 0
    assert workshop.run("test", "-u", "-k", "frist") == 1


def test_unit_files_with_mistakes(workshop: Workshop) -> None:
    """What cannot be read of the units is told."""
    workshop.file("units/a.pxu", "no unit\n")
    assert workshop.run("test", "--inline") == 0
    assert "a.pxu:1" in workshop.warned[0]
