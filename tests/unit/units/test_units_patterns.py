# SPDX-License-Identifier: Apache-2.0
"""Include lists: patterns, what they match, and inline overrides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import identifiers, include_lists

from plainbox.errors import FieldError
from plainbox.units import TestPlanUnit
from plainbox.units.patterns import IncludeEntry, Pattern, parse_include

NS = "org.example"


def include(text: object) -> list[tuple[str, tuple[tuple[str, str], ...], int]]:
    entries = parse_include(text, NS)  # type: ignore[arg-type]
    return [(entry.pattern.full, entry.overrides, entry.line) for entry in entries]


# -- patterns


@pytest.mark.parametrize(
    ("text", "full", "is_fixed"),
    [
        ("foo", "org.example::foo", True),
        ("foo/bar-1_x", "org.example::foo/bar-1_x", True),
        ("other::foo", "other::foo", True),
        ("^foo$", "org.example::foo", True),
        ("foo.*", "org.example::foo.*", False),
        ("^foo.*$", "org.example::foo.*", False),
        ("foo/(a|b)", "org.example::foo/(a|b)", False),
        ("com.other::foo", "com.other::foo", False),
        (r"foo\$", r"org.example::foo\$", False),
    ],
)
def test_patterns_are_qualified(text: str, full: str, is_fixed: bool) -> None:
    """Anchors go, the namespace comes, and without special characters one id is meant."""
    pattern = Pattern.parse(text, NS)
    assert (pattern.text, pattern.full, pattern.is_fixed) == (text, full, is_fixed)


@pytest.mark.parametrize(
    ("text", "identifier", "expected"),
    [
        ("foo", "org.example::foo", True),
        ("foo", "org.example::foobar", False),
        ("foo", "other::foo", False),
        ("foo.*", "org.example::foobar", True),
        ("foo.*", "org.example::xfoo", False),
        ("fo", "org.example::foo", False),
        ("fo.", "org.example::foo", True),
        (".*", "other::foo", False),
        (".*::foo", "other::foo", True),
        ("com.other::foo", "com.other::foo", True),
        ("com.other::foo", "comxother::foo", True),
        ("a|b", "org.example::a", True),
        ("a|b", "org.example::b", True),
        ("a|b", "org.example::ax", False),
        ("n::a|m::b", "m::b", True),
        ("foo.*", "orgxexample::foo", False),
        (r"foo\.bar", "org.example::foo.bar", True),
        (r"foo\.bar", "org.example::fooxbar", False),
        ("fo[op]", "org.example::fop", True),
        ("(?!b).*", "org.example::b", False),
        ("a{x}", "org.example::a{x}", True),
        ("foo.*", "org.example::foo\nbar", False),
    ],
)
def test_patterns_match_whole_ids(text: str, identifier: str, expected: bool) -> None:
    """A regular expression must match all of the id, inside the namespace; a full id always means itself."""
    assert Pattern.parse(text, NS).matches(identifier) is expected


def test_without_a_namespace_patterns_are_as_written() -> None:
    """A unit without provider has the id alone."""
    assert Pattern.parse("foo", None).matches("foo")
    assert Pattern.parse("f.o", None).matches("foo")


@pytest.mark.parametrize(
    "text", ["(", "*", "a{2,1}.", "[", "(?P<", "a**", "\\", "", "^$", "(?i)a.", "a{99999999999}." + "x" * 3]
)
def test_what_is_no_pattern(text: str) -> None:
    """A bad regular expression, and one of nothing, is an error."""
    with pytest.raises(FieldError):
        Pattern.parse(text, NS)


@given(identifiers)
def test_every_full_id_matches_itself(identifier: str) -> None:
    """Also where its characters mean something else in a regular expression."""
    assert Pattern.parse(f"com.x::{identifier}", NS).matches(f"com.x::{identifier}")


# -- lists


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("foo\nbar", [("org.example::foo", (), 0), ("org.example::bar", (), 1)]),
        ("\n# c\nfoo # c\n\n", [("org.example::foo", (), 2)]),
        ("foo#c", [("org.example::foo", (), 0)]),
        ("foo category-id=x", [("org.example::foo", (("category_id", "x"),), 0)]),
        ("foo certification-status = blocker", [("org.example::foo", (("certification_status", "blocker"),), 0)]),
        (
            "foo certification_status=non-blocker, auto-retry=no",
            [("org.example::foo", (("certification_status", "non-blocker"), ("auto_retry", "no")), 0)],
        ),
        ('"foo bar"', [("org.example::foo bar", (), 0)]),
        ('"fo{1,2}"', [("org.example::fo{1,2}", (), 0)]),
        ("", []),
        (["foo", " bar "], [("org.example::foo", (), 0), ("org.example::bar", (), 1)]),
        (["foo bar"], [("org.example::foo bar", (), 0)]),
        (
            [{"foo": {"category-id": "x", "auto_retry": "no"}}],
            [("org.example::foo", (("category_id", "x"), ("auto_retry", "no")), 0)],
        ),
        ([{"foo": {}}], [("org.example::foo", (), 0)]),
    ],
)
def test_include_lists(text: object, expected: list[object]) -> None:
    """One pattern on a line or in an item, optionally with overrides."""
    assert include(text) == expected


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("foo bar", "FIELD=VALUE is wanted after 'foo'", 0),
        ("foo, bar", "FIELD=VALUE is wanted after 'foo'", 0),
        ("foo category-id=", "FIELD=VALUE is wanted after 'foo'", 0),
        ("foo category-id=a auto-retry=no", "overrides stand apart by commas", 0),
        ("foo category-id=a,", "overrides stand apart by commas", 0),
        ("\n= x", "a pattern is wanted before '='", 1),
        ('a\n"b', "a quote that is not closed: '\"b'", 1),
        ("foo nosuch=x", "'nosuch' cannot be overridden", 0),
        ("a\nfoo certification-status=bloker", "'bloker' is not one of blocker, non-blocker", 1),
        ("foo auto-retry=yes", "'yes' is not one of unspecified, no", 0),
        ('foo category-id=""', "a value is wanted here", 0),
        ("a\n\n(", "'(' is not a regular expression: missing ), unterminated subpattern", 2),
        ("1)?a(", "'1)?a(' is not a regular expression: unbalanced parenthesis", 0),
        ("a" * 10_001, "the pattern is longer than 10000 characters", 0),
        (["a", ["b"]], "an item is a pattern, or a pattern with a mapping of overrides", 1),
        ([{"a": {}, "b": {}}], "an item is a pattern, or a pattern with a mapping of overrides", 0),
        ([{"a": "b"}], "an item is a pattern, or a pattern with a mapping of overrides", 0),
        ([{"a": {"category-id": ["b"]}}], "an item is a pattern, or a pattern with a mapping of overrides", 0),
        (["", "("], "an empty pattern", 0),
        ({"a": "b"}, "a list of patterns is wanted here, not a mapping", 0),
    ],
)
def test_what_is_no_entry(text: object, message: str, line: int) -> None:
    """An error of the grammar names the line or the item."""
    with pytest.raises(FieldError) as caught:
        include(text)
    assert (caught.value.message, caught.value.line) == (message, line)


def test_a_bad_entry_does_not_empty_the_list() -> None:
    """With a handler the other entries are kept, and an entry keeps its pattern without a bad override."""
    found: list[FieldError] = []
    text = "a\nb c\n(\nd nosuch=x, auto-retry=no\ne"
    entries = parse_include(text, NS, found.append)
    assert [(entry.pattern.text, entry.overrides) for entry in entries] == [
        ("a", ()),
        ("d", (("auto_retry", "no"),)),
        ("e", ()),
    ]
    assert [error.line for error in found] == [1, 2, 3]


def test_a_bad_line_does_not_empty_a_plan() -> None:
    """Neither the selection nor, worse, the exclusion is lost for one typing mistake."""
    plan = TestPlanUnit({"id": "p", "name": "P", "include": "a\n(\nb", "exclude": "c\nd e\nf"})
    assert [entry.pattern.text for entry in plan.include] == ["a", "b"]
    assert [entry.pattern.text for entry in plan.exclude] == ["c", "f"]
    assert [(issue.field, str(issue.code), str(issue.severity)) for issue in plan.issues] == [
        ("include", "PB111", "error"),
        ("exclude", "PB111", "error"),
    ]


@given(
    include_lists
    | st.lists(
        include_lists | st.dictionaries(include_lists, st.dictionaries(include_lists, include_lists), max_size=2)
    )
)
def test_any_list_is_read_or_refused(value: object) -> None:
    """Nothing but field errors with a line comes out, with and without a handler."""
    found: list[FieldError] = []
    entries = parse_include(value, NS, found.append)  # type: ignore[arg-type]
    lines = len(value.split("\n")) if isinstance(value, str) else len(value)  # type: ignore[arg-type]
    assert all(0 <= error.line < lines for error in found)
    assert all(isinstance(entry, IncludeEntry) and 0 <= entry.line < lines for entry in entries)
    for entry in entries:
        entry.pattern.matches("org.example::foo")
    try:
        parse_include(value, NS)  # type: ignore[arg-type]
    except FieldError:
        assert found
    else:
        assert not found
