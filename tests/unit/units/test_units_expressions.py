# SPDX-License-Identifier: Apache-2.0
"""Resource expressions: the language, its meaning over several records, and that nothing in it is executed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import expressions

from plainbox.errors import ExpressionError, PlainboxError
from plainbox.units import JobDefinition, ResourceExpression, ResourceProgram
from plainbox.units.expressions import check_lines, parse_imports

NS = "org.example"


def holds(text: str, **resources: Sequence[Mapping[str, str]]) -> bool:
    """Evaluate an expression over resources without a namespace."""
    return ResourceExpression(text).evaluate(resources)


# -- the language


@pytest.mark.parametrize(
    ("text", "record", "expected"),
    [
        ("a.x == '1'", {"x": "1"}, True),
        ("a.x == '1'", {"x": "2"}, False),
        ("a.x != '1'", {"x": "2"}, True),
        ("a.x < 'b'", {"x": "a"}, True),
        ("a.x <= 'a'", {"x": "a"}, True),
        ("a.x > 'b'", {"x": "a"}, False),
        ("a.x >= 'b'", {"x": "b"}, True),
        ("a.x in ['1', '2']", {"x": "2"}, True),
        ("a.x in ('1', '2')", {"x": "3"}, False),
        ("a.x not in ['1']", {"x": "2"}, True),
        ("'b' in a.x", {"x": "abc"}, True),
        ("'1' < a.x < '3'", {"x": "2"}, True),
        ("'1' < a.x < '3'", {"x": "3"}, False),
        ("a.x is a.x", {"x": "1"}, True),
        ("a.x is not None", {"x": "1"}, True),
        ("a.x", {"x": "1"}, True),
        ("a.x", {"x": ""}, False),
        ("a", {"x": ""}, True),
        ("a", {}, False),
        ("a.x == '1' and a.y == '2'", {"x": "1", "y": "2"}, True),
        ("a.x == '1' or a.y == '2'", {"x": "3", "y": "2"}, True),
        ("not a.x == '1'", {"x": "2"}, True),
        ("not a.x", {"x": "1"}, False),
        ("int(a.x) == -1", {"x": "-1"}, True),
        ("int(a.x) == +1", {"x": "1"}, True),
        ("int(a.x) + 1 == 3", {"x": "2"}, True),
        ("int(a.x) - 1 == 1", {"x": "2"}, True),
        ("a.x + 'b' == 'ab'", {"x": "a"}, True),
        ("int(a.x) > 1", {"x": "10"}, True),
        ("float(a.x) >= 1.5", {"x": "1.5"}, True),
        ("len(a.x) == 3", {"x": "abc"}, True),
        ("bool(a.x) == True", {"x": "abc"}, True),
        ("bool(a.x) == False", {"x": ""}, True),
        ("a.x == '1' # a comment", {"x": "1"}, True),
        ("  a.x == '1'  ", {"x": "1"}, True),
        ("a.x == 'x or y'", {"x": "x or y"}, True),
        ("a.x == '(' or a.x == '1'", {"x": "1"}, True),
        ("a.x == '\\d'", {"x": "\\d"}, True),
        ("a.missing == ''", {"x": "1"}, True),
        ("a.missing", {"x": "1"}, False),
        ("a.x == 1", {"x": "1"}, False),
        ("a.x < 1", {"x": "1"}, False),
        ("int(a.x) > 1", {"x": "many"}, False),
        ("int(a.x) > 1", {"x": "9" * 5000}, False),
        ("float(a.x) + 1 > 1", {"x": "1e999"}, True),
        ("-a.x == 1", {"x": "1"}, False),
        ("a.x - 'b' == 1", {"x": "1"}, False),
        ("len(a.x, a.x) == 1", {"x": "1"}, False),
        ("a.x == '1' or True", {"x": "2"}, True),
        ("a.x == '1' and True", {"x": "1"}, True),
    ],
)
def test_expressions_over_one_record(text: str, record: Mapping[str, str], expected: bool) -> None:
    """Operators mean what they mean in Python; what Python refuses does not hold; a missing value is empty."""
    assert holds(text, a=[record]) is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# a comment alone",
        "a.x ==",
        "a.x = '1'",
        "a.x == '1'; b",
        "a.x\nb.y",
        "a.b.c == '1'",
        "a['x']",
        "a.x[0]",
        "f'{a.x}'",
        "a.x if a.y else a.z",
        "lambda: a.x",
        "{'a': a.x}",
        "{a.x}",
        "[x for x in a]",
        "any(x for x in a.x)",
        "(y := a.x)",
        "str(a.x)",
        "a.x.upper()",
        "a.x()",
        "a()",
        "int(x=a.x)",
        "int(*a.x)",
        "int(**a.x)",
        "a.x * 2",
        "a.x % 2",
        "a.x ** 2",
        "a.x // 2",
        "a.x @ 2",
        "a.x | 2",
        "~a.x",
        "1j == a.x",
        "... == a.x",
        "await a.x",
        "yield a.x",
        "*a",
        "1 == 1",
        "len('x') == 1",
        "True",
        "a.x == '\0'",
    ],
)
def test_what_is_not_of_the_language(text: str) -> None:
    """Anything else is refused when the expression is read, and so is one that names no resource."""
    with pytest.raises(ExpressionError):
        ResourceExpression(text)


@pytest.mark.parametrize(
    "text",
    [
        "int(__import__('os').system('true')) and a.x",
        "int(open('/etc/passwd')) and a.x",
        "len(a.x.__class__.__mro__) and a.x",
        "(lambda: exec('1'))() and a.x",
        "int(a.__class__.x) == 1",
        "eval('1') and a.x",
        "print(a.x)",
        "__builtins__.eval('1') and a.x",
    ],
)
def test_nothing_is_executed(text: str) -> None:
    """Arguments of calls are checked as everything else is."""
    with pytest.raises(ExpressionError):
        ResourceExpression(text)


def test_a_name_is_a_resource_and_its_attributes_are_values() -> None:
    """Names of Python's own objects mean nothing."""
    assert ResourceExpression("__class__.__dict__ == ''").evaluate({"__class__": [{"x": "1"}]}) is True
    assert ResourceExpression("int == 'x'").resource_ids == ("int",)


