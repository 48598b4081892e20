# SPDX-License-Identifier: Apache-2.0
"""What a ``manage.py`` says, as far as it can be known without running it.

A keyword of ``setup()`` is known when it is a literal (a text, a number, ``True``, ``False``, ``None``), the name of a
constant of the module, ``plainbox.__version__``, or one of these inside a marker for translation such as ``N_("...")``.
All others are calculated: whoever needs one of them has to say so instead of guessing.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
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


@attrs.frozen
class ManagePy:
    """The call of ``setup()`` and what stands around it.

    ``keywords`` are those that are known, without those that are ``None``; ``calculated`` are the places of those that are
    not, ``**`` for a mapping of keywords. ``extensions`` names the classes that would replace commands.
    """

    origin: Origin
    keywords: Mapping[str, object]
    calculated: Mapping[str, Origin]
    extensions: tuple[str, ...]

    def text(self, keyword: str) -> str | None:
        """Return the text that a keyword is; :class:`ProviderError` when it is something else."""
        value = self.keywords.get(keyword)
        if value is None or isinstance(value, str):
            return value
        raise ProviderError(f"setup(): {keyword} is no text", origin=self.origin, hint="put it in quotes")


def parse(text: str, path: Path) -> ManagePy:
    """Return what the text of a ``manage.py`` says.

    :class:`ProviderError` when it is no program, or never calls ``setup()``.
    """
    tree = _syntax(text, path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _last_name(node.func) == "setup":
            known, calculated = _arguments(node, _constants(tree))
            return ManagePy(
                Origin(str(path), node.lineno),
                known,
                {keyword: Origin(str(path), line) for keyword, line in calculated.items()},
                _extensions(tree),
            )
    raise ProviderError("no call of setup() in it", origin=Origin(str(path)))


def _syntax(text: str, path: Path) -> ast.Module:
    origin = Origin(str(path))
    try:
        with warnings.catch_warnings():
            # What Python thinks of the style of somebody's manage.py is their business.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise ProviderError(f"not a Python file: {error}", origin=origin) from None
    except (MemoryError, RecursionError):
        raise ProviderError("not a Python file: nested too deeply", origin=origin) from None


def _arguments(call: ast.Call, constants: Mapping[str, object]) -> tuple[dict[str, object], dict[str, int]]:
    """Return the values of the keywords that are known, and the lines of the others."""
    known: dict[str, object] = {}
    calculated: dict[str, int] = {}
    for keyword in call.keywords:
        value = _value(keyword.value, constants) if keyword.arg else _CALCULATED
        if value is _CALCULATED:
            calculated[keyword.arg or "**"] = keyword.value.lineno
        elif keyword.arg and value is not None:
            known[keyword.arg] = value
    return known, calculated


def _value(node: ast.expr, constants: Mapping[str, object]) -> object:
    if isinstance(node, ast.Call) and _last_name(node.func) in _MARKERS and len(node.args) == 1 and not node.keywords:
        node = node.args[0]
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return constants.get(f"{node.value.id}.{node.attr}", _CALCULATED)
    return constants.get(node.id, _CALCULATED) if isinstance(node, ast.Name) else _CALCULATED


def _constants(tree: ast.Module) -> Mapping[str, object]:
    """Return what the names of a module stand for in the end, as far as it is known."""
    known: dict[str, object] = {"plainbox.__version__": __version__}
    for statement in tree.body:
        given = dict(_given(statement, known))
        for name in _bound(statement):
            # Something else gets the name, or the same name may get one of several values.
            known.pop(name, None)
        known |= given
    return known


def _given(statement: ast.stmt, known: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the names that a statement makes constants, with their values."""
    if isinstance(statement, ast.ImportFrom) and statement.module == "plainbox" and not statement.level:
        versions = (item for item in statement.names if item.name == "__version__")
        yield from ((item.asname or item.name, __version__) for item in versions)
    elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        value = _value(statement.value, known)
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if value is not _CALCULATED:
            yield from ((target.id, value) for target in targets if isinstance(target, ast.Name))


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Yield the names of the module to which a statement, or one inside of it, gives a meaning."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (item.asname or item.name.partition(".")[0] for item in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
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
