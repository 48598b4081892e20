# SPDX-License-Identifier: Apache-2.0
"""From a state to bytes and back: everything comes back, and what cannot is told all at once."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manager_rig import (
    PROVIDER,
    full,
    give,
    job,
    job_state,
    plan,
    records,
    reload,
    result,
    session,
    state_of,
    template,
)

from plainbox.errors import (
    BrokenReferenceToExternalFile,
    CorruptedSessionError,
    IncompatibleJobError,
    IncompatibleSessionError,
    SessionResumeError,
    StorageClosedError,
)
from plainbox.session import (
    DiskJobResult,
    SessionManager,
    SessionPeekHelper,
    SessionResumeHelper,
    SessionState,
    SessionSuspendHelper,
)
from plainbox.session.audit import audit
from plainbox.session.files import FileOps
from plainbox.session.iolog import IOLogWriter
from plainbox.session.iolog_reader import encode_trailer
from plainbox.session.metadata import RunningAttempt
from plainbox.session.resume import STALE, ResumeFlag
from plainbox.session.salvage import salvage
from plainbox.session.storage import SessionStorage


def resource_units() -> list[Any]:
    """A resource whose records make a resource job, whose records make jobs."""
    return [
        job("res", plugin="resource"),
        template("res-of-{name}", "res", plugin="resource"),
        template("deep-{thing}", "res-of-x", **{"template-id": "deep"}),
    ]


def with_two_levels(base: Path) -> SessionManager:
    manager = session(base, *resource_units())
    state = state_of(manager)
    give(manager, "res", records("name: x"))
    give(manager, "res-of-x", records("thing: one", "thing: two"))
    state.update_desired_job_list([state.job_state_map[full(name)].job for name in ("deep-one", "deep-two")])
    give(manager, "deep-two", result("fail", comments="deep down"))
    manager.checkpoint()
    return manager


def log_of(manager: SessionManager, partial_id: str, output: bytes, attempt: int = 1) -> DiskJobResult:
    """A result whose output is in a log of the session."""
    log = IOLogWriter(manager.storage.location, full(partial_id), attempt, files=manager.storage.files)
    log.write("stdout", output)
    return DiskJobResult({"outcome": "pass", "log": log.close()}, manager.storage.location)


# -- everything comes back


def test_round_trip(tmp_path: Path) -> None:
    """Histories, attempts, lists, resources, metadata and what the machine is are what they were."""
    units = [
        job("res", plugin="resource"),
        job("a"),
        job("b", depends="a"),
        job("c", requires="res.name == 'x'"),
        job("d"),
        plan("p", mandatory_include="d"),
    ]
    jobs = units[:5]
    manager = session(tmp_path, *units, run=jobs[:4])
    state = state_of(manager)
    state.update_mandatory_job_list(jobs[4:])
    state.update_desired_job_list(jobs[1:4])
    give(manager, "res", records("name: x\nsize: 3", "name: y"))
    give(manager, "a", result("fail", comments="broken\ttab \N{SNOWMAN}", return_code=3, execution_duration=1.25))
    give(manager, "a", result("crash", return_code=-11, start_time=1.5e9, boot_id="0123", origin="resume"))
    give(manager, "b", result("skipped-dependency", skip_reason={"related_dependencies": [full("a")]}))
    give(manager, "d", result(io_log=[(0.0, "stdout", b"\xff\x00"), (0.5, "stderr", b"two\n")]))
    job_state(manager, "a").attempts = 1
    give(manager, "a", result("fail"), replace=True)
    metadata = state.metadata
    metadata.title = "T\N{SNOWMAN}"
    metadata.flags = {"incomplete", "own"}
    metadata.app_blob = b"\x00\xff"
    metadata.app_id = "app"
    metadata.custom_joblist = True
    metadata.rejected_jobs = ["x"]
    metadata.last_job_start_time = 2.5
    metadata.test_plan_ids = [full("p")]
    metadata.resume_count = 2
    metadata.boot_id = "0123456789abcdef"
    metadata.tz_offset = -3600
    metadata.running = {full("c"): RunningAttempt(1, 2.5, "boot", 7, 8, "io-logs/x")}
    state.system_information = {"m": {"v": [1, None]}}
    manager.checkpoint()

    loaded = state_of(reload(manager, *units))
    for job_id, before in state.job_state_map.items():
        after = loaded.job_state_map[job_id]
        assert after.result_history == before.result_history
        assert after.result == before.result
        assert after.attempts == before.attempts
        assert after.readiness_inhibitor_list == before.readiness_inhibitor_list
        assert [item.as_dict() for item in after.result_history] == [item.as_dict() for item in before.result_history]
    assert loaded.metadata == metadata
    assert loaded.desired_job_list == state.desired_job_list
    assert loaded.mandatory_job_list == state.mandatory_job_list
    assert loaded.run_list == state.run_list
    assert loaded.resource_map == state.resource_map
    assert loaded.system_information == state.system_information
    assert list(loaded.job_state_map[full("d")].result.get_io_log()) == list(
        state.job_state_map[full("d")].result.get_io_log()
    )


def test_loading_writes_nothing(tmp_path: Path) -> None:
    """What was loaded is on disk: nothing is pending, and a second loading gives the same bytes."""
    manager = with_two_levels(tmp_path)
    stored = manager.storage.load_checkpoint()
    loaded = reload(manager, *resource_units())
    assert loaded._tracker is not None
    assert not loaded._tracker.pending()
    loaded.checkpoint()
    assert loaded.storage.load_checkpoint() == stored
    audit(state_of(loaded), loaded.storage)


def test_jobs_made_by_jobs_that_were_made(tmp_path: Path) -> None:
    """Jobs of two levels of templates come back with their results and with the jobs that they come from."""
    loaded = reload(with_two_levels(tmp_path), *resource_units())
    assert job_state(loaded, "deep-two").result.comments == "deep down"
    assert [item.partial_id for item in state_of(loaded).run_list] == ["deep-one", "deep-two"]
    via = job_state(loaded, "deep-one").via_job
    assert via is not None
    assert via.id == full("res-of-x")


def test_first_maker_of_a_job(tmp_path: Path) -> None:
    """A job that two resources make belongs to the one that ran first, also after a resume."""
    units = [job("r1", plugin="resource"), job("r2", plugin="resource")]
    units += [template("made-{name}", name, **{"template-id": "maker"}) for name in ("r1", "r2")]
    manager = session(tmp_path, *units)
    for name in ("r2", "r1"):
        give(manager, name, records("name: x"))
    state = state_of(manager)
    state.update_desired_job_list([state.job_state_map[full("made-x")].job])
    manager.checkpoint()
    loaded = reload(manager, *units)
    via = job_state(loaded, "made-x").via_job
    assert via is not None
    assert via.id == full("r2")
    audit(state_of(loaded), loaded.storage)


def test_early_callback(tmp_path: Path) -> None:
    """The callback sees the state before any result is in it, and a state that it returns is the one that is filled."""
    manager = session(tmp_path, one := job("a"), run=[one])
    give(manager, "a", result("fail"))
    manager.checkpoint()
    data = manager.storage.load_checkpoint()
    seen: list[object] = []
    heard: list[object] = []

    def early(state: SessionState) -> None:
        seen.append([item.result.outcome for item in state.job_state_map.values()])
        state.on_job_result_changed.connect(lambda changed, outcome: heard.append((changed.id, outcome.outcome)))

    SessionResumeHelper([job("a")], None, manager.storage.location).resume(data, early)
    assert seen == [[None]]
    assert heard == [(full("a"), "fail")]
    other = SessionState([job("a")])
    assert SessionResumeHelper([job("a")], None, None).resume(data, lambda state: other) is other
    assert other.job_state_map[full("a")].result.outcome == "fail"


def test_same_state_same_bytes(tmp_path: Path) -> None:
    """A representation depends on the state alone, not on the order in which it came about."""

    def made(base: Path, names: list[str]) -> bytes:
        jobs = [job("a"), job("b")]
        manager = session(base, *jobs, run=jobs)
        for name in names:
            give(manager, name, result("fail"))
        return SessionSuspendHelper().suspend(state_of(manager), manager.storage.location)

    assert made(tmp_path / "1", ["a", "b"]) == made(tmp_path / "2", ["b", "a"])


def test_suspending_changes_nothing(tmp_path: Path) -> None:
    """Representing a state twice gives the same bytes and leaves nothing to store."""
    manager = with_two_levels(tmp_path)
    first = SessionSuspendHelper().suspend(state_of(manager), manager.storage.location)
    assert SessionSuspendHelper().suspend(state_of(manager), manager.storage.location) == first
    assert manager._tracker is not None
    assert not manager._tracker.pending()


def test_what_is_stored_of_a_job(tmp_path: Path) -> None:
    """Of a job what reports show is stored; of an instance what it was filled with, and nothing long."""
    long = "x" * 5000
    units = [
        job("res", plugin="resource"),
        job("plain", command=long, _summary="Plain", category_id="c"),
        template("made-{name}", "res", command=f"echo {long}", _summary="Made {name}", **{"template-id": "t"}),
    ]
    manager = session(tmp_path, *units)
    give(manager, "res", records("name: x"))
    state = state_of(manager)
    state.update_desired_job_list([state.job_state_map[full(name)].job for name in ("plain", "made-x")])
    manager.checkpoint()
    stored = json.loads(manager.storage.load_checkpoint())
    assert stored["units"][full("plain")] == {
        "fields": {"plugin": "shell", "summary": "Plain", "category_id": "c"},
        "provider": PROVIDER.name,
    }
    made = stored["units"][full("made-x")]
    assert made["fields"] == {"plugin": "shell", "summary": "Made x", "template-id": full("t")}
    assert len(json.dumps(made)) < 400


def test_text_of_any_kind(tmp_path: Path) -> None:
    """Control characters, bad UTF-8 that was read as text, and long texts come back as they were."""
    texts = ["".join(map(chr, range(256))), "\udcff\ud800", "\u2028\u2029\ufeff", "x" * 1024 * 1024, '\\"\\u0000']
    jobs = [job(f"job-{number}") for number in range(len(texts))]
    manager = session(tmp_path, *jobs, run=jobs)
    for number, text in enumerate(texts):
        give(manager, f"job-{number}", result("fail", comments=text))
    state_of(manager).metadata.title = texts[1]
    manager.checkpoint()
    loaded = reload(manager, *jobs)
    assert [job_state(loaded, f"job-{number}").result.get("comments") for number in range(len(texts))] == texts
    assert state_of(loaded).metadata.title == texts[1]


# -- resources


def test_resource_output(tmp_path: Path) -> None:
    """Records before a bad line, none at all and bad UTF-8 come back from the logs as they were understood first."""
    outputs = {"half": b"name: x\n\nno field\nname: y\n", "none": b"", "bytes": b"name: \xff\n"}
    units = [job(name, plugin="resource") for name in outputs]
    units += [job(f"wants-{name}", requires=f"{name}.name == 'x'") for name in outputs]
    manager = session(tmp_path, *units, run=units)
    for name, output in outputs.items():
        give(manager, name, log_of(manager, name, output))
    manager.checkpoint()
    before = state_of(manager)
    assert before.resource_map[full("half")] == [{"name": "x"}]
    assert before.resource_map[full("none")] == [{}]
    assert before.resource_map[full("bytes")] == [{"name": "\N{REPLACEMENT CHARACTER}"}]
    after = state_of(reload(manager, *units))
    assert after.resource_map == before.resource_map
    for name in outputs:
        wanting = full(f"wants-{name}")
        assert (
            after.job_state_map[wanting].readiness_inhibitor_list
            == before.job_state_map[wanting].readiness_inhibitor_list
        )


def lose(manager: SessionManager, partial_id: str) -> None:
    """Delete the last log of a job."""
    last = job_state(manager, partial_id).result
    assert isinstance(last, DiskJobResult)
    assert last.io_log_filename is not None
    Path(last.io_log_filename).unlink()


def lost_units() -> list[Any]:
    return [
        job("res", plugin="resource"),
        template("made-{name}", "res"),
        job("needs", depends="made-y"),
        job("asks", requires="res.name == 'x'"),
    ]


def with_lost_log(base: Path) -> SessionManager:
    """A session whose resource job made two jobs, one of them done, and whose log is gone."""
    manager = session(base, *lost_units())
    give(manager, "res", log_of(manager, "res", b"name: x\n\nname: y\n"))
    state = state_of(manager)
    names = ("made-x", "made-y", "needs", "asks")
    state.update_desired_job_list([state.job_state_map[full(name)].job for name in names])
    give(manager, "made-x", result("fail"))
    manager.checkpoint()
    lose(manager, "res")
    return manager


def test_lost_log_of_a_resource(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A resource job whose output is gone is to run again; a job that it made keeps its result."""
    manager = with_lost_log(tmp_path)
    with caplog.at_level(logging.WARNING):
        loaded = reload(manager, *lost_units())
    assert "cannot be read" in caplog.text
    history = job_state(loaded, "res").result_history
    assert [(item.outcome, item.origin, item.get("retry")) for item in history] == [
        ("pass", None, None),
        ("crash", "resume", True),
    ]
    assert "its output is lost" in (history[1].comments or "")
    assert "the job is run again" in (history[1].comments or "")
    assert job_state(loaded, "made-x").result.outcome == "fail"
    state = state_of(loaded)
    # What needs a job that has to be made first is not judged before that.
    assert [item.partial_id for item in state.run_list] == ["res", "made-x", "asks"]
    assert state.dropped == {}
    assert full("made-y") not in state.job_state_map


