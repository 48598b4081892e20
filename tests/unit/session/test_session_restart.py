# SPDX-License-Identifier: Apache-2.0
"""The strategies of going on after a restart: primed and diffused twice, durable, and only for their own session."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from plainbox.config import load_settings
from plainbox.errors import UsageError
from plainbox.session.files import FileOps
from plainbox.session.restart import (
    DesktopAutostart,
    NoRestart,
    RestartStrategy,
    SystemdRestart,
    armed_sessions,
    choose_strategy,
    diffuse_everywhere,
)
from plainbox.session.systemd import ResumeUnit
from plainbox.testing import FaultyFiles

APP = "plainbox"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def repository(tmp_path: Path) -> str:
    return str(tmp_path / "sessions")


@pytest.fixture(params=["system", "user", "desktop"])
def strategy(request: pytest.FixtureRequest, tmp_path: Path, repository: str) -> RestartStrategy:
    if request.param == "desktop":
        return DesktopAutostart(repository=repository)
    strategy = SystemdRestart(request.param, repository=repository, root=str(tmp_path / "root"))
    strategy.unit.install(repository, FileOps())
    return strategy


def test_twice_is_once(strategy: RestartStrategy) -> None:
    """Priming and diffusing may be repeated."""
    for _ in range(2):
        strategy.prime_application_restart(APP, "one", "true")
        assert strategy.armed(APP) == ["one"]
    for _ in range(2):
        strategy.diffuse_application_restart(APP)
        assert strategy.armed(APP) == []


def test_others_are_left_alone(strategy: RestartStrategy) -> None:
    """Diffusing one session does not diffuse another."""
    for session_id in ("one", "two"):
        strategy.prime_application_restart(APP, session_id, "true")
    strategy.diffuse_application_restart(APP, "other")
    assert strategy.armed(APP) == ["one", "two"]
    strategy.diffuse_application_restart(APP, "two")
    assert strategy.armed(APP) == ["one"]


def test_something_else_in_the_place_of_the_link(tmp_path: Path, repository: str) -> None:
    """What stands in the place of the link is replaced."""
    strategy = SystemdRestart("system", repository=repository, root=str(tmp_path))
    strategy.unit.install(repository, FileOps())
    link = Path(strategy.unit.link("one"))
    link.parent.mkdir()
    for make in (lambda: link.write_text("x"), lambda: link.symlink_to("/dev/null")):
        link.unlink(missing_ok=True)
        make()
        strategy.prime_application_restart(APP, "one", "")
        assert os.readlink(link) == "../plainbox-resume@.service"


def test_link_is_synced(tmp_path: Path, repository: str) -> None:
    """The directory is synced after the link is made and after it is removed, also when there is nothing to do."""
    files = FaultyFiles()
    strategy = SystemdRestart("system", repository=repository, root=str(tmp_path), files=files)
    strategy.unit.install(repository, files)
    name = os.path.basename(strategy.unit.link("one"))
    synced = ("fsync", "multi-user.target.wants/")
    for call in ("symlink", None, "unlink"):
        files.forget()
        if call == "unlink":
            strategy.diffuse_application_restart(APP, "one")
        else:
            strategy.prime_application_restart(APP, "one", "")
        steps = [step for step in files.steps if step in ((call, name), synced)]
        assert steps == ([synced] if call is None else [(call, name), synced])


@pytest.mark.parametrize("setting", ["systemd", "desktop"])
def test_directories_that_were_there_before_are_synced(tmp_path: Path, repository: str, setting: str) -> None:
    """Who made them may have died before he synced their names: a loss of power would take them with the link."""
    files = FaultyFiles()
    strategy: SystemdRestart | DesktopAutostart
    if setting == "systemd":
        strategy = SystemdRestart("system", repository=repository, root=str(tmp_path), files=files)
        strategy.unit.install(repository, files)
        place = Path(strategy.unit.wants)
    else:
        place = tmp_path / "config" / "autostart"
        strategy = DesktopAutostart(str(place), repository=repository, files=files)
    place.mkdir(parents=True)
    files.forget()
    strategy.prime_application_restart(APP, "one", "")
    synced = [name for _, name in files.names("fsync")]
    assert {f"{place.parent.name}/", f"{place.parent.parent.name}/"} <= set(synced)


def test_priming_fails(tmp_path: Path, repository: str) -> None:
    """A directory that cannot be written is an error of the system; a unit that is not there, one of configuration."""
    files = FaultyFiles()
    strategy = SystemdRestart("system", repository=repository, root=str(tmp_path), files=files)
    with pytest.raises(UsageError, match="not installed"):
        strategy.prime_application_restart(APP, "one", "")
    strategy.unit.install(str(tmp_path), files)
    with pytest.raises(UsageError, match="another repository"):
        strategy.prime_application_restart(APP, "one", "")
    strategy.unit.install(repository, files)
    files.fail("symlink", errno.EROFS)
    with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
        strategy.prime_application_restart(APP, "one", "")


def test_choice(repository: str) -> None:
    """The setting names the strategy; 'auto' takes the unit of systemd where it is installed, and nothing elsewhere."""
    files = FileOps()
    assert choose_strategy("auto", repository, files) is None
    assert isinstance(choose_strategy("systemd", repository, files), SystemdRestart)
    assert isinstance(choose_strategy("desktop", repository, files), DesktopAutostart)
    assert isinstance(choose_strategy("none", repository, files), NoRestart)
    ResumeUnit("user").install(repository, files)
    chosen = choose_strategy("auto", repository, files)
    assert isinstance(chosen, SystemdRestart)
    assert chosen.unit.scope == "user"
    assert choose_strategy("auto", repository + "-other", files) is None


def test_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that names no strategy is refused with those that do."""
    assert load_settings().auto_resume == "auto"
    monkeypatch.setenv("PLAINBOX_CONF_SESSIONS__AUTO_RESUME", "desktop")
    assert load_settings().auto_resume == "desktop"
    monkeypatch.setenv("PLAINBOX_CONF_SESSIONS__AUTO_RESUME", "magic")
    with pytest.raises(UsageError, match="systemd"):
        load_settings()


