# SPDX-License-Identifier: Apache-2.0
"""What the tests of the checks share."""

from __future__ import annotations

from pathlib import Path

import pytest
from linting import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A place to write providers in."""
    return Workshop(tmp_path)