def test_lost_log_is_on_disk_after_the_next_checkpoint(tmp_path: Path) -> None:
    """Loading alone stores nothing, the next checkpoint the further result; loading again adds none."""
    manager = with_lost_log(tmp_path)
    stored = manager.storage.load_checkpoint()
    loaded = reload(manager, *lost_units())
    assert loaded.storage.load_checkpoint() == stored
    again = reload(loaded, *lost_units())
    assert len(job_state(again, "res").result_history) == 2
    again.checkpoint()
    assert again.storage.load_checkpoint() != stored
    third = reload(again, *lost_units())
    assert job_state(third, "res").result_history == job_state(again, "res").result_history
    assert job_state(third, "made-x").result.outcome == "fail"
    give(third, "res", log_of(third, "res", b"name: z\n", 3))
    third.checkpoint()
    last = reload(third, *lost_units())
    assert state_of(last).resource_map[full("res")] == [{"name": "z"}]
    assert job_state(last, "made-x").result.outcome == "fail"


def test_resource_job_that_ran_again(tmp_path: Path) -> None:
    """The output of the next run makes the jobs again; the one that is done is the same, and no problem is seen."""
    loaded = reload(with_lost_log(tmp_path), *lost_units())
    loaded.checkpoint()
    give(loaded, "res", log_of(loaded, "res", b"name: x\n\nname: y\n", 3))
    state = state_of(loaded)
    assert state.problems == []
    assert job_state(loaded, "made-x").result.outcome == "fail"
    assert job_state(loaded, "made-y").result.outcome is None
    state.update_desired_job_list([state.job_state_map[full(name)].job for name in ("made-x", "made-y", "needs")])
    loaded.checkpoint()
    after = reload(loaded, *lost_units())
    assert [item.id for item in state_of(after).run_list] == [item.id for item in state.run_list]
    assert job_state(after, "made-x").result.outcome == "fail"


