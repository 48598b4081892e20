# SPDX-License-Identifier: Apache-2.0
"""Making a provider from nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from authoring_rig import invoke

from plainbox.errors import UsageError
from plainbox.providers.authoring import new
from plainbox.providers.authoring.command import SourceTree
from plainbox.providers.authoring.new import create, full_name
from plainbox.providers.authoring.validate import ValidateCommand


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("demo", "local.demo:demo"),
        ("org.example:demo", "org.example:demo"),
        ("2013.com.example:demo-2", "2013.com.example:demo-2"),
    ],
)
def test_names(name: str, full: str) -> None:
    """A simple name gets a namespace, a full one is kept."""
    assert full_name(name) == full


@pytest.mark.parametrize("name", ["", "Demo", "1demo", "a b", "org.example", "a:b", "../x", "org.example:", "é", '"'])
def test_no_names(name: str) -> None:
    """What cannot be the name of a provider is refused before anything is written."""
    with pytest.raises(UsageError, match="is not a provider name"):
        full_name(name)


@pytest.mark.parametrize("pxu", [False, True])
@pytest.mark.parametrize("name", ["demo", "org.example:camera"])
def test_a_new_provider_is_without_fault(tmp_path: Path, name: str, pxu: bool) -> None:
    """Nothing is found in it, not even advice, in either syntax; it has one plan."""
    create(tmp_path / "new", name, pxu=pxu)
    code, said = invoke(ValidateCommand, tmp_path / "new", "--strict", "--deprecated")
    assert (code, said.data) == (0, [])
    tree = SourceTree.read(tmp_path / "new")
    kinds = [unit.kind for unit in tree.provider.unit_list]
    assert kinds.count("test plan") == 1
    assert {"job", "template", "manifest entry", "category"} <= set(kinds)
    assert [path.name for path in tree.provider.executable_list] == [f"{name.rpartition(':')[2]}-free-space"]
    assert {path.suffix for path in (tmp_path / "new" / "units").iterdir()} == {".pxu" if pxu else ".yaml"}


def test_both_syntaxes_say_the_same(tmp_path: Path) -> None:
    """The examples in PXU and in YAML are equal units."""
    create(tmp_path / "a", "demo")
    create(tmp_path / "b", "demo", pxu=True)
    yaml, pxu = (SourceTree.read(tmp_path / name).provider.unit_list for name in "ab")
    assert [(unit.kind, unit.id) for unit in yaml] == [(unit.kind, unit.id) for unit in pxu]


def test_editors_find_the_schema(tmp_path: Path) -> None:
    """The first line of each YAML file leads to the schema that lies in the provider."""
    create(tmp_path / "new", "demo")
    for path in (tmp_path / "new" / "units").iterdir():
        key, _, target = path.read_text().partition("\n")[0].partition("$schema=")
        assert key == "# yaml-language-server: "
        assert "$schema" in json.loads((path.parent / target).read_text())


def test_what_is_listed_for_translation_is_there(tmp_path: Path) -> None:
    """Every path of POTFILES.in is that of a file."""
    create(tmp_path / "new", "demo")
    lines = (tmp_path / "new" / "po" / "POTFILES.in").read_text().splitlines()
    paths = [line.rpartition(" ")[2] for line in lines[1:]]
    assert len(paths) == 5
    assert all((tmp_path / "new" / path).is_file() for path in paths)


def test_an_empty_provider(tmp_path: Path) -> None:
    """It has a manage.py and directories, and no units."""
    create(tmp_path / "new", "demo", empty=True)
    assert SourceTree.read(tmp_path / "new").provider.unit_list == []
    assert {"units", "bin", "data", "po", "tests"} <= {path.name for path in (tmp_path / "new").iterdir()}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A file, a directory that holds something and a dangling link are all left as they are."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "full", "link"):
        with pytest.raises(UsageError, match="is there already"):
            create(tmp_path / name, "demo")
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("existed", [False, True])
def test_a_failure_leaves_nothing_behind(tmp_path: Path, existed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a file cannot be written, what was written before is removed; an empty directory stays one."""
    if existed:
        (tmp_path / "new").mkdir()
    monkeypatch.setattr(new, "UNITS", {**new.UNITS, "units/no/such/folder.pxu": "id: x\n"})
    with pytest.raises(OSError):
        create(tmp_path / "new", "demo")
    assert list(tmp_path.glob("new/*")) == []
    assert (tmp_path / "new").exists() == existed
