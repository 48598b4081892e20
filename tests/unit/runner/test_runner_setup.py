# SPDX-License-Identifier: Apache-2.0
"""The setup phase: what it runs, what a failure in it means, and going on with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plainbox.errors import UsageError
from plainbox.session.metadata import RunningAttempt

UNITS = """
unit: setup job
id: prepare
flags: simple
command: echo $PLAINBOX_SESSION_SHARE; test ! -e {flag}

unit: setup job
id: with-wifi
flags: simple
requires_manifest: has_wifi
command: true

unit: manifest entry
id: has_wifi
name: Wi-Fi
value-type: bool

id: res
plugin: resource
command: echo 'name: x'

unit: template
template-resource: res
id: made-{{name}}
flags: simple
command: true

unit: test plan
id: plan
name: The plan
setup_include: prepare with-wifi
bootstrap_include: res
include: .*
"""


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    """A file whose existence makes the setup fail."""
    return tmp_path / "broken"


@pytest.fixture
def units(flag: Path) -> str:
    return UNITS.format(flag=flag)


def flags(run) -> set[str]:
    meta = json.loads(run.manager.storage.load_checkpoint())["meta"]
    return set(meta["flags"]) - {"strict_template_expansion"}


def test_setup_comes_first(runs, catalogue, outcomes, units: str) -> None:
    """Setup jobs run before the bootstrap; one whose manifest entry is not as it wants is skipped and fails nothing."""
    run = runs.start(catalogue(units), plan="plan")
    assert flags(run) == {"setting_up", "bootstrapping", "incomplete"}
    assert [job.partial_id for job in run.state.run_list] == ["prepare", "with-wifi"]
    assert run.go_on()
    assert flags(run) == set()
    assert outcomes(run) == {"made-x": "pass", "prepare": "pass", "with-wifi": "skipped-manifest", "res": "pass"}


def test_answered_manifest(runs, catalogue, outcomes, units: str, tmp_path: Path) -> None:
    """A setup job runs when the manifest says what it wants."""
    manifest = tmp_path / "state" / "plainbox" / "machine-manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"org.example::has_wifi": true}')
    run = runs.start(catalogue(units), plan="plan")
    assert run.go_on()
    assert outcomes(run)["with-wifi"] == "pass"


def test_failed_setup(runs, catalogue, outcomes, units: str, flag: Path) -> None:
    """When a setup job fails nothing else runs; a resume tries it again, keeps both attempts, and goes on."""
    flag.touch()
    run = runs.start(catalogue(units), plan="plan")
    assert not run.go_on()
    assert [job.partial_id for job in run.failed_setup] == ["prepare"]
    assert outcomes(run) == {"prepare": "fail", "with-wifi": "skipped-manifest"}
    assert flags(run) == {"setting_up", "bootstrapping", "incomplete"}

    again = runs.reopen(catalogue(units), run)
    assert not again.go_on()

    flag.unlink()
    third = runs.reopen(catalogue(units), again)
    assert third.go_on()
    assert not third.failed_setup
    history = third.state.job_state_map["org.example::prepare"].result_history
    assert [result.outcome for result in history] == ["fail", "fail", "pass"]
    assert outcomes(third)["made-x"] == "pass"


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_given_up_while_setting_up(runs, catalogue, outcomes, units: str, after: int) -> None:
    """Wherever a run was given up, no job of the setup that had passed runs once more."""
    run = runs.start(catalogue(units), plan="plan")
    done = []

    def finished(job, result) -> None:
        done.append(job)
        if len(done) == after:
            run.stop.after_this_job()

    run.runner.on_job_finished.connect(finished)
    if after == 0:
        run.stop.after_this_job()
    assert not run.go_on()
    again = runs.reopen(catalogue(units), run)
    assert again.go_on()
    states = again.state.job_state_map.values()
    assert [len(state.result_history) for state in states if state.result_history] == [1, 1, 1, 1]


def test_a_reboot_in_the_setup(runs, catalogue, outcomes) -> None:
    """A setup job that ends the tester has passed when the session goes on, and the rest of the setup runs."""
    text = """
unit: setup job
id: reboot
flags: simple noreturn
command: true