def test_running_job_that_was_made_from_what_is_lost(tmp_path: Path) -> None:
    """It stays, without a result, for whoever judges what was interrupted."""
    manager = with_lost_log(tmp_path)
    state_of(manager).metadata.running = {full("made-y"): RunningAttempt(1, 1.0)}
    manager.checkpoint()
    loaded = reload(manager, *lost_units())
    assert job_state(loaded, "made-y").result.outcome is None
    assert [item.partial_id for item in state_of(loaded).run_list] == ["res", "made-x", "made-y", "needs", "asks"]


def test_lost_log_under_two_levels(tmp_path: Path) -> None:
    """A resource job that was made from what is lost is made and run again; what it made keeps its results."""
    manager = session(tmp_path, *resource_units())
    give(manager, "res", log_of(manager, "res", b"name: x\n"))
    give(manager, "res-of-x", records("thing: one", "thing: two"))
    state = state_of(manager)
    state.update_desired_job_list([state.job_state_map[full(name)].job for name in ("deep-one", "deep-two")])
    give(manager, "deep-two", result("fail"))
    manager.checkpoint()
    lose(manager, "res")
    loaded = reload(manager, *resource_units())
    loaded.checkpoint()
    loaded = reload(loaded, *resource_units())
    assert job_state(loaded, "deep-two").result.outcome == "fail"
    assert {full("res-of-x"), full("deep-one")}.isdisjoint(state_of(loaded).job_state_map)
    give(loaded, "res", records("name: x"))
    give(loaded, "res-of-x", records("thing: one", "thing: two"))
    assert job_state(loaded, "deep-one").result.outcome is None
    assert state_of(loaded).problems == []


