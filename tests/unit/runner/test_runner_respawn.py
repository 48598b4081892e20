# SPDX-License-Identifier: Apache-2.0
"""A job that may take the machine down runs only when it is durable who goes on with its session."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import pytest

from plainbox.errors import StorageFullError
from plainbox.runner.respawn import RESPAWN_NAMES, AutoResume, resume_variables
from plainbox.session import SessionStorage
from plainbox.session.files import FileOps
from plainbox.session.systemd import ResumeUnit
from plainbox.tasks import ExecutionEngine
from plainbox.testing import FaultyFiles, MemoryStorage, Stopped, run_session
from plainbox.units import JobDefinition

ARM_POINTS = ["arm.environment", "arm.respawn", "arm.link", "arm.sync"]


@pytest.fixture(autouse=True)
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResumeUnit:
    """Install the unit of a user for the sessions of this test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PLAINBOX_CONF_SESSIONS__AUTO_RESUME", raising=False)
    unit = ResumeUnit("user")
    unit.install(str(tmp_path / "sessions"), FileOps())
    return unit


def job(flags: str) -> JobDefinition:
    return JobDefinition({"id": "a", "plugin": "shell", "command": "true", "flags": flags})


def run(tmp_path: Path, files: FaultyFiles, flags: str = "autorestart") -> Path:
    """Run a session of one job to its end; return the file that its command writes."""
    proof = tmp_path / "proof"
    proof.unlink(missing_ok=True)
    link = f"{tmp_path}/config/systemd/user/default.target.wants/plainbox-resume@*"
    storage = SessionStorage.create(tmp_path / "sessions", files=files)
    command = f"ls {link} $PLAINBOX_SESSION_SHARE > {proof} 2>&1"
    run_session(
        f"id: reboots\nplugin: shell\nflags: {flags}\ncommand: {command}\n", storage=storage, engine=ExecutionEngine()
    )
    return proof


def test_order(tmp_path: Path, unit: ResumeUnit) -> None:
    """Variables, command and link are durable, in this order, before the job is noted as running and begins."""
    files = FaultyFiles()
    proof = run(tmp_path, files)
    assert [point for point in files.points if point.startswith("arm.")] == ARM_POINTS
    steps = files.steps[files.steps.index(("reach", "arm.environment")) :]
    link = os.path.basename(unit.wants) + "/"
    order = [
        steps.index(("rename", "resume.env")),
        *(steps.index(("rename", name)) for name in RESPAWN_NAMES),
        steps.index(("reach", "arm.sync")),
        steps.index(("fsync", link)),
        next(number for number, (call, what) in enumerate(steps) if call == "fdatasync" and "journal" in what),
    ]
    assert order == sorted(order)
    for name in ("resume.env", *RESPAWN_NAMES):
        renamed = steps.index(("rename", name))
        assert steps[renamed - 2][0] == "fsync"
        assert steps[renamed + 1][0] == "fsync"
    listed = proof.read_text()
    assert "plainbox-resume@" in listed
    assert all(name in listed for name in RESPAWN_NAMES)


def test_stopped_at_each_step(tmp_path: Path, unit: ResumeUnit) -> None:
    """Wherever the tester stops: when the command has run, its session was armed."""
    whole = FaultyFiles()
    run(tmp_path, whole)
    first = whole.steps.index(("reach", "arm.environment"))
    armed = whole.steps.index(("reach", "arm.sync"))
    ran = 0
    for step in (*range(first, armed + 8), len(whole.steps)):
        files = FaultyFiles()
        files.stop_at = step
        with contextlib.suppress(Stopped):
            run(tmp_path, files)
        if (tmp_path / "proof").exists():
            ran += 1
            assert "plainbox-resume@" in (tmp_path / "proof").read_text(), step
        for session_id in unit.armed():
            os.unlink(unit.link(session_id))
    assert ran


def test_other_jobs_cost_nothing(tmp_path: Path) -> None:
    """A job that does not end its tester arms nothing."""
    files = FaultyFiles()
    run(tmp_path, files, flags="simple")
    assert not [point for point in files.points if point.startswith("arm.")]


def test_full_disk_can_be_tried_again(tmp_path: Path) -> None:
    """Without space the error is the one that the runner waits with."""
    files = FaultyFiles()
    storage = SessionStorage.create(tmp_path / "sessions", files=files)
    (Path(storage.location) / "session-share").mkdir()
    auto_resume = AutoResume(storage, "plainbox")
    files.fail("pwrite", errno.ENOSPC)
    with pytest.raises(StorageFullError):
        auto_resume.arm_for(job("noreturn"))
    files.heal()
    auto_resume.arm_for(job("noreturn"))
    assert not list(Path(storage.location).rglob("*.tmp"))