@pytest.mark.parametrize(
    "text",
    [
        "a.x" + " + 1" * 3000,
        "a" + ".b" * 4900,
        "not " * 2400 + "a.x",
        "(" * 150 + "a.x" + ")" * 150,
        "(" * 4000 + "a.x" + ")" * 4000,
        "[" * 4000 + "a.x" + "]" * 4000,
        "int(" * 1000 + "a.x" + ")" * 1000,
        "-" * 9000 + "a.x",
        "a.x == '" + "x" * 10_000 + "'",
        "a.x" + " < a.x" * 1000,
    ],
)
def test_hostile_depth_and_length_are_refused_or_evaluated(text: str) -> None:
    """No expression ends in anything but a truth value or an error of the language."""
    refusals: list[str] = []
    try:
        assert ResourceExpression(text).evaluate({"a": [{"x": "1"}]}) in (True, False)
    except ExpressionError as error:
        refusals.append(str(error))
    assert all(len(refusal) < 300 for refusal in refusals)


@given(expressions)
def test_any_text_is_an_expression_or_an_error(text: str) -> None:
    """Nothing but a truth value or an expression error comes out."""
    try:
        expression = ResourceExpression(text, NS)
    except ExpressionError:
        return
    records = [{"x": "1", "y": ""}, {}]
    assert expression.evaluate(dict.fromkeys(expression.resource_ids, records)) in (True, False)
    assert expression.evaluate({}) in (True, False)


# -- several records


def test_an_expression_holds_when_some_record_makes_it_true() -> None:
    """It is enough that one record of many fits; hence != holds as soon as one differs."""
    two = [{"x": "1"}, {"x": "2"}]
    assert holds("a.x == '2'", a=two)
    assert holds("a.x != '2'", a=two)
    assert not holds("a.x == '3'", a=two)


def test_without_records_nothing_holds() -> None:
    """Neither an empty resource nor one that never ran satisfies anything."""
    assert not holds("a.x != '1'", a=[])
    assert not holds("a.x != '1'")
    assert holds("a.x != '1'", a=[{}])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.x == '1' and a.x == '2'", True),
        ("(a.x == '1' and a.x == '2')", False),
        ("a.x == '1' and (a.x == '2')", False),
        ("a.x == '1' and int(a.x) == 2", False),
        ("a.x == '1' and a.y == 'b'", True),
        ("(a.x == '1' and a.y == 'b')", False),
        ("a.x == '(' or a.x == '1' and a.x == '2'", True),
        ("a.x == '1' and a.x == '2' # (both)", True),
        ("a.x == '3' and a.x == '1' or a.x == '2'", True),
        ("a.x == '3' or a.x == '1' and a.x == '3'", False),
        ("not a.x == '1' and not a.x == '2'", True),
        ("not (a.x == '1' and a.x == '2')", True),
    ],
)
def test_operands_without_parentheses_may_mean_different_records(text: str, expected: bool) -> None:
    """Existing providers rely on it; with parentheses outside strings one combination satisfies the whole."""
    assert holds(text, a=[{"x": "1", "y": "a"}, {"x": "2", "y": "b"}]) is expected