def test_damaged_log_of_a_resource(tmp_path: Path) -> None:
    """Damage and a directory in the place of the log are like a log that is gone; an earlier log is not missed."""
    units = [job("res", plugin="resource")]
    for name, spoil in {
        "damage": lambda path: path.write_bytes(path.read_bytes().replace(b"name", b"nahm")),
        "directory": lambda path: (path.unlink(), path.mkdir()),
    }.items():
        manager = session(tmp_path / name, *units, run=units)
        give(manager, "res", log_of(manager, "res", b"name: x\n"))
        give(manager, "res", log_of(manager, "res", b"name: x\n", 2))
        job_state(manager, "res").attempts = 0
        manager.checkpoint()
        first, second = job_state(manager, "res").result_history
        spoil(Path(str(first.io_log_filename)))  # type: ignore[attr-defined]
        loaded = reload(manager, *units)
        assert job_state(loaded, "res").result == second
        assert state_of(loaded).resource_map[full("res")] == [{"name": "x"}]
        spoil(Path(str(second.io_log_filename)))  # type: ignore[attr-defined]
        loaded = reload(loaded, *units)
        assert job_state(loaded, "res").result.get("retry") is True
        assert job_state(loaded, "res").attempts == 1


def cut_after(data: bytes, line_feeds: int) -> bytes:
    return b"".join(data.splitlines(keepends=True)[:line_feeds])


