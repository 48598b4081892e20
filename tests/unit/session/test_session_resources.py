# SPDX-License-Identifier: Apache-2.0
"""Resource records from the output of a resource job."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from plainbox.session.resources import records_of
from plainbox.session.result import MemoryJobResult


def printed(*pieces: bytes) -> MemoryJobResult:
    return MemoryJobResult({"outcome": "pass", "io_log": [(0.0, "stdout", piece) for piece in pieces]})


def test_records_are_read_across_pieces() -> None:
    """The output may be cut anywhere; values are normalised as in unit files."""
    result = printed(b"name: a\nval", b"ue:\n one\n  two\n\nna", b"me: b")
    assert records_of(result, "r") == [{"name": "a", "value": "one\n two"}, {"name": "b"}]


def test_only_standard_output_counts() -> None:
    """What a job says on standard error is not part of its records."""
    result = MemoryJobResult({"io_log": [(0.0, "stderr", b"x: 1\n"), (0.0, "stdout", b"y: 2\n")]})
    assert records_of(result, "r") == [{"y": "2"}]


def test_records_before_nonsense_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    """A line that is part of no record ends the reading with a warning that names job and line."""
    with caplog.at_level(logging.WARNING):
        assert records_of(printed(b"a: 1\n\nb: 2\nnonsense\n\nc: 3\n"), "r") == [{"a": "1"}]
    assert "output of r:4" in caplog.text


def test_bad_utf8_is_replaced() -> None:
    """Bytes that are no text do not keep the records from being read."""
    assert records_of(printed(b"a: \xff\n"), "r") == [{"a": "\N{REPLACEMENT CHARACTER}"}]


@pytest.mark.parametrize("output", [b"", b"\n\n", b"# nothing\n"])
def test_no_records(output: bytes) -> None:
    """A job that printed nothing that is a record has none."""
    assert records_of(printed(output), "r") == []
    assert records_of(MemoryJobResult({}), "r") == []


# Bounds


class Pieces(MemoryJobResult):
    """Output that is made while it is read, and how much of it was asked for."""

    made = 0

    def iter_output(self, stream: str = "stdout") -> Iterator[bytes]:
        for piece in self.pieces():
            Pieces.made += len(piece)
            yield piece

    def pieces(self) -> Iterator[bytes]:
        raise NotImplementedError


def test_output_is_read_within_bounds(caplog: pytest.LogCaptureFixture) -> None:
    """Of a hundred megabytes eight are read, the records in them count, the one that is cut does not."""

    class Long(Pieces):
        def pieces(self) -> Iterator[bytes]:
            for number in range(10_000):
                yield b"name: n%d\ntext:\n" % number + b" x\n" * 3000 + b"\n"

    Pieces.made = 0
    with caplog.at_level(logging.WARNING):
        found = records_of(Long({"outcome": "pass"}), "r")
    assert Pieces.made < 9 << 20
    assert 900 < len(found) < 950
    assert all(record["text"].count("x") == 3000 for record in found)
    assert "more than 8388608 bytes" in caplog.text


def test_records_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Twenty thousand records count, with a warning when there are more."""
    output = b"a: 1\n\n" * 20_000
    with caplog.at_level(logging.WARNING):
        assert len(records_of(printed(output), "r")) == 20_000
        assert caplog.text == ""
        assert len(records_of(printed(output + b"b: 1\n"), "r")) == 20_000
    assert "more than 20000 records" in caplog.text


def test_a_line_has_a_length(caplog: pytest.LogCaptureFixture) -> None:
    """A line without an end is not collected; the records before it count, that with the line does not."""

    class Endless(Pieces):
        def pieces(self) -> Iterator[bytes]:
            yield b"a: 1\n\nb: 2\nc: "
            while True:
                yield b"x" * 50_000

    with caplog.at_level(logging.WARNING):
        assert records_of(Endless({"outcome": "pass"}), "r") == [{"a": "1"}]
        assert records_of(printed(b"a: 1\n\nc: " + b"x" * 70_000 + b"\n\nd: 1\n"), "r") == [{"a": "1"}]
        assert records_of(printed(b"c: " + b"x" * 65_000 + b"\n"), "r") == [{"c": "x" * 65_000}]
    assert caplog.text.count("a line of more than 65536 characters") == 2
