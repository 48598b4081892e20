# SPDX-License-Identifier: Apache-2.0
"""The PXU syntax: lines to records, raw texts to values, places, and what becomes of bad input."""

from __future__ import annotations

import io
import os
import textwrap
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from reading import Reader
from strategies import pxu_texts, raw_values

from plainbox.errors import UnitError, UnitSyntaxError
from plainbox.units import read_units
from plainbox.units.kinds import unit_from_record
from plainbox.units.pxu import normalise, parse
from plainbox.units.record import Record


def records(text: str) -> list[Record]:
    return list(parse(io.StringIO(text, newline="\n"), "x.pxu"))


def data(text: str) -> list[Mapping[str, object]]:
    return [dict(record.data) for record in records(text)]


def problem(text: str) -> str:
    with pytest.raises(UnitSyntaxError) as caught:
        records(text)
    return str(caught.value)


# -- lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("# c\na: 1\n", [{"a": "1"}], id="a comment is dropped"),
        pytest.param("a:\n x\n# c\n y\n", [{"a": "x\ny"}], id="a comment inside a value does not end it"),
        pytest.param("a:\n x\n # c\n", [{"a": "x\n# c"}], id="an indented comment is text"),
        pytest.param("a: 1 # c\n", [{"a": "1 # c"}], id="a comment behind a value is text"),
        pytest.param("a: 1\n\nb: 2\n", [{"a": "1"}, {"b": "2"}], id="an empty line ends the record"),
        pytest.param("a: 1\n \t \nb: 2\n", [{"a": "1"}, {"b": "2"}], id="so does one of white space"),
        pytest.param("a: 1\n \nb: 2\n", [{"a": "1"}, {"b": "2"}], id="and one of a single blank"),
        pytest.param("\n\n\na: 1\n\n\n\nb: 2\n\n", [{"a": "1"}, {"b": "2"}], id="many empty lines are one"),
        pytest.param("a: 1\n 2\n", [{"a": "1\n2"}], id="a blank continues"),
        pytest.param("a:\n  1\n   2\n", [{"a": "1\n 2"}], id="one blank goes, the rest is text"),
        pytest.param("a: b: c\n", [{"a": "b: c"}], id="split at the first colon"),
        pytest.param("a : 1\n", [{"a": "1"}], id="blanks before the colon"),
        pytest.param("a:1\n", [{"a": "1"}], id="no blank behind the colon"),
        pytest.param("A: 1\na: 2\n", [{"A": "1", "a": "2"}], id="names are case sensitive"),
        pytest.param("\ta: b\n", [{"a": "b"}], id="a tab before a name is no continuation"),
        pytest.param("a+: x\n", [{"a+": "x"}], id="there is no append operator"),
        pytest.param("a: 1", [{"a": "1"}], id="the last line has no end"),
        pytest.param("a:\n", [{"a": ""}], id="an empty value"),
        pytest.param("a: 1\r\nb: 2\r\n", [{"a": "1", "b": "2"}], id="CRLF"),
        pytest.param("", [], id="an empty text"),
        pytest.param("# nothing\n\n", [], id="comments alone"),
    ],
)
def test_lines_become_records(text: str, expected: list[dict[str, str]]) -> None:
    """Every kind of line means what the grammar says."""
    assert data(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" x\n", "x.pxu:1: a continuation line without a field to continue"),
        ("a: 1\n\n x: 2\n", "x.pxu:3: a continuation line without a field to continue"),
        ("\n\njust words\n", "x.pxu:3: neither a field ('name: value') nor a continuation: 'just words'"),
        ("a: 1\n\tx\n", "x.pxu:2: neither a field ('name: value') nor a continuation: 'x'"),
        ("a: 1\na+= 1\n", "x.pxu:2: neither a field ('name: value') nor a continuation: 'a+= 1'"),
        ("a: 1\nb: 2\na: 3\n", "x.pxu:3: the field 'a' is given twice in one record"),
        (": x\n", "x.pxu:1: a field without a name"),
    ],
)
def test_a_bad_line_is_told_with_its_place(text: str, expected: str) -> None:
    """A line that is neither field nor continuation raises an error that names the line."""
    assert problem(text) == expected


def test_records_before_a_bad_line_are_yielded() -> None:
    """Reading a stream, what was complete before the error is not lost."""
    reader = parse(["a: 1\n", "\n", "bad\n"], "output")
    assert next(reader).data == {"a": "1"}
    with pytest.raises(UnitSyntaxError):
        next(reader)


def test_a_bad_record_does_not_reject_its_file() -> None:
    """With an error handler only the record with the bad line is left out."""
    found: list[UnitSyntaxError] = []
    lines = ["a: 1\n", "\n", "b: 1\n", "bad\n", "c: 1\n", "worse\n", "\n", "d: 1\n"]
    assert [dict(record.data) for record in parse(lines, "f", on_error=found.append)] == [{"a": "1"}, {"d": "1"}]
    assert [str(error.origin) for error in found] == ["f:4"]