CUTS = {
    "nothing is left": lambda data: b"",
    "half of the header": lambda data: data[:20],
    "the header": lambda data: cut_after(data, 1),
    "the first frame": lambda data: cut_after(data, 4),
    "half of the last frame": lambda data: data[: data.index(b"n: 3") + 2],
    "all but the trailer": lambda data: data[: data.index(b"n: 3") + 6],
    "zeros": lambda data: bytes(len(data)),
    "zeros in the end": lambda data: data[: data.index(b"n: 3")].ljust(len(data), b"\0"),
    "less, and whole": lambda data: cut_after(data, 1) + encode_trailer("0" * 32, 0, 0, 0, {}),
}


def cut_units() -> list[Any]:
    return [
        job("res", plugin="resource"),
        job("needs", requires="res.n == '3'"),
        template("made-{n}", "res"),
    ]


def with_cut_log(base: Path, cut: Callable[[bytes], bytes], **reference: object) -> SessionManager:
    """A session whose resource job has found two things and made two jobs, and whose log was cut."""
    manager = session(base, *cut_units())
    log = IOLogWriter(manager.storage.location, full("res"), 1, files=manager.storage.files, background=False)
    log.write("stdout", b"n: 1\n\n")
    log.write("stderr", b"looking further\n")
    log.write("stdout", b"n: 3\n")
    given = {"outcome": "pass", "log": {**log.close(), **reference}}
    give(manager, "res", DiskJobResult(given, manager.storage.location))
    state = state_of(manager)
    state.update_desired_job_list([item.job for item in state.job_state_map.values() if item.job.partial_id != "res"])
    manager.checkpoint()
    path = Path(manager.storage.location, log.path)
    path.write_bytes(cut(path.read_bytes()))
    return manager


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_cut_log_of_a_resource(tmp_path: Path, cut: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture) -> None:
    """A log that is not all that was recorded counts for nothing: the job runs again, and half of it decides nothing."""
    manager = with_cut_log(tmp_path, cut)
    with caplog.at_level(logging.WARNING):
        loaded = reload(manager, *cut_units())
    assert "cannot be read" in caplog.text
    assert job_state(loaded, "res").result.get("retry") is True
    assert [item.partial_id for item in state_of(loaded).run_list] == ["res", "needs"]
    give(loaded, "res", log_of(loaded, "res", b"n: 1\n\nn: 3\n", 3))
    assert job_state(loaded, "needs").readiness_inhibitor_list == []
    assert {full("made-1"), full("made-3")} < set(state_of(loaded).job_state_map)


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_salvaged_log_of_a_resource(tmp_path: Path, cut: Callable[[bytes], bytes]) -> None:
    """What a salvage says can go on does: the resource job runs again."""
    manager = with_cut_log(tmp_path, cut)
    manager.close()
    done = salvage(SessionStorage(manager.storage.location, files=FileOps(durable=False)), deep=True)
    assert (done.state, [loss.job for loss in done.losses]) == ("repaired", [full("res")])
    loaded = reload(manager, *cut_units())
    assert job_state(loaded, "res").result.get("retry") is True
    assert [item.partial_id for item in state_of(loaded).run_list] == ["res", "needs"]


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_cut_log_that_was_incomplete_before(tmp_path: Path, cut: Callable[[bytes], bytes]) -> None:
    """What was recorded as incomplete has not counted before, and does not make the job run again."""
    manager = with_cut_log(tmp_path, cut, incomplete=True)
    assert state_of(manager).resource_map[full("res")] == [{}]
    loaded = reload(manager, *cut_units())
    assert len(job_state(loaded, "res").result_history) == 1
    assert state_of(loaded).resource_map[full("res")] == [{}]


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_cut_log_that_is_only_shown(tmp_path: Path, cut: Callable[[bytes], bytes]) -> None:
    """To be looked at, the session is as it was stored, and no record of what is left is shown as all there is."""
    shown = reload(with_cut_log(tmp_path, cut), *cut_units(), flags=[ResumeFlag.READ_ONLY])
    assert [item.outcome for item in job_state(shown, "res").result_history] == ["pass"]
    assert full("res") not in state_of(shown).resource_map
    assert {full("made-1"), full("made-3")} < set(state_of(shown).job_state_map)


def test_lost_log_that_is_only_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """To be looked at, the session is as it was stored."""
    with caplog.at_level(logging.WARNING):
        shown = reload(with_lost_log(tmp_path), *lost_units(), flags=[ResumeFlag.READ_ONLY])
    assert "cannot be read" in caplog.text
    assert job_state(shown, "made-x").result.outcome == "fail"
    assert job_state(shown, "res").result.outcome == "pass"
    assert len(job_state(shown, "res").result_history) == 1


# -- logs


