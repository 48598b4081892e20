# SPDX-License-Identifier: Apache-2.0
"""The page of advices says what their classes say."""

from __future__ import annotations

import re

import pytest
from docs_pages import DOCS

from plainbox.tasks.chains import BUILT_IN
from plainbox.tasks.parameters import parameters_of, shown
from plainbox.tasks.registry import advice_class, known_advices

PAGE = (DOCS / "reference" / "advices.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `(\w+)` \| [^|]+ \|\s*([^|]*?)\s*\|", re.MULTILINE)


def section(name: str) -> str:
    return PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", known_advices())
def test_parameters(name: str) -> None:
    """Each advice has a section with a table of its parameters and their defaults, in the order of the code."""
    declared = parameters_of(advice_class(name)).values()
    wanted = [(each.name, "required" if each.required else shown(each.default)) for each in declared]
    assert section(name)
    assert _ROW.findall(section(name)) == wanted


def test_built_in_chain() -> None:
    """The page tells the built-in chain."""
    assert f"`{BUILT_IN.text}`" in section("Chains")
