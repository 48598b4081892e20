# SPDX-License-Identifier: Apache-2.0
"""Fields: what a text becomes, what a bad one is told as, and where."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import Reader
from strategies import any_text, durations, json_texts

from plainbox.errors import FieldError
from plainbox.units import KINDS, JobDefinition, Severity, TestPlanUnit, Unit, converters
from plainbox.units.fields import Field, InTemplate, choice, closest
from plainbox.units.scanner import Token, scan

NS = "org.example"

# -- the scanner


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("foo", [(Token.WORD, "foo")]),
        ("foo bar", [(Token.WORD, "foo"), (Token.WORD, "bar")]),
        ("foo\tbar\n baz", [(Token.WORD, "foo"), (Token.WORD, "bar"), (Token.WORD, "baz")]),
        ("# all of it", []),
        ("foo#c", [(Token.WORD, "foo")]),
        ("foo # c\nbar", [(Token.WORD, "foo"), (Token.WORD, "bar")]),
        ('"foo bar"', [(Token.WORD, "foo bar")]),
        ('"foo#bar"', [(Token.WORD, "foo#bar")]),
        ('""', [(Token.WORD, "")]),
        (r'"a\"', [(Token.WORD, "a\\")]),
        ('foo"bar', [(Token.WORD, 'foo"bar')]),
        ("a,b", [(Token.WORD, "a"), (Token.COMMA, ","), (Token.WORD, "b")]),
        ("a=b", [(Token.WORD, "a"), (Token.EQUALS, "="), (Token.WORD, "b")]),
        ('"open', [(Token.INVALID, '"open')]),
        ('"open\nfoo', [(Token.INVALID, '"open'), (Token.WORD, "foo")]),
        ("a\0b", [(Token.WORD, "a"), (Token.INVALID, "\0"), (Token.WORD, "b")]),
        ("", []),
    ],
)
def test_texts_become_tokens(text: str, expected: list[tuple[Token, str]]) -> None:
    """Words, commas and equal signs are tokens; blanks and comments are not."""
    assert [(lexeme.kind, lexeme.text) for lexeme in scan(text)] == expected


def test_tokens_know_their_line() -> None:
    """Lines count from 0, comments and empty lines included."""
    assert [(lexeme.text, lexeme.line) for lexeme in scan("a # c\n\n# d\nb c\n")] == [("a", 0), ("b", 3), ("c", 3)]


@given(any_text)
def test_no_word_is_lost_in_the_scanner(text: str) -> None:
    """Every character is in a token, a blank or a comment."""
    kept = "".join(lexeme.text for lexeme in scan(text))
    if "#" not in text and '"' not in text:
        assert kept == "".join(text.split())


# -- durations


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1.0),
        ("1.5", 1.5),
        ("0", 0.0),
        ("1e3", 1000.0),
        ("", 0.0),
        ("2s", 2.0),
        ("3m", 180.0),
        ("1h", 3600.0),
        ("1h 2m 3s", 3723.0),
        ("1h2m3s", 3723.0),
        ("1h:2m:3s", 3723.0),
        ("2m 30s", 150.0),
        (" 90 ", 90.0),
    ],
)
def test_durations(text: str, expected: float) -> None:
    """A number is seconds; hours, minutes and seconds stand in this order."""
    assert converters.duration(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "5s 1m",
        "soon",
        "1d",
        "-1",
        "inf",
        "nan",
        "1h 1h",
        "1e300",
        "1" * 400,
        "1" * 5000 + "h",
        "9" * 59 + "h",
        ":" * 100_000 + "x",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    """Another order, a negative number, or one that no clock can measure is an error."""
    with pytest.raises(FieldError):
        converters.duration(text)


@given(durations)
def test_any_text_is_a_duration_or_an_error(text: str) -> None:
    """Nothing but a finite number of seconds or a field error comes out."""
    try:
        seconds = converters.duration(text)
    except FieldError:
        return
    assert 0 <= seconds < 1e9


# -- lists


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a b", ("a", "b")),
        ("a, b,c", ("a", "b", "c")),
        ("a # c\nb", ("a", "b")),
        ('"a b" c', ("a b", "c")),
        ("", ()),
        (["a b", " c ", ""], ("a b", "c")),
    ],
)
def test_word_lists(value: str | list[str], expected: tuple[str, ...]) -> None:
    """Words stand apart by blanks and commas, the items of a YAML list are whole."""
    assert converters.words(value) == expected


@pytest.mark.parametrize(("text", "line"), [("a = b", 0), ("a\nb =c", 1), ('a\n\n"b', 2), ("a\0", 0)])
def test_what_is_no_word(text: str, line: int) -> None:
    """An equal sign, an open quote or a NUL byte is an error on its line."""
    with pytest.raises(FieldError) as caught:
        converters.words(text)
    assert caught.value.line == line


def test_references_are_full_ids_each_once() -> None:
    """A reference without a namespace is one of the unit's own."""
    assert converters.references("a other::b a", NS) == ("org.example::a", "other::b")
    assert converters.references("a", None) == ("a",)
    assert converters.reference("a", NS) == "org.example::a"


