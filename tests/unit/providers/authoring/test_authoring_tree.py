# SPDX-License-Identifier: Apache-2.0
"""The source tree, and what commands share."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from authoring_rig import MANAGE, UNITS, Said, write_tree

from plainbox.errors import ProviderError
from plainbox.providers.authoring.command import Command, SourceTree
from plainbox.providers.authoring.commands import COMMANDS, load

DEPRECATED = UNITS.replace("id: check\n", "name: check\n")


def test_a_manage_py_is_read_and_not_run(tmp_path: Path) -> None:
    """What stands literally in setup() counts, and nothing of the file happens."""
    literal = "build_cmd='make x', clean_cmd='rm x', strict=False, deprecated=False)"
    write_tree(tmp_path, manage=f"open('ran', 'w')\n{MANAGE.rstrip().removesuffix(')')}    {literal}\n")
    tree = SourceTree.read(tmp_path)
    assert (tree.name, tree.namespace, tree.version) == ("org.example:camera", "org.example", "1.2")
    assert (tree.description, tree.gettext_domain) == ("Checks of the camera", "org_example_camera")
    assert (tree.build_cmd, tree.clean_cmd, tree.strict, tree.deprecated) == ("make x", "rm x", False, False)
    assert tree.file_name == "org.example.camera"
    assert [unit.id for unit in tree.provider.unit_list] == ["org.example::check", "org.example::all"]
    assert not (tmp_path / "ran").exists()
    assert not Path("ran").exists()


def test_what_is_no_literal_is_not_known(tmp_path: Path) -> None:
    """A command that is calculated counts as none; the switches have their usual values; each is named."""
    write_tree(tmp_path, manage=MANAGE.replace("version=", "build_cmd=f(), clean_cmd=None, strict=g, version="))
    tree = SourceTree.read(tmp_path)
    assert (tree.build_cmd, tree.clean_cmd, tree.strict, tree.deprecated) == (None, None, True, True)
    assert tree.calculated == ("build_cmd", "strict")


def test_constants_are_known(tmp_path: Path) -> None:
    """Commands and switches are known by the same rule as the definition."""
    constants = "BUILD = 'make x'\nLOOSE = False\n"
    more = "build_cmd=BUILD, clean_cmd='rm x', strict=LOOSE, deprecated=LOOSE, version="
    tree = SourceTree.read(write_tree(tmp_path, manage=constants + MANAGE.replace("version=", more)))
    assert (tree.build_cmd, tree.clean_cmd, tree.strict, tree.deprecated) == ("make x", "rm x", False, False)
    assert tree.calculated == ()


@pytest.mark.parametrize(
    ("word", "value"), [("0", False), ("1", True), ("False", False), ("True", True), ("None", True)]
)
def test_switches(tmp_path: Path, word: str, value: bool) -> None:
    """0 and 1 are truth values, as they are when the file is run."""
    manage = MANAGE.replace("version=", f"strict={word}, deprecated={word}, version=")
    tree = SourceTree.read(write_tree(tmp_path, manage=manage))
    assert (tree.strict, tree.deprecated) == (value, value)
    validate = [sys.executable, write_tree(tmp_path, units=DEPRECATED, manage=manage) / "manage.py", "validate"]
    done = subprocess.run(validate, capture_output=True, text=True, check=False)
    assert ("PB" in done.stdout + done.stderr) == value


@pytest.mark.parametrize("word", ["'no'", "2", "0.0", "''"])
@pytest.mark.parametrize("keyword", ["strict", "deprecated"])
def test_what_is_no_switch(tmp_path: Path, keyword: str, word: str) -> None:
    """Anything else is one error, whether the file is read or run."""
    directory = write_tree(tmp_path, manage=MANAGE.replace("version=", f"{keyword}={word}, version="))
    with pytest.raises(ProviderError, match=rf"setup\(\): {keyword} is no True or False") as caught:
        SourceTree.read(directory)
    run = [sys.executable, directory / "manage.py", "info"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"manage.py:4: {caught.value.message}\n  {caught.value.hint}" in done.stderr


def test_extensions_are_named(tmp_path: Path) -> None:
    """Classes that a manage.py puts in the place of commands are known by name, however the decorator is imported."""
    classes = "@manage_py_extension\nclass A: pass\n@p.manage_py_extension\nclass B: pass\nclass C: pass\n"
    assert SourceTree.read(write_tree(tmp_path, manage=classes + MANAGE)).extensions == ("A", "B")


def test_a_definition_without_a_manage_py(tmp_path: Path) -> None:
    """A provider that has only a .provider file is a source tree too."""
    (tmp_path / "x.provider").write_text("[PlainBox Provider]\nname = a.b:c\nversion = 1\nrelocatable = True\n")
    assert SourceTree.read(tmp_path).name == "a.b:c"


def test_no_provider(tmp_path: Path) -> None:
    """A directory without a provider, or with several, is an error that says what to do."""
    with pytest.raises(ProviderError, match="no provider in it") as caught:
        SourceTree.read(tmp_path)
    assert "--provider" in (caught.value.hint or "")
    (tmp_path / "x.provider").touch()
    (tmp_path / "y.provider").touch()
    with pytest.raises(ProviderError, match="several providers"):
        SourceTree.read(tmp_path)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_declares_itself(name: str) -> None:
    """Before a tree is read each command tells its name, a line of help and its options."""
    subparsers = argparse.ArgumentParser().add_subparsers()
    command = load(name)
    command(SourceTree.unread(), Said()).register_parser(subparsers)
    assert list(subparsers.choices) == [name]
    summary, _ = command.help_text()
    assert summary
    assert len(summary) <= 80
    assert "\n" not in summary


def test_the_name_of_a_class_is_that_of_its_command() -> None:
    """A command without a name of its own is named by its class; its docstring may have the mark of old programs."""

    class ReportCommand(Command):
        """make a report.

        All of it.

        @EPILOG@

        And this.
        """

    assert ReportCommand.command_name() == "report"
    summary, text = ReportCommand.help_text()
    assert summary == "make a report"
    assert text.split() == ["All", "of", "it.", "And", "this."]
