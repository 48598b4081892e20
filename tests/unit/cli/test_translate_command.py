# SPDX-License-Identifier: Apache-2.0
"""``plainbox translate``: which files it writes, what it refuses, what it says."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

UNITS = "# Mine.\nid: a\nflags: simple\ncommand: true\n"
YAML = "# Mine.\nid: a\nflags:\n  - simple\ncommand: 'true'\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "units" / "jobs.pxu"
    path.parent.mkdir()
    path.write_text(UNITS)
    return path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_beside_its_source(run, file: Path) -> None:
    """The YAML file has the rights of the PXU file, which stays; that both are there now is told."""
    file.chmod(0o640)
    ran = run("translate", file)
    target = file.with_suffix(".yaml")
    assert ran.code == 0
    assert target.read_text() == YAML
    assert target.stat().st_mode & 0o777 == 0o640
    assert names(file.parent) == ["jobs.pxu", "jobs.yaml"]
    assert ran.out == ""
    assert ran.err.splitlines() == [
        f"{file} -> {target}: 1 unit",
        "The PXU files define the same units again: delete them when you are content (--remove does it).",
    ]


def test_the_source_goes_on_demand(run, file: Path) -> None:
    """--remove deletes what was translated."""
    assert run("translate", "--remove", file).code == 0
    assert names(file.parent) == ["jobs.yaml"]


def test_the_units_of_a_provider_stay_what_they_are(run, provider) -> None:
    """Listings before and after are the same but for the places."""
    directory = provider(
        "id: r\nplugin: resource\ncommand: echo\n\nunit: template\ntemplate-resource: r\nid: t-{x}\nplugin: shell\n"
        "command: echo {x}\n\nunit: test plan\nid: p\n_name: P\nbootstrap_include: r\ninclude:\n"
        " t-.* certification-status=blocker # why\n"
    )
    before = run("expand", "p", "--provider", directory, "--json").json
    assert run("translate", "--remove", directory).code == 0
    assert run("expand", "p", "--provider", directory, "--json").json == before


def test_a_directory_means_the_files_below_it(run, file: Path) -> None:
    """Only .pxu files count; a file that is named twice is translated once."""
    deep = file.parent / "deep" / "more.pxu"
    deep.parent.mkdir()
    deep.write_text("id: b\n")
    (file.parent / "notes.txt").write_text("no unit\n")
    ran = run("translate", file.parent, file)
    assert ran.code == 0
    assert ran.err.count("->") == 2
    assert names(deep.parent) == ["more.pxu", "more.yaml"]


def test_nothing_is_overwritten_unasked(run, file: Path) -> None:
    """A YAML file that is there stays as it is without --force."""
    target = file.with_suffix(".yaml")
    target.write_text("id: other\n")
    ran = run("translate", "--remove", file)
    assert ran.code == 2
    assert f"'{target}' is there already" in ran.err
    assert "--force" in ran.err
    assert target.read_text() == "id: other\n"
    assert file.exists()
    assert run("translate", "--force", file).code == 0
    assert target.read_text() == YAML


def test_two_sources_of_one_target(run, file: Path) -> None:
    """What this run has written is not overwritten, whatever was asked."""
    other = file.with_suffix(".txt")
    other.write_text("id: b\n")
    ran = run("translate", "--force", "--remove", file, other)
    assert ran.code == 2
    assert names(file.parent) == ["jobs.txt", "jobs.yaml"]
    assert file.with_suffix(".yaml").read_text() == YAML


def test_to_look_at(run, file: Path) -> None:
    """--stdout prints one stream of documents and writes nothing."""
    (file.parent / "more.pxu").write_text("id: b\n")
    ran = run("translate", "--stdout", file.parent)
    assert (ran.code, ran.out, ran.err) == (0, f"{YAML}---\nid: b\n", "")
    assert names(file.parent) == ["jobs.pxu", "more.pxu"]


def test_only_a_check(run, file: Path) -> None:
    """--check tells whether a file can be translated and writes nothing."""
    ran = run("translate", "--check", file)
    assert (ran.code, ran.out, ran.err) == (0, "", f"{file}: can be translated, 1 unit\n")
    assert names(file.parent) == ["jobs.pxu"]


def test_a_bad_file_is_refused_and_the_others_are_translated(run, file: Path) -> None:
    """The place of the error is told, nothing of the bad file is written or deleted."""
    bad = file.parent / "bad.pxu"
    bad.write_text("id: a\nnonsense\n")
    ran = run("translate", "--remove", file.parent)
    assert ran.code == 2
    assert f"plainbox: {bad}:2: not translated: neither a field" in ran.err
    assert names(file.parent) == ["bad.pxu", "jobs.yaml"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.pxu", "nowhere.pxu: not translated: cannot be read"),
        ("x.yaml", "is YAML already"),
        ("empty", "there is no .pxu file below"),
    ],
)
def test_names_that_mean_nothing(run, file: Path, name: str, message: str) -> None:
    """Wrong names are told, in good time."""
    (file.parent / "empty").mkdir()
    (file.parent / "x.yaml").write_text("id: x\n")
    ran = run("translate", file.parent / name, file)
    assert ran.code == 2
    assert message in ran.err


def test_trouble_with_the_disk(run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails leaves the source and no half of a file."""

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    ran = run("translate", "--remove", file)
    assert ran.code == 4
    assert "No space left on device" in ran.err
    assert names(file.parent) == ["jobs.pxu"]
