# SPDX-License-Identifier: Apache-2.0
"""Resource programs: what a machine must have for a job to run.

A program is a list of expressions that must all hold. An expression is Python syntax, parsed to a tree of which only a
small part is allowed; the tree is walked by the evaluator below and never compiled or executed. Names stand for
resources, attributes for the values in their records (text; a value that a record does not have is the empty text).

An expression holds when some combination of records, one of each resource it names, makes it true. Where it has no
parentheses, each operand of ``and`` and ``or`` may be satisfied by another combination: existing providers rely on it.
With parentheses (those of a call too) one combination must satisfy the whole.
"""

from __future__ import annotations

import ast
import itertools
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from plainbox.errors import ExpressionError, FieldError
from plainbox.units import converters
from plainbox.units.converters import qualify
from plainbox.units.record import Value

__all__ = ["Record", "ResourceExpression", "ResourceProgram", "check_lines", "parse_imports"]

Record: TypeAlias = Mapping[str, str]
Resources: TypeAlias = Mapping[str, Sequence[Record]]

_MAX_LENGTH = 10_000
_MAX_DEPTH = 100  # of the tree: the evaluator walks it by recursion
_SHOWN = 80  # characters of a bad expression that an error quotes
_MAX_COMBINATIONS = 1_000_000
_MANIFEST = "com.canonical.plainbox::manifest"

_CALLS: Mapping[str, Callable[..., object]] = {"len": len, "bool": bool, "int": int, "float": float}
_COMPARE: Mapping[type[ast.cmpop], Callable[..., Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}


def parse_imports(lines: Iterable[str]) -> dict[str, str]:
    """Return the resource ids by the names that import statements give them."""
    result: dict[str, str] = {}
    for line in lines:
        words = line.split()
        well_formed = (
            len(words) in (4, 6)
            and words[0] == "from"
            and words[2] == "import"
            and (len(words) == 4 or words[4] == "as")
        )
        if not well_formed or "::" in words[1] or "::" in words[3]:
            raise ExpressionError(f"not an import: {_shown(line)}", hint="write: from NAMESPACE import ID [as NAME]")
        result[words[-1]] = f"{words[1]}::{words[3]}"
    return result


class ResourceExpression:
    """One checked expression."""

    def __init__(self, text: str, namespace: str | None = None, imports: Mapping[str, str] | None = None) -> None:
        self.text = text
        tree = _parse(text)
        _check(tree, text)
        imports = imports or {}
        variables = dict.fromkeys(node.id for node in _resource_names(tree))
        #: variable -> full resource id, in the order of appearance
        self.variables: dict[str, str] = {name: imports.get(name) or qualify(name, namespace) for name in variables}
        if not self.variables:
            raise ExpressionError(f"the expression names no resource: {_shown(text)}")
        #: full resource ids, in the order of appearance
        self.resource_ids: tuple[str, ...] = tuple(dict.fromkeys(self.variables.values()))
        #: full ids of the manifest entries that it asks for
        self.manifest_ids: tuple[str, ...] = tuple(
            dict.fromkeys(
                qualify(node.attr, namespace)
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and self._is_manifest(node.value.id)
                and node.attr != "ns"
            )
        )
        self._tree = tree
        self._split = not _has_parentheses(text)

    def _is_manifest(self, variable: str) -> bool:
        return variable == "manifest" or self.variables.get(variable) == _MANIFEST

    def __repr__(self) -> str:
        return f"<ResourceExpression {self.text!r}>"

    def evaluate(self, resources: Resources) -> bool:
        """Tell whether the expression holds; a resource that is not in ``resources`` has no records."""
        return self._holds(self._tree, resources)

    def _holds(self, node: ast.expr, resources: Resources) -> bool:
        if self._split and isinstance(node, ast.BoolOp):
            results = [self._holds(operand, resources) for operand in node.values]
            return any(results) if isinstance(node.op, ast.Or) else all(results)
        names = list(dict.fromkeys(name.id for name in _resource_names(node)))
        lists = [resources.get(self.variables[name], ()) for name in names]
        combinations = itertools.islice(itertools.product(*lists), _MAX_COMBINATIONS)
        return any(_is_true(node, dict(zip(names, records, strict=True))) for records in combinations)


class ResourceProgram:
    """All the expressions of one ``requires`` field."""

    def __init__(
        self, lines: Iterable[str], namespace: str | None = None, imports: Mapping[str, str] | None = None
    ) -> None:
        self.expressions = tuple(ResourceExpression(line, namespace, imports) for line in lines)
        self.resource_ids: tuple[str, ...] = tuple(
            dict.fromkeys(rid for expression in self.expressions for rid in expression.resource_ids)
        )

    def evaluate(self, resources: Resources) -> bool:
        """Tell whether every expression holds."""
        return all(expression.evaluate(resources) for expression in self.expressions)


def check_lines(value: Value | None, check: Callable[[str], object]) -> Iterator[tuple[int, ExpressionError]]:
    """Yield (number, error) of each line or item that ``check`` refuses."""
    try:
        lines = converters.numbered(value if value is not None else "", lambda error: None)
    except FieldError:
        return
    for number, line in lines:
        try:
            check(line)
        except ExpressionError as error:
            yield number, error


def _parse(text: str) -> ast.expr:
    if len(text) > _MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {_MAX_LENGTH} characters")
    try:
        if "\\" not in text:
            return ast.parse(text.strip(), mode="eval").body
        with warnings.catch_warnings():
            # An escape such as \d means itself; that Python will refuse it one day is nothing to tell a user of jobs.
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(f"not an expression: {_shown(text)}: {error.msg}") from None
    except (ValueError, MemoryError, RecursionError):
        raise ExpressionError(f"not an expression: {_shown(text)}") from None


def _shown(text: str) -> str:
    return repr(text.strip()[:_SHOWN])


def _check(tree: ast.expr, text: str) -> None:
    """Refuse every node that is not part of the language."""
    pending: list[tuple[ast.AST, int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise ExpressionError(f"nested too deeply: {_shown(text)}")
        pending += [(child, depth + 1) for child in _operands(node, text)]


def _operands(node: ast.AST, text: str) -> Sequence[ast.AST]:
    """Return the parts of a node that are expressions themselves; refuse a node that is not part of the language."""
    match node:
        case ast.Name() | ast.Attribute(value=ast.Name()):
            return ()
        case ast.Attribute():
            raise ExpressionError(f"only RESOURCE.NAME is known: {_shown(text)}")
        case ast.Constant(value=str() | bytes() | int() | float() | None):
            return ()
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in _CALLS:
            return node.args
        case ast.Call():
            raise ExpressionError(f"this call is not known: {_shown(text)}", hint=f"known are {', '.join(_CALLS)}")
        case ast.Compare():
            return [node.left, *node.comparators]
        case ast.BoolOp():
            return node.values
        case ast.List() | ast.Tuple():
            return node.elts
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd()):
            return [node.operand]
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            return [node.left, node.right]
    raise ExpressionError(
        f"{type(node).__name__} is not part of the expression language: {_shown(text)}",
        hint="use comparisons, and, or, not, +, -, lists, len(), bool(), int() and float()",
    )


def _resource_names(tree: ast.expr) -> list[ast.Name]:
    """Return the names that stand for resources, in the order of appearance."""
    callees = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in callees]
    return sorted(names, key=lambda node: (node.lineno, node.col_offset))


def _has_parentheses(text: str) -> bool:
    """Tell whether there are parentheses outside strings and comments."""
    if "(" not in text:
        return False
    import io
    import tokenize

    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text.strip()).readline))
    except (tokenize.TokenError, SyntaxError):
        return True
    return any(token.type == tokenize.OP and token.string == "(" for token in tokens)


