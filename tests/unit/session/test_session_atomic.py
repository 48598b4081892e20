# SPDX-License-Identifier: Apache-2.0
"""A small file is there whole, or as it was before."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hostile_rig import nested

from plainbox.session.atomic import open_share, remove_directory, remove_file, write_file
from plainbox.testing import FaultyFiles


@pytest.mark.parametrize("call", ["open", "pwrite", "fsync", "rename"])
def test_failure_keeps_the_old_file(tmp_path: Path, call: str) -> None:
    """Whatever fails, the old file is as it was and nothing else is left."""
    files = FaultyFiles()
    write_file(files, tmp_path, "name", b"old")
    files.forget()
    # The first file that is opened is the directory.
    files.fail(call, errno.EIO, lambda number: number == (4 if call == "open" else 3 if call == "fsync" else 2))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write_file(files, tmp_path, "name", b"new")
    assert (tmp_path / "name").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["name"]


def test_order(tmp_path: Path) -> None:
    """The content is durable before the name, and the name when the call returns."""
    files = FaultyFiles()
    write_file(files, tmp_path, "name", b"text", mode=0o644)
    calls = [call for call, _ in files.steps if call not in ("open", "close")]
    assert calls == ["pwrite", "fsync", "rename", "fsync"]
    assert (tmp_path / "name").stat().st_mode & 0o777 == 0o644


def test_directory_may_not_be_a_link(tmp_path: Path) -> None:
    """A directory that has become a link is refused, and nothing is written where it leads."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(OSError, match=r"directory|symbolic"):
        write_file(FaultyFiles(), tmp_path / "link", "name", b"")
    assert not os.listdir(tmp_path / "elsewhere")


def test_removal_is_durable(tmp_path: Path) -> None:
    """Removing tells whether there was a file, and syncs the directory if so."""
    files = FaultyFiles()
    (tmp_path / "name").touch()
    assert remove_file(files, tmp_path / "name")
    assert [call for call, _ in files.steps if call in ("unlink", "fsync")] == ["unlink", "fsync"]
    assert not remove_file(files, tmp_path / "name")


def test_removal_in_an_open_directory(tmp_path: Path) -> None:
    """A share that has become a link is not worked in; what is in an open one is removed by its name, durably."""
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "name").touch()
    (tmp_path / "link").symlink_to("share")
    files = FaultyFiles()
    with pytest.raises(OSError, match=r"directory|symbolic"), open_share(files, tmp_path / "link"):
        pytest.fail("the link was followed")
    with open_share(files, tmp_path / "share") as share:
        remove_directory(files, "name", share)
        files.forget()
        assert remove_file(files, "name", dir_fd=share)
        assert [call for call, _ in files.steps] == ["unlink", "fsync"]
        assert not remove_file(files, "name", dir_fd=share)


def test_a_directory_of_any_depth_gives_way(tmp_path: Path) -> None:
    """The name is free in one step, durably, and nothing else is left, however deep its directories are nested."""
    files = FaultyFiles()
    with nested(tmp_path / "share" / "name"):
        (tmp_path / "share" / "name" / "d").chmod(0)
        with open_share(files, tmp_path / "share") as share:
            files.forget()
            remove_directory(files, "name", share)
        assert [call for call, _ in files.steps][:2] == ["rename", "fsync"]
        assert os.listdir(tmp_path / "share") == []


def test_what_stays_of_a_directory_is_out_of_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A directory that cannot be deleted has a hidden name in the end, and the file is written."""
    (tmp_path / "name" / "kept").mkdir(parents=True)

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)

    monkeypatch.setattr(os, "rmdir", refuse)
    write_file(FaultyFiles(), tmp_path, "name", b"text")
    monkeypatch.undo()
    [hidden] = [name for name in os.listdir(tmp_path) if name != "name"]
    assert hidden.startswith(".name.")
    assert hidden in caplog.text
    assert (tmp_path / "name").read_bytes() == b"text"
