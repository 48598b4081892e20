# SPDX-License-Identifier: Apache-2.0
"""What loading providers does not import: every command waits for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("difflib", "gettext", "hashlib", "importlib.metadata", "jinja2", "json", "lxml", "rich", "xlsxwriter", "yaml")


@pytest.fixture
def provider(tmp_path: Path) -> Path:
    """A provider with a job, a template and a plan, all of them PXU."""
    (tmp_path / "units").mkdir()
    (tmp_path / "x.provider").write_text("[PlainBox Provider]\nname = org.example:x\nversion = 1\nrelocatable = True\n")
    (tmp_path / "units" / "x.pxu").write_text(
        "id: a\nplugin: shell\ncommand: true\n\n"
        "unit: template\nid: b-{x}\ntemplate-resource: r\nplugin: shell\ncommand: true\n\n"
        "unit: test plan\nid: p\nname: P\ninclude: a\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    "statement",
    [
        "import plainbox.units, plainbox.providers",
        "import pathlib, plainbox.providers.discovery as d; d.named_providers(pathlib.Path(sys.argv[1]))[0].unit_list",
    ],
)
def test_units_are_loaded_without_heavy_modules(provider: Path, statement: str) -> None:
    """YAML, Jinja2, JSON and the rest are imported when a unit first needs them."""
    code = f"import sys; {statement}; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code, str(provider)], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.splitlines()[-1] == "[]"
