# SPDX-License-Identifier: Apache-2.0
"""What the doctor finds on a machine, and what it says to do about it."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from plainbox.runner.health import Check, Grade, check_file_system, check_machine, check_systemd
from plainbox.session import SessionStorage
from plainbox.session.files import FileOps
from plainbox.session.restart import DesktopAutostart
from plainbox.session.systemd import ResumeUnit, user_name

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:20 / /tmp rw,nosuid - tmpfs tmpfs rw
24 22 0:21 / /home rw - nfs4 server:/home rw,vers=4.2
25 22 0:22 / /media/my\040disk ro,relatime - vfat /dev/sdb1 ro
26 22 0:23 / /tmp/inner rw - ext4 /dev/sdc rw
27 22 0:24 / /over rw - ext4 /dev/sdd rw
28 22 0:25 / /over rw - tmpfs tmpfs rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "grade", "words"),
    [
        ("/var/lib", Grade.OK, "ext4"),
        ("/tmp", Grade.WARNING, "in memory"),
        ("/tmpx", Grade.OK, "ext4"),
        ("/tmp/inner/x", Grade.OK, "/tmp/inner"),
        ("/home/me/sessions", Grade.WARNING, "remote (nfs4)"),
        ("/media/my disk/x", Grade.PROBLEM, "read-only"),
        ("/over/x", Grade.WARNING, "tmpfs"),
    ],
)
def test_file_system(path: str, grade: Grade, words: str) -> None:
    """The mount that a path really lies on decides: the deepest one, and of several on one place the last."""
    check = check_file_system(path, MOUNTS)
    assert check.grade == grade
    assert words in check.message
    assert (check.advice is None) == (grade == Grade.OK)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name a repository of this test, which is not there yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PLAINBOX_SESSION_REPO", str(tmp_path / "sessions"))
    return tmp_path / "sessions"


def checks() -> dict[str, Check]:
    """Return the last check of each name."""
    return {check.name: check for check in check_machine()}


def test_fresh_machine(repository: Path) -> None:
    """Nothing is a problem where there is nothing yet, and looking makes nothing."""
    found = checks()
    assert found["repository"].grade == Grade.OK
    assert found["auto-resume"].grade == Grade.WARNING
    assert not [check for check in found.values() if check.grade == Grade.PROBLEM]
    assert not repository.exists()


def test_open_repository(repository: Path) -> None:
    """A repository that others can read is told, and the command that is advised mends it."""
    repository.mkdir(mode=0o755)
    check = checks()["repository"]
    assert check.grade == Grade.WARNING
    assert check.advice is not None
    subprocess.run(shlex.split(check.advice), check=True)
    assert checks()["repository"].grade == Grade.OK


def test_repository_that_is_none(repository: Path) -> None:
    """A file in the place of the repository is a problem."""
    repository.write_text("")
    assert checks()["repository"].grade == Grade.PROBLEM


def test_unit(repository: Path) -> None:
    """The unit is good as installed; changed, or installed for another repository, it is to be installed again."""
    unit = ResumeUnit("user")
    unit.install(str(repository), FileOps())
    assert checks()["user unit"].grade == Grade.OK
    assert "auto-resume" not in checks()
    text = Path(unit.path).read_text()
    Path(unit.path).write_text(text.replace("WatchdogSec=60", "WatchdogSec=61"))
    assert "not as this program" in checks()["user unit"].message
    unit.install(str(repository.parent), FileOps())
    check = checks()["user unit"]
    assert "another repository" in check.message
    assert check.advice == "plainbox doctor --install-resume --user"


@pytest.mark.parametrize(
    ("setting", "grade"),
    [("none", Grade.OK), ("desktop", Grade.OK), ("auto", Grade.WARNING), ("systemd", Grade.PROBLEM)],
)
def test_setting(repository: Path, monkeypatch: pytest.MonkeyPatch, setting: str, grade: Grade) -> None:
    """A missing unit is a problem only for whoever has asked for it."""
    monkeypatch.setenv("PLAINBOX_CONF_SESSIONS__AUTO_RESUME", setting)
    assert checks()["auto-resume"].grade == grade


def test_unreadable_session(repository: Path) -> None:
    """A session that cannot be read is told and does not keep the others from being looked at."""
    storage = SessionStorage.create(repository)
    storage.close()
    (Path(storage.location) / "journal-000001.pbj").write_text("nonsense\n")
    check = checks()["sessions"]
    assert check.grade == Grade.WARNING
    assert storage.id in check.message


def test_leftovers(repository: Path) -> None:
    """What an interrupted removal has left is told."""
    (repository / ".removed-x").mkdir(parents=True)
    os.utime(repository / ".removed-x", (0, 0))
    assert checks()["leftovers"].message.startswith("1 ")


def test_systemd(tmp_path: Path) -> None:
    """What the machine lacks for its units to be started is told, one thing after the other, with what to do."""
    steps = [
        ("systemd", "auto_resume = desktop", tmp_path / "run/systemd/system"),
        ("linger", "loginctl enable-linger", tmp_path / "var/lib/systemd/linger" / user_name()),
        ("linger", "systemctl status user@", tmp_path / f"run/user/{os.geteuid()}/systemd"),
    ]
    for name, advice, place in steps:
        check = next(iter(check_systemd(by_user=True, root=str(tmp_path))))
        assert (check.name, check.grade) == (name, Grade.WARNING)
        assert advice in (check.advice or "")
        place.mkdir(parents=True)
    assert [check.grade for check in check_systemd(by_user=True, root=str(tmp_path))] == [Grade.OK]
    assert not list(check_systemd(by_user=False, root=str(tmp_path)))


def test_sessions_of_other_repositories(repository: Path) -> None:
    """An entry of the desktop for a session of another repository is no matter of this one."""
    repository.mkdir()
    DesktopAutostart(repository=str(repository.parent / "other")).prime_application_restart("plainbox", "one", "true")
    assert checks()["sessions"].grade == Grade.OK
    DesktopAutostart(repository=str(repository)).prime_application_restart("plainbox", "one", "true")
    assert "is gone" in checks()["sessions"].message
