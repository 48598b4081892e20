# SPDX-License-Identifier: Apache-2.0
"""The targets of ``python -m tests.fuzz`` for a moment each, with texts near the languages that they read."""

from __future__ import annotations

import pytest
from fuzz import fuzz_targets
from fuzz.fuzz_targets import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_targets, "_DIRECTORY", tmp_path)


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize("name", TARGETS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_every_target_ends_quietly(name: str, data: st.DataObject) -> None:
    """Whatever is read, only errors of our own tree come out, with their place."""
    target = TARGETS[name]
    words = st.sampled_from([*target.words.split("|"), *target.seeds])
    TARGETS[name].run("".join(data.draw(st.lists(words | st.text(max_size=4), max_size=16))).encode("utf-8", "replace"))


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_ends_quietly(name: str) -> None:
    """What a target begins with is good input."""
    for seed in TARGETS[name].seeds:
        TARGETS[name].run(seed.encode())