unit: setup job
id: after
flags: simple
command: true

id: a
flags: simple
command: true

unit: test plan
id: plan
name: The plan
setup_include: reboot after
include: a
"""
    units = catalogue(text)
    run = runs.start(units, plan="plan")
    job = run.state.run_list[0]

    run.state.metadata.running = {job.id: RunningAttempt(1, 1.0, "another boot", 5, 6, "")}
    run.manager.checkpoint()
    again = runs.reopen(units, run)
    assert again.go_on()
    assert outcomes(again) == {"a": "pass", "reboot": "pass", "after": "pass"}


def test_excluded_by_hand(runs, catalogue, outcomes, units: str) -> None:
    """What is excluded by hand does not set anything up."""
    run = runs.start(catalogue(units), plan="plan", exclude=("prepare", "with-wifi"))
    assert run.go_on()
    assert outcomes(run) == {"made-x": "pass", "res": "pass"}


def test_patterns_never_mean_setup_jobs(runs, catalogue, outcomes, units: str) -> None:
    """Neither a plan's patterns nor a selection by hand runs a setup job."""
    run = runs.start(catalogue(units), ".*")
    assert run.go_on()
    assert set(outcomes(run)) == {"res", "made-x"}


def test_without_setup(runs, catalogue, units: str) -> None:
    """A look at what would be selected runs the bootstrap alone."""
    run = runs.start(catalogue(units), plan="plan")
    assert run.prepare(setup=False)
    assert [job.partial_id for job in run.state.run_list] == ["made-x"]
    assert not run.state.job_state_map["org.example::prepare"].result_history


def test_a_setup_job_that_is_not_there(runs, catalogue, units: str) -> None:
    """A plan whose setup job nobody has does not run at all, unless the job is left out by hand."""
    text = units.replace("setup_include: prepare", "setup_include: prepair res")
    with pytest.raises(UsageError, match=r"org\.example::prepair, org\.example::res") as raised:
        runs.start(catalogue(text), plan="plan")
    assert "--exclude org.example::prepair" in str(raised.value.hint)
    assert runs.repository.get_storage_list() == []
    run = runs.start(catalogue(text), plan="plan", exclude=("prepair", "res"))
    assert [job.partial_id for job in run.state.run_list] == ["with-wifi"]


def test_a_setup_job_that_cannot_run_here(runs, catalogue, outcomes, units: str) -> None:
    """A setup job that is skipped for its user leaves the machine unprepared: nothing else runs."""
    run = runs.start(catalogue(units.replace("id: prepare\n", "id: prepare\nuser: no-such-user-here\n")), plan="plan")
    assert not run.go_on()
    assert [job.partial_id for job in run.failed_setup] == ["prepare"]
    assert outcomes(run)["prepare"] == "skip"


def test_a_setup_job_that_kills_the_tester(runs, catalogue, units: str) -> None:
    """A setup job that crashes again and again is given up like any other job."""
    known = catalogue(units)
    run = runs.start(known, plan="plan")
    job = run.state.run_list[0]
    for _ in range(20):
        run.state.metadata.running = {job.id: RunningAttempt(1, 1.0, "another boot", 5, 6, "")}
        run.manager.checkpoint()
        run = runs.reopen(known, run)
        if "stuck" in run.state.metadata.flags:
            break
        assert run.runner.again == {job.id}
    assert "stuck" in run.state.metadata.flags


@pytest.mark.parametrize(("setup", "outcome"), [("prepare", "pass"), ("", "skipped-dependency")])
def test_nothing_pulls_a_setup_job_in(runs, catalogue, outcomes, setup: str, outcome: str) -> None:
    """A job may depend on a setup job that its plan has; without that the job is skipped, and the setup job stays out."""
    text = f"""
unit: setup job
id: prepare
flags: simple
command: true

id: a
flags: simple
depends: prepare
command: true

unit: test plan
id: plan
name: The plan
setup_include: {setup}
include: a
"""
    run = runs.start(catalogue(text), plan="plan")
    assert run.go_on()
    assert outcomes(run) == {"a": outcome, **({"prepare": "pass"} if setup else {})}
