# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from plainbox.errors import StorageError
from plainbox.session.lock import SessionLock
from plainbox.session.staging import staged_session
from plainbox.testing import FaultyFiles


def test_what_is_claimed_was_complete_and_durable(tmp_path: Path) -> None:
    """The directory is synced, then it gets its name, then that is synced; its lock goes with it."""
    files, base = FaultyFiles(), tmp_path / "a" / "b"
    with staged_session(files, str(base), "test") as staged:
        assert [path.name.startswith(".") for path in base.iterdir()] == [True]
        assert Path(staged.path).stat().st_mode & 0o777 == 0o700
        files.forget()
        lock = staged.claim(str(base / "x.session"))
    hidden = Path(staged.path).name
    assert files.names("fsync", "rename") == [("fsync", f"{hidden}/"), ("rename", "x.session"), ("fsync", "b/")]
    assert [path.name for path in base.iterdir()] == ["x.session"]
    with pytest.raises(OSError, match="in use"):
        SessionLock(str(base / "x.session"), files).acquire()
    lock.release()


@pytest.mark.parametrize("other", ["empty", "full", "file", "link"])
def test_a_name_that_is_taken_stays_what_it_is(tmp_path: Path, other: str) -> None:
    """Whatever has the name keeps it, and another name can be claimed."""
    taken = tmp_path / "x.session"
    if other in ("empty", "full"):
        taken.mkdir()
    if other == "full":
        (taken / "file").touch()
    if other == "file":
        taken.write_text("mine")
    if other == "link":
        taken.symlink_to("nowhere")
    before = taken.lstat()
    with staged_session(FaultyFiles(), str(tmp_path), "test") as staged:
        with pytest.raises(FileExistsError):
            staged.claim(str(taken))
        staged.claim(str(tmp_path / "y.session")).release()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.session", "y.session"]
    assert taken.lstat().st_ino == before.st_ino


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_what_is_not_claimed_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    """Any exception removes the directory with everything in it."""
    with contextlib.suppress(error), staged_session(FaultyFiles(), str(tmp_path), "test") as staged:
        (Path(staged.path) / "file").touch()
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_nothing_can_be_made(tmp_path: Path) -> None:
    """The error names the repository."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(StorageError, match="the session repository"),
        staged_session(FaultyFiles(), str(tmp_path / "file"), "test"),
    ):
        pass