def test_diffused_whoever_primed(repository: str, caplog: pytest.LogCaptureFixture) -> None:
    """A session is diffused with all strategies; what cannot be undone is told and is no error."""
    files = FaultyFiles()
    ResumeUnit("user").install(repository, files)
    strategies = [SystemdRestart("user", repository=repository), DesktopAutostart(repository=repository)]
    for strategy in strategies:
        strategy.prime_application_restart(APP, "one", "true")
    files.fail("unlink", errno.EROFS, lambda number: number == 1)
    diffuse_everywhere("one", repository, files)
    assert os.strerror(errno.EROFS) in caplog.text
    assert [strategy.armed(APP) for strategy in strategies] == [["one"], []]
    diffuse_everywhere("one", repository, files)
    assert strategies[0].armed(APP) == []


@pytest.mark.parametrize("setting", ["desktop", "systemd"])
def test_other_repositories_are_left_alone(repository: str, setting: str) -> None:
    """A session of another repository is neither told nor diffused, also when one of the same id is."""
    files = FileOps()
    other = repository + "-other"
    ResumeUnit("user").install(other, files)
    strategy = choose_strategy(setting, other, files)
    assert strategy is not None
    strategy.prime_application_restart(APP, "one", "true")
    diffuse_everywhere("one", repository, files)
    assert armed_sessions(repository) == []
    assert armed_sessions(other) == ["one"]
    diffuse_everywhere("one", other, files)
    assert armed_sessions(other) == []


@pytest.mark.parametrize("name", ["plainbox.desktop", "plainbox-one.desktop"])
def test_entries_of_the_user_stay(tmp_path: Path, repository: str, name: str) -> None:
    """An entry that is for no session is neither replaced nor removed; in the place of one it is an error."""
    entry = tmp_path / "config" / "autostart" / name
    entry.parent.mkdir(parents=True)
    entry.write_text("[Desktop Entry]\nName=Mine\n")
    strategy = DesktopAutostart(repository=repository)
    if name == "plainbox.desktop":
        strategy.prime_application_restart(APP, "one", "true")
    else:
        with pytest.raises(FileExistsError, match="in the way"):
            strategy.prime_application_restart(APP, "one", "true")
    strategy.diffuse_application_restart(APP, "one")
    strategy.diffuse_application_restart(APP)
    assert os.listdir(entry.parent) == [name]
    assert "Mine" in entry.read_text()


def test_entries_of_other_applications(repository: str) -> None:
    """The entries of an application whose name begins as that of another do not count among those of the other."""
    strategy = DesktopAutostart(repository=repository)
    strategy.prime_application_restart("plainbox-more", "one", "true")
    assert strategy.armed("plainbox") == []
    assert strategy.armed("plainbox-more") == ["one"]


@pytest.mark.parametrize("session_id", ["a\u2028b", "a\\nb = c", "(1) ü"])
def test_odd_names_in_an_entry(tmp_path: Path, session_id: str) -> None:
    """Session and repository come back from an entry as they are, whatever is in their names."""
    strategy = DesktopAutostart(repository=str(tmp_path / "re\npo = \\s \udcff"))
    strategy.prime_application_restart(APP, session_id, "true")
    assert strategy.armed(APP) == [session_id]
