# SPDX-License-Identifier: Apache-2.0
"""Resource programs: what a machine must have for a job to run.

A program is a list of expressions that must all hold. An expression is Python syntax, parsed to a tree of which only a
small part is allowed; :mod:`plainbox.units.evaluation` knows what it means, and nothing of it is executed. Names stand for
resources, attributes for the values in their records (text; a value that a record does not have is the empty text).

An expression holds when some combination of records, one of each resource it names, makes it true. Where it has no
parentheses, each operand of ``and`` and ``or`` may be satisfied by another combination: existing providers rely on it.
With parentheses (those of a call too) one combination must satisfy the whole.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from plainbox.errors import ExpressionError, FieldError
from plainbox.units import converters
from plainbox.units.converters import qualify
from plainbox.units.evaluation import CALLS, Part, Record, Resources, resource_names
from plainbox.units.record import Value

__all__ = ["Record", "ResourceExpression", "ResourceProgram", "Resources", "check_lines", "parse_imports"]

_MAX_LENGTH = 10_000
_MAX_DEPTH = 100  # of the tree: evaluating it takes recursion
_SHOWN = 80  # characters of a bad expression that an error quotes
_MANIFEST = "com.canonical.plainbox::manifest"
#: Attributes of the records of the manifest that are no entries: they say which provider a record is of.
_NO_ENTRIES = ("ns", "name")


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
        variables = dict.fromkeys(node.id for node in resource_names(tree))
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
                and node.attr not in _NO_ENTRIES
            )
        )
        #: What is to be satisfied, in parts that may be satisfied by different records.
        self.root = Part(tree, self.variables, split=not _has_parentheses(text))

    def _is_manifest(self, variable: str) -> bool:
        return variable == "manifest" or self.variables.get(variable) == _MANIFEST

    def __repr__(self) -> str:
        return f"<ResourceExpression {self.text!r}>"

    def evaluate(self, resources: Resources) -> bool:
        """Tell whether the expression holds; a resource that is not in ``resources`` has no records."""
        return self.root.holds(resources)


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
    if text.strip() and all(line.lstrip().startswith("#") for line in text.strip().split("\n")):
        raise ExpressionError(
            f"a comment and no expression: {_shown(text)}",
            hint="write the comment behind an expression, or with its # in the first column of the file",
        )
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
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in CALLS:
            return node.args
        case ast.Call():
            raise ExpressionError(f"this call is not known: {_shown(text)}", hint=f"known are {', '.join(CALLS)}")
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
