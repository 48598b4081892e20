# SPDX-License-Identifier: Apache-2.0
"""The audit: a state that was changed without its session hearing of it is told at the next checkpoint, by name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from manager_rig import give, job, job_state, manager_of, reload, result, session, state_of

from plainbox.errors import SessionAuditError, SessionError, StorageFullError
from plainbox.session import SessionManager
from plainbox.session.state import SessionState
from plainbox.testing import MemoryStorage


@pytest.fixture
def manager(tmp_path: Path) -> SessionManager:
    """A session of two wanted jobs, the first with a result, checkpointed and audited."""
    one, two = job("one"), job("two")
    made = session(tmp_path, one, two, job("three"), run=[one, two])
    made.audit = True
    give(made, "one", result("fail"))
    state_of(made).system_information = {"kernel": "6.1"}
    made.checkpoint()
    return made


def assign_a_result(manager: SessionManager) -> None:
    job_state(manager, "two").result = result("pass")


def append_to_the_history(manager: SessionManager) -> None:
    state = job_state(manager, "one")
    state.result_history = (*state.result_history, result("pass", attempt=2))


def drop_the_history(manager: SessionManager) -> None:
    job_state(manager, "one").result_history = ()


def exchange_a_result(manager: SessionManager) -> None:
    job_state(manager, "one").result_history = (result("pass", attempt=1),)


def use_up_an_attempt(manager: SessionManager) -> None:
    job_state(manager, "one").attempts -= 1


def edit_the_desired_list(manager: SessionManager) -> None:
    state_of(manager).desired_job_list.append(job("three"))


def edit_the_mandatory_list(manager: SessionManager) -> None:
    state_of(manager).mandatory_job_list.append(job("two"))


def edit_the_system_information(manager: SessionManager) -> None:
    information = state_of(manager).system_information
    assert isinstance(information, dict)
    information["kernel"] = "6.2"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (assign_a_result, "result 1 of job org.example::two"),
        (append_to_the_history, "result 2 of job org.example::one"),
        (drop_the_history, "result 1 of job org.example::one"),
        (exchange_a_result, "result 1 of job org.example::one"),
        (use_up_an_attempt, "the entry of job org.example::one"),
        (edit_the_desired_list, "the desired job list"),
        (edit_the_mandatory_list, "the mandatory job list"),
        (edit_the_system_information, "the system information"),
    ],
)
def test_a_change_behind_the_signals(
    manager: SessionManager, change: Callable[[SessionManager], None], named: str
) -> None:
    """It is named, and again at every checkpoint until it is mended; what was stored before stays."""
    stored = manager.storage.load_checkpoint()
    change(manager)
    for _ in range(2):
        with pytest.raises(SessionAuditError) as raised:
            manager.checkpoint()
        assert str(raised.value) == f"the checkpoint does not hold the state: {named}"
    assert manager.storage.load_checkpoint() == stored


def test_changes_in_the_open(manager: SessionManager) -> None:
    """What the session can see is stored, in place or not, and the audit has nothing to say."""
    state = state_of(manager)
    state.metadata.flags.add("submitted")
    state.metadata.test_plan_ids.append("plan")
    give(manager, "two", result("pass"))
    state.update_desired_job_list([job_state(manager, "two").job])
    state.system_information = {"kernel": "6.2"}
    manager.checkpoint()
    loaded = reload(manager, job("one"), job("two"), job("three"))
    assert state_of(loaded).metadata.flags == {"submitted"}
    assert state_of(loaded).system_information == {"kernel": "6.2"}


def test_what_has_no_signal_costs_nothing_else(manager: SessionManager) -> None:
    """What could be stored of a checkpoint is stored, although something else is found."""
    assign_a_result(manager)
    give(manager, "one", result("pass"))
    with pytest.raises(SessionAuditError):
        manager.checkpoint()
    loaded = reload(manager, job("one"), job("two"), job("three"))
    assert job_state(loaded, "one").result.outcome == "pass"


def test_without_it_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Switched off, which it is unless somebody asks, a checkpoint reads nothing back."""
    monkeypatch.delenv("PLAINBOX_AUDIT")
    manager = session(tmp_path, one := job("one"), run=[one])
    assert manager.audit is False
    manager.checkpoint()
    monkeypatch.setattr(type(manager.storage), "load_checkpoint", lambda storage: pytest.fail("it was read back"))
    assign = job_state(manager, "one")
    assign.result = result("pass")
    manager.checkpoint()


def test_many_differences_are_counted() -> None:
    """A message stays readable, however much differs."""
    jobs = [job(f"job-{number}") for number in range(20)]
    state = SessionState(list(jobs))
    state.update_desired_job_list(jobs)
    manager = manager_of(state, MemoryStorage.create())
    manager.audit = True
    manager.checkpoint()
    for item in state.job_state_map.values():
        item.result = result("pass")
    with pytest.raises(SessionAuditError, match=r"job-15 and 12 more$"):
        manager.checkpoint()


def test_trouble_of_the_storage_comes_first(manager: SessionManager) -> None:
    """A checkpoint that could not be stored is that, and no fault of the program."""
    storage = MemoryStorage.create()
    manager = SessionManager.over(storage, state_of(manager))
    manager.audit = True
    storage.fail_next(StorageFullError("no room"))
    with pytest.raises(StorageFullError):
        manager.checkpoint()


def test_data_of_a_later_version_is_no_difference(tmp_path: Path) -> None:
    """What this version does not know is kept in the store and not looked for in the state."""
    manager = session(tmp_path, one := job("one"), run=[one])
    manager.checkpoint()
    manager.storage.save_checkpoint(b'{"t": "ck", "later": {"x": 1}}')
    loaded = reload(manager, job("one"))
    loaded.audit = True
    loaded.checkpoint()
    give(loaded, "one", result("pass"))
    loaded.checkpoint()


def test_the_variable(tmp_path: Path) -> None:
    """PLAINBOX_AUDIT=1 switches it on for every session of a process; the fault ends it with a code of its own."""
    code = (
        "import sys; from plainbox.session import SessionManager, SessionStorageRepository as R;"
        "print(SessionManager.create(R(sys.argv[1])).audit)"
    )
    for value, expected in (("1", "True"), ("0", "False")):
        environment = {"PLAINBOX_AUDIT": value, "PATH": "/usr/bin:/bin"}
        command = [sys.executable, "-c", code, str(tmp_path)]
        assert subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip() == expected
    assert issubclass(SessionAuditError, SessionError)
    assert SessionAuditError.exit_code == 70
