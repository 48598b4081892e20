# SPDX-License-Identifier: Apache-2.0
"""What modules promise: the names in ``__all__`` exist, and packages re-export names and do nothing else."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import plainbox


def modules() -> Iterator[str]:
    yield "plainbox"
    for info in pkgutil.walk_packages(plainbox.__path__, "plainbox."):
        if not info.name.startswith("plainbox.bundled"):
            yield info.name


MODULES = sorted(modules())


def source(name: str) -> Path:
    path = Path(plainbox.__file__).parents[1].joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def says_what_it_exports(name: str) -> bool:
    # The modules of commands all have the same functions, which the command line looks up by name.
    by_name = ("plainbox.cli.commands.", "plainbox.cli.sessions.")
    return source(name).name not in ("__init__.py", "__main__.py") and not name.startswith(by_name)


@pytest.mark.parametrize("name", MODULES)
def test_every_exported_name_exists(name: str) -> None:
    """Each name of ``__all__`` can be imported, and stands there once."""
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert [item for item in exported if not hasattr(module, item)] == []
    assert len(exported) == len(set(exported))


@pytest.mark.parametrize("name", [name for name in MODULES if says_what_it_exports(name)])
def test_every_module_says_what_it_exports(name: str) -> None:
    """A module has ``__all__``, and what it lists is not private."""
    exported = getattr(importlib.import_module(name), "__all__", None)
    assert exported is not None
    assert [item for item in exported if item.startswith("_")] == []


@pytest.mark.parametrize("name", [name for name in MODULES if source(name).name == "__init__.py"])
def test_packages_only_re_export(name: str) -> None:
    """Their ``__init__`` holds a docstring, imports, also for the type checker only, and constants."""
    tree = ast.parse(source(name).read_text(encoding="utf-8"))
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    statements = [
        statement
        for node in tree.body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for statement in (node.body if ast.unparse(node).startswith("if TYPE_CHECKING:") else [node])
    ]
    assert [ast.unparse(node) for node in statements if not isinstance(node, allowed)] == []
    imported = {
        alias.asname or alias.name
        for node in statements
        if isinstance(node, ast.ImportFrom) and node.module not in ("__future__", "typing", "plainbox.lazy")
        for alias in node.names
    }
    assert imported == set(getattr(importlib.import_module(name), "__all__", ())) or not imported


@pytest.mark.parametrize("name", MODULES)
def test_every_file_names_its_licence_and_its_purpose(name: str) -> None:
    """The first line is the licence, the first statement says what the module is."""
    text = source(name).read_text(encoding="utf-8")
    assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n")
    assert ast.get_docstring(ast.parse(text))
