# SPDX-License-Identifier: Apache-2.0
"""One attempt at one job: the order of its durable steps, what a failure of the storage means, what the job inherits."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plainbox.errors import StorageError, StorageFullError
from plainbox.processes import read_stat
from plainbox.runner.environment import JobEnvironment
from plainbox.runner.executor import JobExecutor
from plainbox.runner.stop import StopRequest
from plainbox.session import (
    SessionDeviceContext,
    SessionManager,
    SessionState,
    SessionStorage,
    SessionStorageRepository,
)
from plainbox.session.boot import boot_id
from plainbox.session.dirs import WellKnownDirsHelper
from plainbox.session.jobs import JobState
from plainbox.session.result import DiskJobResult
from plainbox.tasks import ExecutionEngine
from plainbox.testing import FaultyFiles
from plainbox.units import JobDefinition


def durable_steps(files: FaultyFiles) -> list[str]:
    """The calls that make things durable, in their order, the journal and the logs by what they are."""
    steps = []
    for call, name in files.names("open", "pwrite", "pwritev", "fdatasync", "fsync", "unlink"):
        kind = "log" if name.endswith(".iolog") else "journal" if name.startswith("journal") else name
        steps.append(f"{call.removeprefix('fdata').removesuffix('v').removeprefix('p')} {kind}")
    return steps


class Rig:
    """A session of one job at a time, and an executor for it."""

    def __init__(self, base: Path, **options: object) -> None:
        self.ops = FaultyFiles()
        storage = SessionStorage.create(base, files=self.ops)
        self.manager = SessionManager([SessionDeviceContext(SessionState([]))], storage)
        WellKnownDirsHelper(storage).populate()
        self.manager.checkpoint()
        self.stop = StopRequest()
        self.share = WellKnownDirsHelper(storage).share_pathname
        self.environment = JobEnvironment([], self.share)
        self.executor = JobExecutor(self.manager, ExecutionEngine(), self.environment, self.stop, **options)
        self.ops.forget()

    @property
    def state(self) -> SessionState:
        assert self.manager.state is not None
        return self.manager.state

    def job(self, command: str, **fields: str) -> JobState:
        unit = JobDefinition({"id": "a", "plugin": "shell", "command": command, **fields})
        self.state.add_unit(unit)
        self.state.update_desired_job_list([unit])
        self.manager.checkpoint()
        self.ops.forget()
        return self.state.job_state_map["a"]

    def logs(self) -> list[str]:
        return os.listdir(WellKnownDirsHelper(self.manager.storage).io_log_pathname)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.manager.close()


def finish(rig: Rig, state: JobState, result) -> None:
    """What the runner does with a result."""
    rig.state.metadata.running = {}
    rig.state.update_job_result(state.job, result)
    rig.manager.checkpoint()


def stored_running(rig: Rig) -> dict[str, object]:
    import json

    return json.loads(rig.manager.storage.load_checkpoint())["meta"]["running"]


# -- the order


def test_order_of_durable_steps(rig: Rig, tmp_path: Path) -> None:
    """The log is there before the note that the job runs, the note before the command, the log before the result."""
    proof = tmp_path / "ran"
    state = rig.job(f"echo hello; touch {proof}")
    at_the_note: list[object] = []
    plain = rig.manager.checkpoint

    def checkpoint() -> None:
        at_the_note.append(proof.exists())
        plain()
        at_the_note.append(proof.exists())

    rig.manager.checkpoint = checkpoint
    result = rig.executor.execute(state)
    finish(rig, state, result)
    steps = [step for step in durable_steps(rig.ops) if step != "unlink __result"]
    order = [steps.index("open log"), steps.index("fsync io-logs/"), steps.index("sync journal")]
    assert order == sorted(order)
    last_write = len(steps) - 1 - steps[::-1].index("write journal")
    log_synced = len(steps) - 1 - steps[::-1].index("sync log")
    assert steps.index("sync journal") < log_synced < last_write
    assert steps[last_write + 1] == "sync journal"
    # The command had not run before its note was durable, and had when the result was stored.
    assert at_the_note == [False, False, True, True]


def test_what_is_noted(rig: Rig, tmp_path: Path) -> None:
    """While the job runs the session says so: which attempt, since when, in which boot, as which process, which log."""
    seen = tmp_path / "stat"
    state = rig.job(f"cat /proc/$$/stat > {seen}; sleep 0.01")
    noted: list[dict[str, object]] = []
    result = rig.executor.execute(state, lambda stream, data: None)
    noted.append(stored_running(rig))
    [attempt] = noted[0].values()
    fields = seen.read_text().rpartition(")")[2].split()
    assert attempt == {
        "attempt": 1,
        "start_time": result.start_time,
        "boot_id": boot_id(),
        "process_group": int(fields[2]),
        "start_ticks": int(fields[19]),
        "log": result.get("log")["path"],
    }
    assert state.attempts == 2


def test_result(rig: Rig) -> None:
    """The result has the outcome, the code, the times, the output and where it comes from."""
    watched: list[tuple[str, bytes]] = []
    state = rig.job("echo out; echo err >&2; exit 3")
    result = rig.executor.execute(state, lambda stream, data: watched.append((stream, data)))
    assert isinstance(result, DiskJobResult)
    assert (result.outcome, result.return_code, result.origin, result.boot_id) == ("fail", 3, "run", boot_id())
    assert b"".join(result.iter_output("stdout")) == b"out\n"
    assert b"".join(result.iter_output("stderr")) == b"err\n"
    assert sorted(watched) == [("stderr", b"err\n"), ("stdout", b"out\n")]
    assert result.execution_duration is not None
    assert 0 < result.execution_duration < 60


def test_every_attempt_has_its_log(rig: Rig) -> None:
    """A job that runs again has a log for each attempt, all of them readable, and one attempt less each time."""
    state = rig.job("echo $((RANDOM))")
    for number in (1, 2, 3):
        finish(rig, state, rig.executor.execute(state))
        assert state.result.attempt == number
        assert state.attempts == 3 - number
    assert len(rig.logs()) == 3
    assert all(b"".join(item.iter_output()) for item in state.result_history)


def test_leftover_statement(rig: Rig) -> None:
    """What an earlier job has stated is gone, durably, before this one is noted as running."""
    statement = Path(rig.share, "__result")
    statement.write_text('{"outcome": "pass"}')
    state = rig.job(f"test ! -e {statement}")
    assert rig.executor.execute(state).outcome == "pass"
    steps = durable_steps(rig.ops)
    assert steps.index("unlink __result") < steps.index("open log") < steps.index("sync journal")
    assert steps[steps.index("unlink __result") + 1] == "fsync session-share"


@pytest.mark.parametrize("ruin", ["rm -rf $SHARE", "rm -rf $SHARE; ln -s $ELSEWHERE $SHARE"])
def test_share_that_a_job_has_replaced(rig: Rig, tmp_path: Path, ruin: str) -> None:
    """The next attempt has a share of its own, and what a link in its place led to is as it was."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "__result").mkdir(parents=True)
    first = rig.job(ruin.replace("$SHARE", rig.share).replace("$ELSEWHERE", str(elsewhere)))
    finish(rig, first, rig.executor.execute(first))
    unit = JobDefinition({"id": "b", "plugin": "shell", "command": f"touch {rig.share}/mine"})
    rig.state.add_unit(unit)
    assert rig.executor.execute(rig.state.job_state_map["b"]).outcome == "pass"
    assert os.listdir(elsewhere) == ["__result"]
    assert os.listdir(rig.share) == ["mine"]


