# SPDX-License-Identifier: Apache-2.0
"""A whole run: bootstrap, selection, jobs, and going on with it in any of its phases."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from plainbox.errors import (
    IncompatibleJobError,
    LockedStorageError,
    NothingSelectedError,
    StorageError,
    StorageGoneError,
    UsageError,
)
from plainbox.providers import Catalogue
from plainbox.runner import Selection, SessionRun
from plainbox.session import SessionManager, SessionStorage
from plainbox.session.dirs import WellKnownDirsHelper
from plainbox.session.metadata import RunningAttempt

UNITS = """
id: res
plugin: resource
command: printf 'name: x\\n\\nname: y\\n'

unit: template
template-resource: res
id: made-{name}
plugin: shell
command: true

id: must
plugin: shell
command: true

id: plain
plugin: shell
command: true

unit: test plan
id: plan
name: The plan
bootstrap_include: res
mandatory_include: must
include:
 made-.*
 plain
"""


def ran_in_order(run: SessionRun) -> list[str]:
    """The ids of the jobs in the order of their results on disk."""
    names = []
    for record in run.manager.storage.records():
        names += [item[0].partition("::")[2] for item in record.get("res", [])]
    return names


# -- beginning


def test_a_new_session(runs, catalogue) -> None:
    """A new session is on disk before anything runs: what it is, who made it, what it is asked to run."""
    run = runs.start(catalogue(UNITS), plan="plan")
    meta = json.loads(run.manager.storage.load_checkpoint())["meta"]
    assert meta["title"] == "The plan"
    assert meta["app_id"] == "plainbox"
    assert meta["test_plan_ids"] == ["org.example::plan"]
    assert meta["flags"] == ["bootstrapping", "incomplete", "strict_template_expansion"]
    assert meta["boot_id"]
    assert Selection.from_blob(run.state.metadata.app_blob) == run.selection
    assert [job.partial_id for job in run.state.run_list] == ["res"]
    assert run.manager.storage.is_locked()


def test_a_session_without_a_plan(runs, catalogue, outcomes) -> None:
    """Jobs named by hand run with what they need; templates that may be meant have their resource run first."""
    run = runs.start(catalogue(UNITS), "made-x", "plain")
    assert run.state.metadata.title == "made-x plain"
    assert "testplanless" in run.state.metadata.flags
    assert run.go_on()
    assert outcomes(run) == {"made-x": "pass", "plain": "pass", "res": "pass"}


def test_the_environment_is_noted(runs, catalogue) -> None:
    """The journal says on which machine and with which providers the session was opened."""
    run = runs.start(catalogue(UNITS), plan="plan")
    [opened] = [record for record in run.manager.storage.records() if record["t"] == "open"]
    assert opened["why"] == "create"
    assert opened["env"]["providers"] == {"org.example:demo": "1.0"}
    assert {"kernel", "architecture", "python", "plainbox"} <= set(opened["env"])


def test_unknown_plan(runs, catalogue) -> None:
    """A plan that is not there leaves no session."""
    with pytest.raises(UsageError):
        runs.start(catalogue(UNITS), plan="nobody")
    assert runs.repository.get_storage_list() == []


def test_failure_while_beginning(runs, catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that cannot be begun leaves nothing behind."""

    def refuse(manager: SessionManager) -> None:
        raise RuntimeError("refused")

    monkeypatch.setattr(SessionManager, "checkpoint", refuse)
    with pytest.raises(RuntimeError, match="refused"):
        runs.start(catalogue(UNITS), plan="plan")
    assert runs.repository.get_storage_list() == []


# -- through the phases


def test_phases(runs, catalogue, outcomes) -> None:
    """Bootstrap first, then mandatory jobs, then the others, instances of templates included; and then it is complete."""
    run = runs.start(catalogue(UNITS), plan="plan")
    assert run.go_on()
    assert ran_in_order(run) == ["res", "must", "made-x", "made-y", "plain"]
    assert [job.partial_id for job in run.jobs] == ["must", "made-x", "made-y", "plain", "res"]
    assert set(outcomes(run).values()) == {"pass"}
    meta = json.loads(run.manager.storage.load_checkpoint())["meta"]
    assert meta["flags"] == ["strict_template_expansion"]
    assert meta["running"] == {}


def test_manifest(runs, catalogue, outcomes, tmp_path: Path) -> None:
    """Answers about the machine reach the jobs that ask for them, from the file of the user."""
    manifest = tmp_path / "state" / "plainbox" / "machine-manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"org.example::has-touch": true}')
    text = """
unit: manifest entry
id: has-touch
name: A touch screen
value-type: bool

id: a
plugin: shell
command: grep -q 'has-touch: True' $PLAINBOX_SESSION_SHARE/manifest.records
"""
    run = runs.start(catalogue(text), "a")
    assert run.state.manifest == {"org.example::has-touch": True}
    assert run.go_on()
    assert outcomes(run) == {"a": "pass"}


