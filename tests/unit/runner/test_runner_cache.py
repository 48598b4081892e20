# SPDX-License-Identifier: Apache-2.0
"""Cached jobs in sessions: a hit is a result like any other, and says that it is none of a run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from plainbox import dirs
from plainbox.errors import StorageError
from plainbox.providers import Catalogue
from plainbox.runner import SessionRun
from plainbox.session.result import JobResult
from plainbox.tasks.cache import CacheStore

UNITS = """
id: res
plugin: resource
flags: cachable
command: echo name: $(wc -l < $COUNT); echo x >> $COUNT

id: job
plugin: shell
cache: yes
command: echo out; echo err >&2; echo x >> $COUNT

unit: template
template-resource: res
id: made-{name}
plugin: shell
command: true
"""


@pytest.fixture
def count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    path = tmp_path / "count"
    path.touch()
    monkeypatch.setenv("COUNT", str(path))
    return lambda: len(path.read_text().split())


def result_of(run, name: str) -> JobResult:
    return run.state.job_state_map[f"org.example::{name}"].result


def items() -> int:
    return len(CacheStore(dirs.task_cache()).entries())


def test_second_session(runs, catalogue: Callable[..., Catalogue], count: Callable[[], int]) -> None:
    """The next session has the same outcome, output and records without running anything, and tells so."""
    known = catalogue(UNITS)
    first = runs.start(known, "job", "made-.*")
    assert first.go_on()
    assert count() == 2
    second = runs.start(known, "job", "made-.*")
    assert second.go_on()
    assert count() == 2
    assert [job.id for job in second.jobs] == [job.id for job in first.jobs]
    assert "org.example::made-0" in second.state.job_state_map
    before, now = result_of(first, "job"), result_of(second, "job")
    assert now.outcome == before.outcome == "pass"
    assert now.io_log_as_flat_text == before.io_log_as_flat_text
    assert (before.origin, now.origin) == ("run", "cache")
    assert before.get("cached_from") is None
    assert now.get("cached_from")["duration"] == pytest.approx(before.execution_duration, abs=1e-5)
    assert now.execution_duration == 0
    assert "not run" in (now.comments or "")


def test_survives_reopening(runs, catalogue: Callable[..., Catalogue], count: Callable[[], int]) -> None:
    """What a stored session knows of a hit is what the running one knew."""
    known = catalogue(UNITS)
    runs.start(known, "job").go_on()
    run = runs.start(known, "job")
    run.go_on()
    before = result_of(run, "job")
    again = result_of(runs.reopen(known, run), "job")
    assert again == before
    assert again.origin == "cache"
    assert list(again.iter_output()) == list(before.iter_output())


def test_outcome_first(runs, catalogue: Callable[..., Catalogue], count: Callable[[], int], monkeypatch) -> None:
    """The item is kept after the outcome is durable: without the one there is not the other."""
    run = runs.start(catalogue(UNITS), "job")
    checkpoint = run.manager.checkpoint
    seen = []

    def checkpoint_and_look() -> None:
        seen.append(items())
        if run.state.job_state_map["org.example::job"].result.outcome is not None:
            raise StorageError("the medium is gone")
        checkpoint()

    monkeypatch.setattr(run.manager, "checkpoint", checkpoint_and_look)
    with pytest.raises(StorageError):
        run.go_on()
    monkeypatch.undo()
    assert count() == 1
    assert set(seen) == {0}
    assert items() == 0


def test_killed_between(runs, catalogue: Callable[..., Catalogue], count: Callable[[], int]) -> None:
    """A tester that is killed between the end of the job and its checkpoint leaves no outcome and no item."""
    known = catalogue(UNITS)
    pid = os.fork()
    if pid == 0:
        try:
            run = runs.start(known, "job")
            execute = run.runner._executor.execute

            def execute_and_die(*args: object) -> None:
                execute(*args)
                os.kill(os.getpid(), signal.SIGKILL)

            run.runner._executor.execute = execute_and_die
            run.go_on()
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert count() == 1
    assert items() == 0
    with SessionRun.reopen(known, runs.repository.get_storage_list()[0]) as run:
        assert result_of(run, "job").outcome == "crash"
    assert runs.start(known, "job").go_on()
    assert count() == 2


def test_modes_of_the_settings(
    runs, catalogue: Callable[..., Catalogue], count: Callable[[], int], monkeypatch
) -> None:
    """The settings switch the cache off, and have everything run anew."""
    known = catalogue(UNITS)
    for mode, ran in (("off", 1), ("readwrite", 2), ("readwrite", 2), ("refresh", 3), ("off", 4), ("read", 4)):
        monkeypatch.setenv("PLAINBOX_CONF_CACHE__MODE", mode)
        assert runs.start(known, "job").go_on()
        assert count() == ran, mode


def test_failed_resource(runs, catalogue: Callable[..., Catalogue], count: Callable[[], int]) -> None:
    """A resource job that has failed is asked again in the next session."""
    known = catalogue("id: res\nplugin: resource\nflags: cachable\ncommand: echo x >> $COUNT; exit 1\n")
    for ran in (1, 2):
        runs.start(known, "res").go_on()
        assert count() == ran
