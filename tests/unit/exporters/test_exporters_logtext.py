# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import exporter_samples
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainbox.exporters.logtext import LogText, Piece, document_problem
from plainbox.session.result import DiskJobResult, IOLogRecord, JobResult, MemoryJobResult


def _result(*records: tuple[str, bytes]) -> MemoryJobResult:
    return MemoryJobResult({"outcome": "pass", "io_log": [(0.0, stream, data) for stream, data in records]})


class _Endless(JobResult):
    """A result with a log that is made while it is read."""

    __slots__ = ("chunk", "count")

    def __init__(self, chunk: bytes, count: int) -> None:
        super().__init__({"outcome": "pass"})
        self.chunk = chunk
        self.count = count

    def get_io_log(self) -> Iterator[IOLogRecord]:
        return (IOLogRecord(0.0, "stdout", self.chunk) for _ in range(self.count))


def test_streams_in_their_order() -> None:
    """Output of both streams comes in its order, joined where one stream goes on."""
    log = LogText(_result(("stdout", b"a"), ("stdout", b"b\n"), ("stderr", b"c\n"), ("stdout", b"d")), 0)
    assert list(log) == [Piece("stdout", "ab\n"), Piece("stderr", "c\n"), Piece("stdout", "d")]
    assert not log.truncated
    assert log.problem is None


def test_wanted_streams_only() -> None:
    """Streams that are not asked for are left out, notes are bracketed lines."""
    result = _result(("stdout", b"a"), ("stderr", b"b"), ("note", b"ended"))
    assert str(LogText(result, 0, streams=("stdout",))) == "a"
    assert str(LogText(result, 0, streams=("stdout", "note"))) == "a\n[ended]\n"


def test_long_log_keeps_both_ends() -> None:
    """Beyond the limit the middle is replaced by a note that counts what is missing."""
    log = LogText(_result(*(("stdout", b"%05d\n" % n) for n in range(1000))), 60)
    assert str(log) == (
        "00000\n00001\n00002\n00003\n00004\n"
        "[... 5940 bytes of the log are left out here ...]\n"
        "00995\n00996\n00997\n00998\n00999\n"
    )
    assert log.truncated


def test_long_log_keeps_its_tail() -> None:
    """With keep='tail' only the end is left, after the note."""
    log = LogText(_result(("stdout", b"x" * 100 + b"end")), 3, keep="tail")
    assert str(log) == "[... 100 bytes of the log are left out here ...]\nend"


def test_log_of_exactly_the_limit_is_whole() -> None:
    """A log that just fits is not cut."""
    log = LogText(_result(("stdout", b"x" * 10)), 10)
    assert str(log) == "x" * 10
    assert not log.truncated


@given(
    st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=40)), max_size=20),
    st.integers(0, 60),
    st.sampled_from(["ends", "tail"]),
)
def test_any_log_any_limit(records: list[tuple[str, bytes]], limit: int, keep: Any) -> None:
    """Whatever the bytes and the limit: text without control characters, cut exactly when it is too long."""
    log = LogText(_result(*records), limit, keep=keep)
    text = str(log)
    assert not set(text) & (set(map(chr, range(32))) - {"\t", "\n"} | set(map(chr, range(0x7F, 0xA0))))
    text.encode()
    assert log.truncated == (limit > 0 and sum(len(data) for _, data in records) > limit)


@given(st.text(alphabet=st.characters(min_codepoint=32, exclude_categories=["Cc", "Cs", "Cn", "Co"])), st.data())
def test_text_survives_any_cut(text: str, data: st.DataObject) -> None:
    """Text that arrives in pieces of any size comes out as it was."""
    raw = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert str(LogText(_result(*(("stdout", piece) for piece in pieces)), 0)) == text


@pytest.mark.parametrize("cut", range(1, 24))
def test_terminal_sequences_cut_by_other_output(cut: int) -> None:
    """A colour code whose bytes are parted by the other stream is removed all the same."""
    raw = b"\x1b[1;31mred\x1b[0m and\r\nplain"
    pieces = list(LogText(_result(("stdout", raw[:cut]), ("stderr", b"!"), ("stdout", raw[cut:])), 0))
    assert "".join(piece.text for piece in pieces if piece.stream == "stdout") == "red and\nplain"


def test_characters_cut_by_the_limit_are_dropped() -> None:
    """A cut through a character leaves no half of it."""
    log = LogText(_result(("stdout", "ääääää".encode())), 5)
    head, note, tail = str(log).split("\n")[0], "left out", str(log).split("\n")[-1]
    assert head == "ä"
    assert note in str(log)
    assert tail == "ä"


def test_verbatim_keeps_everything() -> None:
    """A document is what the job wrote, control characters included."""
    assert str(LogText(_result(("stdout", b"a\x1b[0m\x00\r\n")), 0, verbatim=True)) == "a\x1b[0m\x00\r\n"


@pytest.mark.parametrize("limit", [0, 100])
def test_log_that_is_gone(tmp_path: Path, limit: int) -> None:
    """A log file that is not there becomes a note without the path."""
    result = DiskJobResult({"outcome": "pass", "io_log_filename": "io-logs/gone.iolog"}, tmp_path)
    log = LogText(result, limit)
    assert list(log) == [Piece("note", "[the log cannot be read from here on: the log is gone]\n")]
    assert log.problem == "the log is gone"


def test_log_that_is_damaged(tmp_path: Path) -> None:
    """Of a damaged log the good part is shown, then a note tells where the damage is."""
    item = exporter_samples.job("a")
    manager = exporter_samples.manager_of(tmp_path, {item: []})
    reference = exporter_samples.write_log(manager, "a", [("stdout", b"good\n"), ("stderr", b"bad\n")])
    path = Path(manager.storage.location, reference["path"])
    path.write_bytes(path.read_bytes().replace(b"bad\n", b"BAD\n"))
    log = LogText(DiskJobResult({"outcome": "pass", "log": reference}, manager.storage.location), 100)
    assert str(log).startswith("good\n[the log cannot be read from here on: the log is damaged at byte ")
    assert str(tmp_path) not in str(log)


def test_log_outside_of_the_session(tmp_path: Path) -> None:
    """A link that leads out of the session is not followed."""
    secret = tmp_path / "secret"
    secret.write_text("PBL1 {}\n")
    session = tmp_path / "session"
    session.mkdir()
    (session / "log").symlink_to(secret)
    log = LogText(DiskJobResult({"outcome": "pass", "io_log_filename": "log"}, session), 100)
    assert str(log).startswith("[the log cannot be read")
    assert log.problem


@pytest.mark.parametrize("limit", [0, 64 * 1024])
def test_memory_is_flat(limit: int) -> None:
    """A log of many megabytes passes through in little memory, with and without a limit."""
    log = LogText(_Endless(b"y" * 63 + b"\n" * 1, 1), limit)
    sum(len(piece.text) for piece in log)
    tracemalloc.start()
    try:
        total = sum(len(piece.text) for piece in LogText(_Endless(b"y" * 65535 + b"\n", 400), limit))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 400 * 65536 if not limit else total < 70_000
    assert peak < 2 * 1024 * 1024


def test_document_problem(tmp_path: Path) -> None:
    """Standard output is a document when all of it is UTF-8, also where a piece ends inside a character."""
    assert document_problem(_result(("stdout", b"\xc3"), ("stdout", b"\xa4"), ("stderr", b"\xff"))) is None
    assert document_problem(_result(("stdout", b"\xc3"))) == "the output is not UTF-8"
    gone = DiskJobResult({"outcome": "pass", "io_log_filename": "gone"}, tmp_path)
    assert document_problem(gone) == "the log is gone"