def test_limit_of_the_log(tmp_path: Path) -> None:
    """A job may print more than is kept; it runs to its end and the result says that something is missing."""
    rig = Rig(tmp_path, max_log_bytes=1000)
    state = rig.job("head -c 5000 /dev/zero; exit 4")
    result = rig.executor.execute(state)
    assert result.return_code == 4
    assert result.get("log")["truncated"] is True
    assert sum(map(len, result.iter_output())) == 1000
    rig.manager.close()


# -- what the job inherits


def test_lock_is_not_inherited(rig: Rig) -> None:
    """No descriptor of the session reaches a job, so a job that lives on cannot keep the session locked."""
    state = rig.job("for fd in /proc/$$/fd/*; do readlink $fd || true; done")
    result = rig.executor.execute(state)
    targets = b"".join(result.iter_output()).decode().splitlines()
    assert targets
    assert not [target for target in targets if target.startswith(rig.manager.storage.location)]


def test_working_directory(rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A job works in a directory of its own, which is gone afterwards; what it leaves there is told."""
    state = rig.job("pwd; touch left-behind")
    result = rig.executor.execute(state)
    directory = b"".join(result.iter_output()).decode().strip()
    assert directory != os.getcwd()
    assert not os.path.exists(directory)
    assert "left-behind" in (result.comments or "")


@pytest.mark.parametrize(("flags", "said"), [("has-leftovers", False), ("preserve-cwd", False)])
def test_flags_about_the_working_directory(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str, said: bool
) -> None:
    """A job may leave files where it says so, and works where the tester does when it says that."""
    monkeypatch.chdir(tmp_path)
    state = rig.job("pwd; touch left-behind", flags=flags)
    result = rig.executor.execute(state)
    assert result.comments is None
    assert (tmp_path / "left-behind").exists() is (flags == "preserve-cwd")


# -- when something fails


def test_no_space_for_the_note(rig: Rig, tmp_path: Path) -> None:
    """Without space for the note the command never runs, and nothing says that it did: no attempt, no log."""
    proof = tmp_path / "ran"
    state = rig.job(f"touch {proof}")
    stored = rig.manager.storage.load_checkpoint()
    rig.ops.fail("pwrite", errno.ENOSPC, file="journal")
    with pytest.raises(StorageFullError):
        rig.executor.execute(state)
    rig.ops.heal()
    assert not proof.exists()
    assert state.attempts == 3
    assert rig.state.metadata.running == {}
    assert rig.state.metadata.last_job_start_time is None
    assert rig.logs() == []
    assert rig.manager.storage.load_checkpoint() == stored
    # Once there is space the job can run, and this is its first attempt.
    finish(rig, state, rig.executor.execute(state))
    assert (state.result.attempt, state.attempts) == (1, 2)


def test_no_space_for_the_log(rig: Rig, tmp_path: Path) -> None:
    """Without a log the command does not run."""
    proof = tmp_path / "ran"
    state = rig.job(f"touch {proof}")
    rig.ops.fail("open", errno.ENOSPC)
    with pytest.raises(StorageError):
        rig.executor.execute(state)
    assert not proof.exists()
    assert state.attempts == 3


def test_job_that_cannot_be_started(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job whose shell is not there has crashed with the reason; no attempt is used up and no empty log kept."""
    monkeypatch.setattr(rig.environment, "of", lambda job: {"PATH": "/nowhere"})
    state = rig.job("true")
    result = rig.executor.execute(state)
    assert result.outcome == "crash"
    assert "no program 'bash'" in (result.comments or "")
    assert result.get("log") is None
    assert state.attempts == 3
    assert rig.logs() == []
    assert rig.state.metadata.running == {}


def test_surroundings_that_cannot_be_made(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a job cannot be given what it needs, that job has crashed; the run goes on."""

    def refuse(job: JobDefinition) -> dict[str, str]:
        raise OSError(errno.ENOSPC, "no room for links")

    monkeypatch.setattr(rig.environment, "of", refuse)
    result = rig.executor.execute(rig.job("true"))
    assert result.outcome == "crash"
    assert "no room for links" in (result.comments or "")
    assert rig.logs() == []


def test_cancelled_before_its_start(rig: Rig, tmp_path: Path) -> None:
    """A run that is stopped in the last moment does not start the command."""
    proof = tmp_path / "ran"
    state = rig.job(f"touch {proof}")
    rig.stop.now("SIGTERM")
    result = rig.executor.execute(state)
    assert "SIGTERM" in (result.comments or "")
    assert not proof.exists()
    assert state.attempts == 3


def test_cancelled_while_it_runs(rig: Rig) -> None:
    """A job that is ended on request has a result that says so, with what it had printed."""
    state = rig.job("echo begun; sleep 300")
    result = rig.executor.execute(state, lambda stream, data: rig.stop.now("SIGTERM"))
    assert result.outcome == "crash"
    assert b"".join(result.iter_output()) == b"begun\n"
    assert state.attempts == 2


def test_limit_of_time(tmp_path: Path) -> None:
    """A job that names no limit of its own is ended at that of the run."""
    rig = Rig(tmp_path, timeout_s=0.2)
    result = rig.executor.execute(rig.job("sleep 300"))
    assert result.outcome == "crash"
    assert "limit" in (result.comments or "")
    rig.manager.close()


_DIES_AT_THE_NOTE = """
import os, signal, sys
from plainbox.runner.environment import JobEnvironment
from plainbox.runner.executor import JobExecutor
from plainbox.runner.stop import StopRequest
from plainbox.session import SessionManager, SessionState, SessionStorageRepository
from plainbox.tasks import ExecutionEngine
from plainbox.processes import read_stat
from plainbox.units import JobDefinition

job = JobDefinition({"id": "a", "plugin": "shell", "command": f"touch {sys.argv[2]}; echo x >> {sys.argv[2]}"})
state = SessionState([job])
manager = SessionManager.create_with_state(state, SessionStorageRepository(sys.argv[1]))
state.update_desired_job_list([job])
manager.checkpoint()
if sys.argv[3] == "after":
    manager.checkpoint, plain = (lambda: (plain(), os.kill(os.getpid(), signal.SIGKILL))), manager.checkpoint
else:
    manager.checkpoint = lambda: os.kill(os.getpid(), signal.SIGKILL)
JobExecutor(manager, ExecutionEngine(), JobEnvironment([], "/tmp"), StopRequest()).execute(state.job_state_map["a"])
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_tester_that_dies_at_the_note(tmp_path: Path, moment: str) -> None:
    """A command whose tester dies while its start is noted never runs; the session knows of it if the note is there."""
    proof = tmp_path / "ran"
    repository = SessionStorageRepository(tmp_path / "sessions")
    tester = subprocess.run([sys.executable, "-c", _DIES_AT_THE_NOTE, repository.location, str(proof), moment])
    assert tester.returncode == -signal.SIGKILL
    [storage] = repository
    command = f"touch {proof}; echo x >> {proof}"
    job = JobDefinition({"id": "a", "plugin": "shell", "command": command})
    loaded = SessionManager.load_session([job], storage)
    assert loaded.state is not None
    running = loaded.state.metadata.running
    assert list(running) == (["a"] if moment == "after" else [])
    # The process that was held ends by itself, without having run anything.
    deadline = time.monotonic() + 30
    while running and (held := read_stat(running["a"].process_group or 0)) is not None and not held.ended:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not proof.exists()