def test_lost_log(tmp_path: Path) -> None:
    """A log that is gone is missed when it is read, or at once when that is asked for."""
    manager = session(tmp_path, one := job("a"), run=[one])
    give(manager, "a", outcome := log_of(manager, "a", b"output\n"))
    manager.checkpoint()
    loaded = reload(manager, job("a"), flags=[ResumeFlag.FILE_REFERENCE_CHECKS])
    assert b"".join(job_state(loaded, "a").result.iter_output()) == b"output\n"
    assert outcome.io_log_filename is not None
    Path(outcome.io_log_filename).unlink()
    with pytest.raises(BrokenReferenceToExternalFile, match="log of"):
        reload(loaded, job("a"), flags=[ResumeFlag.FILE_REFERENCE_CHECKS])
    loaded = reload(manager, job("a"))
    with pytest.raises(BrokenReferenceToExternalFile):
        list(job_state(loaded, "a").result.iter_output())


@pytest.mark.parametrize("path", ["../x", "io-logs/../../x", "/etc/passwd"])
def test_log_outside_of_the_session(tmp_path: Path, path: str) -> None:
    """A reference that leads out of the session is damage."""
    document = {
        "t": "full",
        "jobs": {full("a"): {"sum": job("a").checksum}},
        "res": [[full("a"), 1, {"outcome": "pass", "attempt": 1, "log": {"path": path, "size": 1}}]],
    }
    with pytest.raises(CorruptedSessionError, match="outside"):
        SessionResumeHelper([job("a")], None, str(tmp_path)).resume(json.dumps(document).encode())


# -- jobs that have changed or are gone


def test_changed_jobs(tmp_path: Path) -> None:
    """All jobs that have changed are named together, with results or without; those that are the same are not."""
    jobs = [job("a"), job("b"), job("c")]
    manager = session(tmp_path, *jobs, run=jobs)
    give(manager, "a", result())
    manager.checkpoint()
    with pytest.raises(IncompatibleJobError) as raised:
        reload(manager, job("a", _summary="new"), job("b", command="false"), job("c"))
    assert raised.value.changed == (full("a"), full("b"))
    assert raised.value.missing == ()
    assert f"{full('a')} (field summary)" in str(raised.value)
    assert full("b") in str(raised.value)
    assert full("c") not in str(raised.value)


def test_changed_and_missing_jobs(tmp_path: Path) -> None:
    """Changed and missing jobs are told in one error, with the provider of those that are missing."""
    jobs = [job(name) for name in "abcd"]
    manager = session(tmp_path, *jobs, run=jobs)
    give(manager, "b", result())
    manager.checkpoint()
    with pytest.raises(IncompatibleJobError) as raised:
        reload(manager, job("a"), job("c", command="false"))
    assert raised.value.missing == (full("b"), full("d"))
    assert raised.value.changed == (full("c"),)
    for text in (full("b"), full("c"), full("d"), PROVIDER.name):
        assert text in str(raised.value)


def test_changed_template(tmp_path: Path) -> None:
    """A changed instance names its template and the field; other records are told from another template."""
    manager = with_two_levels(tmp_path)
    units = resource_units()
    units[2] = template("deep-{thing}", "res-of-x", command="false", **{"template-id": "deep"})
    with pytest.raises(IncompatibleJobError) as raised:
        reload(manager, *units)
    assert raised.value.changed == (full("deep-one"), full("deep-two"))
    assert f"{full('deep-one')} (template {full('deep')}, field command)" in str(raised.value)


def test_other_records(tmp_path: Path) -> None:
    """An instance that was filled in with other values is told from a changed template."""
    units = [job("res", plugin="resource"), template("made-{name}", "res", command="echo {size}")]
    manager = session(tmp_path, *units)
    give(manager, "res", records("name: x\nsize: 1"))
    state = state_of(manager)
    state.update_desired_job_list([state.job_state_map[full("made-x")].job])
    manager.checkpoint()
    give(manager, "res", records("name: x\nsize: 2"), replace=True)
    manager.checkpoint()
    with pytest.raises(IncompatibleJobError, match="filled in with other values"):
        reload(manager, *units)


def test_changed_job_that_is_ignored(tmp_path: Path) -> None:
    """On request a changed job keeps its results, marked; the next checkpoint stores the session as it is now."""
    jobs = [job("a"), job("b")]
    manager = session(tmp_path, *jobs, run=jobs)
    give(manager, "a", result("fail"))
    give(manager, "a", log_of(manager, "a", b"kept\n", 2))
    give(manager, "b", result())
    manager.checkpoint()
    changed = [job("a", command="false"), job("b")]
    loaded = reload(manager, *changed, flags=[ResumeFlag.IGNORE_JOB_CHECKSUMS])
    history = job_state(loaded, "a").result_history
    assert [(item.outcome, item.get(STALE)) for item in history] == [("fail", True), ("pass", True)]
    assert b"".join(history[1].iter_output()) == b"kept\n"
    assert job_state(loaded, "b").result.get(STALE) is None
    loaded.checkpoint()
    again = reload(loaded, *changed)
    assert [item.get(STALE) for item in job_state(again, "a").result_history] == [True, True]


