# SPDX-License-Identifier: Apache-2.0
"""What resource expressions mean: checked syntax and the records of resources in, true or false out.

The expressions of units and their explanations both ask here, so that there is one meaning. The tree has been checked by
:mod:`plainbox.units.expressions`; it is turned into functions of this module, never into Python code.
"""

from __future__ import annotations

import ast
import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

__all__ = ["CALLS", "Part", "Record", "Resources", "Unanswerable", "resource_names"]

Record: TypeAlias = Mapping[str, str]
Resources: TypeAlias = Mapping[str, Sequence[Record]]
_Meaning: TypeAlias = Callable[[Mapping[str, Record]], object]

#: The functions of the language.
CALLS: Mapping[str, Callable[..., object]] = {"len": len, "bool": bool, "int": int, "float": float}
#: So many combinations of records are tried; beyond them a part counts as not satisfied.
_MAX_COMBINATIONS = 1_000_000

_SHOWN = 40  # characters of a value that an explanation quotes
_SYMBOLS: Mapping[type[ast.cmpop], tuple[str, Callable[[Any, Any], object]]] = {
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.In: ("in", lambda left, right: left in right),
    ast.NotIn: ("not in", lambda left, right: left not in right),
    ast.Is: ("is", operator.is_),
    ast.IsNot: ("is not", operator.is_not),
}


class Unanswerable(Exception):
    """An operation that has no result for these values: text that is no number, numbers compared with text.

    The combination of records that it came from does not satisfy the expression.
    """

    def __init__(self, form: str, *values: object) -> None:
        super().__init__(form, *values)
        self._form = form
        self._values = values

    def __str__(self) -> str:
        """Return the operation with its values, such as ``int('abc')``."""
        return self._form.format(*map(_shown, self._values))


class Part:
    """A part of an expression that is satisfied or not on its own.

    With an ``operator`` (``and``, ``or``) it is made of ``parts``, each of which may be satisfied by other records;
    without one some single combination of records, one of each resource that it names, must make it true.
    """

    def __init__(self, node: ast.expr, variables: Mapping[str, str], *, split: bool) -> None:
        self.node = node
        self.operator: str | None = None
        self.parts: tuple[Part, ...] = ()
        self._variables = variables
        if split and isinstance(node, ast.BoolOp):
            self.operator = _word(node)
            self.parts = tuple(Part(operand, variables, split=True) for operand in node.values)

    @functools.cached_property
    def variables(self) -> dict[str, str]:
        """The resource ids by the names that the part has for them, in the order of appearance."""
        return {name.id: self._variables[name.id] for name in resource_names(self.node)}

    @property
    def operands(self) -> tuple[str, tuple[Part, ...]] | None:
        """The operator and the operands of a part that one combination must satisfy, each as if it stood alone."""
        if self.operator is not None or not isinstance(self.node, ast.BoolOp):
            return None
        alone = (Part(operand, self._variables, split=False) for operand in self.node.values)
        return _word(self.node), tuple(alone)

    def holds(self, resources: Resources, on_failure: Callable[[Unanswerable], object] | None = None) -> bool:
        """Tell whether the part is satisfied; a resource that is not in ``resources`` has no records.

        Operations without a result go to ``on_failure``, those up to the first combination that satisfies the part.
        """
        if self.operator is not None:
            results = [part.holds(resources, on_failure) for part in self.parts]
            return any(results) if self.operator == "or" else all(results)
        meaning = self._meaning
        for records in self._combinations(resources):
            try:
                if meaning(records):
                    return True
            except Unanswerable as failure:
                if on_failure is not None:
                    on_failure(failure)
            except RecursionError:
                continue
        return False

    @functools.cached_property
    def _meaning(self) -> _Meaning:
        return _meaning(self.node)

    def is_too_wide(self, resources: Resources) -> bool:
        """Tell whether a part without an operator has more combinations of records than are tried."""
        return math.prod(len(resources.get(item, ())) for item in self.variables.values()) > _MAX_COMBINATIONS

    def _combinations(self, resources: Resources) -> Iterator[Mapping[str, Record]]:
        variables = self.variables
        if len(variables) == 1:
            [(name, resource_id)] = variables.items()
            for record in resources.get(resource_id, ())[:_MAX_COMBINATIONS]:
                yield {name: record}
            return
        lists = [resources.get(resource_id, ()) for resource_id in variables.values()]
        for records in itertools.islice(itertools.product(*lists), _MAX_COMBINATIONS):
            yield dict(zip(variables, records, strict=True))