def _is_true(tree: ast.expr, records: Mapping[str, Record]) -> bool:
    try:
        return bool(_value(tree, records))
    except (TypeError, ValueError, OverflowError, RecursionError):
        # Text that is no number, numbers compared with text: this combination does not satisfy the expression.
        return False


def _value(node: ast.expr, records: Mapping[str, Record]) -> object:
    match node:
        case ast.Constant():
            return node.value
        case ast.Attribute(value=ast.Name(id=name)):
            return records[name].get(node.attr, "")
        case ast.Name():
            return records[node.id]
        case ast.Compare():
            return _compare(node, records)
        case ast.BoolOp():
            result: object = None
            for operand in node.values:
                result = _value(operand, records)
                if bool(result) is isinstance(node.op, ast.Or):
                    break
            return result
        case ast.List() | ast.Tuple():
            return [_value(item, records) for item in node.elts]
        case ast.Call(func=ast.Name(id=name)):
            return _CALLS[name](*[_value(argument, records) for argument in node.args])
        case ast.UnaryOp():
            value = _value(node.operand, records)
            return not value if isinstance(node.op, ast.Not) else _signed(node.op, value)
        case ast.BinOp():
            return _arithmetic(node.op, _value(node.left, records), _value(node.right, records))
    raise TypeError(type(node).__name__)


def _compare(node: ast.Compare, records: Mapping[str, Record]) -> bool:
    left = _value(node.left, records)
    for operator_, comparator in zip(node.ops, node.comparators, strict=True):
        right = _value(comparator, records)
        if not _COMPARE[type(operator_)](left, right):
            return False
        left = right
    return True


def _signed(operator_: ast.unaryop, operand: object) -> float:
    number = _number(operand)
    return -number if isinstance(operator_, ast.USub) else number


def _arithmetic(operator_: ast.operator, left: object, right: object) -> object:
    if isinstance(operator_, ast.Add):
        if isinstance(left, str) and isinstance(right, str):
            return left + right
        return _number(left) + _number(right)
    return _number(left) - _number(right)


def _number(value: object) -> float:
    if isinstance(value, (int, float)):
        return value
    raise TypeError("not a number")
