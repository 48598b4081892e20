# SPDX-License-Identifier: Apache-2.0
"""A walk through whatever jobs have made of a directory, and its removal."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hostile_rig import DEPTH, nested

from plainbox.session.directory import disk_bytes, remove_tree
from plainbox.session.walk import give_back_rights, open_directory, remove_everything, walk


def steps(top: Path, **options) -> list[tuple[str, int, bool, bool]]:
    directory = open_directory(top)
    try:
        return [tuple(step[1:]) for step in walk(directory, **options)]
    finally:
        os.close(directory)


def test_order(tmp_path: Path) -> None:
    """Each directory comes in the order of its names, before what is in it and after that; a link is not followed."""
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "c" / "file").touch()
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "z").touch()
    assert steps(tmp_path) == [
        ("a", 0, False, False),
        ("b", 0, True, False),
        ("c", 1, True, False),
        ("file", 2, False, False),
        ("c", 1, True, True),
        ("b", 0, True, True),
        ("z", 0, False, False),
    ]


def test_any_depth(tmp_path: Path) -> None:
    """Directories that are nested very deeply are walked through with a handful of descriptors, and removed."""
    with nested(tmp_path / "top"):
        directory = open_directory(tmp_path / "top")
        before = len(os.listdir("/proc/self/fd"))
        deepest = most = 0
        for step in walk(directory):
            deepest = max(deepest, step.depth)
            if step.depth % 100 == 0:
                most = max(most, len(os.listdir("/proc/self/fd")))
        os.close(directory)
        assert deepest == DEPTH
        assert most <= before + 2
        assert disk_bytes(str(tmp_path / "top")) >= disk_bytes(str(tmp_path / "top" / "d"))
        assert remove_everything(tmp_path / "top") is None
        assert os.listdir(tmp_path) == []


def test_a_directory_that_is_moved_away(tmp_path: Path) -> None:
    """The way back would lead elsewhere, so the walk ends; nothing that lies there is met."""
    (tmp_path / "top" / "a" / "b").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").touch()
    directory = open_directory(tmp_path / "top")
    way = walk(directory)
    assert [next(way).name, next(way).name] == ["a", "b"]
    os.rename(tmp_path / "top" / "a", tmp_path / "elsewhere" / "a")
    assert next(way).done
    with pytest.raises(OSError, match="moved away") as moved:
        next(way)
    os.close(directory)
    assert moved.value.errno == errno.ESTALE


def test_a_directory_that_cannot_be_listed(tmp_path: Path) -> None:
    """It is told by its name, or passed over on request, and the rest is met all the same."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").touch()
    directory = open_directory(tmp_path)
    refused = []
    met = []
    for step in walk(directory, refused=lambda name, error: refused.append((name, error.errno))):
        met.append((step.name, step.done))
        if step.is_directory and not step.done:
            os.rmdir(tmp_path / "a")
    assert refused == [("a", errno.ENOENT)]
    assert met == [("a", False), ("a", True), ("b", False)]
    (tmp_path / "a").mkdir()
    way = walk(directory)
    assert next(way).name == "a"
    os.rmdir(tmp_path / "a")
    with pytest.raises(FileNotFoundError) as missing:
        next(way)
    assert missing.value.filename == "a"
    os.close(directory)


def test_rights(tmp_path: Path) -> None:
    """The owner gets a directory back that nobody may enter, and never one that a link leads to."""
    (tmp_path / "shut").mkdir(mode=0)
    (tmp_path / "link").symlink_to("shut")
    with pytest.raises(NotADirectoryError):
        give_back_rights(tmp_path / "link")
    assert (tmp_path / "shut").stat().st_mode & 0o777 == 0
    give_back_rights(tmp_path / "shut")
    assert (tmp_path / "shut").stat().st_mode & 0o777 == 0o700


def test_removal_keeps_what_a_link_leads_to(tmp_path: Path) -> None:
    """The link goes, and so does a directory without any rights; what lies elsewhere stays."""
    (tmp_path / "precious" / "file").mkdir(parents=True)
    (tmp_path / "top" / "shut").mkdir(parents=True)
    (tmp_path / "top" / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "top" / "shut" / "file").touch()
    (tmp_path / "top" / "shut").chmod(0)
    assert remove_everything(tmp_path / "top") is None
    assert remove_everything(tmp_path / "top") is None
    assert [path.name for path in tmp_path.rglob("*")] == ["precious", "file"]


def test_what_cannot_be_removed_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The rest goes; the reason names the first of what stays and says how many more there are."""
    (tmp_path / "top" / "a").mkdir(parents=True)
    for name in ("1", "2", "3", "other"):
        (tmp_path / "top" / "a" / name).touch()
    unlink = os.unlink

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        if path.isdecimal():
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    remove_tree(str(tmp_path / "top"))
    monkeypatch.undo()
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/top cannot be removed: 1: Operation not permitted, and 2 more"
    ]
    assert sorted(os.listdir(tmp_path / "top" / "a")) == ["1", "2", "3"]
