# SPDX-License-Identifier: Apache-2.0
"""Under which name another process can import what this one has."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

__all__ = [
    "get_loaded_module_name_by_path",
    "import_object",
    "importable_module_name",
    "name_of_type",
    "object_as_import",
]


def object_as_import(obj: object) -> tuple[str, str | None]:
    """Return the qualified name of a function or class and the module to import it from.

    The module is None when the program cannot be imported under any name. ValueError for what has no such name: objects
    that were made inside of a function.
    """
    name = getattr(obj, "__qualname__", None)
    module = getattr(obj, "__module__", None)
    if not isinstance(name, str) or not isinstance(module, str):
        raise ValueError(f"{obj!r} has no name to import it by")
    if "<" in name:
        raise ValueError(f"{name!r} was made inside of a function and cannot be imported")
    return name, importable_module_name(module)


def import_object(object_name: str, module_name: str) -> object:
    """Return what a module has under a name; a dotted name leads into classes.

    ModuleNotFoundError or AttributeError when it is not there.
    """
    found: object = import_module(module_name)
    for part in object_name.split("."):
        found = getattr(found, part)
    return found


def importable_module_name(module_name: str) -> str | None:
    """Return the name by which the module can be imported elsewhere: its own, unless it is the program that runs."""
    if module_name != "__main__":
        return module_name
    program = sys.modules.get("__main__")
    spec = getattr(program, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    file = getattr(program, "__file__", None)
    return None if file is None else _name_by_path(Path(file).resolve())


def _name_by_path(file: Path) -> str | None:
    for entry in sys.path:
        try:
            parts = file.relative_to(Path(entry or os.curdir).resolve()).with_suffix("").parts
        except ValueError:
            continue
        if all(part.isidentifier() for part in parts):
            return ".".join(parts)
    return None


def get_loaded_module_name_by_path(file_path: str | os.PathLike[str]) -> str | None:
    """Return the name of the loaded module that came from a file, None when there is none."""
    wanted = Path(file_path).resolve()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) if isinstance(module, ModuleType) else None
        if isinstance(file, str) and Path(file).resolve() == wanted:
            return name
    return None


def name_of_type(cls: type) -> str:
    """Return the full name of a class, the same in the program and in a process that imports the program's module."""
    return f"{importable_module_name(cls.__module__) or cls.__module__}.{cls.__qualname__}"
