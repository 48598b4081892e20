# SPDX-License-Identifier: Apache-2.0
"""The loop: every selected job ends with a durable result, whatever it is, before the world is told."""

from __future__ import annotations

import json
import logging
import os
import pwd

import pytest

from plainbox.errors import StorageFullError

PLAN = "\nunit: test plan\nid: plan\nname: Plan\ninclude: .*\n"


def units(*jobs: tuple[str, str]) -> str:
    """Unit text of shell jobs: (id, further lines)."""
    return "".join(f"\nid: {name}\nplugin: shell\n{lines or 'command: true'}\n" for name, lines in jobs)


class Told:
    """What a run has told, in order, and whether it was durable by then."""

    def __init__(self, run) -> None:
        self.run = run
        self.started: list[tuple[str, int, int]] = []
        self.finished: list[str] = []
        self.output: list[bytes] = []
        run.runner.on_job_started.connect(self.job_started)
        run.runner.on_job_output.connect(self.job_output)
        run.runner.on_job_finished.connect(self.job_finished)

    def job_started(self, job, number: int, total: int) -> None:
        self.started.append((job.partial_id, number, total))

    def job_output(self, job, stream: str, data: bytes) -> None:
        self.output.append(data)

    def job_finished(self, job, result) -> None:
        stored = json.loads(self.run.manager.storage.load_checkpoint())
        assert [item for item in stored.get("res", []) if item[0] == job.id and item[1] == result.attempt]
        assert job.id not in stored["meta"]["running"]
        self.finished.append(job.partial_id)


def comment(run, name: str) -> str:
    return run.state.job_state_map[f"org.example::{name}"].result.comments or ""


# -- every job ends with a result


def test_results_are_durable_before_they_are_told(runs, catalogue, outcomes) -> None:
    """Whoever hears of a result finds it on the disk, and nothing running; the jobs are counted."""
    run = runs.start(catalogue(units(("a", "command: echo hello"), ("b", "command: false")) + PLAN), plan="plan")
    told = Told(run)
    assert run.go_on()
    assert told.started == [("a", 1, 2), ("b", 2, 2)]
    assert told.finished == ["a", "b"]
    assert told.output == [b"hello\n"]
    assert outcomes(run) == {"a": "pass", "b": "fail"}
    assert "incomplete" not in run.state.metadata.flags


def test_jobs_that_cannot_be_put_in_order(runs, catalogue, outcomes) -> None:
    """Jobs that need what is not there, or themselves, have a result with the reason, and are counted like others."""
    text = units(
        ("good", ""),
        ("orphan", "command: true\ndepends: nobody"),
        ("round", "command: true\ndepends: about"),
        ("about", "command: true\ndepends: round"),
    )
    run = runs.start(catalogue(text + PLAN), plan="plan")
    told = Told(run)
    assert run.go_on()
    assert outcomes(run) == {"good": "pass", **dict.fromkeys(("orphan", "round", "about"), "skipped-dependency")}
    assert "nobody" in comment(run, "orphan")
    assert "cycle" in comment(run, "round")
    assert sorted(told.finished) == ["about", "good", "orphan", "round"]
    assert [(number, total) for _, number, total in told.started] == [(number, 4) for number in (1, 2, 3, 4)]


def test_verdicts_come_with_the_selection(runs, catalogue, outcomes) -> None:
    """What cannot be put in order has its result in the checkpoint that makes the selection durable."""
    run = runs.start(catalogue(units(("good", ""), ("orphan", "command: true\ndepends: nobody")) + PLAN), plan="plan")
    run.stop.after_this_job()
    assert not run.go_on()
    records = run.manager.storage.records()
    [chosen] = [record for record in records if record.get("want")]
    assert [item[0] for item in chosen["res"]] == ["org.example::orphan"]
    again = runs.reopen(catalogue(units(("good", ""), ("orphan", "command: true\ndepends: nobody")) + PLAN), run)
    assert again.go_on()
    assert outcomes(again) == {"good": "pass", "orphan": "skipped-dependency"}