def test_nothing_selected(runs, catalogue) -> None:
    """A selection that turns out to hold no job ends the session: it is not offered to be resumed."""
    run = runs.start(catalogue(UNITS), plan="plan", exclude=(".*plain", ".*made.*"), match=("none",))
    run.selection = Selection(patterns=("nothing-of-this-name",))
    run.manager.test_plans = ()
    with pytest.raises(NothingSelectedError):
        run.go_on()
    assert json.loads(run.manager.storage.load_checkpoint())["meta"]["flags"] == ["strict_template_expansion"]


# -- going on


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
def test_reopened_in_any_phase(runs, catalogue, outcomes, after: int) -> None:
    """Wherever a run was given up, the rest runs once, in the same order, and all of it is there in the end."""
    run = runs.start(catalogue(UNITS), plan="plan")
    count = 0

    def stop(job, result) -> None:
        nonlocal count
        count += 1
        if count == after:
            run.stop.after_this_job()

    run.runner.on_job_finished.connect(stop)
    if after:
        assert not run.go_on()
    again = runs.reopen(catalogue(UNITS), run)
    assert again.settled == []
    assert again.go_on()
    assert [name for name in ran_in_order(again) if name] == ["res", "must", "made-x", "made-y", "plain"]
    assert set(outcomes(again).values()) == {"pass"}
    assert all(len(state.result_history) <= 1 for state in again.state.job_state_map.values())


def test_reopened_in_the_bootstrap(runs, catalogue) -> None:
    """In the bootstrap only its jobs are to run, also when the session was opened again."""
    run = runs.start(catalogue(UNITS), plan="plan")
    again = runs.reopen(catalogue(UNITS), run)
    assert [job.partial_id for job in again.state.run_list] == ["res"]


def test_interrupted_resource_job(runs, catalogue, outcomes) -> None:
    """Jobs that the records of an interrupted resource job have made are selected when the session is opened again."""
    text = UNITS.replace("bootstrap_include: res\n", "").replace(" made-.*\n", " made-.*\n res\n")
    run = runs.start(catalogue(text), plan="plan")
    run.runner.on_job_finished.connect(lambda job, result: run.stop.after_this_job())
    assert not run.go_on()
    state = run.state.job_state_map["org.example::res"]
    # What is on disk when a tester is killed after its resource job has printed everything.
    result = run.runner._executor.execute(state)
    run.state.metadata.running = {
        "org.example::res": RunningAttempt(1, result.start_time, "another boot", log=result.get("log")["path"])
    }
    run.manager.checkpoint()
    again = runs.reopen(catalogue(text), run)
    assert [item[0].partial_id for item in again.settled] == ["res"]
    assert {"made-x", "made-y"} <= {job.partial_id for job in again.state.run_list}
    assert again.go_on()
    assert outcomes(again) == {"must": "pass", "plain": "pass", "res": "crash", "made-x": "pass", "made-y": "pass"}


def test_many_jobs_that_end_the_tester(runs, catalogue, outcomes, tmp_path: Path, monkeypatch) -> None:
    """A plan of jobs that each restart the machine comes to its end, however many there are."""
    boot = tmp_path / "boot"
    monkeypatch.setenv("PLAINBOX_BOOT_ID_FILE", str(boot))
    boot.write_text("0")
    names = [f"reboot-{number}" for number in range(7)]
    text = "".join(f"\nid: {name}\nplugin: shell\nflags: noreturn\ncommand: true\n" for name in names)
    text += "\nunit: test plan\nid: plan\nname: Plan\ninclude: reboot-.*\n"
    run = runs.start(catalogue(text), plan="plan")

    class Killed(BaseException):
        pass

    def start_and_die(self, job_state, *listeners):
        from plainbox.session.boot import boot_id

        self._manager.state.metadata.running = {job_state.job.id: RunningAttempt(1, 1.0, boot_id())}
        self._manager.checkpoint()
        raise Killed

    monkeypatch.setattr("plainbox.runner.executor.JobExecutor.execute", start_and_die)
    for number in range(1, len(names) + 1):
        with pytest.raises(Killed):
            run.go_on()
        boot.write_text(str(number))
        run = runs.reopen(catalogue(text), run)
        assert "stuck" not in run.state.metadata.flags
    assert run.go_on()
    assert outcomes(run) == dict.fromkeys(names, "pass")


def test_stuck_session(runs, catalogue, outcomes) -> None:
    """A session that is given up as stuck can be tried once more when somebody insists."""
    run = runs.start(catalogue(UNITS), plan="plan")
    for _ in range(5):
        run = runs.reopen(catalogue(UNITS), run)
    assert "stuck" in run.state.metadata.flags
    run = runs.reopen(catalogue(UNITS), run)
    assert "stuck" in run.state.metadata.flags
    run = runs.reopen(catalogue(UNITS), run, insist=True)
    assert "stuck" not in run.state.metadata.flags
    assert run.state.metadata.resume_count == 1
    assert run.go_on()