def test_missing_job_that_is_ignored(tmp_path: Path) -> None:
    """On request a session goes on without a job that is gone; its results stay, and it can come back."""
    jobs = [job("a", _summary="Summary of a"), job("b"), job("c")]
    manager = session(tmp_path, *jobs, run=jobs)
    give(manager, "a", result("fail"))
    manager.checkpoint()
    loaded = reload(manager, job("c"), flags=[ResumeFlag.ALLOW_MISSING_JOBS])
    state = state_of(loaded)
    assert [item.partial_id for item in state.run_list] == ["c"]
    assert state.job_state_map[full("a")].result.outcome == "fail"
    assert state.job_state_map[full("a")].job.summary == "Summary of a"
    give(loaded, "c", result())
    loaded.checkpoint()
    again = reload(loaded, *jobs)
    assert [job_state(again, name).result.outcome for name in "abc"] == ["fail", None, "pass"]


def test_read_only(tmp_path: Path) -> None:
    """A session is shown whatever has become of its providers, and is never written to."""
    jobs = [job("a", plugin="attachment", _summary="A"), job("b", flags="also-after-suspend"), job("gone")]
    manager = session(tmp_path, *jobs, run=jobs)
    give(manager, "a", result("fail"))
    for job_id in [item.id for item in state_of(manager).job_list if item.partial_id not in ("a", "gone")]:
        state_of(manager).update_job_result(state_of(manager).job_state_map[job_id].job, result())
    manager.checkpoint()
    stored = manager.storage.load_checkpoint()
    shown = reload(manager, job("gone", command="false"), flags=[ResumeFlag.READ_ONLY])
    state = state_of(shown)
    assert (state.job_state_map[full("a")].job.plugin, state.job_state_map[full("a")].job.summary) == (
        "attachment",
        "A",
    )
    assert [item.id for item in state.run_list] == [item.id for item in state_of(manager).run_list]
    state.metadata.title = "changed"
    with pytest.raises(StorageClosedError, match="read only"):
        shown.checkpoint()
    assert shown.storage.load_checkpoint() == stored


@pytest.mark.parametrize("how", ["removed", "trimmed"])
def test_mandatory_job_that_was_forgotten(tmp_path: Path, how: str) -> None:
    """A session whose mandatory job was forgotten before it was planned loads without it."""
    manager = session(tmp_path, one := job("one"), job("two"))
    state = state_of(manager)
    state.update_mandatory_job_list([one])
    manager.checkpoint()
    if how == "removed":
        state.remove_unit(one)
    else:
        state.trim_job_list(lambda item: item is one)
    manager.checkpoint()
    assert state_of(reload(manager, job("two"))).mandatory_job_list == []


def test_mandatory_job_that_is_gone(tmp_path: Path) -> None:
    """A mandatory job that was never planned is missed like any other one."""
    manager = session(tmp_path, one := job("one"))
    state_of(manager).update_mandatory_job_list([one])
    manager.checkpoint()
    with pytest.raises(IncompatibleJobError) as raised:
        reload(manager)
    assert raised.value.missing == (one.id,)
    loaded = reload(manager, flags=["allow-missing-jobs"])
    assert state_of(loaded).mandatory_job_list == []
    loaded.checkpoint()
    assert [item.id for item in state_of(reload(manager, job("one"))).mandatory_job_list] == []


def test_job_that_nothing_knows(tmp_path: Path) -> None:
    """An id of which nothing is stored is damage, in the results as in the lists; the search for it ends."""
    for document in (
        {"jobs": {"bogus": {"sum": "0" * 64}, full("a"): {"sum": job("a").checksum}}},
        {"want": ["bogus"]},
        {"must": ["bogus"]},
    ):
        for flags in (None, [ResumeFlag.READ_ONLY]):
            with pytest.raises(CorruptedSessionError, match="bogus"):
                SessionResumeHelper([job("a")], flags, str(tmp_path)).resume(
                    json.dumps({"t": "full", **document}).encode()
                )


def test_result_of_a_job_that_is_not_listed() -> None:
    """A result belongs to a job that the session lists."""
    data = json.dumps({"t": "full", "res": [[full("a"), 1, {"outcome": "pass", "attempt": 1}]]}).encode()
    with pytest.raises(CorruptedSessionError, match="does not list"):
        SessionResumeHelper([job("a")]).resume(data)


def test_new_jobs_are_not_wanted(tmp_path: Path) -> None:
    """Jobs that came with a newer provider are known and do not run."""
    manager = session(tmp_path, one := job("a"), run=[one])
    manager.checkpoint()
    loaded = reload(manager, job("a"), job("new"))
    assert full("new") in state_of(loaded).job_state_map
    assert [item.partial_id for item in state_of(loaded).run_list] == ["a"]