def test_jobs_that_do_not_run(runs, catalogue, outcomes) -> None:
    """Jobs for persons, for other users, of other kinds and with errors have a result that says why."""
    somebody_else = next(entry.pw_name for entry in pwd.getpwall() if entry.pw_uid != os.geteuid())
    own_name = pwd.getpwuid(os.geteuid()).pw_name
    text = (
        "id: manual\nplugin: manual\ndescription: Look\n"
        + units(
            ("other-user", f"command: true\nuser: {somebody_else}"),
            ("own-user", f"command: true\nuser: {own_name}"),
            ("unknown-user", "command: true\nuser: no-such-user-here"),
            ("wrong", "command: true\nshell: fish"),
        )
        + PLAN
    )
    run = runs.start(catalogue(text), plan="plan")
    assert run.go_on()
    found = outcomes(run)
    assert found["manual"] == "skip"
    assert "person" in comment(run, "manual")
    assert found["wrong"] == "fail"
    assert "units.pxu:" in comment(run, "wrong")
    assert found["own-user"] in ("pass", "fail")  # the field accepts root only for some
    assert found["other-user"] in ("pass", "skip", "fail")  # root can, others where sudo lets them
    assert set(found.values()) <= {"skip", "fail", "pass"}


def test_jobs_that_cannot_start(runs, catalogue, outcomes) -> None:
    """A failed dependency, an unmet resource and a job that needs no salvage are outcomes with a reason."""
    text = (
        "id: res\nplugin: resource\ncommand: echo 'name: x'\n"
        + units(
            ("bad", "command: false"),
            ("needs-bad", "command: true\ndepends: bad"),
            ("after-bad", "command: true\nafter: bad"),
            ("unmet", "command: true\nrequires: res.name == 'y'"),
            ("saves-bad", "command: true\nsalvages: bad"),
            ("saves-good", "command: true\nsalvages: after-bad"),
        )
        + PLAN
    )
    run = runs.start(catalogue(text), plan="plan")
    assert run.go_on()
    assert outcomes(run) == {
        "res": "pass",
        "bad": "fail",
        "needs-bad": "skipped-dependency",
        "after-bad": "pass",
        "unmet": "skipped-resource",
        "saves-bad": "pass",
        "saves-good": "not-supported",
    }
    reason = run.state.job_state_map["org.example::unmet"].result.skip_reason
    assert reason is not None
    assert list(reason["related_resources"]) == ["res.name == 'y'"]


# -- jobs that come in the course of the run


TEMPLATES = """
id: res
plugin: resource
command: printf 'name: x\\n\\nname: y\\n'

unit: template
template-resource: res
id: made-{name}
plugin: shell
command: true

unit: template
template-resource: res
id: broken-{name}
plugin: shell
command: true
depends: nobody-{name}
"""


def test_jobs_made_during_the_run(runs, catalogue, outcomes) -> None:
    """Jobs that a template makes while the run goes on are selected too, and those of them that cannot run say so."""
    run = runs.start(catalogue(TEMPLATES + PLAN), plan="plan")
    told = Told(run)
    assert run.go_on()
    assert outcomes(run) == {
        "res": "pass",
        "made-x": "pass",
        "made-y": "pass",
        "broken-x": "skipped-dependency",
        "broken-y": "skipped-dependency",
    }
    assert told.finished[0] == "res"
    assert [number for _, number, _ in told.started] == [1, 2, 3, 4, 5]
    assert {total for _, _, total in told.started[1:]} == {5}


def test_new_jobs_come_with_the_result_that_makes_them(runs, catalogue, outcomes) -> None:
    """A run that is killed right after a resource job has not forgotten the jobs that its records have made."""
    units_text = TEMPLATES + PLAN
    run = runs.start(catalogue(units_text), plan="plan")
    # The first that is told after the resource job, and the last thing that this tester does.
    run.runner.on_job_finished.connect(lambda job, result: run.stop.after_this_job())
    assert not run.go_on()
    again = runs.reopen(catalogue(units_text), run)
    assert again.state.job_state_map["org.example::made-x"].job in again.state.run_list
    assert again.state.job_state_map["org.example::broken-x"].result.outcome == "skipped-dependency"
    assert again.go_on()
    assert set(outcomes(again)) == {"res", "made-x", "made-y", "broken-x", "broken-y"}
    assert None not in outcomes(again).values()


