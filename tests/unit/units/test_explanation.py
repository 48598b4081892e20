# SPDX-License-Identifier: Apache-2.0
"""Explanations of resource expressions: they say what the evaluation says, and what it looked at."""

from __future__ import annotations

import ast
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import any_text, expressions

from plainbox.errors import ExpressionError
from plainbox.units import ResourceExpression
from plainbox.units.explanation import Explanation, explain, in_lines


def explained(text: str, **resources: Sequence[Mapping[str, str]]) -> Explanation:
    return explain(ResourceExpression(text), resources)


def all_parts(explanation: Explanation) -> Iterator[Explanation]:
    yield explanation
    for part in explanation.parts:
        yield from all_parts(part)


# -- it agrees with the evaluation, and that with Python


@attrs.frozen
class Tree:
    """An expression: a comparison (``text``), or operands with an operator."""

    text: str = ""
    operator: str = ""
    operands: tuple[Tree, ...] = ()
    whole: bool = False

    def written(self) -> str:
        if not self.operator:
            return self.text
        if self.operator == "not":
            text = f"not {self.operands[0].written()}"
        else:
            text = f" {self.operator} ".join(operand.written() for operand in self.operands)
        return f"({text})" if self.whole else text


COMPARISONS = st.sampled_from(
    [
        "a.x == '1'",
        "a.x != b.x",
        "a.y",
        "a.missing == ''",
        "b.x in ['1', 'or', '(']",
        "b.y > '1'",
        "'1' < a.x < '3'",
        "a.x == ' and '",
        "b.y not in a.y",
        "a.x < 1",
        "-b.x == 1",
        "a.x + '1' == '11'",
        "a",
        "True",
    ]
)
CALLS = st.sampled_from(["int(a.x) > 1", "float(b.y) - 1 >= 0", "len(a.y) == 1", "bool(b.x) == False"])
LEAVES = COMPARISONS.map(Tree)


def negated(trees: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    return trees | trees.map(lambda tree: Tree(operator="not", operands=(tree,)))


def joined(operator: str, trees: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    several = st.lists(trees, min_size=2, max_size=3).map(tuple)
    return trees | several.map(lambda operands: Tree(operator=operator, operands=operands))


#: Without parentheses: or of and of not of comparisons.
flat_trees = joined("or", joined("and", negated(LEAVES)))


def in_parentheses(tree: Tree) -> Tree:
    """Put every operator in parentheses."""
    return attrs.evolve(tree, operands=tuple(map(in_parentheses, tree.operands)), whole=bool(tree.operator))


deep_trees = st.recursive(
    LEAVES | CALLS.map(Tree),
    lambda trees: st.one_of(
        trees.map(lambda tree: Tree(operator="not", operands=(tree,))),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(trees, min_size=2, max_size=3).map(tuple)).map(
            lambda made: Tree(operator=made[0], operands=made[1])
        ),
    ),
    max_leaves=6,
).map(in_parentheses)

records = st.lists(
    st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["", "1", "2", "or", "n/a"]), max_size=3), max_size=3
)
all_resources = st.fixed_dictionaries({"a": records, "b": records}) | st.just({})


class Object:
    """A record as Python would see it."""

    def __init__(self, record: Mapping[str, str]) -> None:
        self._record = record

    def __bool__(self) -> bool:
        return bool(self._record)

    def __getattr__(self, name: str) -> str:
        return self._record.get(name, "")


def true_in_python(tree: Tree, resources: Mapping[str, Sequence[Mapping[str, str]]]) -> bool:
    """Tell whether some combination of records makes the text true in Python."""
    text = tree.written()
    names = resource_names(text)
    for combination in itertools.product(*(resources.get(name, ()) for name in names)):
        try:
            if eval(text, {}, dict(zip(names, map(Object, combination), strict=True))):
                return True
        except (TypeError, ValueError):
            continue
    return False


def resource_names(text: str) -> list[str]:
    return sorted({node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)} & {"a", "b"})


def true_in_parts(tree: Tree, resources: Mapping[str, Sequence[Mapping[str, str]]]) -> bool:
    if tree.operator == "and":
        return all(true_in_parts(operand, resources) for operand in tree.operands)
    if tree.operator == "or":
        return any(true_in_parts(operand, resources) for operand in tree.operands)
    return true_in_python(tree, resources)


def expression_of(tree: Tree) -> ResourceExpression | None:
    try:
        return ResourceExpression(tree.written())
    except ExpressionError:
        # A tree of constants alone names no resource.
        return None


@given(flat_trees, all_resources)
def test_parts_without_parentheses_are_satisfied_apart(tree: Tree, resources: dict[str, Any]) -> None:
    """Each operand of and and or is any combination's business, whatever stands in the strings."""
    expression = expression_of(tree)
    if expression is None:
        return
    wanted = true_in_parts(tree, resources)
    assert expression.evaluate(resources) is wanted
    assert explain(expression, resources).holds is wanted


@given(deep_trees, all_resources)
def test_a_whole_in_parentheses_is_satisfied_together(tree: Tree, resources: dict[str, Any]) -> None:
    """With parentheses one combination of records satisfies all of it, as Python sees it."""
    expression = expression_of(tree)
    if expression is None:
        return
    wanted = true_in_python(tree, resources) if "(" in tree.written() else true_in_parts(tree, resources)
    assert expression.evaluate(resources) is wanted
    assert explain(expression, resources).holds is wanted