# -- bytes that are no session


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"t": "full"',
        b"[" * 100_000,
        gzip.compress(b'{"version": 6, "session": {}}', mtime=0),
        b'{"t": "ck"}',
        b'{"t": "full", "jobs": []}',
        b'{"t": "full", "jobs": {"a": 1}}',
        b'{"t": "full", "jobs": {"a": {"sum": "0", "attempts": "3"}}}',
        b'{"t": "full", "res": [1]}',
        b'{"t": "full", "res": [["a", 0, {}]]}',
        b'{"t": "full", "want": "a"}',
        b'{"t": "full", "sys": []}',
        b'{"t": "full", "sys": {"a": NaN}}',
        b'{"t": "full", "jobs": {"a": {"sum": "0", "attempts": 9007199254740992}}}',
        b'{"t": "full", "meta": {"flags": 5}}',
        b'{"t": "full", "meta": {"app_blob": "not base64"}}',
        b'{"t": "full", "meta": {"title": 5}}',
    ],
)
def test_bytes_that_are_no_session(data: bytes) -> None:
    """Whatever is no whole session is told to be damaged, whether it is resumed or only looked into."""
    with pytest.raises(CorruptedSessionError):
        SessionResumeHelper([]).resume(data)


@pytest.mark.parametrize(
    "stored",
    [
        {"outcome": "no such"},
        {"outcome": "pass", "attempt": 2},
        {"outcome": "pass"},
        {},
        {"attempt": 1, "outcome": 5},
        {"attempt": 1, "execution_duration": "long"},
        {"attempt": 1, "io_log": [[0, "stdout", "not base64"]]},
        {"attempt": 1, "io_log": [[-1, "stdout", ""]]},
        {"attempt": 1, "io_log": [[0, "sideways", ""]]},
        {"attempt": 1, "log": {"size": 1}},
    ],
)
def test_results_that_make_no_sense(stored: dict[str, object]) -> None:
    """A result that cannot be is damage; it is never passed on as something else."""
    document = {"t": "full", "jobs": {full("a"): {"sum": job("a").checksum}}, "res": [[full("a"), 1, stored]]}
    with pytest.raises(CorruptedSessionError):
        SessionResumeHelper([job("a")], None, "/session").resume(json.dumps(document).encode())


def test_another_version() -> None:
    """What a later version wrote is told from damage."""
    with pytest.raises(IncompatibleSessionError, match="session/99"):
        SessionResumeHelper([]).resume(b'{"t": "full", "schema": "plainbox.session/99"}')


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.text(max_size=4) | st.sampled_from(["a", full("a"), "pass"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
documents = st.fixed_dictionaries(
    {"t": st.just("full")},
    optional={
        "jobs": json_values | st.dictionaries(st.sampled_from(["a", full("a")]), json_values, max_size=2),
        "res": json_values
        | st.lists(st.tuples(st.sampled_from(["a", full("a")]), st.integers(-1, 3), json_values), max_size=3),
        "units": json_values
        | st.dictionaries(
            st.sampled_from(["a", full("a")]), json_values | st.fixed_dictionaries({"fields": json_values}), max_size=2
        ),
        "meta": json_values
        | st.fixed_dictionaries(
            {}, optional={"running": json_values, "flags": json_values, "app_blob": json_values, "title": json_values}
        ),
        "want": json_values | st.just([full("a")]),
        "must": json_values,
        "sys": json_values,
    },
)


@given(documents, st.booleans())
def test_any_document(document: dict[str, object], read_only: bool) -> None:
    """Any JSON document is a session or an error of ours, and nothing else."""
    flags = [ResumeFlag.READ_ONLY] if read_only else None
    try:
        state = SessionResumeHelper([job("a")], flags, "/session").resume(json.dumps(document).encode())
    except SessionResumeError:
        return
    SessionSuspendHelper().suspend(state)


# -- flags and peeking


def test_unknown_flag(caplog: pytest.LogCaptureFixture) -> None:
    """A flag that is not known is told and does nothing."""
    with caplog.at_level(logging.WARNING):
        SessionResumeHelper([], ["no-such-flag"]).resume(b'{"t": "full"}')
    assert "no-such-flag" in caplog.text


def test_peek(tmp_path: Path) -> None:
    """The metadata can be read without knowing any job."""
    manager = with_two_levels(tmp_path)
    state_of(manager).metadata.title = "peeked at"
    manager.checkpoint()
    assert SessionPeekHelper().peek(manager.storage.load_checkpoint()).title == "peeked at"
    for wrong in (b"", b'{"t": "full", "meta": []}'):
        with pytest.raises(CorruptedSessionError):
            SessionPeekHelper().peek(wrong)
