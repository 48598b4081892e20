# SPDX-License-Identifier: Apache-2.0
"""What a run was asked for holds when its session goes on, by itself or not; and which session is gone on with."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_support import Plainbox

from plainbox.cli.stored import stored_metadata
from plainbox.providers import Catalogue
from plainbox.runner import Selection, SessionRun
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.storage import SessionStorage

UNITS = """
id: kills
plugin: shell
flags: noreturn
command: kill -KILL $PPID; sleep 60

id: long
plugin: shell
depends: kills
command: sleep 60

id: short
plugin: shell
command: true
"""


@pytest.fixture
def killed(plainbox: Plainbox, provider: Callable[..., Path]) -> SessionStorage:
    """Return a session with a limit and a report whose tester a job has ended."""
    words = ("--timeout", "0.3", "-o", "json:rep.json", "--provider", provider(UNITS), ".*long", ".*kills")
    plainbox.run("run", "--no-input", *words, code=-signal.SIGKILL)
    [session] = SessionStorageRepository(plainbox.sessions).get_storage_list()
    return session


def resume(plainbox: Plainbox, directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Resume in a directory."""
    return subprocess.run(
        plainbox.command("resume", *options),
        env=plainbox.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=directory,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("auto", [True, False])
def test_limit_and_reports_stay(plainbox: Plainbox, killed: SessionStorage, tmp_path: Path, auto: bool) -> None:
    """The limit holds in a resume, and the report is written where the run was begun, wherever the resume works."""
    done = resume(plainbox, tmp_path, *(["--auto", killed.id] if auto else ["--no-input"]))
    assert done.returncode == 1, done.stderr
    assert plainbox.jobs()["org.example::long"]["outcome"] == "crash"
    assert f"Report: {plainbox.home / 'rep.json'}" in done.stderr
    assert json.loads((plainbox.home / "rep.json").read_text())


def test_others_take_their_place(plainbox: Plainbox, killed: SessionStorage, tmp_path: Path) -> None:
    """A limit and a report that a resume is given replace those of the run, and stay with the session in turn."""
    done = resume(plainbox, tmp_path, "--no-input", "-o", "html:new.html", "--timeout", "0.2")
    assert done.returncode == 1, done.stderr
    assert (tmp_path / "new.html").exists()
    assert not (plainbox.home / "rep.json").exists()
    stored = Selection.from_blob(stored_metadata(killed).app_blob)
    assert stored.timeout_s == 0.2
    assert [(report.format, report.path) for report in stored.reports] == [("html", str(tmp_path / "new.html"))]


def test_report_whose_place_is_gone(plainbox: Plainbox, provider: Callable[..., Path]) -> None:
    """A report of the run that cannot be written any more keeps no job from running; it is told, with code 4."""
    place = plainbox.home / "reports"
    place.mkdir()
    words = ("-o", f"json:{place}/rep.json", "--provider", provider(UNITS), ".*short", ".*kills")
    plainbox.run("run", "--no-input", *words, code=-signal.SIGKILL)
    place.rmdir()
    done = plainbox.run("resume", "--no-input", code=4)
    assert "no json report" in done.stderr
    assert plainbox.jobs()["org.example::short"]["outcome"] == "pass"


@pytest.mark.parametrize(
    "option",
    ["--outcome=fail", "--comment=why", "--insist", "--allow-changed", "--allow-missing", "--strict-environment"],
)
def test_auto_refuses_decisions(plainbox: Plainbox, killed: SessionStorage, option: str) -> None:
    """What somebody has decided is not dropped without a word: beside --auto it is an error, and nothing has happened."""
    before = killed.peek_metadata()
    done = plainbox.run("resume", "--auto", option, killed.id, code=2)
    assert option.partition("=")[0] in done.stderr
    assert killed.peek_metadata() == before


@pytest.mark.parametrize("setting", ["systemd", "desktop"])
def test_auto_in_another_repository(plainbox: Plainbox, provider: Callable[..., Path], setting: str) -> None:
    """A look for a session in another repository leaves it armed, and the doctor has nothing against it there."""
    plainbox.run("doctor", "--install-resume", "--user")
    plainbox.run(
        *("run", "--no-input", "--provider", provider(UNITS), ".*kills"),
        code=-signal.SIGKILL,
        PLAINBOX_CONF_SESSIONS__AUTO_RESUME=setting,
    )
    [session] = SessionStorageRepository(plainbox.sessions).get_storage_list()
    other = plainbox.home / "other"
    other.mkdir(mode=0o700)

    def armed() -> list[Path]:
        return [*plainbox.home.glob(".config/autostart/*"), *plainbox.home.glob(".config/systemd/user/*.wants/*")]

    before = armed()
    assert len(before) == 1
    done = plainbox.run("resume", "--auto", session.id, PLAINBOX_SESSION_REPO=str(other))
    assert f"is not in {other}" in done.stderr
    assert armed() == before
    assert session.id not in plainbox.run("doctor", code=None, PLAINBOX_SESSION_REPO=str(other)).stdout


def test_stuck_session_is_in_nobodys_way(plainbox: Plainbox, provider: Callable[..., Path]) -> None:
    """Without a name the newest session that is not stuck goes on; a stuck one is told of when there is no other."""
    directory = provider(UNITS)
    catalogue = Catalogue.load([directory])
    selection = Selection(patterns=("org.example::short",), providers=(str(directory),))
    older, newer = (
        SessionRun.start(catalogue, selection, repository=SessionStorageRepository(plainbox.sessions)) for _ in range(2)
    )
    for run in (older, newer):
        run.close()
    for _ in range(5):
        SessionRun.reopen(catalogue, SessionStorage(newer.manager.storage.location)).close()
    done = plainbox.run("resume", "--no-input")
    assert f"Session: {older.manager.storage.id}" in done.stderr
    done = plainbox.run("resume", "--no-input", code=6)
    assert f"plainbox resume --insist {newer.manager.storage.id}" in done.stderr
    plainbox.run("resume", "--no-input", "--insist")
