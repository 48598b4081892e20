# SPDX-License-Identifier: Apache-2.0
"""``validate``: what counts, and what the exit code says of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from authoring_rig import MANAGE, UNITS, invoke, write_tree

from plainbox.providers.authoring.develop import DevelopCommand
from plainbox.providers.authoring.validate import ValidateCommand

WARNING = (
    "\nid: w\nplugin: manual\n_summary: W\n_purpose: P\n_steps: S\n_verification: V\n"
    "command: true\nestimated_duration: 1\n"
)
#: A warning, but about what Checkbox never looked for.
NEW_WARNING = "\nid: w\nflags: simple nonsense\n_summary: W\ncommand: true\nestimated_duration: 1\n"
ADVICE = "\nid: a\nflags: simple\ncommand: true\nestimated_duration: 1\n"
DEPRECATED = "\nid: d\nname: old\nflags: simple\n_summary: D\ncommand: true\nestimated_duration: 1\n"
ERROR = "\nid: e\nplugin: nonsense\n_summary: E\ncommand: true\nestimated_duration: 1\n"


@pytest.mark.parametrize(
    ("units", "words", "code"),
    [
        (UNITS, "", 0),
        (UNITS + ADVICE, "--strict", 0),
        (UNITS + WARNING, "", 1),
        (UNITS + WARNING, "--strict", 1),
        (UNITS + NEW_WARNING, "--strict", 0),
        (UNITS + WARNING, "--loose", 0),
        (UNITS + ERROR, "", 1),
        (UNITS + ERROR, "-l", 1),
        (UNITS + ERROR, "-l -L", 1),
        ("no field\n\n" + UNITS, "-l", 1),
    ],
)
def test_exit_code(tmp_path: Path, units: str, words: str, code: int) -> None:
    """An error fails, a warning does unless --loose is given; advice never does, nor what only Plainbox looks for."""
    assert invoke(ValidateCommand, write_tree(tmp_path, units=units), *words.split())[0] == code


def test_findings(tmp_path: Path) -> None:
    """Each finding is a line with a path relative to the provider; their number is told."""
    _, said = invoke(ValidateCommand, write_tree(tmp_path, units=UNITS + ERROR + WARNING))
    assert [line.partition(" ")[0] for line in said.data] == ["units/units.pxu:13:", "units/units.pxu:24:"]
    assert said.talk == ["org.example:camera: 1 error, 1 warning"]


def test_deprecated(tmp_path: Path) -> None:
    """What is deprecated is told, unless --legacy or setup() says that it is not wanted."""
    directory = write_tree(tmp_path, units=UNITS + DEPRECATED)
    assert len(invoke(ValidateCommand, directory)[1].data) == 1
    assert invoke(ValidateCommand, directory, "--legacy")[1].data == []
    (directory / "manage.py").write_text(MANAGE.replace("version=", "deprecated=False, version="))
    assert invoke(ValidateCommand, directory)[1].data == []
    assert len(invoke(ValidateCommand, directory, "--deprecated")[1].data) == 1


def test_what_setup_says_about_warnings(tmp_path: Path) -> None:
    """strict=False lets warnings pass, and --strict does not."""
    directory = write_tree(tmp_path, units=UNITS + WARNING, manage=MANAGE.replace("version=", "strict=False, version="))
    assert invoke(ValidateCommand, directory)[0] == 0
    assert invoke(ValidateCommand, directory, "--strict")[0] == 1


def test_other_providers_count(tmp_path: Path) -> None:
    """What units of an installed provider refer to is known."""
    other = "\nid: o\nflags: simple\n_summary: O\ncommand: true\ndepends: org.other::check\nestimated_duration: 1\n"
    directory = write_tree(tmp_path / "a", units=UNITS + other)
    assert invoke(ValidateCommand, directory)[0] == 1
    neighbour = write_tree(tmp_path / "b", manage=MANAGE.replace("org.example", "org.other"))
    assert invoke(DevelopCommand, neighbour)[0] == 0
    assert invoke(ValidateCommand, directory)[0] == 0


def test_an_installed_copy_does_not_count(tmp_path: Path) -> None:
    """The tree is checked as it is here, also when another one of its name is installed."""
    write_tree(tmp_path / "old", units=UNITS + ERROR)
    invoke(DevelopCommand, tmp_path / "old")
    code, said = invoke(ValidateCommand, write_tree(tmp_path / "new"))
    assert (code, said.data) == (0, [])


def test_json(tmp_path: Path) -> None:
    """One document with every finding and their numbers."""
    code, said = invoke(ValidateCommand, write_tree(tmp_path, units=UNITS + WARNING), "--json")
    document = json.loads("\n".join(said.data))
    assert code == 1
    assert document["schema"] == "plainbox.lint/1"
    assert document["counts"] == {"error": 0, "warning": 1, "advice": 0, "silenced": 0}
    [issue] = document["issues"]
    assert (issue["path"], issue["line"], issue["unit"]) == ("units/units.pxu", 18, "org.example::w")
