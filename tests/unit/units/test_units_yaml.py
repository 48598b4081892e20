# SPDX-License-Identifier: Apache-2.0
"""The YAML syntax: documents to records, places, and what becomes of hostile input."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from reading import Reader
from strategies import yaml_texts

from plainbox.errors import UnitError, UnitSyntaxError
from plainbox.units.kinds import unit_from_record
from plainbox.units.record import Record
from plainbox.units.yaml import parse


def records(text: str) -> list[Record]:
    return list(parse(text, "x.yaml"))


def data(text: str) -> list[Mapping[str, object]]:
    return [dict(record.data) for record in records(text)]


def problem(text: str) -> str:
    with pytest.raises(UnitSyntaxError) as caught:
        records(text)
    return str(caught.value)


def problems(text: str) -> tuple[list[Mapping[str, object]], list[str]]:
    found: list[UnitSyntaxError] = []
    kept = [dict(record.data) for record in parse(text, "x.yaml", on_error=found.append)]
    return kept, [str(error) for error in found]


# -- documents


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("id: a\n---\nid: b\n", [{"id": "a"}, {"id": "b"}], id="several documents"),
        pytest.param("---\nid: a\n---\n", [{"id": "a"}], id="an empty document at the end"),
        pytest.param("---\n---\n# c\n---\nid: a\n...\n", [{"id": "a"}], id="empty documents before"),
        pytest.param("---\nnull\n---\n~\n---\n{}\n", [], id="null and an empty mapping"),
        pytest.param("", [], id="an empty text"),
        pytest.param("# c\n", [], id="a comment alone"),
        pytest.param(
            "id: a\nx: 1.50\ny: yes\nz: 2024-01-01\n",
            [{"id": "a", "x": "1.50", "y": "yes", "z": "2024-01-01"}],
            id="scalars are text",
        ),
        pytest.param("id: a\nx: null\ny:\nz: ~\n", [{"id": "a"}], id="null is no value"),
        pytest.param("id: a\nx: 'null'\n", [{"id": "a", "x": "null"}], id="in quotes it is a word"),
        pytest.param("id: a\nx: [b, c, null]\n", [{"id": "a", "x": ["b", "c"]}], id="null is no item"),
        pytest.param("id: a\nx: {b: {c: d}}\n", [{"id": "a", "x": {"b": {"c": "d"}}}], id="mappings in mappings"),
        pytest.param("id: a\nx: |\n  b\n   c\n", [{"id": "a", "x": "b\n c"}], id="a literal block"),
        pytest.param("id: a\nx: >\n  b\n  c\n", [{"id": "a", "x": "b c"}], id="a folded block"),
        pytest.param("id: a\nx: |+\n  b\n\n", [{"id": "a", "x": "b"}], id="line ends around a text go"),
        pytest.param("id: &i a\nx: *i\n", [{"id": "a", "x": "a"}], id="an alias"),
        pytest.param(
            "x: &x {b: 1, c: 2}\ny: {<<: *x, c: 3}\n",
            [{"x": {"b": "1", "c": "2"}, "y": {"b": "1", "c": "3"}}],
            id="a merge",
        ),
        pytest.param(
            "y: {c: 3, <<: {b: 1, c: 2}}\n", [{"y": {"b": "1", "c": "3"}}], id="what is given wins over what is merged"
        ),
        pytest.param(
            "y: {<<: [{b: 1}, {b: 2, c: 2}]}\n", [{"y": {"b": "1", "c": "2"}}], id="of several merged the first wins"
        ),
        pytest.param("y: {<<: {b: 1, c: 1}, c: null}\n", [{"y": {"b": "1"}}], id="null takes a merged field away"),
        pytest.param("id: !!str a\nx: !!set {b}\n", [{"id": "a", "x": {}}], id="tags of YAML itself"),
        pytest.param("\ufeffid: a\n", [{"id": "a"}], id="a byte order mark"),
        pytest.param("id: a\r\nx: |\r\n  b\r\n  c\r\n", [{"id": "a", "x": "b\nc"}], id="CRLF"),
    ],
)
def test_documents_become_records(text: str, expected: list[dict[str, object]]) -> None:
    """Each document that is a mapping is a record, its scalars text."""
    assert data(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n- a\n", "x.yaml:2: a unit is a mapping of fields"),
        ("words\n", "x.yaml:1: a unit is a mapping of fields"),
        ("id: a\nid: b\n", "x.yaml:2: the field 'id' is given twice"),
        ("id: a\nx:\n  b: 1\n  b: 2\n", "x.yaml:4: the field 'b' is given twice"),
        ("id: a\n? [b]\n: c\n", "x.yaml:2: the name of a field is a plain word"),
        ("id: a\nx: !x b\n", "x.yaml:2: the tag !x has no meaning in a unit"),
        ("id: a\nx: {<<: b}\n", "x.yaml:2: only mappings can be merged with '<<'"),
        ("id: a\nx: *b\n", "x.yaml:2: the alias *b is used before it is defined"),
        ("id: a\nx: &b [*b]\n", "x.yaml:2: the alias *b stands inside what it means"),
        ("id: a\nx: &b {<<: *b}\n", "x.yaml:2: the alias *b stands inside what it means"),
    ],
)
def test_a_bad_document_is_told_with_its_place(text: str, expected: str) -> None:
    """What YAML allows and units do not is an error with its line."""
    assert problem(text) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("id: a\nx: [\n", 3),
        ("id: a\n\tx: b\n", 2),
        ("id: a\nx: 'b\n\n", 4),
        ("%YAML 3.0\n---\nid: a\n", 1),
        ("id: a\nx: \x01\n", 2),
    ],
)
def test_what_is_no_yaml_is_told_with_its_place(text: str, line: int) -> None:
    """An error of the parser names file and line."""
    assert problem(text).startswith(f"x.yaml:{line}: not YAML: ")


def test_a_bad_document_does_not_reject_its_file() -> None:
    """The documents before and behind a bad one are read."""
    text = "id: a\n---\n- bad\n---\nid: b\nx: !x {c: [d]}\ny: e\n---\nid: c\n"
    assert problems(text) == (
        [{"id": "a"}, {"id": "c"}],
        ["x.yaml:3: a unit is a mapping of fields", "x.yaml:6: the tag !x has no meaning in a unit"],
    )


def test_what_is_no_yaml_ends_the_reading() -> None:
    """The documents before the error are kept."""
    kept, found = problems("id: a\n---\nid: [\n---\nid: b\n")
    assert kept == [{"id": "a"}]
    assert len(found) == 1


# -- hostile input


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system",
        "!!python/object/new:os.system",
        "!!python/object:os.system",
        "!!python/name:os.system",
        "!!python/module:os",
        "!<tag:yaml.org,2002:python/tuple>",
        "!os.system",
    ],
)
@pytest.mark.parametrize("place", ["{tag} {{id: a}}", "id: {tag} a", "id: a\nx: {tag} [b]", "id: a\n{tag} b: c"])
def test_tags_that_make_objects_are_refused(tag: str, place: str) -> None:
    """No tag constructs anything, wherever it stands."""
    assert "has no meaning in a unit" in problem(place.format(tag=tag) + "\n")


def alias_bomb(leaf: str, item: str) -> str:
    lines = [f"a0: &a0 {leaf}"]
    for number in range(1, 40):
        refs = ", ".join([item.format(f"*a{number - 1}")] * 10)
        lines.append(f"a{number}: &a{number} {'[' + refs + ']' if item == '{}' else refs}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("leaf", ["[x, x]", "{}", "[]", "x"])
def test_aliases_of_aliases_do_not_multiply(leaf: str) -> None:
    """A small file cannot stand for a tree of billions of nodes."""
    assert "the document is too large" in problem(alias_bomb(leaf, "{}"))


def test_merges_of_merges_do_not_multiply() -> None:
    """The same holds for mappings that are merged."""
    lines = ["a0: &a0 {}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 40)]
    assert "the document is too large" in problem("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    "text", ["x: " + "[" * 100_000, "x: " + "{a: " * 100_000, "- " * 100_000, "x:\n " + "- " * 100_000]
)
def test_depth_is_bounded(text: str) -> None:
    """Brackets in brackets end with an error, not with the process."""
    assert "x.yaml:" in problem(text)


def test_depth_counts_through_aliases() -> None:
    """A chain of aliases is no deeper than brackets may be."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [[[[[[[[[[*a{n - 1}]]]]]]]]]]" for n in range(1, 40)]
    assert "nested too deeply" in problem("\n".join(lines) + "\n")


