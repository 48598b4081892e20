# SPDX-License-Identifier: Apache-2.0
"""Any sequence of operations: the folded journal is what a naive model says."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from invariants import one_look
from model import OPERATIONS, Driver, run

from plainbox.session.changes import ChangeTracker
from plainbox.session.jobs import JobState

_NUMBERS = st.integers(0, 999)


class Sessions(RuleBasedStateMachine):
    """Each operation is a rule; whenever something is saved or loaded the driver compares."""

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.one_look = one_look()
        self.one_look.__enter__()
        self.driver = Driver(Path(self.directory.name))

    @invariant()
    def what_is_stored_is_what_was_saved(self) -> None:
        if hasattr(self, "driver"):
            self.driver.check()

    def teardown(self) -> None:
        if hasattr(self, "driver"):
            self.driver.end()
            self.one_look.__exit__(None, None, None)
            self.directory.cleanup()


def _rule_of(operation: Callable[[Driver, int], None]) -> Callable[..., None]:
    @rule(number=_NUMBERS)
    def do(self: Sessions, number: int) -> None:
        operation(self.driver, number)

    return do


for _operation in OPERATIONS:
    setattr(Sessions, _operation.__name__, _rule_of(_operation))

TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def test_random_sequences_agree_with_the_model(tmp_path: Path) -> None:
    """Fifty operations at a time, with kills, full disks and bad syncs among them."""
    assert run(trials=60, seed=7, base=tmp_path).good


def test_a_tracker_that_forgets_a_flag_changed_in_place_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metadata that is not compared at each checkpoint is lost, and the model tells."""
    monkeypatch.setattr(ChangeTracker, "_changed_meta", lambda self: {})
    assert not run(trials=10, seed=7, base=tmp_path).good


def test_a_history_that_is_stored_without_its_replacements_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result in the place of another one that is added instead of replacing it."""
    plain = JobState.take_result

    def adding(self: JobState, new, announcement, *, replace: bool = False) -> None:
        plain(self, new, announcement)

    monkeypatch.setattr(JobState, "take_result", adding)
    assert not run(trials=10, seed=7, base=tmp_path).good