def test_resource_job_whose_output_cannot_be_read(runs, catalogue, outcomes, caplog) -> None:
    """A resource job that removes its own log has a result; who needs its records is skipped, the others run."""
    text = (
        "id: res\nplugin: resource\ncommand: echo 'name: x'; sleep 0.3; rm -rf $PLAINBOX_SESSION_SHARE/../io-logs/*\n"
        + units(("wants", "command: true\nrequires: res.name == 'x'"), ("good", ""))
        + PLAN
    )
    run = runs.start(catalogue(text), plan="plan")
    with caplog.at_level(logging.WARNING):
        assert run.go_on()
    assert outcomes(run) == {"res": "pass", "wants": "skipped-resource", "good": "pass"}
    assert "cannot be read" in caplog.text


# -- whoever watches


def test_watchers_that_fail(runs, catalogue, outcomes, caplog) -> None:
    """What watches a run can neither end it nor change a result by failing."""

    def fail(*args: object) -> None:
        raise BrokenPipeError("nobody there")

    run = runs.start(catalogue(units(("a", "command: echo output"), ("b", "command: echo output")) + PLAN), plan="plan")
    for signal in (run.runner.on_job_started, run.runner.on_job_output, run.runner.on_job_finished):
        signal.connect(fail)
    told = Told(run)
    with caplog.at_level(logging.WARNING):
        assert run.go_on()
    assert outcomes(run) == {"a": "pass", "b": "pass"}
    assert told.finished == ["a", "b"]
    assert caplog.text.count("nobody there") <= 3


# -- stopping and failing


def test_stopping_after_the_current_job(runs, catalogue, outcomes) -> None:
    """A run that is asked to stop ends the current job properly and starts no other; it can go on."""
    run = runs.start(catalogue(units(("a", ""), ("b", ""), ("c", "")) + PLAN), plan="plan")
    run.runner.on_job_started.connect(lambda job, number, total: run.stop.after_this_job() if number == 2 else None)
    assert not run.go_on()
    assert outcomes(run) == {"a": "pass", "b": "pass", "c": None}
    assert "incomplete" in run.state.metadata.flags


def test_stopping_at_once(runs, catalogue, outcomes) -> None:
    """A run that is stopped at once ends the current job, and is not complete, even if that was the last job."""
    run = runs.start(catalogue(units(("a", "command: echo x; sleep 300")) + PLAN), plan="plan")
    run.runner.on_job_output.connect(lambda job, stream, data: run.stop.now("SIGTERM"))
    assert not run.go_on()
    assert outcomes(run) == {"a": "crash"}
    assert "SIGTERM" in comment(run, "a")


def test_storage_without_space(runs, catalogue, outcomes, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a result cannot be stored nobody is told of it and nothing else is started."""
    run = runs.start(catalogue(units(("a", ""), ("b", "")) + PLAN), plan="plan")
    run.runner._space_wait_s = 0.0
    told = Told(run)
    plain = run.manager.storage.save_checkpoint

    def save(data: bytes) -> None:
        if b'"res"' in data:
            raise StorageFullError("no space", errno=28)
        plain(data)

    monkeypatch.setattr(run.manager.storage, "save_checkpoint", save)
    with pytest.raises(StorageFullError):
        run.go_on()
    assert told.finished == []
    assert outcomes(run)["b"] is None
    monkeypatch.undo()


def test_sign_of_life_between_jobs(runs, catalogue, outcomes) -> None:
    """Jobs that need no command give a sign of life, too, each of them."""
    jobs = "".join(f"unit: job\nid: m{number}\nplugin: manual\n\n" for number in range(20))
    run = runs.start(catalogue(jobs), "m.*")
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1

    run.stop.tick = tick
    assert run.go_on()
    assert set(outcomes(run).values()) == {"skip"}
    assert ticks >= 20
