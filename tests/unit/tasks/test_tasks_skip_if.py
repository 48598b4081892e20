# SPDX-License-Identifier: Apache-2.0
"""The advice that leaves executions out where resources say so."""

from __future__ import annotations

import os

import pytest

from plainbox.tasks import Configuration, ExecutionEngine, JobReport, MemorySink, Surroundings
from plainbox.tasks.advices.skip_if import SkipAdvice
from plainbox.units import JobDefinition

RESOURCES = {"gpu": [{"driver": "nv"}, {"driver": "amd"}], "org.example::cpu": [{"cores": "4"}]}


def execute(*given: str, started: list[object] | None = None) -> JobReport:
    job = JobDefinition({"id": "job", "plugin": "shell", "command": "true"})
    note = [] if started is None else started
    surroundings = Surroundings(os.environ, MemorySink(), note.append, resources=RESOURCES)
    engine = ExecutionEngine(Configuration().add_advice_chain(SkipAdvice(*given)))
    return engine.execute(job, surroundings).get()


@pytest.mark.parametrize(
    ("given", "skipped"),
    [
        (("gpu.driver == 'amd'",), True),
        (("gpu.driver == 'intel'",), False),
        (("int(cpu.cores) < 8", "org.example"), True),
        (("int(cpu.cores) < 8",), False),
        (("nothing.x == ''",), False),
    ],
)
def test_skip(given: tuple[str, ...], skipped: bool) -> None:
    """It skips when the expression holds; a resource without records makes none hold."""
    started: list[object] = []
    report = execute(*given, started=started)
    assert report.outcome == ("skip" if skipped else "pass")
    assert bool(started) is not skipped
    if skipped:
        assert report.comments == f"skipped, because this holds: {given[0]}"


@pytest.mark.parametrize("text", ["", "1 +", "__import__('os')", "gpu.x.y", "'no resource'"])
def test_no_expression(text: str) -> None:
    """What is no resource expression is refused when the chain is made."""
    with pytest.raises(ValueError, match=r"expression|call|RESOURCE"):
        SkipAdvice(text)