def test_nothing_is_followed(tmp_path: Path) -> None:
    """What a job has put in the place of the files is replaced, and a share that leads elsewhere is refused."""
    storage = SessionStorage.create(tmp_path / "sessions")
    share = Path(storage.location) / "session-share"
    share.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (share / RESPAWN_NAMES[0]).symlink_to(elsewhere)
    (share / RESPAWN_NAMES[1]).mkdir()
    AutoResume(storage, "plainbox").arm_for(job("noreturn"))
    assert elsewhere.read_text() == "mine"
    for name in RESPAWN_NAMES:
        assert "resume --auto" in (share / name).read_text()
        assert not (share / name).is_symlink()
        assert (share / name).stat().st_mode & 0o777 == 0o600


def test_disarming_follows_nothing(tmp_path: Path) -> None:
    """Nothing is removed through a link that a job has put in the place of its share; the rest is disarmed."""
    storage = SessionStorage.create(tmp_path / "sessions")
    share = Path(storage.location) / "session-share"
    share.mkdir()
    AutoResume(storage, "plainbox").arm_for(job("noreturn"))
    elsewhere = tmp_path / "elsewhere"
    share.rename(elsewhere)
    share.symlink_to(elsewhere)
    AutoResume(storage, "plainbox").disarm()
    assert sorted(os.listdir(elsewhere)) == sorted(RESPAWN_NAMES)
    assert not (Path(storage.location) / "resume.env").exists()


def test_disarmed_twice(tmp_path: Path, unit: ResumeUnit) -> None:
    """Disarming leaves nothing of this session, and leaves those of others alone; once more does no harm."""
    storages = [SessionStorage.create(tmp_path / "sessions") for _ in range(2)]
    for storage in storages:
        (Path(storage.location) / "session-share").mkdir()
        AutoResume(storage, "plainbox").arm_for(job("noreturn"))
    for _ in range(2):
        AutoResume(storages[0], "plainbox").disarm()
        assert unit.armed() == [storages[1].id]
    assert not (Path(storages[0].location) / "resume.env").exists()


def test_session_in_memory_arms_nothing(unit: ResumeUnit) -> None:
    """A session in another repository than that of the unit, as one in memory is, is not gone on with."""
    storage = MemoryStorage.create()
    (Path(storage.location) / "session-share").mkdir()
    AutoResume(storage, "plainbox").arm_for(job("noreturn"))
    assert unit.armed() == []


def test_variables() -> None:
    """What is kept is what a session needs; what belongs to this login, this job or this service is not."""
    kept = resume_variables(
        {
            "PATH": "/bin",
            "LC_TIME": "C",
            "XDG_STATE_HOME": "/state",
            "PLAINBOX_CONF_SESSIONS__AUTO_RESUME": "none",
            "PYTHONPATH": f"lib{os.pathsep}/opt",
            "PLAINBOX_SESSION_SHARE": "/of/a/job",
            "XDG_RUNTIME_DIR": "/run/user/0",
            "NOTIFY_SOCKET": "/run/notify",
            "SECRET": "x",
        },
        "sessions",
    )
    assert kept == {
        "PATH": "/bin",
        "LC_TIME": "C",
        "XDG_STATE_HOME": "/state",
        "PLAINBOX_CONF_SESSIONS__AUTO_RESUME": "none",
        "PYTHONPATH": f"{os.path.abspath('lib')}{os.pathsep}/opt",
        "PLAINBOX_SESSION_REPO": os.path.abspath("sessions"),
    }


def test_careless_session_becomes_durable(tmp_path: Path) -> None:
    """A session that syncs nothing does so from its first armed job on: the note that it runs survives a hard reset."""
    files = FaultyFiles(durable=False)
    run(tmp_path, files, flags="simple")
    assert files.durable is False
    files = FaultyFiles(durable=False)
    run(tmp_path, files)
    assert files.durable is True
    names = [name for call, name in files.steps if call == "fsync"]
    assert "sessions/" in names
    steps = files.steps
    assert steps.index(("fsync", "sessions/")) < max(
        index for index, (call, name) in enumerate(steps) if call == "fdatasync" and name.startswith("journal")
    )
