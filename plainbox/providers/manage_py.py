# SPDX-License-Identifier: Apache-2.0
"""What a ``manage.py`` says, as far as it can be known without running it.

A keyword of ``setup()`` is known when it is a literal (a text, a number, ``True``, ``False``, ``None``), the name of a
constant of the module, ``plainbox.__version__``, texts of these put together with ``+`` or in an f-string, or one of these
inside a marker for translation such as ``N_("...")``. All others are calculated: whoever needs one of them has to say so
instead of guessing.
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from plainbox import __version__
from plainbox.errors import ProviderError
from plainbox.units.origin import Origin

__all__ = ["ManagePy", "parse"]

_MARKERS = ("N_", "_", "gettext", "gettext_noop")
#: What has names of its own.
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_CALCULATED = object()
#: The value of a name that is the package.
_PLAINBOX = object()
#: Longer texts are not put together: each constant could double the one before it.
_LONGEST = 10_000


@attrs.frozen
class ManagePy:
    """The call of ``setup()`` and what stands around it.

    ``keywords`` are those that are known, without those that are ``None``; ``calculated`` are the places of those that are
    not, ``**`` for a mapping of keywords. ``extensions`` names the classes that would replace commands.
    """

    origin: Origin
    keywords: Mapping[str, object]
    calculated: Mapping[str, Origin] = attrs.field(factory=dict)
    extensions: tuple[str, ...] = ()

    def text(self, keyword: str) -> str | None:
        """Return the text that a keyword is; :class:`ProviderError` when it is something else."""
        value = self.keywords.get(keyword)
        if value is None or isinstance(value, str):
            return value
        raise ProviderError(f"setup(): {keyword} is no text", origin=self.origin, hint="put it in quotes")

    def switch(self, keyword: str) -> bool:
        """Return the truth value that a keyword is, by default true; :class:`ProviderError` when it is something else."""
        value = self.keywords.get(keyword, True)
        if isinstance(value, int) and value in (0, 1):
            return bool(value)
        raise ProviderError(f"setup(): {keyword} is no True or False", origin=self.origin, hint="write True or False")


def parse(source: bytes, path: Path) -> ManagePy:
    """Return what a ``manage.py`` says, in whatever encoding it declares.

    :class:`ProviderError` when it is no program, or does not call ``setup()`` of :mod:`plainbox.provider_manager` in
    exactly one place.
    """
    tree = _syntax(source, path)
    doors = frozenset(_doors(tree))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _dotted(node.func) in doors]
    if not calls:
        raise ProviderError("no call of setup() of plainbox.provider_manager in it", origin=Origin(str(path)))
    lines = sorted(call.lineno for call in calls)
    if len(calls) > 1:
        raise ProviderError(
            f"setup() is called in several places: lines {', '.join(map(str, lines))}",
            origin=Origin(str(path), lines[0]),
            hint="call it in one place",
        )
    origin = Origin(str(path), lines[0])
    known, calculated = _arguments(calls[0], _constants(tree, calls[0]), origin)
    places = {keyword: Origin(str(path), line) for keyword, line in calculated.items()}
    return ManagePy(origin, known, places, _extensions(tree))


def _syntax(source: bytes, path: Path) -> ast.Module:
    origin = Origin(str(path))
    try:
        with warnings.catch_warnings():
            # What Python thinks of the style of somebody's manage.py is their business.
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as error:
        place = Origin(str(path), error.lineno or None)
        raise ProviderError(f"not a Python file: {error.msg}", origin=place) from None
    except ValueError as error:
        raise ProviderError(f"not a Python file: {error}", origin=origin) from None
    except (MemoryError, RecursionError):
        raise ProviderError("not a Python file: nested too deeply", origin=origin) from None


def _doors(tree: ast.Module) -> Iterator[str]:
    """Yield what ``setup()`` of :mod:`plainbox.provider_manager` is called in a module."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found = (item for item in names if item.name == "plainbox.provider_manager")
                yield from (f"{item.asname or item.name}.setup" for item in found)
            case ast.ImportFrom(module="plainbox", level=0, names=names):
                found = (item for item in names if item.name == "provider_manager")
                yield from (f"{item.asname or item.name}.setup" for item in found)
            case ast.ImportFrom(module="plainbox.provider_manager", level=0, names=names):
                yield from (item.asname or "setup" for item in names if item.name in ("setup", "*"))


def _arguments(
    call: ast.Call, constants: Mapping[str, object], origin: Origin
) -> tuple[dict[str, object], dict[str, int]]:
    """Return the values of the keywords that are known, and the lines of the others."""
    values: dict[str, object] = {}
    calculated: dict[str, int] = {}
    for name, node in _written_out(call.keywords):
        if name in values and name != "**":
            raise ProviderError(f"setup(): {name} is given twice", origin=origin)
        values[name] = _CALCULATED if name == "**" else _value(node, constants)
        if values[name] is _CALCULATED:
            calculated[name] = node.lineno
    return {name: value for name, value in values.items() if value is not None and value is not _CALCULATED}, calculated