def test_several_resources_are_combined() -> None:
    """Every combination of their records is tried."""
    resources = {"a": [{"x": "1"}, {"x": "2"}], "b": [{"x": "2"}, {"x": "3"}]}
    assert holds("a.x == b.x", **resources)
    assert holds("(a.x == '1' and b.x == '3')", **resources)
    assert not holds("(a.x == '3' or b.x == '2')", a=resources["a"], b=[])
    assert holds("a.x == '1' or b.x == '2'", a=resources["a"], b=[])


values = st.sampled_from(["1", "2"])
records = st.lists(st.fixed_dictionaries({"x": values, "y": values}), max_size=3)


@given(records, records, values, values)
def test_a_whole_expression_agrees_with_python(
    first: list[dict[str, str]], second: list[dict[str, str]], one: str, two: str
) -> None:
    """In parentheses the meaning is that of Python over all combinations."""
    expected = any((a["x"] == one and b["y"] != two) or a["y"] != b["x"] for a, b in itertools.product(first, second))
    assert holds(f"((a.x == '{one}' and b.y != '{two}') or not a.y == b.x)", a=first, b=second) is expected


# -- names


def test_names_belong_to_the_namespace_of_the_unit() -> None:
    """A name without import is a resource of the unit's own namespace."""
    expression = ResourceExpression("b.x == a.x and c.y == '1'", NS, {"c": "other::c/d"})
    assert expression.variables == {"b": "org.example::b", "a": "org.example::a", "c": "other::c/d"}
    assert expression.resource_ids == ("org.example::b", "org.example::a", "other::c/d")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("from a import b", {"b": "a::b"}),
        ("from a import b/c as d", {"d": "a::b/c"}),
        ("  from  a.b  import  c-1  as  e ", {"e": "a.b::c-1"}),
    ],
)
def test_imports_name_resources(line: str, expected: dict[str, str]) -> None:
    """An import statement has four words, or six with a name of its own."""
    assert parse_imports([line]) == expected


@pytest.mark.parametrize(
    "line",
    [
        "",
        "import a",
        "from a import",
        "from a import b as",
        "from a import b to c",
        "from a::b import c",
        "from a import b::c",
        "from a import b c",
    ],
)
def test_what_is_no_import(line: str) -> None:
    """Any other form is an error."""
    with pytest.raises(ExpressionError, match="not an import"):
        parse_imports([line])


@pytest.mark.parametrize(
    ("text", "imports", "expected"),
    [
        ("manifest.has_x == 'True'", {}, ("org.example::has_x",)),
        ("manifest.has_x == 'True' and manifest.has_y == 'True'", {}, ("org.example::has_x", "org.example::has_y")),
        ("m.has_x == 'True'", {"m": "com.canonical.plainbox::manifest"}, ("org.example::has_x",)),
        ("manifest.has_x == 'True' and manifest.ns == 'org.example'", {}, ("org.example::has_x",)),
        ("a.has_x == 'True'", {}, ()),
    ],
)
def test_manifest_entries_that_an_expression_asks_for(
    text: str, imports: dict[str, str], expected: tuple[str, ...]
) -> None:
    """The attributes of the manifest resource are entries of the namespace, whatever its name."""
    assert ResourceExpression(text, NS, imports).manifest_ids == expected


# -- programs


def test_a_program_holds_when_every_expression_does() -> None:
    """Each expression is about its own records."""
    program = ResourceProgram(["a.x == '1'", "a.x == '2'"])
    assert program.evaluate({"a": [{"x": "1"}, {"x": "2"}]})
    assert not program.evaluate({"a": [{"x": "1"}]})
    assert program.resource_ids == ("a",)
    assert [expression.text for expression in program.expressions] == ["a.x == '1'", "a.x == '2'"]


def test_the_program_of_a_job() -> None:
    """Without requirements there is none; a bad one raises."""
    assert JobDefinition({"id": "a"}).resource_program is None
    program = JobDefinition({"id": "a", "imports": "from n import r", "requires": "r.x\n\ns.y == '1'"}).resource_program
    assert program is not None
    assert program.resource_ids == ("n::r", "s")
    with pytest.raises(ExpressionError):
        _ = JobDefinition({"id": "a", "requires": "a.x ="}).resource_program
    with pytest.raises(ExpressionError):
        _ = JobDefinition({"id": "a", "imports": "r", "requires": "a.x"}).resource_program


def test_bad_lines_are_numbered() -> None:
    """Numbers are those of the lines or items, the empty ones counted."""
    bad = [number for number, _ in check_lines("a.x\n\nb.\nc.x\n=", ResourceExpression)]
    assert bad == [2, 4]
    assert [number for number, _ in check_lines(["a.x", "b."], ResourceExpression)] == [1]
    assert list(check_lines(None, ResourceExpression)) == []
    assert list(check_lines({"a": "b"}, ResourceExpression)) == []


def test_errors_are_of_our_tree() -> None:
    """They can be caught with everything else."""
    with pytest.raises(PlainboxError):
        ResourceExpression("(")