def test_names_and_flags_stand_apart_by_blanks_and_commas() -> None:
    """They have neither comments nor quotes."""
    assert converters.names("A,B\n C A") == ("A", "B", "C")
    assert converters.flag_words("x  y,,z x") == frozenset({"x", "y", "z"})
    assert converters.names(["A", "B C"]) == ("A", "B C")


def test_lines_lose_the_empty_ones() -> None:
    """Lines are told apart by line feeds alone, so that their numbers are those of the file."""
    assert converters.lines(" a \n\n b\x0bc\n") == ("a", "b\x0bc")
    assert converters.numbered("a\n\nb") == [(0, "a"), (2, "b")]
    assert converters.numbered(["a", "", "b"]) == [(0, "a"), (2, "b")]


@pytest.mark.parametrize(
    "convert", [converters.words, converters.references, converters.names, converters.flag_words, converters.lines]
)
def test_a_list_is_not_a_mapping_nor_its_items(convert: Callable[..., object]) -> None:
    """The error names the item, and with a handler the other items are kept."""
    with pytest.raises(FieldError):
        convert({"a": "b"})
    with pytest.raises(FieldError) as caught:
        convert(["a", ["b"], "c"], None)
    assert caught.value.line == 1
    found: list[FieldError] = []
    assert set(convert(["a", ["b"], "c"], None, found.append)) == {"a", "c"}  # type: ignore[call-overload]
    assert [error.line for error in found] == [1]


# -- scalars


@pytest.mark.parametrize(
    ("text", "expected"), [("yes", True), ("True", True), ("ON", True), ("1", True), ("no", False), ("off", False)]
)
def test_truth_values(text: str, expected: bool) -> None:
    """The usual words, in any case."""
    assert converters.flag(text) is expected


def test_what_is_no_truth_value() -> None:
    """Any other word is an error."""
    with pytest.raises(FieldError, match="neither yes nor no"):
        converters.flag("maybe")


@pytest.mark.parametrize("text", ["a::b", "", "a\nb"])
def test_what_is_no_id(text: str) -> None:
    """An id has no namespace, no second line and some text."""
    with pytest.raises(FieldError):
        converters.identifier(text)


def test_choices_guess_what_was_meant() -> None:
    """A word that is not one of the choices is an error with the nearest one."""
    with pytest.raises(FieldError) as caught:
        choice("shell", "manual").convert("shel", None)
    assert (caught.value.message, caught.value.hint) == ("'shel' is not one of shell, manual", "did you mean 'shell'?")


def test_no_guess_is_made_for_a_text_of_megabytes() -> None:
    """Looking for the nearest word takes no time when there can be none."""
    assert closest("x" * 5_000_000, ["x" * 10]) is None


@pytest.mark.parametrize(
    ("convert", "text", "expected"),
    [
        (converters.mapping, '{"a": 1, "b": [true, null], "c": null}', {"a": 1, "b": [True, None], "c": None}),
        (converters.mappings, '[{"a": 1.5}]', ({"a": "1.5"},)),
        (converters.values, '["a", 1, "1", 2.0]', ("a", 1, "1", 2.0)),
    ],
)
def test_json_texts_become_values(convert: Callable[..., object], text: str, expected: object) -> None:
    """JSON in a PXU file is what YAML would give: values of functions have types, others are text."""
    assert convert(text) == expected


@pytest.mark.parametrize(
    "text", ["", "{", "1", '"a"', "[1]", "1" * 5000, "[" * 100_000, '{"a": ' + "1" * 5000 + "}", "nan", "[[]]"]
)
def test_what_is_no_json_mapping(text: str) -> None:
    """Bad JSON, or JSON of another kind, is an error and nothing worse."""
    with pytest.raises(FieldError):
        converters.mapping(text)
    with pytest.raises(FieldError):
        converters.mappings(text)


@given(json_texts)
def test_any_text_is_json_or_an_error(text: str) -> None:
    """Nothing but values or a field error comes out."""
    for convert in (converters.mapping, converters.mappings, converters.values):
        try:
            convert(text)
        except FieldError:
            continue


# -- fields of units


def test_fields_are_read_once_and_never_written() -> None:
    """A field is converted when it is first asked for; a unit does not change."""
    job = JobDefinition({"id": "a", "depends": "b"})
    assert job.depends is job.depends
    with pytest.raises(AttributeError):
        job.depends = ()  # type: ignore[misc]


