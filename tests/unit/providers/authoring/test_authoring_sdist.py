# SPDX-License-Identifier: Apache-2.0
"""``sdist``: what is in the tarball, and that equal sources give equal tarballs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from authoring_rig import invoke, write_tree

from plainbox.errors import ProviderError, UsageError
from plainbox.providers.authoring.command import SourceTree
from plainbox.providers.authoring.sdist import SourceDistributionCommand

TOP = "org.example.camera-1.2"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_tree(
        tmp_path / "camera",
        **{
            "README.rst": "read",
            "LICENSE": "licence",
            "lint.conf": "",
            "unit.schema.json": "{}",
            ".vscode/settings.json": "{}",
            "src/Makefile": "",
            "po/POTFILES.in": "",
            "tests/test_x.py": "",
            "tests/__pycache__/x.pyc": "",
            "build/bin/x": "",
            "notes.txt": "private",
        },
    )


def packed(directory: Path) -> Path:
    code, said = invoke(SourceDistributionCommand, directory)
    assert (code, said.data) == (0, [str(directory / "dist" / f"{TOP}.tar.gz")])
    return Path(said.data[0])


def test_contents(directory: Path) -> None:
    """The sources are in it, below one directory; what was built, caches and other files are not."""
    with tarfile.open(packed(directory)) as archive:
        members = {member.name.removeprefix(f"{TOP}/"): member for member in archive}
    files = {name for name, member in members.items() if member.isfile()}
    assert files == {
        "manage.py",
        "README.rst",
        "LICENSE",
        "lint.conf",
        "unit.schema.json",
        "bin/camera-check",
        "po/POTFILES.in",
        "src/Makefile",
        "tests/test_x.py",
        "units/units.pxu",
    }
    assert members["bin/camera-check"].mode == 0o755
    assert members["units/units.pxu"].mode == 0o644
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members.values()} == {(0, 0, "", "")}


def test_an_unpacked_tarball_is_a_provider(directory: Path, tmp_path: Path) -> None:
    """The tarball holds all that the provider needs, and packing it again gives the same tarball."""
    first = packed(directory)
    with tarfile.open(first) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    tree = SourceTree.read(tmp_path / "out" / TOP)
    assert len(tree.provider.unit_list) == 2
    assert packed(tree.base_dir).read_bytes() == first.read_bytes()


def test_equal_sources_give_equal_bytes(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the dates and rights of files nor their order on the disk make a difference, given a date."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    first = packed(directory).read_bytes()
    shutil.copytree(directory, tmp_path / "copy", ignore=shutil.ignore_patterns("dist"))
    for path in (tmp_path / "copy").rglob("*"):
        path.chmod(path.stat().st_mode & ~0o022)
        os.utime(path, (5, 5))
    second = packed(tmp_path / "copy")
    assert second.read_bytes() == first
    with tarfile.open(second) as archive:
        assert {member.mtime for member in archive} == {1000000000}


@pytest.mark.parametrize("date", ["yesterday", "", "-1", "1.5", "1_000", "4294967296", "9" * 5000, "\u0661"])
def test_a_bad_date(directory: Path, monkeypatch: pytest.MonkeyPatch, date: str) -> None:
    """A SOURCE_DATE_EPOCH that is no number, or that no archive can hold, is an error, and nothing is written."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", date)
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        invoke(SourceDistributionCommand, directory)
    assert not (directory / "dist").exists()


def test_the_last_date(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole range of dates is used, and a file with a date beyond it gets the nearest one."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "4294967295")
    first = packed(directory).read_bytes()
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    os.utime(directory / "LICENSE", (2**32 + 5, 2**32 + 5))
    assert packed(directory).read_bytes() == first


def test_links(directory: Path) -> None:
    """A link within the provider stays a link; one that leads out of it is refused, and no half tarball stays."""
    (directory / "data").mkdir()
    (directory / "data" / "link").symlink_to("../README.rst")
    with tarfile.open(packed(directory)) as archive:
        assert archive.getmember(f"{TOP}/data/link").linkname == "../README.rst"
    (directory / "data" / "out").symlink_to("/etc/passwd")
    shutil.rmtree(directory / "dist")
    with pytest.raises(ProviderError, match="not in the provider"):
        invoke(SourceDistributionCommand, directory)
    assert not (directory / "dist").exists()


def test_two_names_of_one_file(directory: Path) -> None:
    """Hard links are packed as two files."""
    os.link(directory / "LICENSE", directory / "COPYING")
    with tarfile.open(packed(directory)) as archive:
        assert all(archive.getmember(f"{TOP}/{name}").isreg() for name in ("LICENSE", "COPYING"))


def test_more_items(directory: Path) -> None:
    """A class that extends the command packs what it adds to the list."""

    class Extended(SourceDistributionCommand):
        _INCLUDED_ITEMS = [*SourceDistributionCommand._INCLUDED_ITEMS, "notes.txt", "LICENSE"]

    invoke(Extended, directory)
    with tarfile.open(directory / "dist" / f"{TOP}.tar.gz") as archive:
        names = archive.getnames()
    assert f"{TOP}/notes.txt" in names
    assert len(names) == len(set(names))


def test_signing_needs_gpg(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without gpg a signature is refused before anything is written, and a tarball without one is not."""
    monkeypatch.setenv("PATH", str(directory / "bin"))
    with pytest.raises(UsageError, match="no gpg"):
        invoke(SourceDistributionCommand, directory, "--sign")
    assert not (directory / "dist").exists()
    assert packed(directory).is_file()


def test_signing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gpg is told what to sign and where to; when it fails the tarball stays."""
    programs = directory.parent / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    gpg = programs / "gpg"
    gpg.write_text("#!/bin/sh\nwhile [ $# -gt 1 ]; do [ $1 = --output ] && out=$2; shift; done\necho $1 > $out\n")
    gpg.chmod(0o755)
    code, said = invoke(SourceDistributionCommand, directory, "--sign")
    tarball = str(directory / "dist" / f"{TOP}.tar.gz")
    assert (code, said.data) == (0, [tarball, f"{tarball}.asc"])
    assert Path(f"{tarball}.asc").read_text() == f"{tarball}\n"
    gpg.write_text("#!/bin/sh\nexit 2\n")
    with pytest.raises(ProviderError, match="gpg failed with exit code 2"):
        invoke(SourceDistributionCommand, directory, "--sign")
    assert subprocess.run(["tar", "-tzf", tarball], capture_output=True, check=False).returncode == 0
