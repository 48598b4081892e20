# SPDX-License-Identifier: Apache-2.0
"""What the tests of the units share."""

from __future__ import annotations

from pathlib import Path

import pytest
from reading import Reader


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """A reader of unit files in a directory of its own."""
    return Reader(tmp_path)