def test_an_error_quotes_a_bounded_piece_of_the_line() -> None:
    """A line of megabytes does not become a message of megabytes."""
    assert len(problem("x" * 1_000_000)) < 200
    assert len(problem("k" * 1_000_000 + ":\n" + "k" * 1_000_000 + ":\n")) < 200


# -- values


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("1\n2\n.\n3\n", "1\n2\n\n3"),
        (" x\n y\n", "x\ny"),
        ("x\n  y\n", "x\n  y"),
        ("\nx\n  y\n", "x\n  y"),
        ("x\n y\n z\n", "x\n y\n z"),
        (".\nx\n", "x"),
        ("a\n  .\nb\n", "a\n\nb"),
        ("a\n..\nb\n", "a\n..\nb"),
        ("a\n. \nb\n", "a\n. \nb"),
        ("  x  ", "x"),
        (" .\n", "."),
        ("a\n\tb\n\tc\n", "a\n\tb\n\tc"),
        ("\n\tb\n  c\n", "b\n  c"),
        ("", ""),
        (" \n \n ", ""),
    ],
)
def test_raw_texts_become_values(raw: str, expected: str) -> None:
    """A text of several lines loses its indentation and its lone dots; white space around it always goes."""
    assert normalise(raw) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:1\n 2\n .\n 3\n", "1\n2\n\n3"),
        ("a:\n  x\n  y\n", "x\ny"),
        ("a:\n x\n   y\n", "x\n  y"),
        ("a: x\n  y\n  z\n", "x\n y\n z"),
        ("a:\n .\n x\n", "x"),
        ("a:\n x\n ..\n y\n", "x\n..\ny"),
    ],
)
def test_values_of_records_are_normalised(text: str, expected: str) -> None:
    """The examples of the format read as they always did."""
    assert data(text) == [{"a": expected}]


@given(raw_values)
def test_indentation_goes_as_textwrap_takes_it(raw: str) -> None:
    """The indentation that goes is that of textwrap.dedent()."""
    if raw.count("\n") > 1 and "." not in raw:
        assert normalise(raw) == textwrap.dedent(raw).strip()


def test_the_raw_value_keeps_its_text_without_the_last_line_end() -> None:
    """The gettext message id is the text with its indentation."""
    [record] = records("_a:\n  x\n    y\n .\n z\nb: 1\n")
    assert record.raw == {"_a": " x\n   y\n.\nz", "b": "1"}


# -- places


def test_a_record_is_where_its_fields_are() -> None:
    """Comments and empty lines before and behind the fields do not belong to the record."""
    places = [str(record.origin) for record in records("\n# c\n\na: 1\n# c\nb:\n 2\n# c\n\n\nc: 1\n")]
    assert places == ["x.pxu:4-7", "x.pxu:11"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("z: 0\na: x\n y\n", 1, id="text on the line of the name"),
        pytest.param("z: 0\na:\n x\n", 2, id="text on the next line"),
        pytest.param("z: 0\na:\nb: 1\n", 1, id="no text at all"),
        pytest.param("z: 0\na:\n .\n .\n x\n y\n", 4, id="empty lines at the beginning are lost"),
        pytest.param("z: 0\na:\n# c\n x\n y\n", (3, 4), id="a comment before the text"),
        pytest.param("z: 0\na:\n x\n# c\n# c\n y\n z\n# c\n q\n", (2, 5, 6, 8), id="comments in the text"),
        pytest.param("z: 0\na: x\n# c\n y\n", (1, 3), id="a comment behind the first line"),
    ],
)
def test_each_line_of_a_value_knows_its_place(text: str, expected: object) -> None:
    """Offsets count from the first line of the record, also past comments in a value."""
    assert records(text)[0].offsets["a"] == expected


# -- files


@pytest.mark.parametrize(
    "content", ["id: a\nplugin: shell\n", "\ufeffid: a\nplugin: shell\n", "id: a\r\nplugin: shell\r\n"]
)
def test_files_of_other_systems_are_read(read: Reader, content: str) -> None:
    """A byte order mark and CRLF line ends change nothing."""
    [unit], problems = read(content)
    assert (unit.data, problems) == ({"id": "a", "plugin": "shell"}, [])


def test_a_command_of_a_crlf_file_has_no_carriage_returns(read: Reader) -> None:
    """The shell would choke on them."""
    [unit], _ = read("id: a\r\nplugin: shell\r\ncommand:\r\n  if true; then\r\n    echo\r\n  fi\r\n")
    assert unit.data["command"] == "if true; then\n  echo\nfi"


