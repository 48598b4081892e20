# SPDX-License-Identifier: Apache-2.0
"""Resource records from the output of a resource job."""

from __future__ import annotations

import logging

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