def test_a_deep_document_does_not_reject_its_file() -> None:
    """Reading goes on with the next document."""
    kept, found = problems("id: a\nx: " + "[" * 60 + "]" * 60 + "\n---\nid: b\n")
    assert kept == [{"id": "b"}]
    assert found == ["x.yaml:2: the document is nested too deeply"]


def test_a_document_of_any_depth_does_not_take_long() -> None:
    """Where looking for the next document would take too long, the reading ends."""
    kept, found = problems("id: z\n---\nid: a\nx: " + "[" * 100_000 + "]" * 100_000 + "\n---\nid: b\n")
    assert kept == [{"id": "z"}]
    assert found == ["x.yaml:4: the document is nested too deeply"]


def test_text_that_cannot_be_encoded_is_no_yaml() -> None:
    """Half of a surrogate pair is not of any language."""
    assert problem("id: \ud800\n").startswith("x.yaml")


def test_a_line_of_ten_megabytes_is_read(read: Reader) -> None:
    """Long lines take no more than linear time."""
    [unit], found = read("id: a\nsummary: " + "x" * 10_000_000 + "\n", "x.yaml")
    assert (len(unit.data["summary"]), found) == (10_000_000, [])


def test_a_binary_file_is_a_problem_with_its_line(read: Reader) -> None:
    """NUL bytes and bad UTF-8 are found before the parser sees them."""
    assert read(b"id: a\nx: \0\n", "x.yaml") == ([], ["x.yaml:2: not a text file: it holds a NUL byte"])
    assert read(b"id: a\nx: \xff\n", "x.yml") == ([], ["x.yml:2: not a text file: byte 9 is not UTF-8"])