def _written_out(keywords: Iterable[ast.keyword]) -> Iterator[tuple[str, ast.expr]]:
    """Yield the keywords of a call, also those of mappings that are written in it; ``**`` for any other mapping."""
    for keyword in keywords:
        match keyword.value:
            case node if keyword.arg:
                yield keyword.arg, node
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=inner) if all(item.arg for item in inner):
                yield from ((item.arg or "", item.value) for item in inner)
            case ast.Dict(keys=keys, values=values) if all(map(_text_of, keys)):
                yield from dict(zip(map(_text_of, keys), values, strict=True)).items()
            case node:
                yield "**", node


def _text_of(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _value(node: ast.expr, constants: Mapping[str, object]) -> object:
    """Return what an expression stands for; ``_CALCULATED`` when that is not known."""
    try:
        return _evaluate(node, constants)
    except RecursionError:
        return _CALCULATED


def _evaluate(node: ast.expr, constants: Mapping[str, object]) -> object:
    match node:
        case ast.Call(func=function, args=[marked], keywords=[]) if _last_name(function) in _MARKERS:
            return _evaluate(marked, constants)
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return constants.get(name, _CALCULATED)
        case ast.Attribute(value=ast.Name(id=name), attr="__version__") if constants.get(name) is _PLAINBOX:
            return __version__
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            values = [_evaluate(left, constants), _evaluate(right, constants)]
            return _joined(values) if all(isinstance(value, str) for value in values) else _CALCULATED
        case ast.JoinedStr(values=parts):
            return _joined([_evaluate(part, constants) for part in parts])
        case ast.FormattedValue(value=field, conversion=-1, format_spec=None):
            return _evaluate(field, constants)
    return _CALCULATED


def _joined(values: Iterable[object]) -> object:
    texts = []
    for value in values:
        if not isinstance(value, str | int) or (isinstance(value, int) and value.bit_length() > 64):
            return _CALCULATED
        texts.append(str(value))
    return "".join(texts) if sum(map(len, texts)) <= _LONGEST else _CALCULATED


def _constants(tree: ast.Module, call: ast.Call) -> Mapping[str, object]:
    """Return what the names of a module stand for where a call is, as far as it is known.

    A call outside of functions sees what is above it. Nobody knows when a function is called: in one, only a name that
    gets one value for good is a constant, and that of a name of the function itself is not known.
    """
    scopes = [
        node for node in ast.walk(tree) if isinstance(node, _SCOPES) and any(one is call for one in ast.walk(node))
    ]
    known: dict[str, object] = {}
    times: Counter[str] = Counter()
    for statement in tree.body:
        last = not scopes and any(one is call for one in ast.walk(statement))
        given = {} if last else dict(_given(statement, known))
        bound = set(_bound([statement]))
        times.update(bound)
        for name in known.keys() & bound if "*" not in bound else set(known):
            # Something else gets the name, or the same name may get one of several values.
            del known[name]
        known |= given
        if last:
            break
    hidden = {name for scope in scopes for name in _bound(ast.iter_child_nodes(scope))}
    hidden |= {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    if scopes:
        hidden |= {name for name, count in times.items() if count > 1 and known.get(name) is not _PLAINBOX}
    return {name: value for name, value in known.items() if name not in hidden}


def _given(statement: ast.stmt, known: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the names that a statement makes constants, with their values."""
    match statement:
        case ast.ImportFrom(module="plainbox", level=0, names=names):
            yield from ((item.asname or item.name, __version__) for item in names if item.name == "__version__")
        case ast.Import(names=names):
            # Of a.b as c, c is a.b; without a name of its own, a is bound.
            packages = (item for item in names if item.name.partition(".")[0] == "plainbox")
            yield from (
                (item.asname or "plainbox", _PLAINBOX) for item in packages if not (item.asname and "." in item.name)
            )
        case ast.Assign(targets=targets, value=node):
            for target in targets:
                yield from _assigned(target, node, known)
        case ast.AnnAssign(target=target, value=ast.expr() as node):
            yield from _assigned(target, node, known)


def _assigned(target: ast.expr, node: ast.expr, known: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the names in the target of an assignment that get values which are known."""
    match target, node:
        case ast.Name(id=name), _:
            value = _value(node, known)
            if value is not _CALCULATED:
                yield name, value
        case ((ast.Tuple(elts=names) | ast.List(elts=names)), (ast.Tuple(elts=values) | ast.List(elts=values))):
            if len(names) == len(values) and not any(isinstance(one, ast.Starred) for one in (*names, *values)):
                for inner, value_of_it in zip(names, values, strict=True):
                    yield from _assigned(inner, value_of_it, known)


def _bound(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names to which statements, or those inside of them, give a meaning; ``*`` for any name."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                yield name
            case ast.ImportFrom(module="plainbox.provider_manager", level=0):
                # Its * holds nothing that could be a constant.
                yield from (item.asname or item.name for item in node.names if item.name != "*")
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from (item.asname or item.name.partition(".")[0] for item in names)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name
        if not isinstance(node, _SCOPES):
            waiting += ast.iter_child_nodes(node)


def _extensions(tree: ast.Module) -> tuple[str, ...]:
    return tuple(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and "manage_py_extension" in map(_last_name, node.decorator_list)
    )


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _dotted(node: ast.expr) -> str:
    """Return ``a.b.c`` for such an expression, and nothing for any other."""
    words: list[str] = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(words)]) if isinstance(node, ast.Name) else ""