def test_a_bad_value_reads_as_the_default() -> None:
    """Reading a field never raises; the issues say what is wrong."""
    job = JobDefinition(
        {"id": "a", "plugin": "shel", "command": "true", "estimated_duration": "soon", "depends": {"a": "b"}}
    )
    assert (job.plugin, job.estimated_duration, job.depends) == (None, None, ())
    assert {issue.field for issue in job.issues} == {"plugin", "estimated_duration", "depends"}


def test_a_bad_item_does_not_empty_its_list() -> None:
    """What is good of a list counts; every bad item is an issue."""
    job = JobDefinition({"id": "a", "plugin": "shell", "command": "true", "depends": "b = c\nd\n= e"})
    assert job.depends == ("b", "c", "d", "e")
    assert [issue.message for issue in job.issues] == ["unexpected '=' in a list of words"] * 2


def test_a_field_with_an_underscore_is_translated() -> None:
    """The form with an underscore wins over the one without."""
    assert JobDefinition({"id": "a", "_summary": "x", "summary": "y"}).summary == "x"


@pytest.mark.parametrize("cls", KINDS.values())
def test_every_field_is_described(cls: type[Unit]) -> None:
    """Each field has a sentence for the reference pages and a key of its own."""
    assert cls.fields
    for key, field in cls.fields.items():
        assert isinstance(field, Field)
        assert field.key == key
        assert field.doc.endswith(".") or field.doc.endswith("]."), field.doc
        assert isinstance(field.template, InTemplate)


@pytest.mark.parametrize("cls", KINDS.values())
@given(
    st.dictionaries(st.sampled_from(["id", "unit", "x", "_x"]) | any_text, any_text | st.lists(any_text), max_size=5)
)
def test_units_of_any_mapping_tell_their_issues(cls: type[Unit], data: dict[str, object]) -> None:
    """Building and checking a unit from any mapping raises nothing."""
    unit = cls(data)
    assert isinstance(unit.issues, tuple)
    assert all(str(issue) for issue in unit.issues)
    assert len(unit.checksum) == 64


@pytest.mark.parametrize("cls", KINDS.values())
@given(st.data())
def test_fields_of_any_value_are_read(cls: type[Unit], data: st.DataObject) -> None:
    """Every field of every kind reads any value, and its issues stand at the field."""
    key = data.draw(st.sampled_from(sorted(cls.fields)))
    values = st.recursive(
        any_text, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3)
    )
    unit = cls({"id": "a", key: data.draw(values | json_texts | durations)})
    for name, field in vars(cls).items():
        if isinstance(field, Field):
            getattr(unit, name)
    assert all(str(issue) for issue in unit.issues)


# -- issues


def test_an_issue_says_where_what_and_why(read: Reader) -> None:
    """Place, code, severity, unit, field, message and hint are in its text."""
    [text] = read.issues("id: a\nplugin: shel\ncommand: true\n")
    assert text == (
        "x.pxu:2: PB102 error: a: field 'plugin': 'shel' is not one of shell, resource, attachment, function, manual,"
        " user-interact, user-verify, user-interact-verify (did you mean 'shell'?)"
    )


JOB = "id: a\nplugin: shell\ncommand: true\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(JOB + "depends: b = c\n", ["x.pxu:4: PB102"], id="on the line of the name"),
        pytest.param(
            JOB + "depends:\n b\n c = d\n e\n f = g\n", ["x.pxu:6: PB102", "x.pxu:8: PB102"], id="in the lines below"
        ),
        pytest.param(
            JOB + "depends:\n b\n# c\n# c\n c = d\n# c\n e =\n",
            ["x.pxu:8: PB102", "x.pxu:10: PB102"],
            id="past comments",
        ),
        pytest.param(JOB + "depends:\n .\n .\n b = c\n", ["x.pxu:7: PB102"], id="past empty lines at the beginning"),
        pytest.param(JOB + "depends:\n b\n .\n c = d\n", ["x.pxu:7: PB102"], id="past empty lines inside"),
        pytest.param(JOB + "requires: b.x\n c.y ==\n", ["x.pxu:5: PB110"], id="the second expression"),
        pytest.param(
            JOB + "requires:\n b.x\n .\n# c\n c.y ==\n d.z\n f.x =\n",
            ["x.pxu:8: PB110", "x.pxu:10: PB110"],
            id="several expressions",
        ),
        pytest.param(JOB + "imports:\n from a import b\n from c\nrequires: b.x\n", ["x.pxu:6: PB110"], id="an import"),
        pytest.param(JOB + "environment: X\n", ["x.pxu:4: PB103"], id="an unknown field"),
        pytest.param(JOB + "_flags: simple\n", ["x.pxu:4: PB105"], id="a field that is not translated"),
        pytest.param(JOB + "flags:\n simple nosuch\n", ["x.pxu:5: PB109"], id="an unknown flag"),
        pytest.param(JOB + "siblings:\n [\n  {'a'}]\n", ["x.pxu:6: PB102"], id="JSON"),
        pytest.param("unit: job\nid: a\ncommand: true\n", ["x.pxu:1: PB101"], id="a missing field is told at the unit"),
        pytest.param(
            JOB.replace("true", "") + "plugin2: x\n", ["x.pxu:4: PB103", "x.pxu:3: PB105"], id="an empty field"
        ),
        pytest.param("\n\n# c\n\n" + JOB + "# c\ndepends: b = c\n", ["x.pxu:9: PB102"], id="a unit further down"),
    ],
)
def test_issues_of_pxu_files_name_the_line(read: Reader, text: str, expected: list[str]) -> None:
    """The line of an issue is the line that an editor shows."""
    assert [" ".join(issue.split()[:2]) for issue in read.issues(text)] == expected


