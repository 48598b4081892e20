# SPDX-License-Identifier: Apache-2.0
"""What the comparisons with Checkbox share."""

from __future__ import annotations

import pytest
from checkbox_record import FIVE, Corpus, load


@pytest.fixture(scope="session", params=["five", "with-stub"])
def corpus(request: pytest.FixtureRequest) -> Corpus:
    """The five providers alone, and together with the stub that completes their references."""
    if request.param == "five":
        return load("expected.json", FIVE)
    return load("expected-with-stub.json", (*FIVE, "stub"))