def resource_names(tree: ast.expr) -> list[ast.Name]:
    """Return the names that stand for resources, in the order of appearance."""
    callees = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in callees]
    return sorted(names, key=lambda node: (node.lineno, node.col_offset))


def _word(node: ast.BoolOp) -> str:
    return "or" if isinstance(node.op, ast.Or) else "and"


# -- from the tree to functions: thousands of records may be looked at for each of hundreds of jobs


def _meaning(node: ast.expr) -> _Meaning:
    """Return the function that gives the value of a node for one combination of records."""
    match node:
        case ast.Constant(value=value):
            return lambda records: value
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            return lambda records: records[name].get(attribute, "")
        case ast.Name(id=name):
            return lambda records: records[name]
        case ast.Compare():
            return _comparison(node)
        case ast.BoolOp():
            return _junction([_meaning(operand) for operand in node.values], isinstance(node.op, ast.Or))
        case ast.List() | ast.Tuple():
            items = [_meaning(item) for item in node.elts]
            return lambda records: [item(records) for item in items]
        case ast.Call(func=ast.Name(id=name)):
            arguments = [_meaning(argument) for argument in node.args]
            return lambda records: _call(name, [argument(records) for argument in arguments])
        case ast.UnaryOp(op=ast.Not()):
            operand = _meaning(node.operand)
            return lambda records: not operand(records)
        case ast.UnaryOp():
            operand, sign = _meaning(node.operand), "-" if isinstance(node.op, ast.USub) else "+"
            return lambda records: _signed(sign, operand(records))
        case ast.BinOp():
            left, right = _meaning(node.left), _meaning(node.right)
            sign = "+" if isinstance(node.op, ast.Add) else "-"
            return lambda records: _arithmetic(sign, left(records), right(records))
    raise TypeError(f"{type(node).__name__} is not part of the language")


def _comparison(node: ast.Compare) -> _Meaning:
    first = _meaning(node.left)
    links = [
        (*_SYMBOLS[type(operator_)], _meaning(comparator))
        for operator_, comparator in zip(node.ops, node.comparators, strict=True)
    ]

    def compared(records: Mapping[str, Record]) -> bool:
        left = first(records)
        for symbol, compare, following in links:
            right = following(records)
            try:
                if not compare(left, right):
                    return False
            except (TypeError, ValueError, OverflowError):
                raise Unanswerable(f"{{}} {symbol} {{}}", left, right) from None
            left = right
        return True

    return compared


def _junction(operands: Sequence[_Meaning], until: bool) -> _Meaning:
    """Return the meaning of ``or`` (``until`` some operand is true) or of ``and`` (until one is false)."""

    def joined(records: Mapping[str, Record]) -> object:
        value: object = None
        for operand in operands:
            value = operand(records)
            if bool(value) is until:
                break
        return value

    return joined


def _call(name: str, arguments: list[object]) -> object:
    try:
        return CALLS[name](*arguments)
    except (TypeError, ValueError, OverflowError):
        form = ", ".join(["{}"] * len(arguments))
        raise Unanswerable(f"{name}({form})", *arguments) from None


def _signed(sign: str, operand: object) -> float:
    if not isinstance(operand, (int, float)):
        raise Unanswerable(f"{sign}{{}}", operand)
    return -operand if sign == "-" else +operand


def _arithmetic(sign: str, left: object, right: object) -> object:
    if sign == "+" and isinstance(left, str) and isinstance(right, str):
        return left + right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        try:
            return left + right if sign == "+" else left - right
        except OverflowError:
            pass
    raise Unanswerable(f"{{}} {sign} {{}}", left, right)


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a record"
    try:
        text = repr(value)
    except ValueError:
        return "a very long number"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
