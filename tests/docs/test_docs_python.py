# SPDX-License-Identifier: Apache-2.0
"""The Python examples of a page work, in their order."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from docs_pages import DOCS

from plainbox import testing

PAGE = DOCS / "reference" / "testing.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_examples_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python block of the page runs, in one namespace; an error is at its line of the page."""
    for name in ("HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    text = PAGE.read_text(encoding="utf-8")
    blocks = list(_BLOCK.finditer(text))
    assert blocks
    namespace: dict[str, object] = {"__name__": "page"}
    for block in blocks:
        above = "\n" * text.count("\n", 0, block.start(1))
        exec(compile(above + block[1], str(PAGE), "exec"), namespace)
    assert not os.listdir(tmp_path)  # nothing of a session came onto the disk


def test_every_name_is_on_the_page() -> None:
    """The page tells of all that the package exports."""
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in testing.__all__ if name not in text] == []
