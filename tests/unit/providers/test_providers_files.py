# SPDX-License-Identifier: Apache-2.0
"""The files of a provider and their roles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from plainbox.providers import Provider
from plainbox.providers.definition import from_file, from_source_tree
from plainbox.providers.files import classify

MANAGE = 'from plainbox.provider_manager import setup\nsetup(name="org.example:demo", version="1.0")\n'
TREE = {
    "COPYING": "legal",
    "LICENSE.txt": "legal",
    "README.md": "docs",
    ".gitignore": "vcs",
    ".git/HEAD": None,
    "bin/__pycache__/tool.cpython-311.pyc": "build",
    "bin/data.json": "invalid",
    "bin/program": "binary",
    "bin/script": "script",
    "build/bin/made": "build",
    "build/mo/de/LC_MESSAGES/demo.mo": "build",
    "data/deep/picture": "data",
    "data/.gitignore": "vcs",
    "dist/demo-1.0.tar.gz": "build",
    "docs/guide.md": "docs",
    "jobs/a.txt": "unit-source",
    "jobs/b.txt.in": "unit-source",
    "jobs/c.swp": "invalid",
    "manage.py": "manage.py",
    "po/de.po": "i18n",
    "src/EXECUTABLES": "src",
    "src/README": "src",
    "tests/test_a.py": "unknown",
    "units/README.md": "docs",
    "units/a.pxu": "unit-source",
    "units/b.yaml": "unit-source",
    "units/deep/c.yml": "unit-source",
    "units/d.txt": "unit-source",
    "units/e.in": "invalid",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for relative in TREE:
        path = tmp_path / "tree" / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text({"manage.py": MANAGE, "bin/script": "#!/bin/sh\n"}.get(relative, ""))
        if relative in ("bin/script", "bin/program"):
            path.chmod(0o755)
    return tmp_path / "tree"


def roles(provider: Provider, base: Path) -> dict[str, str]:
    units = classify(provider)
    paths = [unit.path for unit in units]
    assert paths == sorted(paths)
    return {str(Path(unit.path).relative_to(base)): unit.role for unit in units}


def expected(tree: Mapping[str, str | None]) -> dict[str, str]:
    return {".git": "vcs", **{path: role for path, role in tree.items() if role is not None}}


def test_source_tree(tree: Path) -> None:
    """Every file of a source tree has a role; what a version control system keeps counts as one file."""
    assert roles(Provider(from_source_tree(tree)), tree) == expected(TREE)


def test_what_is_a_unit_source_is_read(tree: Path) -> None:
    """The files with units are those that loading the provider reads."""
    for relative, role in TREE.items():
        if relative.startswith(("units/", "jobs/")):
            name = relative.replace("/", "-")
            text = f"id: {name}\nplugin: shell\ncommand: true\n"
            (tree / relative).write_text(text if role == "unit-source" else "no unit")
    provider = Provider(from_source_tree(tree))
    read = {str(unit.origin and unit.origin.source) for unit in provider.unit_list}
    assert read == {unit.path for unit in classify(provider) if unit.role == "unit-source"}
    assert provider.problem_list == []


def test_base_is_the_folder_with_the_meaning(tree: Path) -> None:
    """A file's base is the folder whose files have this role."""
    units = {Path(unit.path).name: unit for unit in classify(Provider(from_source_tree(tree)))}
    assert units["c.yml"].base == str(tree / "units")
    assert units["made"].base == str(tree / "build")
    assert units["test_a.py"].base == str(tree)
    assert units["a.pxu"].provider is not None


def test_installed_in_one_directory(tree: Path) -> None:
    """The definition of an installed provider is not among its files."""
    (tree / "manage.py").unlink()
    definition = tree / "demo.provider"
    definition.write_text("[PlainBox Provider]\nname = org.example:demo\nversion = 1.0\nrelocatable = True\n")
    found = roles(Provider(from_file(definition)), tree)
    assert found == expected({path: role for path, role in TREE.items() if path != "manage.py"})


def test_installed_in_several_directories(tree: Path, tmp_path: Path) -> None:
    """Of a provider without a directory of its own only its folders are listed, not what lies beside its definition."""
    share = tmp_path / "share"
    share.mkdir()
    (share / "other.provider").write_text("")
    definition = share / "demo.provider"
    definition.write_text(
        "[PlainBox Provider]\nname = org.example:demo\nversion = 1.0\n"
        f"units_dir = {tree}/units\nlocale_dir = {tree}/build/mo\n"
    )
    assert roles(Provider(from_file(definition)), tree) == {
        "build/mo/de/LC_MESSAGES/demo.mo": "i18n",
        **{path: role for path, role in TREE.items() if path.startswith("units/") and role is not None},
    }


def test_links_are_not_followed(tree: Path, tmp_path: Path) -> None:
    """A link to a directory or to nowhere is one entry; nothing outside of the tree is listed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.pxu").write_text("")
    (tree / "units" / "link").symlink_to(outside)
    (tree / "data" / "link").symlink_to(outside)
    (tree / "units" / "gone.pxu").symlink_to(outside / "gone.pxu")
    (tree / "bin" / "gone").symlink_to("gone too")
    found = roles(Provider(from_source_tree(tree)), tree)
    added = {path: role for path, role in found.items() if path not in expected(TREE)}
    assert added == {"units/link": "invalid", "data/link": "data", "units/gone.pxu": "invalid", "bin/gone": "invalid"}
