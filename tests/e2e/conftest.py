# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_support import Plainbox, write_provider


@pytest.fixture
def plainbox(tmp_path: Path) -> Plainbox:
    """Return the command with a home of its own."""
    home = tmp_path / "home"
    home.mkdir()
    return Plainbox(home)


@pytest.fixture
def provider(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a provider from the text of its unit file and returns its directory."""

    def write(units: str, **files: str) -> Path:
        return write_provider(tmp_path / "provider-demo", units, **files)

    return write