@given(expressions, st.lists(st.dictionaries(any_text, any_text, max_size=3), max_size=3))
def test_any_expression_is_explained(text: str, found: list[dict[str, str]]) -> None:
    """Whatever is an expression has an explanation that agrees, in all its parts, with the evaluation."""
    try:
        expression = ResourceExpression(text, "org.example")
    except ExpressionError:
        return
    for resources in ({}, dict.fromkeys(expression.resource_ids, found)):
        explanation = explain(expression, resources)
        assert explanation.holds is expression.evaluate(resources)
        assert in_lines(explanation)
        assert json.loads(json.dumps(explanation.as_dict()))["holds"] is explanation.holds
        for part in all_parts(explanation):
            if part.operator is not None and not part.together:
                combined = any if part.operator == "or" else all
                assert part.holds is combined(item.holds for item in part.parts)


# -- what it tells


def test_values_are_counted_and_cut() -> None:
    """The most frequent values come first, with the number of the others."""
    found = [{"name": "b"}, *({"name": f"p{number}"} for number in range(20)), {"name": "b"}, {"other": "x"}]
    explanation = explained("package.name == 'vim'", package=found)
    [seen] = explanation.seen
    [attribute] = seen.attributes
    assert (seen.resource_id, seen.records) == ("package", 23)
    assert (attribute.values[0].value, attribute.values[0].records) == ("b", 2)
    assert (attribute.distinct, attribute.absent) == (21, 1)
    assert len(attribute.values) < 21
    [line] = in_lines(explanation)[1:]
    assert line.startswith("  name in 23 records of package: 'b' (2 times), 'p0', 'p1', ")
    assert line.endswith(" and 13 more; not there in 1")


@pytest.mark.parametrize(
    ("text", "resources", "lines"),
    [
        ("a.nmae == 'x'", {"a": [{"name": "y"}]}, ["nmae is not there in the 1 record of a; did you mean 'name'?"]),
        ("a.q == 'x'", {"a": [{"name": "y"}, {"v": "1"}]}, ["q is not there in the 2 records of a; they have name, v"]),
        ("a.x == 'x'", {"a": [{}]}, ["a gave no records"]),
        ("a.x == 'x'", {"a": []}, ["a gave no records"]),
        ("a.x == 'x'", {}, ["a has given nothing: it did not run"]),
        ("int(a.x) > 1", {"a": [{"x": "n/a"}]}, ["int('n/a') is not possible", "x in 1 record of a: 'n/a'"]),
        (
            "a.x > 1",
            {"a": [{"x": "2"}]},
            [
                "'2' > 1 is not possible",
                "a.x is text and 1 is not: write '1', or int(a.x)",
                "x in 1 record of a: '2'",
            ],
        ),
        (
            "a.x == True",
            {"a": [{"x": "True"}]},
            ["a.x is text and True is not: write 'True'", "x in 1 record of a: 'True'"],
        ),
        ("a.x - 1 == 1", {"a": [{"x": "2"}]}, ["'2' - 1 is not possible", "x in 1 record of a: '2'"]),
        ("not a", {"a": [{"x": "2"}]}, ["1 record of a"]),
    ],
)
def test_what_made_a_comparison_fail(text: str, resources: dict[str, list[dict[str, str]]], lines: list[str]) -> None:
    """Names that nobody has, resources without records, impossible operations and text taken for a number are named."""
    assert in_lines(explained(text, **resources)) == [f"not true: {text}", *(f"  {line}" for line in lines)]


def test_parts_of_a_split_expression() -> None:
    """Each operand is told on its own, the whole follows from them."""
    explanation = explained("a.x == '1' and a.y == '2' or a.x == '3'", a=[{"x": "1", "y": "5"}])
    assert (explanation.operator, explanation.together, explanation.holds) == ("or", False, False)
    first, second = explanation.parts
    assert [part.holds for part in first.parts] == [True, False]
    assert (first.text, second.text) == ("a.x == '1' and a.y == '2'", "a.x == '3'")


def test_parts_that_only_hold_apart() -> None:
    """In parentheses every part may hold alone and the whole not: the text says so."""
    explanation = explained("(a.x == '1' and a.y == '2')", a=[{"x": "1", "y": "1"}, {"x": "2", "y": "2"}])
    assert explanation.together
    assert [part.holds for part in explanation.parts] == [True, True]
    assert not explanation.holds
    assert in_lines(explanation)[:3] == [
        "not true: (a.x == '1' and a.y == '2')",
        "  all of these must be true for one combination of records; each alone is:",
        "  true: a.x == '1'",
    ]


def test_long_values_and_many_failures_are_cut() -> None:
    """What a job printed does not make the explanation long."""
    found = [{"x": "y" * 10_000 + str(number)} for number in range(50)]
    assert len("\n".join(in_lines(explained("int(a.x) > 1", a=found)))) < 2000


def test_too_many_combinations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not everything was tried the explanation says so."""
    monkeypatch.setattr("plainbox.units.evaluation._MAX_COMBINATIONS", 100)
    found = [{"x": "1"}] * 11
    explanation = explained("a.x == b.x + '0'", a=found, b=found)
    assert explanation.remarks == ("there are more combinations of records than were tried",)
    assert explained("a.x == b.x + '0'", a=found[:10], b=found[:10]).remarks == ()
    assert explained("a.x == b.x", a=found, b=found).remarks == ()


def test_a_comment_is_no_expression() -> None:
    """A line that is only a comment is refused with what to do about it; one behind an expression is not."""
    with pytest.raises(ExpressionError, match="a comment and no expression") as caught:
        ResourceExpression("# a.x == '1'")
    assert caught.value.hint
    assert ResourceExpression("# first\na.x == '1' # last").evaluate({"a": [{"x": "1"}]})


def test_the_facts_of_a_record_of_the_manifest_are_no_entries() -> None:
    """Which provider a record of the manifest is of is asked of no person."""
    expression = ResourceExpression("manifest.ns == 'n' and manifest.name == 'p' and manifest.has_x == 'True'", "n")
    assert expression.manifest_ids == ("n::has_x",)