def test_a_byte_order_mark_is_accepted(read: Reader) -> None:
    """Editors of other systems write one."""
    [unit], found = read("\ufeffid: a\nplugin: shell\n", "x.yaml")
    assert (unit.id, found) == ("a", [])


# -- places


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("# c\n\nid: a\nx: b\n", "x.yaml:3-4", id="comments before"),
        pytest.param("---\nid: a\n\n# c\n\n---\nid: b\n", "x.yaml:2", id="comments behind"),
        pytest.param("id: a\nx:\n  - b\n  - c\n\n\n", "x.yaml:1-4", id="a list at the end"),
        pytest.param("id: a\nx: |\n  b\n\n  c\n\n\n---\n", "x.yaml:1-5", id="a literal block at the end"),
        pytest.param("id: a\nx: >\n  b\n  c\n", "x.yaml:1-4", id="a folded block at the end"),
        pytest.param("id: a\nx: {b: c,\n  d: e\n  }\n\n", "x.yaml:1-4", id="brackets at the end"),
        pytest.param("id: a\nx: 'b\n  c'\n", "x.yaml:1-3", id="a quoted text at the end"),
        pytest.param("{id: a}", "x.yaml:1", id="all on one line"),
    ],
)
def test_a_record_is_where_its_fields_are(text: str, expected: str) -> None:
    """The lines of a record are those from its first field to the end of its last value."""
    assert str(records(text)[0].origin) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("id: a\nx: b\n", (1,), id="a word"),
        pytest.param("id: a\nx: |\n  b\n  c\n", 2, id="a literal block"),
        pytest.param("id: a\nx: |\n\n\n  b\n", 4, id="a literal block after empty lines"),
        pytest.param("id: a\nx: >\n  b\n  c\n", (2,), id="a folded block"),
        pytest.param('id: a\nx: "b\\nc"\n', (1,), id="a quoted text"),
        pytest.param("id: a\nx:\n  - b\n  # c\n  -\n  - d\n", (2, 5), id="a list"),
        pytest.param("id: a\nx: [b, c,\n  d]\n", (1, 1, 2), id="a list in brackets"),
        pytest.param("id: &i\n  - b\n  - c\nx: *i\n", (3,), id="an alias"),
        pytest.param("id: a\nx:\n  b: c\n", 2, id="a mapping"),
        pytest.param("id: a\nx:\n", (1,), id="nothing"),
    ],
)
def test_each_line_and_item_knows_its_place(text: str, expected: object) -> None:
    """Offsets count from the first line of the record."""
    assert records(text)[0].offsets["x"] == expected


@given(yaml_texts)
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    """Nothing but a syntax error with its file comes out of the reader, and units of it tell their issues."""
    found: list[UnitError] = []
    for record in parse(text, "f", on_error=found.append):
        try:
            unit = unit_from_record(record)
        except UnitError as error:
            found.append(error)
            continue
        assert unit.checksum
        for issue in unit.issues:
            assert issue.origin is not None
            assert issue.origin.line_start is not None
            assert record.origin.line_start is not None
            assert record.origin.line_end is not None
            assert record.origin.line_start <= issue.origin.line_start <= record.origin.line_end
    assert all(error.origin is not None and error.origin.source == "f" for error in found)