@pytest.mark.parametrize("letter", ["x", "ü"])
def test_the_missing_end_of_the_last_line_means_the_same_in_all_files(read: Reader, letter: str) -> None:
    """Whether a file is pure ASCII or not, a value at its very end is normalised alike."""
    [unit], _ = read(f"id: a\ncommand:\n   {letter}\n     y")
    assert unit.data["command"] == f"{letter}\n    y"


@pytest.mark.parametrize("separator", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_only_line_feeds_end_lines(read: Reader, separator: str) -> None:
    """Other characters that Python takes for line ends are text."""
    [unit], problems = read(f"id: a\nsummary: x{separator}y\n")
    assert (unit.data["summary"], problems) == (f"x{separator}y", [])


def test_a_nul_byte_is_told_with_its_line(read: Reader) -> None:
    """A file with a NUL byte is not text."""
    assert read(b"id: a\n\nid: b\0\n") == ([], ["x.pxu:3: not a text file: it holds a NUL byte"])


def test_a_binary_file_is_told_with_its_line(read: Reader) -> None:
    """A file that is not UTF-8 is left out, and the error says where it is not."""
    assert read(b"id: a\nsummary: \xff\xfe\n") == ([], ["x.pxu:2: not a text file: byte 15 is not UTF-8"])


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """What the system says is passed on."""
    found: list[UnitError] = []
    assert read_units(tmp_path / "none.pxu", on_error=found.append) == []
    (tmp_path / "directory.pxu").mkdir()
    assert read_units(tmp_path / "directory.pxu", on_error=found.append) == []
    assert [error.message for error in found] == ["cannot be read: not a file"] * 2


def test_a_file_without_permission_is_a_problem(tmp_path: Path) -> None:
    """A file that may not be read is told and does not end the loading."""
    path = tmp_path / "secret.pxu"
    path.write_text("id: a\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    found: list[UnitError] = []
    assert read_units(path, on_error=found.append) == []
    assert "cannot be read: Permission denied" in str(found[0])


def test_a_pipe_in_the_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    """A provider cannot make the loading wait for ever."""
    path = tmp_path / "pipe.pxu"
    os.mkfifo(path)
    found: list[UnitError] = []
    reader = threading.Thread(target=read_units, args=(path,), kwargs={"on_error": found.append}, daemon=True)
    reader.start()
    reader.join(20)
    assert not reader.is_alive()
    assert [error.message for error in found] == ["cannot be read: not a file"]


def test_a_line_of_ten_megabytes_is_read(read: Reader) -> None:
    """Long lines take no more than linear time."""
    [unit], problems = read("id: a\nsummary: " + "x" * 10_000_000 + "\n")
    assert (len(unit.data["summary"]), problems) == (10_000_000, [])
    [unit], problems = read("id: a\nplugin: shell\nsummary:\n " + " " * 10_000_000 + ".\n x\n")
    assert (unit.data["summary"], problems) == ("x", [])


@pytest.mark.parametrize("content", ["x" * 10_000_000, ":" * 10_000_000, "a" * 10_000_000 + ": b"])
def test_a_bad_line_of_ten_megabytes_is_a_short_problem(read: Reader, content: str) -> None:
    """Neither reading nor checking such a file takes long, and nothing repeats the line."""
    units, problems = read(content)
    assert units == []
    assert len(problems) == 1
    assert len(problems[0]) < 300


@given(pxu_texts)
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    """Nothing but a syntax error with file and line comes out of the parser."""
    found: list[UnitSyntaxError] = []
    kept = list(parse(io.StringIO(text, newline="\n"), "f", on_error=found.append))
    assert all(error.origin is not None and error.origin.line_start is not None for error in found)
    lines = text.count("\n") + 1
    for record in kept:
        assert record.data.keys() == record.raw.keys() == record.offsets.keys()
        assert record.origin.line_start is not None
        assert record.origin.line_end is not None
        assert 1 <= record.origin.line_start <= record.origin.line_end <= lines


@given(pxu_texts)
def test_units_of_any_text_tell_their_issues(text: str) -> None:
    """Reading and checking units never raises, and every issue has the line of a place inside the file."""
    found: list[UnitError] = []
    for record in parse(io.StringIO(text, newline="\n"), "f", on_error=found.append):
        try:
            unit = unit_from_record(record)
        except UnitError as error:
            found.append(error)
            continue
        for field in unit.fields.values():
            getattr(unit, field.key.replace("-", "_"), None)
        for issue in unit.issues:
            assert issue.origin is not None
            assert issue.origin.line_start is not None
            assert record.origin.line_start is not None
            assert record.origin.line_end is not None
            assert record.origin.line_start <= issue.origin.line_start <= record.origin.line_end
    assert all(error.origin is not None for error in found)