YAML_JOB = "id: a\nplugin: shell\ncommand: 'true'\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(YAML_JOB + "depends: b = c\n", ["x.yaml:4: PB102"], id="a text"),
        pytest.param(YAML_JOB + "depends: |\n  b\n  c = d\n", ["x.yaml:6: PB102"], id="a literal block"),
        pytest.param(YAML_JOB + "depends: |\n\n\n  b\n\n  c = d\n", ["x.yaml:9: PB102"], id="a block with empty lines"),
        pytest.param(
            YAML_JOB + "depends: >\n  b\n  c = d\n", ["x.yaml:5: PB102"], id="a folded block is told where it begins"
        ),
        pytest.param(YAML_JOB + "depends:\n  - b\n  # c\n  - [c]\n", ["x.yaml:7: PB102"], id="an item"),
        pytest.param(YAML_JOB + "depends: [b,\n  c, [d],\n  e]\n", ["x.yaml:5: PB102"], id="an item in brackets"),
        pytest.param(YAML_JOB + "requires:\n  - b.x\n  -\n\n  - c.y ==\n", ["x.yaml:8: PB110"], id="an expression"),
        pytest.param(YAML_JOB + 'requires: "b.x\\nc.y =="\n', ["x.yaml:4: PB110"], id="a quoted text is one line"),
        pytest.param(YAML_JOB + "nosuch:\n  - x\n", ["x.yaml:5: PB103"], id="an unknown field"),
        pytest.param(
            "# c\n---\n" + YAML_JOB + "estimated_duration: soon\n", ["x.yaml:6: PB102"], id="a unit further down"
        ),
    ],
)
def test_issues_of_yaml_files_name_the_line(read: Reader, text: str, expected: list[str]) -> None:
    """The same holds for documents, blocks and items."""
    assert [" ".join(issue.split()[:2]) for issue in read.issues(text, "x.yaml")] == expected


PLAN = "unit: test plan\nid: p\nname: P\n"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("x.pxu", PLAN + "include:\n a\n b c\n d certification-status=x\n (\n", ["x.pxu:6:", "x.pxu:7:", "x.pxu:8:"]),
        ("x.pxu", PLAN + "include:\n# c\n a\n# c\n b c\n", ["x.pxu:8:"]),
        (
            "x.yaml",
            PLAN + "include:\n  - a\n  - {b: {category-id: x, nosuch: y}}\n\n  - (\n",
            ["x.yaml:6:", "x.yaml:8:"],
        ),
        ("x.pxu", PLAN + "include:\ncategory_overrides:\n apply x to a\n aply x to b\n", ["x.pxu:7:"]),
        (
            "x.yaml",
            PLAN + "include:\ncertification_status_overrides:\n  - apply blocker to a\n  - apply x to b\n",
            ["x.yaml:4:", "x.yaml:7:"],
        ),
    ],
)
def test_issues_of_lists_name_the_line(read: Reader, name: str, text: str, expected: list[str]) -> None:
    """Every bad entry of an include or override list is told at its own line."""
    assert [issue.split()[0] for issue in read.issues(text, name)] == expected


def test_lines_that_menus_show_are_short(read: Reader) -> None:
    """A summary or name of several lines or more than 80 characters is a warning."""
    assert read.issues(JOB + f"summary: {'x' * 80}\n") == []
    [long] = read.issues(JOB + f"summary: {'x' * 81}\n")
    [multiple] = read.issues(JOB + "summary: x\n y\n")
    [plan] = read.issues(f"unit: test plan\nid: p\nname: {'x' * 81}\ninclude:\n")
    assert "81 characters, more than the 80 that are shown" in long
    assert "this is shown in one line" in multiple
    assert "PB113 warning" in plan


def test_severities_are_words() -> None:
    """They are compared and printed as text."""
    [issue] = TestPlanUnit({"id": "a", "name": "A"}).issues
    assert issue.severity is Severity.ERROR
    assert issue.severity == "error"
    assert (issue.field, issue.unit_id, issue.origin) == ("include", "a", None)
