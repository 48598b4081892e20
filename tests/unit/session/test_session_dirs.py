# SPDX-License-Identifier: Apache-2.0
"""The directories of a session after jobs have been at them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from store_rig import ck, full

from plainbox.errors import StorageError
from plainbox.session.dirs import WellKnownDirsHelper
from plainbox.session.scan import remarks_of
from plainbox.session.storage import SessionStorage


@pytest.fixture
def storage(tmp_path: Path) -> SessionStorage:
    made = SessionStorage.create(tmp_path)
    WellKnownDirsHelper(made).populate()
    made.save_checkpoint(full())
    return made


def replaced(storage: SessionStorage, how: str) -> Path:
    """Put something else in the place of the logs, which lie elsewhere then."""
    logs = Path(storage.location, "io-logs")
    (logs / "log").write_text("precious")
    logs.rename(logs.with_name("elsewhere"))
    if how == "link":
        logs.symlink_to("elsewhere")
    else:
        logs.write_text("a file")
    return logs


@pytest.mark.parametrize(
    ("how", "remedy"), [("link", "put the directory that it leads to in its place"), ("file", "session salvage")]
)
def test_what_is_where_the_logs_belong_stays(storage: SessionStorage, how: str, remedy: str) -> None:
    """A session is not opened over it; the error says what to do."""
    logs = replaced(storage, how)
    before = logs.lstat()
    with pytest.raises(StorageError, match=str(logs)) as refused:
        WellKnownDirsHelper(storage).populate()
    assert remedy in (refused.value.hint or "")
    assert logs.lstat() == before


@pytest.mark.parametrize("how", ["link", "file"])
def test_in_a_run_the_logs_go_on_elsewhere(storage: SessionStorage, how: str) -> None:
    """What has taken their place gets another name, the journal notes that, and nothing is lost."""
    logs = replaced(storage, how)
    WellKnownDirsHelper(storage).restore()
    storage.save_checkpoint(ck())
    [note] = remarks_of(storage.records()[-1])
    aside = logs.with_name(note["data"]["now"])
    assert (note["kind"], note["data"]["name"]) == ("set-aside", "io-logs")
    assert aside.is_symlink() == (how == "link")
    assert logs.is_dir()
    assert not logs.is_symlink()
    assert os.listdir(logs) == []
    assert logs.with_name("elsewhere").joinpath("log").read_text() == "precious"


@pytest.mark.parametrize("what", [".", "io-logs", "session-share"])
@pytest.mark.parametrize("step", ["populate", "restore"])
def test_rights_come_back(storage: SessionStorage, what: str, step: str) -> None:
    """A job may take away the right to the session or one of its directories: the owner gets it back."""
    path = Path(storage.location, what)
    path.chmod(0o500)
    getattr(WellKnownDirsHelper(storage), step)()
    assert path.stat().st_mode & 0o777 == 0o700


def test_rights_that_cannot_come_back(storage: SessionStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the directory and says what to do."""
    share = Path(storage.location, "session-share")
    share.chmod(0)

    def refuse(path: str, mode: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)

    monkeypatch.setattr(os, "chmod", refuse)
    with pytest.raises(StorageError, match="cannot be made") as refused:
        WellKnownDirsHelper(storage).restore()
    assert refused.value.errno == errno.EPERM
    assert f"chmod u+rwx {share}" in (refused.value.hint or "")


def test_a_link_to_the_session_is_followed(storage: SessionStorage, tmp_path: Path) -> None:
    """Whoever names a session by a link means the session; only links in it are none of ours."""
    (tmp_path / "link.session").symlink_to(storage.location)
    linked = WellKnownDirsHelper(SessionStorage(tmp_path / "link.session"))
    Path(storage.location).chmod(0o500)
    os.rmdir(linked.share_pathname)
    linked.restore()
    assert os.listdir(linked.share_pathname) == []
