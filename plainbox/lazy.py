# SPDX-License-Identifier: Apache-2.0
"""Packages whose names are loaded when they are asked for, so that importing one costs nothing.

A package says ``__getattr__ = lazily(__name__, {"module": ("Name", ...)})`` and lists the names in ``__all__``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module

__all__ = ["lazily"]


def lazily(package: str, homes: Mapping[str, Iterable[str]]) -> Callable[[str], object]:
    """Return the ``__getattr__`` of ``package``: ``homes`` says which of its modules defines which names."""
    home_of = {name: f"{package}.{home}" for home, names in homes.items() for name in names}

    def load(name: str) -> object:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(home_of[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