def test_a_share_that_jobs_have_ruined(runs, catalogue, outcomes) -> None:
    """Whatever jobs did to the directory that they share, the session can be opened again and go on."""
    run = runs.start(catalogue(UNITS), plan="plan")
    share = Path(WellKnownDirsHelper(run.manager.storage).share_pathname)
    for number, ruin in enumerate(
        (
            f"rm -rf {share}",
            f"rm -f {share}/manifest.records; mkdir -p {share}/manifest.records/deep; mkdir {share}/__result",
            f"rm -rf {share}/*; ln -s /etc/passwd {share}/manifest.records; mkfifo {share}/__result",
            f"rm -rf {share}; mkdir -p {share}-elsewhere/__result; ln -s {share}-elsewhere {share}",
            f"rm -rf {share}; echo in the way > {share}",
        )
    ):
        subprocess.run(["sh", "-c", ruin], check=True)
        run = runs.reopen(catalogue(UNITS), run, insist=number > 0)
        assert (share / "manifest.records").is_file()
        assert not (share / "manifest.records").is_symlink()
        assert not share.is_symlink()
    assert os.listdir(f"{share}-elsewhere") == ["__result"]
    assert run.go_on()
    assert set(outcomes(run).values()) == {"pass"}


@pytest.mark.parametrize("how", ["link", "file"])
def test_logs_that_jobs_have_moved(runs, catalogue, how: str) -> None:
    """What is where the logs belong is left to a person: the session is not opened, and free afterwards."""
    run = runs.start(catalogue(UNITS), plan="plan")
    logs = Path(WellKnownDirsHelper(run.manager.storage).io_log_pathname)
    logs.rename(logs.with_name("elsewhere"))
    logs.symlink_to("elsewhere") if how == "link" else logs.write_text("a file")
    with pytest.raises(StorageError, match=str(logs)) as refused:
        runs.reopen(catalogue(UNITS), run)
    assert refused.value.hint
    assert not logs.is_dir() or logs.is_symlink()
    assert not run.manager.storage.is_locked()
    logs.unlink()
    logs.with_name("elsewhere").rename(logs)
    assert runs.reopen(catalogue(UNITS), run).go_on()


def test_session_of_somebody_else(runs, catalogue, tmp_path: Path) -> None:
    """A session that another application made is not gone on with, and is free afterwards."""
    manager = SessionManager.create_with_unit_list([], runs.repository)
    manager.checkpoint()
    manager.close()
    storage = SessionStorage(manager.storage.location)
    with pytest.raises(UsageError, match="not made by"):
        SessionRun.reopen(catalogue(UNITS), storage)
    assert not storage.is_locked()


def test_session_in_use(runs, catalogue) -> None:
    """A session that runs is refused to a second runner."""
    run = runs.start(catalogue(UNITS), plan="plan")
    with pytest.raises(LockedStorageError) as refused:
        SessionRun.reopen(catalogue(UNITS), SessionStorage(run.manager.storage.location))
    assert refused.value.pid == os.getpid()


def test_session_that_is_gone(runs, catalogue, tmp_path: Path) -> None:
    """There is nothing to go on with where no session is."""
    with pytest.raises(StorageGoneError):
        SessionRun.reopen(catalogue(UNITS), SessionStorage(tmp_path / "none.session"))


def test_plan_that_is_gone(runs, catalogue) -> None:
    """A session whose plan is not known any more is not gone on with."""
    run = runs.start(catalogue(UNITS), plan="plan")
    with pytest.raises(UsageError, match="plan"):
        runs.reopen(catalogue(UNITS.replace("id: plan\n", "id: other\n")), run)


def test_provider_that_is_gone(runs, catalogue) -> None:
    """Jobs that are missing or changed are told with what has become of their provider."""
    run = runs.start(catalogue(UNITS), plan="plan")
    assert run.go_on()
    runs.abandon(run)
    location = run.manager.storage.location
    with pytest.raises(IncompatibleJobError) as missing:
        SessionRun.reopen(Catalogue([]), SessionStorage(location))
    assert "the provider org.example:demo is not here" in (missing.value.hint or "")
    assert len(missing.value.missing) == 5
    newer = catalogue(UNITS.replace("command: true", "command: false"), version="2.0")
    with pytest.raises(IncompatibleJobError) as changed:
        SessionRun.reopen(newer, SessionStorage(location))
    assert changed.value.hint is not None
    assert changed.value.hint.startswith("the provider org.example:demo was 1.0 and is 2.0; --allow-changed")
    assert "org.example::plain" in changed.value.changed
    assert not SessionStorage(location).is_locked()


def test_leftover_of_a_killed_run(runs, catalogue, outcomes, tmp_path: Path) -> None:
    """What a job has left running is ended before the session goes on with the next job."""
    from plainbox.processes import read_stat
    from plainbox.session.boot import boot_id

    run = runs.start(catalogue(UNITS), plan="plan")
    left = subprocess.Popen(["sleep", "300"], start_new_session=True)
    try:
        stat = read_stat(left.pid)
        assert stat is not None
        run.state.metadata.running = {"org.example::res": RunningAttempt(1, 1.0, boot_id(), left.pid, stat.start_ticks)}
        run.manager.checkpoint()
        again = runs.reopen(catalogue(UNITS), run)
        assert left.wait(10) == -signal.SIGTERM
        assert again.go_on()
        assert outcomes(again)["res"] == "crash"
    finally:
        left.kill()
        left.wait()
