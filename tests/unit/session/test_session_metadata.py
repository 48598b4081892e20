# SPDX-License-Identifier: Apache-2.0
"""What a session knows about itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from plainbox.errors import CorruptedSessionError
from plainbox.session.metadata import RunningAttempt, SessionMetaData
from plainbox.session.resume import SessionPeekHelper


def test_a_new_session_knows_nothing() -> None:
    """Every value has a default of its own type."""
    metadata = SessionMetaData()
    assert metadata.title is None
    assert metadata.flags == set()
    assert metadata.app_blob == b""
    assert metadata.app_id is None
    assert metadata.running_job_name is None
    assert metadata.running_attempt is None
    assert not metadata.bootstrapping
    assert not metadata.setting_up


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("app_blob", "x"),
        ("app_id", b"x"),
        ("title", 1),
        ("custom_joblist", 1),
        ("rejected_jobs", ("a",)),
        ("rejected_jobs", ["a", 1]),
        ("test_plan_ids", [["p"]]),
        ("running", {"j": {"attempt": 1}}),
        ("running", {1: RunningAttempt()}),
        ("running", []),
        ("running_job_name", 1),
        ("last_job_start_time", "now"),
        ("flags", [1]),
        ("resume_count", True),
        ("tz_offset", 1.5),
    ],
)
def test_a_wrong_type_leaves_the_old_value(field: str, value: object) -> None:
    """What is refused is not there afterwards."""
    metadata = SessionMetaData(app_blob=b"old", app_id="old", title="old")
    old = getattr(metadata, field)
    with pytest.raises(TypeError):
        setattr(metadata, field, value)
    assert getattr(metadata, field) == old


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("app_blob", bytes(8 * 1024 * 1024 + 1)),
        ("resume_count", -1),
        ("tz_offset", 2**53),
        ("last_job_start_time", float("inf")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_stored_leaves_the_old_value(field: str, value: object) -> None:
    """A blob that is too large, and a number that is none for a reader, are refused when they are set."""
    metadata = SessionMetaData(app_blob=b"old")
    old = getattr(metadata, field)
    with pytest.raises(ValueError, match=field):
        setattr(metadata, field, value)
    assert getattr(metadata, field) == old


@pytest.mark.parametrize(
    "spoil",
    [
        lambda metadata: metadata.flags.add(1),
        lambda metadata: metadata.rejected_jobs.append(None),
        lambda metadata: metadata.running.update(a=1),
    ],
    ids=["flags", "rejected_jobs", "running"],
)
def test_what_was_put_inside_of_a_value_is_looked_at_before_it_is_stored(spoil: Callable[[Any], object]) -> None:
    """A value that was spoiled in place has no stored form: what cannot be loaded is not stored."""
    metadata = SessionMetaData()
    spoil(metadata)
    with pytest.raises(TypeError, match="SessionMetaData"):
        metadata.as_dict()


def test_two_flags_have_names_of_their_own() -> None:
    """The properties look at the flags and set them."""
    metadata = SessionMetaData(flags=["incomplete"])  # type: ignore[arg-type]
    metadata.bootstrapping = True
    metadata.setting_up = True
    metadata.setting_up = False
    assert metadata.flags == {"incomplete", "bootstrapping"}
    metadata.flags.discard("bootstrapping")
    assert not metadata.bootstrapping


def test_the_running_job_is_a_view_of_the_running_attempts() -> None:
    """The name is that of the attempt that was started first; setting it says that nothing else runs."""
    metadata = SessionMetaData()
    metadata.running = {"a": RunningAttempt(2, start_time=1.5), "b": RunningAttempt()}
    assert (metadata.running_job_name, metadata.running_attempt) == ("a", 2)
    metadata.running_job_name = "b"
    assert metadata.running == {"b": RunningAttempt()}
    metadata.running = {"b": RunningAttempt(3)}
    metadata.running_job_name = "b"
    assert metadata.running_attempt == 3
    metadata.running_job_name = None
    assert metadata.running == {}


def test_the_stored_form_brings_everything_back() -> None:
    """What is stored is JSON, does not change afterwards, and restores an equal value."""
    metadata = SessionMetaData(
        title="t",
        flags={"b", "a"},
        app_blob=bytes(range(256)),
        app_id="app",
        custom_joblist=True,
        rejected_jobs=["r"],
        last_job_start_time=12.5,
        test_plan_ids=["p"],
        resume_count=2,
        boot_id="boot",
        tz_offset=-3600,
        running={"j": RunningAttempt(2, 1.5, "boot", 42, 4711)},
    )
    stored = metadata.as_dict()
    text = json.dumps(stored)
    metadata_again = SessionMetaData()
    metadata_again.update_from_dict(json.loads(text))
    assert metadata_again == metadata
    assert stored["flags"] == ["a", "b"]
    metadata.rejected_jobs.append("s")
    metadata.flags.add("c")
    assert json.dumps(stored) == text


def test_an_application_may_have_no_blob() -> None:
    """No blob and an empty one are two things."""
    metadata = SessionMetaData(app_blob=None)
    again = SessionMetaData()
    again.update_from_dict(metadata.as_dict())
    assert again.app_blob is None


def test_values_of_a_later_version_are_ignored() -> None:
    """A key that is not known is no reason to refuse a session."""
    metadata = SessionMetaData()
    metadata.update_from_dict({"title": "t", "later": 1, "running": {"j": {"attempt": 2, "later": 1}}})
    assert metadata.title == "t"
    assert metadata.running == {"j": RunningAttempt(2)}


@pytest.mark.parametrize(
    ("stored", "error"),
    [
        ({"app_blob": "?"}, ValueError),
        ({"app_blob": 1}, TypeError),
        ({"title": 1}, TypeError),
        ({"rejected_jobs": [1]}, TypeError),
        ({"test_plan_ids": [{}]}, TypeError),
        ({"last_job_start_time": 1e300}, ValueError),
        ({"running": ["j"]}, TypeError),
        ({"running": {"j": 1}}, TypeError),
        ({"running": {"j": {"attempt": "1"}}}, TypeError),
        ({"running": {"j": {"attempt": 0}}}, ValueError),
        ({"running": {"j": {"start_time": "now"}}}, TypeError),
        ({"running": {"j": {"start_time": float("nan")}}}, ValueError),
        ({"running": {"j": {"start_time": -1e12}}}, ValueError),
        ({"running": {"j": {"boot_id": 1}}}, TypeError),
        ({"running": {"j": {"process_group": "1"}}}, TypeError),
        ({"running": {"j": {"start_ticks": 1.5}}}, TypeError),
        ({"running": {"j": {"log": ["x"]}}}, TypeError),
    ],
)
def test_a_stored_value_that_makes_no_sense_is_refused(stored: dict[str, object], error: type[Exception]) -> None:
    """Damage shows as an error, not as a strange session."""
    with pytest.raises(error):
        SessionMetaData().update_from_dict(stored)
    with pytest.raises(CorruptedSessionError, match="makes no sense"):
        SessionMetaData.of_stored(stored)
    document = json.dumps({"t": "full", "meta": stored}).encode()
    with pytest.raises(CorruptedSessionError, match="makes no sense"):
        SessionPeekHelper().peek(document)
