# SPDX-License-Identifier: Apache-2.0
"""Writing for people and programs: columns that line up, one JSON document, nothing that a terminal obeys."""

from __future__ import annotations

import io
import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainbox.cli.output import clean, duration, print_json, print_table, say, warn, write


@given(st.text())
def test_cleaned_text_obeys_nobody(text: str) -> None:
    """Whatever the text, no control character but the line feed is left, and nothing that turns the direction of text."""
    cleaned = clean(text)
    assert all(character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Cs") for character in cleaned)


@given(st.text())
def test_cleaning_is_done_once(text: str) -> None:
    """Clean text stays as it is."""
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain", "plain"),
        ("", ""),
        ("\N{SNOWMAN} \N{LATIN SMALL LETTER E WITH ACUTE}", "\N{SNOWMAN} \N{LATIN SMALL LETTER E WITH ACUTE}"),
        ("two\nlines", "two\nlines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x07\x9b2J\x7f", "\\x07\\x9b2J\\x7f"),
        ("a\rb", "a\\x0db"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}x", "\\x202ex"),
        ("\udcff", "\\xdcff"),
    ],
)
def test_clean(text: str, cleaned: str) -> None:
    """What a terminal would obey is shown as its code; everything else is left alone."""
    assert clean(text) == cleaned


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0, "0.0 s"),
        (0.24, "0.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (65, "1 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (7800, "2 h 10 min"),
        (1e6, "277 h 46 min"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    """A duration has the two largest units that say something."""
    assert duration(seconds) == text


def test_streams(capsys: pytest.CaptureFixture[str]) -> None:
    """Data goes to the standard output, talk and warnings to the standard error."""
    write("data")
    say("talk")
    warn("careful", "do this")
    said = capsys.readouterr()
    assert said.out == "data\n"
    assert said.err == "talk\nplainbox: warning: careful\n  do this\n"


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One document, its schema first, readable text in it."""
    print_json("plainbox.x/1", units=[{"name": "\N{SNOWMAN}"}])
    out = capsys.readouterr().out
    assert json.loads(out) == {"schema": "plainbox.x/1", "units": [{"name": "\N{SNOWMAN}"}]}
    assert next(iter(json.loads(out))) == "schema"
    assert "\N{SNOWMAN}" in out


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns are as wide as their widest cell, wide characters counted as two; lines have no blanks at their end."""
    print_table(
        [("a", "b", "c"), ("\N{CJK UNIFIED IDEOGRAPH-4E2D}\N{CJK UNIFIED IDEOGRAPH-6587}", "", "c"), ("", "", "")]
    )
    assert capsys.readouterr().out == (
        "a     b  c\n\N{CJK UNIFIED IDEOGRAPH-4E2D}\N{CJK UNIFIED IDEOGRAPH-6587}     c\n\n"
    )


def test_empty_table(capsys: pytest.CaptureFixture[str]) -> None:
    """No rows, no lines."""
    print_table([], ("a", "b"))
    assert capsys.readouterr().out == ""


def test_header_is_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a terminal gets the header."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, text in ((Terminal(), "ID  NAME\n1   x\n"), (io.StringIO(), "1  x\n")):
        monkeypatch.setattr(sys, "stdout", stream)
        print_table([("1", "x")], ("id", "name"))
        assert stream.getvalue() == text


def test_cells_are_cleaned(capsys: pytest.CaptureFixture[str]) -> None:
    """No cell can do anything to the terminal."""
    print_table([("\x1b[2J", "x")])
    assert capsys.readouterr().out == "\\x1b[2J  x\n"
