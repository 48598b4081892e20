# SPDX-License-Identifier: Apache-2.0
"""Advice around the jobs of a session: checked before they run, and what repeated jobs leave in the session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from plainbox.config import AdviceSettings, Text
from plainbox.errors import ChainError
from plainbox.providers import Catalogue
from plainbox.runner import Selection, SessionRun
from plainbox.session.repository import SessionStorageRepository
from plainbox.tasks import Configuration, ExecutionEngine
from plainbox.tasks.chains import Chains

PLAN = "\nunit: test plan\nid: plan\nname: Plan\ninclude: .*\n"


def engine(text: str) -> ExecutionEngine:
    """Return an engine with a default chain."""
    chains = Chains(AdviceSettings(({"default": Text(text, "plainbox.conf", 1)},)))
    return ExecutionEngine(Configuration().use_job_chains(chains))


@pytest.fixture
def start(tmp_path: Path, catalogue: Callable[..., Catalogue]) -> Callable[..., SessionRun]:
    def start(units: str, text: str = "inherit", **given: object) -> SessionRun:
        selection = Selection(plan_id="org.example::plan", **given)
        repository = SessionStorageRepository(tmp_path / "sessions")
        return SessionRun.start(catalogue(units + PLAN), selection, repository=repository, engine=engine(text))

    return start


def test_repeated_job(start: Callable[..., SessionRun]) -> None:
    """A repeated job is one attempt; what is noted as running is the process of the try that runs."""
    command = "echo x >> $PLAINBOX_SESSION_SHARE/n; [ $(wc -l < $PLAINBOX_SESSION_SHARE/n) -eq 3 ]"
    with start(f"id: a\nplugin: shell\ncommand: {command}\n", "retry(delay=0, on=fail)") as run:
        state = run.state.job_state_map["org.example::a"]
        attempts = state.attempts
        groups = []
        checkpoint = run.manager.checkpoint

        def watched(*arguments: object) -> None:
            running = run.state.metadata.running.get("org.example::a")
            groups.append(None if running is None else running.process_group)
            checkpoint(*arguments)

        run.manager.checkpoint = watched  # type: ignore[method-assign]
        assert run.go_on()
        assert len({group for group in groups if group is not None}) == 3
        assert state.attempts == attempts - 1
        assert (state.result.outcome, state.result.attempt, state.result.get("tries")) == ("pass", 1, 3)
        assert len(state.result_history) == 1


def test_resource_of_one_try(start: Callable[..., SessionRun]) -> None:
    """The records of a repeated resource job are those of the try that counts."""
    command = "echo x >> $PLAINBOX_SESSION_SHARE/n; n=$(wc -l < $PLAINBOX_SESSION_SHARE/n); echo n: $n; [ $n -eq 2 ]"
    with start(f"id: a\nplugin: resource\ncommand: {command}\n", "retry(delay=0, on=fail)") as run:
        assert run.go_on()
        assert run.state.resource_map["org.example::a"] == [{"n": "2"}]


def test_skip_if_knows_resources(start: Callable[..., SessionRun]) -> None:
    """Advice sees what the resource jobs of the session have found by then."""
    units = (
        "id: gpu\nplugin: resource\ncommand: echo 'driver: nv'\n\nid: x\nplugin: shell\nafter: gpu\ncommand: false\n"
    )
    with start(units, "skip-if(\"gpu.driver == 'nv'\")") as run:
        assert run.go_on()
        assert run.state.job_state_map["org.example::gpu"].result.outcome == "pass"
        assert run.state.job_state_map["org.example::x"].result.outcome == "skip"


def test_checked_before_the_first_job(start: Callable[..., SessionRun], tmp_path: Path) -> None:
    """Everything that selected jobs say and that means nothing is one error, before there is a session."""
    units = (
        "id: a\nplugin: shell\ncommand: true\nadvice-chain: dut\n\n"
        "id: b\nplugin: shell\ncommand: true\nadvice-parameters: timeout.limt: 3\n\n"
        "id: c\nplugin: shell\ncommand: true\nadvice-chain: tud\n"
    )
    with pytest.raises(ChainError) as caught:
        start(units, exclude=["c"])
    assert caught.value.message.startswith("2 mistakes in advice chains\n")
    assert "unknown advice chain 'dut'" in caught.value.message
    assert "unknown parameter of timeout 'limt'" in caught.value.message
    assert not list((tmp_path / "sessions").glob("*.session"))


def test_selection_keeps_chains() -> None:
    """What was asked for and what the chains were comes back from the stored form; older forms know of none."""
    selection = Selection(patterns=["a"], chain="dut", advices=["dut=log"], advice_chains={"chain dut": "log"})
    assert Selection.from_blob(selection.as_blob()) == selection
    old = Selection.from_blob(b'{"patterns": ["a"]}')
    assert (old.chain, old.advices, old.advice_chains) == (None, (), None)
