# SPDX-License-Identifier: Apache-2.0
"""The advice that limits the time of executions: which limit counts, and what is left when it is over."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plainbox.tasks import Advice, Configuration, ExecutionEngine, MemorySink, Result, Surroundings
from plainbox.tasks.advices.timeout import TimeoutAdvice
from plainbox.units import JobDefinition


class Looking(Advice):
    def __init__(self) -> None:
        self.limit_s: float | None = None

    def before(self, invocation):
        self.limit_s = None if invocation.deadline is None else invocation.deadline.limit_s
        invocation.conclude(Result())


def execute(*advices: Advice, command: str = "true", timeout_s: float | None = None, **fields: str) -> Result:
    job = JobDefinition({"id": "job", "plugin": "shell", "command": command, **fields})
    surroundings = Surroundings(os.environ, MemorySink(), lambda process: None, timeout_s=timeout_s)
    return ExecutionEngine(Configuration().add_advice_chain(*advices)).execute(job, surroundings)


@pytest.mark.parametrize(
    ("limit", "of_unit", "of_run", "counts"),
    [
        (None, None, None, None),
        (None, None, 30.0, 30.0),
        (None, "20", 10.0, 20.0),
        (5.0, "20", 10.0, 5.0),
        (50.0, "20", None, 20.0),
        (50.0, None, 30.0, 30.0),
        (50.0, None, None, 50.0),
    ],
)
def test_which_limit_counts(
    limit: float | None, of_unit: str | None, of_run: float | None, counts: float | None
) -> None:
    """The job's own limit, else that of the run, and that of the advice: the earlier of the two."""
    looking = Looking()
    fields = {} if of_unit is None else {"timeout": of_unit}
    execute(TimeoutAdvice(limit), looking, timeout_s=of_run, **fields)
    assert looking.limit_s == counts


def test_two_in_a_chain() -> None:
    """The earlier of several limits counts, whichever is further inside."""
    for limits in ((3.0, 9.0), (9.0, 3.0)):
        looking = Looking()
        execute(*map(TimeoutAdvice, limits), looking)
        assert looking.limit_s == 3.0


def test_job_that_does_not_want_to_end(tmp_path: Path, is_over: Callable[[int], bool]) -> None:
    """A job that ignores SIGTERM and has started another one is gone, with all of it, soon after limit and grace."""
    pids = tmp_path / "pids"
    command = f"trap '' TERM; (trap '' TERM; echo $BASHPID > {pids}; exec sleep 600) & while :; do sleep 600; done"
    began_s = time.monotonic()
    report = execute(TimeoutAdvice(1.0, grace=0.5), command=command).get()
    assert (report.outcome, report.timed_out, report.comments) == ("crash", True, "ended after its limit of 1 s")
    assert is_over(int(pids.read_text()))
    assert time.monotonic() - began_s < 30


def test_grace(tmp_path: Path) -> None:
    """What is ended gets the grace to end by itself."""
    told = tmp_path / "told"
    command = f"trap 'sleep 0.5; echo > {told}; exit' TERM; while :; do sleep 0.05; done"
    execute(TimeoutAdvice(0.3, grace=20.0), command=command)
    assert told.exists()
    told.unlink()
    execute(TimeoutAdvice(0.3, grace=0.0), command=command)
    assert not told.exists()


@pytest.mark.parametrize("given", [{"limit": 0}, {"scope": "total"}, {"limit": 1, "scope": "all"}])
def test_parameters_that_make_no_sense(given: dict[str, object]) -> None:
    """A limit of nothing, a total of nothing and another scope are refused."""
    with pytest.raises(ValueError, match="limit"):
        TimeoutAdvice(**given)
