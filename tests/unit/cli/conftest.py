# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command line share: a home of their own, a provider from text, the command in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from plainbox.cli.main import main


@attrs.frozen
class Ran:
    """What a command has come to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STATE", "DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "no-data"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "no-config"))
    monkeypatch.delenv("PLAINBOX_SESSION_REPO", raising=False)
    monkeypatch.delenv("PROVIDERPATH", raising=False)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Return a function that runs the command line in this process."""

    def call(*words: str | Path) -> Ran:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return call


@pytest.fixture
def provider(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a provider from the text of its units and returns its directory."""

    def write(units: str, name: str = "demo", description: str = "A provider") -> Path:
        directory = tmp_path / f"provider-{name}"
        (directory / "units").mkdir(parents=True, exist_ok=True)
        (directory / f"{name}.provider").write_text(
            f"[PlainBox Provider]\nname = org.example:{name}\nversion = 1.0\ndescription = {description}\n"
            "relocatable = True\n"
        )
        (directory / "units" / "units.pxu").write_text(units)
        return directory

    return write
