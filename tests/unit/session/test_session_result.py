# SPDX-License-Identifier: Apache-2.0
"""Results of jobs."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plainbox.errors import BrokenReferenceToExternalFile, CorruptedSessionError
from plainbox.session.codec import MAX_PAYLOAD_BYTES, encode_body
from plainbox.session.iolog import IOLogWriter
from plainbox.session.result import (
    OUTCOME_METADATA_MAP,
    DiskJobResult,
    IOLogRecord,
    JobResult,
    JobResultBuilder,
    MemoryJobResult,
    Outcome,
    log_is_partial,
    restore_result,
)

LOG = [(0.0, "stdout", b"one\n"), (0.5, "stderr", b"two\n"), (0.25, "note", b"cut"), (0.0, "stdout", b"three\n")]
REFERENCE = {"path": "io-logs/a.1.iolog", "size": 10, "frames": 1, "out": 3, "err": 0, "digest": "00"}


# -- outcomes


def test_outcomes_are_the_stored_texts() -> None:
    """A member of Outcome equals the text that is stored, and every one has its metadata."""
    assert Outcome.PASS == "pass"
    assert json.dumps(Outcome.SKIPPED_RESOURCE) == '"skipped-resource"'
    assert set(OUTCOME_METADATA_MAP) == {None, *(member.value for member in Outcome)}
    assert OUTCOME_METADATA_MAP[Outcome.CRASH].label == "crashed"


@pytest.mark.parametrize("outcome", list(OUTCOME_METADATA_MAP))
def test_every_outcome_can_be_shown(outcome: str | None) -> None:
    """Sigil, colour and the status of a submission are there for every outcome."""
    metadata = OUTCOME_METADATA_MAP[outcome]
    assert metadata.value == outcome
    assert len(metadata.sigil) == 1
    assert len(metadata.colour) == 7
    assert int(metadata.colour[1:], 16) >= 0
    assert metadata.submission_status in ("none", "pass", "fail", "skip")


# -- the value


def test_nothing_is_a_hollow_result() -> None:
    """Keys without a value are not there; a result without keys is hollow and equals any other."""
    result = MemoryJobResult({"outcome": None, "comments": None, "io_log": []})
    assert result.is_hollow
    assert result == MemoryJobResult({})
    assert result.outcome is None
    assert result.as_dict() == {}
    assert result.metadata.label == "not started"


def test_a_result_tells_what_is_known() -> None:
    """Every key of the stored form is an attribute."""
    data = {
        "outcome": "fail",
        "execution_duration": 1.5,
        "comments": "so so",
        "return_code": -9,
        "skip_reason": {"related_dependencies": ["a"]},
        "attempt": 2,
        "start_time": 1735689600.5,
        "boot_id": "ab",
        "origin": "run",
    }
    result = MemoryJobResult(data)
    assert {key: getattr(result, key) for key in data} == {**data, "skip_reason": {"related_dependencies": ("a",)}}
    assert result.as_dict() == data
    assert result.get("return_code") == -9
    assert result.get("nothing") is None


def test_keys_of_a_later_version_are_kept() -> None:
    """What is not known here is stored again as it was."""
    data = {"outcome": "pass", "log_truncated": True, "later": {"a": [1, None]}}
    assert restore_result(data).as_dict() == data


def test_a_result_does_not_change_with_its_sources() -> None:
    """Neither the mapping that it was made from nor what it gives out changes it."""
    reason = {"related_dependencies": ["a"]}
    data: dict[str, Any] = {"outcome": "skipped-dependency", "skip_reason": reason}
    result = MemoryJobResult(data)
    data["outcome"] = "pass"
    reason["related_dependencies"].append("b")
    stored = result.as_dict()
    stored["outcome"] = None
    assert result.skip_reason is not None
    with pytest.raises(TypeError):
        result.skip_reason["x"] = 1  # type: ignore[index]
    assert result.as_dict() == {"outcome": "skipped-dependency", "skip_reason": {"related_dependencies": ["a"]}}
    with pytest.raises(AttributeError):
        result.outcome = "pass"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        result.anything = 1  # type: ignore[attr-defined]


def test_equal_results_have_equal_data() -> None:
    """Two results are equal when what is known is, and then have one hash."""
    one, two = MemoryJobResult({"outcome": "pass"}), MemoryJobResult({"outcome": Outcome.PASS})
    assert one == two
    assert hash(one) == hash(two)
    assert one != MemoryJobResult({"outcome": "pass", "attempt": 2})
    assert one != MemoryJobResult({"outcome": "fail"})
    assert one != "pass"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"outcome": "passed"}, ValueError),
        ({"outcome": 1}, TypeError),
        ({"execution_duration": float("nan")}, ValueError),
        ({"execution_duration": "1"}, TypeError),
        ({"return_code": True}, TypeError),
        ({"comments": b"x"}, TypeError),
        ({"return_code": 2**53}, ValueError),
        ({"execution_duration": 2**60}, ValueError),
        ({"skip_reason": {"a": [float("inf")]}}, ValueError),
        ({"skip_reason": {1: "a"}}, TypeError),
        ({"later": {"a": object()}}, TypeError),
        ({"later": {1}}, TypeError),
        ({"later": b"x"}, TypeError),
        ({"attempt": 0}, ValueError),
        ({"skip_reason": "because"}, TypeError),
        ({"io_log": [(0.0, "stdin", b"")]}, ValueError),
        ({"io_log": [(-1.0, "stdout", b"")]}, ValueError),
        ({"io_log": [(0.0, "stdout", "not base64!")]}, ValueError),
        ({"io_log": [(0.0, "stdout")]}, ValueError),
        ({"io_log": [("0", "stdout", b"")]}, TypeError),
        ({"log": REFERENCE}, ValueError),
        ({"io_log_filename": "/x"}, ValueError),
    ],
)
def test_a_result_that_makes_no_sense_is_refused(data: dict[str, Any], error: type[Exception]) -> None:
    """Unknown outcomes and streams, wrong types and numbers that are none raise when the result is made."""
    with pytest.raises(error):
        MemoryJobResult(data)


def test_comments_have_an_end() -> None:
    """A comment beyond the limit ends with a note, is the same after it was stored, and fits into one record."""
    result = MemoryJobResult({"comments": "\N{PILE OF POO}" * 2_000_000})
    comments = result.comments
    assert comments is not None
    assert len(comments) == 1024 * 1024
    assert comments.endswith("\n[cut: the comment had 2000000 characters]")
    assert restore_result(result.as_dict()) == result
    assert len(encode_body(result.as_dict())) < MAX_PAYLOAD_BYTES - 1024
    whole = MemoryJobResult({"comments": "x" * (1024 * 1024)})
    assert whole.get("comments") == "x" * (1024 * 1024)


def test_output_in_memory_has_an_end() -> None:
    """More output than a record holds is refused, in large pieces and in small ones."""
    record = (0.0, "stdout", b"x" * 1024 * 1024)
    stored = MemoryJobResult({"io_log": [record] * 7}).as_dict()
    assert len(encode_body(stored)) < MAX_PAYLOAD_BYTES
    for records in ([record] * 9, [(0.0, "stdout", b"x")] * 300_000):
        with pytest.raises(ValueError, match="cannot be kept in a result"):
            MemoryJobResult({"io_log": records})


@pytest.mark.parametrize("empty", [[], (), None])
def test_what_has_no_value_is_equal_after_it_was_stored(empty: object) -> None:
    """A key without a value is not there, whatever kind of nothing it had."""
    result = MemoryJobResult({"outcome": "pass", "later": empty, "io_log": empty})
    assert result == MemoryJobResult({"outcome": "pass"})
    assert restore_result(result.as_dict()) == result


def test_another_attempt_has_the_same_log() -> None:
    """Stamping a result with an attempt keeps its kind and everything else."""
    memory = MemoryJobResult({"outcome": "pass", "io_log": LOG}).with_attempt(2)
    assert (memory.attempt, list(memory.get_io_log())) == (2, [IOLogRecord(*item) for item in LOG])
    disk = DiskJobResult({"outcome": "pass", "log": REFERENCE}, "/s").with_attempt(3)
    assert (disk.attempt, disk.io_log_filename) == (3, "/s/io-logs/a.1.iolog")


def test_comments_lose_their_colours() -> None:
    """Comments are read without terminal control sequences and stored as they are."""
    result = MemoryJobResult({"comments": "\x1b[31mred\x1b[0m"})
    assert result.comments == "red"
    assert result.as_dict() == {"comments": "\x1b[31mred\x1b[0m"}


# -- output in memory


def test_output_round_trips_through_the_stored_form() -> None:
    """All bytes of the output come back from the JSON that is stored."""
    log = [(0.0, "stdout", bytes(range(256))), (1.0, "stderr", b"\x00")]
    result = MemoryJobResult({"outcome": "pass", "io_log": log})
    again = restore_result(json.loads(json.dumps(result.as_dict())))
    assert again == result
    assert list(again.get_io_log()) == [IOLogRecord(*item) for item in log]


def test_output_is_read_by_stream_and_as_text() -> None:
    """Notes about the log are no output; the attachment is standard output alone."""
    result = MemoryJobResult({"io_log": LOG})
    assert list(result.iter_output("stdout")) == [b"one\n", b"three\n"]
    assert list(result.iter_output("stderr")) == [b"two\n"]
    assert result.io_log_as_flat_text == "one\ntwo\nthree\n"
    assert result.io_log_as_text_attachment == "one\nthree\n"


def test_flat_text_is_for_people_and_attachments_are_exact() -> None:
    """Bad UTF-8 is replaced for people; as an attachment it is no text at all."""
    result = MemoryJobResult({"io_log": [(0.0, "stdout", b"a\x00\xff\n")]})
    assert result.io_log_as_flat_text == "a\N{REPLACEMENT CHARACTER}\n"
    assert result.io_log_as_text_attachment == ""


@pytest.mark.parametrize("limit", [0, 1, 2, 5, 11, 12, 100])
def test_the_tail_is_the_end_of_the_text(limit: int) -> None:
    """The tail has as many characters as were asked for, also where the pieces cut characters."""
    text = "\N{EURO SIGN}a\N{GRINNING FACE}bc\N{EURO SIGN}\N{EURO SIGN}defg"
    data = text.encode()
    log = [(0.0, "stdout", data[index : index + 5]) for index in range(0, len(data), 5)]
    assert MemoryJobResult({"io_log": log}).tail_text(limit) == (text[-limit:] if limit else "")


def test_the_tail_of_a_long_log_needs_little_memory() -> None:
    """Reading the end of a log does not keep the rest of it."""
    alive = 0
    most = 0

    class Piece(bytes):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    class Long(JobResult):
        def get_io_log(self) -> Iterator[IOLogRecord]:
            nonlocal alive, most
            for number in range(2000):
                alive += 1
                most = max(most, alive)
                yield IOLogRecord(0.0, "stdout", Piece(b"%07d\n" % number))

    assert Long({}).tail_text(20) == "997\n0001998\n0001999\n"
    assert most < 20


# -- output on the disk


def test_a_log_on_the_disk_is_below_its_session() -> None:
    """The path of a log is relative to the session; the stored form keeps it so."""
    result = DiskJobResult({"outcome": "pass", "log": REFERENCE}, "/sessions/a.session")
    assert result.io_log_filename == "/sessions/a.session/io-logs/a.1.iolog"
    assert result.as_dict() == {"outcome": "pass", "log": REFERENCE}
    assert DiskJobResult({"io_log_filename": "/anywhere/x"}).io_log_filename == "/anywhere/x"
    assert DiskJobResult({"io_log_filename": "/s/io-logs/x"}, "/s/").io_log_filename == "/s/io-logs/x"
    assert DiskJobResult({"outcome": "pass"}).io_log_filename is None


@pytest.mark.parametrize("path", ["../x", "io-logs/../../x", "/etc/passwd", "/sessions/b"])
def test_a_log_outside_of_its_session_is_damage(path: str) -> None:
    """A reference that leads out of the session directory is refused before anything is opened."""
    with pytest.raises(CorruptedSessionError, match="outside of the session"):
        DiskJobResult({"log": {**REFERENCE, "path": path}}, "/sessions/a")
    with pytest.raises(CorruptedSessionError):
        DiskJobResult({"io_log_filename": path}, "/sessions/a")


def test_a_reference_without_a_path_is_damage() -> None:
    """A log that cannot be found is reported when the result is made."""
    with pytest.raises(CorruptedSessionError):
        DiskJobResult({"log": {"size": 1}})


def test_the_log_of_a_result_is_read_from_its_file(tmp_path: Path) -> None:
    """What the writer of the log was given comes back, with streams, order and notes."""
    (tmp_path / "io-logs").mkdir()
    writer = IOLogWriter(tmp_path, "ns::a", 1, background=False)
    writer.write("stdout", b"one \xff\n")
    writer.write("stderr", b"two\n")
    writer.note("a remark")
    writer.write("stdout", b"three\n")
    result = restore_result({"outcome": "pass", "log": writer.close()}, tmp_path)
    assert [(record.stream_name, record.data) for record in result.get_io_log()] == [
        ("stdout", b"one \xff\n"),
        ("stderr", b"two\n"),
        ("note", b"a remark"),
        ("stdout", b"three\n"),
    ]
    assert all(record.delay >= 0 for record in result.get_io_log())
    assert result.io_log_as_flat_text == "one \N{REPLACEMENT CHARACTER}\ntwo\nthree\n"
    assert result.tail_text(10) == "two\nthree\n"
    assert list(DiskJobResult({"outcome": "pass"}, tmp_path).get_io_log()) == []


def test_a_log_that_is_gone_or_leads_elsewhere_is_not_read(tmp_path: Path) -> None:
    """A missing log and a link out of the session raise when the log is read, and nothing else is opened."""
    session = tmp_path / "a.session"
    (session / "io-logs").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    (session / "io-logs" / "a.1.iolog").symlink_to(tmp_path / "secret")
    with pytest.raises(CorruptedSessionError, match="out of the session"):
        list(DiskJobResult({"log": REFERENCE}, session).get_io_log())
    with pytest.raises(BrokenReferenceToExternalFile):
        list(DiskJobResult({"io_log_filename": str(session / "io-logs" / "b")}, session).get_io_log())


def test_a_result_has_one_log() -> None:
    """Two logs contradict each other, whatever kinds they are."""
    with pytest.raises(ValueError, match="one log"):
        DiskJobResult({"log": REFERENCE, "io_log_filename": "x"})
    with pytest.raises(ValueError, match="io_log"):
        DiskJobResult({"io_log": LOG})


# -- builder


def test_the_builder_makes_the_kind_that_the_log_asks_for() -> None:
    """With a log in memory or none the result is in memory, with one on the disk it is there."""
    assert type(JobResultBuilder(outcome="pass").get_result()) is MemoryJobResult
    assert type(JobResultBuilder(outcome="pass", io_log=iter(LOG)).get_result()) is MemoryJobResult
    disk = JobResultBuilder(outcome="pass", log=REFERENCE).get_result("/s")
    assert isinstance(disk, DiskJobResult)
    assert disk.io_log_filename == "/s/io-logs/a.1.iolog"
    with pytest.raises(ValueError, match="either in memory or on the disk"):
        JobResultBuilder(io_log=LOG, io_log_filename="x").get_result()


def test_the_builder_collects_comments() -> None:
    """Each comment is a line of its own."""
    builder = JobResultBuilder(outcome="pass")
    builder.add_comment("one")
    builder.add_comment("two")
    builder.return_code = 0
    assert builder.get_result().as_dict() == {"outcome": "pass", "comments": "one\ntwo", "return_code": 0}


def test_a_result_can_be_made_again_with_changes() -> None:
    """The builder of a result knows all of it."""
    result = MemoryJobResult({"outcome": "undecided", "io_log": LOG, "skip_reason": {"a": ["b"]}})
    changed = result.get_builder(outcome="pass").get_result()
    assert changed == MemoryJobResult({"outcome": "pass", "io_log": LOG, "skip_reason": {"a": ["b"]}})


@pytest.mark.parametrize(
    ("data", "partial"),
    [
        ({}, False),
        ({"log": {"path": "io-logs/x"}}, False),
        ({"log": {"path": "io-logs/x", "incomplete": True}}, True),
        ({"log": {"path": "io-logs/x", "truncated": True}}, True),
        ({"log": {"path": "io-logs/x", "truncated": False}}, False),
        ({"io_log": [(0.0, "stdout", b"x")]}, False),
    ],
)
def test_a_log_tells_when_it_lacks_output(data: dict[str, object], partial: bool) -> None:
    """Output over the limit, and output that found no space, make the log of a result partial."""
    assert log_is_partial(restore_result(data)) is partial


@pytest.mark.parametrize("start_time", [1e300, -1e300, 10**400, 253_402_300_800, -62_135_596_801])
def test_a_start_time_is_one_that_a_clock_shows(start_time: float) -> None:
    """Every other one is refused, so that whoever shows it need not ask."""
    with pytest.raises(ValueError, match="no clock"):
        MemoryJobResult({"outcome": "pass", "start_time": start_time})


@pytest.mark.parametrize("start_time", [0, -1.5, 253_402_200_000, -62_135_500_000])
@pytest.mark.parametrize("hours", [-23, 0, 23])
def test_every_start_time_can_be_shown(start_time: float, hours: int) -> None:
    """The first and the last one that are taken, in any time zone."""
    result = MemoryJobResult({"outcome": "pass", "start_time": start_time})
    zone = datetime.timezone(datetime.timedelta(hours=hours))
    assert datetime.datetime.fromtimestamp(result.start_time or 0.0, zone).year in (1, 1969, 1970, 9999)
