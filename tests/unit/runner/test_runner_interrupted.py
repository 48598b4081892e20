# SPDX-License-Identifier: Apache-2.0
"""What becomes of an interrupted attempt: the table, row by row, and the file that a job may leave."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import attrs
import pytest
from hostile_rig import nested

from plainbox.errors import StorageError
from plainbox.runner.interrupted import (
    CHOICES,
    Circumstances,
    Decision,
    forget_left_result,
    judge,
    must_say_why,
    read_left_result,
)
from plainbox.session.files import FileOps
from plainbox.session.jobs import JobState
from plainbox.session.metadata import RunningAttempt
from plainbox.testing import FaultyFiles
from plainbox.units import JobDefinition

ATTEMPT = RunningAttempt(1, 1000.0, "first", 10, 20, "io-logs/x")
SAME = Circumstances(boot_id="first", attempts_left=2)
OTHER = attrs.evolve(SAME, boot_id="second")
PASSED = Decision("pass", "seen it")


def job(**fields: str) -> JobDefinition:
    return JobDefinition({"id": "a", "plugin": "shell", "command": "true", **fields})


# -- the table


@pytest.mark.parametrize(
    ("fields", "circumstances", "outcome", "said"),
    [
        # 1: an operator has decided, whatever else is known
        pytest.param({}, {"decision": PASSED}, "pass", "seen it", id="operator"),
        pytest.param({}, {"decision": Decision("fail")}, "fail", "by the operator", id="operator-silent"),
        pytest.param({"flags": "noreturn"}, {"decision": Decision("skip", "no")}, "skip", "no", id="operator-skips"),
        pytest.param({}, {"decision": PASSED, "known": False}, "pass", "seen it", id="operator-unknown"),
        pytest.param(
            {},
            {"decision": Decision("rerun", "odd"), "attempts_left": 0},
            "crash",
            "odd; it is not run again",
            id="rerun-no-more",
        ),
        pytest.param(
            {}, {"decision": Decision("rerun"), "known": False}, "crash", "nobody defines it", id="rerun-unknown"
        ),
        pytest.param(
            {"plugin": "manual"}, {"decision": PASSED, "left_result": "{"}, "pass", "seen it", id="operator-first"
        ),
        # 2: the job has stated its result
        pytest.param({}, {"left_result": '{"outcome": "pass"}'}, "pass", "stated by the job", id="stated-pass"),
        pytest.param(
            {}, {"left_result": '{"outcome": "fail", "comments": "no light"}'}, "fail", "no light", id="stated-fail"
        ),
        pytest.param({}, {"left_result": '{"outcome": "skip"}'}, "skip", "stated", id="stated-skip"),
        pytest.param(
            {"flags": "noreturn"}, {"left_result": '{"outcome": "fail"}'}, "fail", "stated", id="stated-before-noreturn"
        ),
        pytest.param(
            {"plugin": "manual"}, {"left_result": '{"outcome": "pass"}'}, "pass", "stated", id="stated-before-manual"
        ),
        # 3: what the job has stated makes no sense
        pytest.param({}, {"left_result": ""}, "crash", "makes no sense", id="stated-nothing"),
        pytest.param({}, {"left_result": "{oops"}, "crash", "{oops", id="stated-no-json"),
        pytest.param({}, {"left_result": "[" * 100_000}, "crash", "[[[", id="stated-deep"),
        pytest.param({}, {"left_result": '"pass"'}, "crash", '"pass"', id="stated-no-object"),
        pytest.param({}, {"left_result": '{"outcome": "crash"}'}, "crash", "makes no sense", id="stated-other"),
        pytest.param({}, {"left_result": '{"outcome": ["pass"]}'}, "crash", "makes no sense", id="stated-list"),
        pytest.param(
            {"flags": "noreturn"}, {"left_result": "?"}, "crash", "makes no sense", id="stated-nonsense-noreturn"
        ),
        # 4: nobody defines the job any more
        pytest.param({}, {"known": False}, "not-supported", "does not define it any more", id="unknown"),
        pytest.param({"plugin": "manual"}, {"known": False}, "not-supported", "any more", id="unknown-manual"),
        pytest.param({"on-crash": "retry"}, {"known": False}, "not-supported", "any more", id="unknown-no-retry"),
        pytest.param({}, {"known": False, "left_result": '{"outcome": "pass"}'}, "pass", "stated", id="unknown-stated"),
        # 5: a person was to decide
        pytest.param({"plugin": "manual"}, {}, "undecided", "person", id="manual"),
        pytest.param({"plugin": "user-interact-verify"}, {}, "undecided", "person", id="interactive"),
        pytest.param({"plugin": "user-verify", "flags": "noreturn"}, {}, "undecided", "person", id="verify-noreturn"),
        # 6: a job that does not return, and the machine was started anew
        pytest.param(
            {"flags": "noreturn"}, {"boot_id": "second"}, "pass", "boot first before, second now", id="reboot"
        ),
        pytest.param(
            {"flags": "noreturn expect-reboot"}, {"boot_id": "second"}, "pass", "started anew", id="expected-reboot"
        ),
        # 7: a job that does not return, and the machine was not started anew
        pytest.param({"flags": "noreturn"}, {}, "pass", "as it intends", id="noreturn"),
        pytest.param({"flags": "noreturn expect-reboot"}, {}, "crash", "expects it", id="missing-reboot"),
        pytest.param({"flags": "noreturn", "on-crash": "retry"}, {}, "pass", "intends", id="noreturn-before-retry"),
        pytest.param(
            {"flags": "noreturn"}, {"noreturn_needs_reboot": True}, "crash", "expected here", id="noreturn-must-reboot"
        ),
        pytest.param(
            {"flags": "noreturn"},
            {"noreturn_needs_reboot": True, "boot_id": "second"},
            "pass",
            "started anew",
            id="noreturn-did-reboot",
        ),
        pytest.param({"flags": "noreturn"}, {"hung": True}, "pass", "ended by its watchdog", id="noreturn-hung"),
        # 9: everything else
        pytest.param({}, {"hung": True}, "crash", "hung and was ended by its watchdog while", id="hung"),
        pytest.param(
            {}, {"hung": True, "boot_id": "second"}, "crash", "watchdog, then the machine", id="hung-and-lost"
        ),
        pytest.param({}, {}, "crash", "killed or lost while", id="killed"),
        pytest.param({}, {"boot_id": "second"}, "crash", "started anew", id="machine-lost"),
        pytest.param({"flags": "expect-reboot"}, {"boot_id": "second"}, "crash", "started anew", id="only-expecting"),
        pytest.param({"on-crash": "retry"}, {"attempts_left": 0}, "crash", "no attempts are left", id="no-more"),
        pytest.param({"on-crash": "retry"}, {"openings": 3}, "crash", "opened 3 times without", id="loop"),
    ],
)
def test_final_verdicts(fields: dict[str, str], circumstances: dict[str, object], outcome: str, said: str) -> None:
    """The first rule that applies decides, and the comment says what it was."""
    verdict = judge(job(**fields), ATTEMPT, attrs.evolve(SAME, **circumstances))
    assert verdict.outcome == outcome
    assert said in verdict.comment
    assert not verdict.retry


@pytest.mark.parametrize(
    ("fields", "circumstances"),
    [
        ({"on-crash": "retry"}, {}),
        ({"on-crash": "retry"}, {"boot_id": "second"}),
        ({"on-crash": "retry"}, {"openings": 2, "attempts_left": 1}),
        ({"on-crash": "retry"}, {"hung": True}),
        ({}, {"retry_by_default": True}),
    ],
)
def test_retries(fields: dict[str, str], circumstances: dict[str, object]) -> None:
    """A job that is to be repeated, and may be, has crashed in this attempt and is run again."""
    verdict = judge(job(**fields), ATTEMPT, attrs.evolve(SAME, **circumstances))
    assert (verdict.outcome, verdict.retry, verdict.origin) == ("crash", True, "resume")
    assert "run again" in verdict.comment


def test_rerun() -> None:
    """A person can have another attempt at any job that has one left, however often the session was opened."""
    verdict = judge(job(), ATTEMPT, attrs.evolve(SAME, decision=Decision("rerun", "the cable was out"), openings=9))
    assert (verdict.outcome, verdict.retry, verdict.origin) == ("crash", True, "operator")
    assert "the cable was out; the job is run again" in verdict.comment


def test_decision_that_means_nothing() -> None:
    """A person can say one of four things."""
    assert CHOICES == ("pass", "fail", "skip", "rerun")
    with pytest.raises(ValueError, match="crash"):
        Decision("crash")


@pytest.mark.parametrize(
    ("own", "overridden", "choice", "needed"),
    [
        ("blocker", None, "fail", True),
        ("blocker", None, "skip", True),
        ("blocker", None, "pass", False),
        ("blocker", None, "rerun", False),
        ("non-blocker", None, "fail", False),
        ("non-blocker", "blocker", "fail", True),
        ("blocker", "non-blocker", "skip", False),
    ],
)
def test_comment_that_is_needed(own: str, overridden: str | None, choice: str, needed: bool) -> None:
    """A certification blocker, by what its test plan says, is not failed or skipped without a word."""
    state = JobState(job(**{"certification-status": own}))
    if overridden is not None:
        state.apply_overrides([("certification_status", overridden)])
    assert must_say_why(state, choice) is needed


def test_evidence() -> None:
    """The facts of a verdict are plain values; of what the job has left no more than its beginning."""
    evidence = attrs.evolve(OTHER, left_result="x" * 10_000, openings=2, hung=True).evidence(ATTEMPT)
    assert evidence.pop("left_result") == "x" * 4096
    assert evidence == {
        "boot_before": "first",
        "boot_now": "second",
        "rebooted": True,
        "hung": True,
        "attempts_left": 2,
        "openings": 2,
    }


def test_long_nonsense() -> None:
    """Of what makes no sense only the beginning is kept."""
    assert len(judge(job(), ATTEMPT, attrs.evolve(SAME, left_result="x" * 1_000_000)).comment) < 5000


@pytest.mark.parametrize(
    ("attempt", "circumstances", "rebooted"),
    [
        ({}, {}, False),
        ({}, {"boot_id": "second"}, True),
        ({"boot_id": None}, {"boot_id": "second"}, False),
        # A weak identity may change within one boot: the machine must have been up for less time than has passed.
        ({}, {"boot_id": "second", "weak_boot_id": True, "now": 1100.0, "uptime_s": 50.0}, True),
        ({}, {"boot_id": "second", "weak_boot_id": True, "now": 1100.0, "uptime_s": 5000.0}, False),
        ({"start_time": None}, {"boot_id": "second", "weak_boot_id": True}, True),
    ],
)
def test_reboot(attempt: dict[str, object], circumstances: dict[str, object], rebooted: bool) -> None:
    """The machine was started anew when the boot is another one, for certain or by what else is known."""
    assert attrs.evolve(SAME, **circumstances).rebooted_since(attrs.evolve(ATTEMPT, **attempt)) is rebooted


# -- the file


def test_no_file(tmp_path: Path) -> None:
    """No file is no statement; there need not even be a directory."""
    assert read_left_result(str(tmp_path)) is None
    assert read_left_result(str(tmp_path / "gone")) is None
    forget_left_result(str(tmp_path), FileOps())
    forget_left_result(str(tmp_path / "gone"), FileOps())


def test_file(tmp_path: Path) -> None:
    """The text of the file is read, bad UTF-8 replaced, and a file without end is not read to its end."""
    path = tmp_path / "__result"
    path.write_bytes(b'{"outcome": "pass"}\xff')
    assert read_left_result(str(tmp_path)) == '{"outcome": "pass"}\N{REPLACEMENT CHARACTER}'
    path.write_bytes(b"x" * 3_000_000)
    assert len(read_left_result(str(tmp_path)) or "") == 1024 * 1024


def _make_link(path: Path) -> None:
    target = path.parent / "elsewhere"
    target.write_text('{"outcome": "pass"}')
    path.symlink_to(target)


def _make_full_directory(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_text("x")


@pytest.mark.parametrize(
    "make", [_make_full_directory, os.mkfifo, _make_link, lambda path: path.symlink_to("/dev/zero")]
)
def test_something_else_than_a_file(tmp_path: Path, make) -> None:
    """A directory, a pipe or a link in the place of the file states nothing sensible, blocks nobody, and is removed."""
    make(tmp_path / "__result")
    assert read_left_result(str(tmp_path)) == ""
    forget_left_result(str(tmp_path), FileOps())
    assert not os.path.lexists(tmp_path / "__result")
    assert read_left_result(str(tmp_path)) is None


def test_forgetting_is_durable(tmp_path: Path) -> None:
    """The removal is synced before the next attempt may begin; without a file nothing is synced."""
    files = FaultyFiles()
    forget_left_result(str(tmp_path), files)
    assert files.names("fsync") == []
    (tmp_path / "__result").touch()
    files.forget()
    forget_left_result(str(tmp_path), files)
    assert files.names("unlink", "fsync") == [("unlink", "__result"), ("fsync", tmp_path.name)]


def test_file_that_cannot_be_removed(tmp_path: Path) -> None:
    """A statement that cannot be removed is trouble of the storage: nothing runs that it could be taken for."""
    files = FaultyFiles()
    files.fail("unlink", errno.EROFS)
    with pytest.raises(StorageError, match="__result"):
        forget_left_result(str(tmp_path), files)


def test_share_that_has_become_a_link(tmp_path: Path) -> None:
    """Nothing is read or removed where a link in the place of the share leads."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "__result").mkdir(parents=True)
    share = tmp_path / "share"
    share.symlink_to(elsewhere)
    with pytest.raises(StorageError, match="__result"):
        forget_left_result(str(share), FileOps())
    assert (elsewhere / "__result").is_dir()
    (elsewhere / "__result").rmdir()
    (elsewhere / "__result").write_text('{"outcome": "pass"}')
    assert read_left_result(str(share)) == ""


def test_directories_of_any_depth(tmp_path: Path) -> None:
    """Directories that are nested very deeply, or that nobody may enter, are removed like everything else."""
    (tmp_path / "__result" / "x" / "y").mkdir(parents=True)
    (tmp_path / "__result" / "x").chmod(0)
    with nested(tmp_path / "__result"):
        forget_left_result(str(tmp_path), FileOps())
        assert os.listdir(tmp_path) == []
