# SPDX-License-Identifier: Apache-2.0
"""Output of several jobs, cut into lines that belong to one job each."""

from __future__ import annotations

from plainbox.cli.console.lines import Lines


def test_a_line_waits_for_its_end() -> None:
    """What has no end of line yet is shown with what ends it, for each job and stream by itself."""
    lines = Lines()
    assert lines.take("a", "stdout", b"one\ntw") == [b"one"]
    assert lines.take("b", "stdout", b"other\n") == [b"other"]
    assert lines.take("a", "stderr", b"err\n") == [b"err"]
    assert lines.take("a", "stdout", b"o\n\n") == [b"two", b""]
    assert lines.rest("a") == []


def test_what_is_left_at_the_end() -> None:
    """The rest of a job without an end of line is given once."""
    lines = Lines()
    assert lines.take("a", "stdout", b"no end") == []
    assert lines.rest("a") == [b"no end"]
    assert lines.rest("a") == []


def test_a_line_without_end_is_cut() -> None:
    """A job that never ends a line does not fill the memory."""
    lines = Lines()
    pieces = [piece for _ in range(100) for piece in lines.take("a", "stdout", b"x" * 4096)]
    assert pieces
    assert sum(map(len, pieces)) + sum(map(len, lines.rest("a"))) == 100 * 4096
