# SPDX-License-Identifier: Apache-2.0
"""The lines about jobs that print nothing."""

from __future__ import annotations

import queue

from plainbox.cli.console.silence import Silence, SilentJob
from plainbox.units import JobDefinition

LIMIT_S = 0.05


def job(name: str) -> JobDefinition:
    return JobDefinition({"id": name, "plugin": "shell", "command": "true"})


def test_again_and_again() -> None:
    """A silent job is told of once for each limit that it is silent, with how long that is in all."""
    told: queue.Queue[SilentJob] = queue.Queue()
    silence = Silence(LIMIT_S, told.put)
    silence.begin()
    silence.started(job("quiet"), 7)
    first, second = told.get(timeout=30), told.get(timeout=30)
    silence.end()
    assert (first.job.id, first.number, first.spoke) == ("quiet", 7, False)
    assert second.silent_s - first.silent_s >= LIMIT_S


def test_output_begins_a_new_silence() -> None:
    """A job that has printed is told of after its last output, not after its start."""
    told: queue.Queue[SilentJob] = queue.Queue()
    silence = Silence(LIMIT_S, told.put)
    silence.begin()
    quiet = job("quiet")
    silence.started(quiet, 1)
    told.get(timeout=30)
    silence.heard(quiet)
    after = told.get(timeout=30)
    silence.end()
    assert after.spoke
    assert LIMIT_S <= after.silent_s < after.running_s


def test_ended_jobs_and_the_end() -> None:
    """Nothing is told of jobs that have ended, and nothing at all afterwards."""
    told: list[SilentJob] = []
    silence = Silence(LIMIT_S, told.append)
    silence.begin()
    ended = job("ended")
    silence.started(ended, 1)
    silence.finished(ended)
    silence.heard(ended)
    other = queue.Queue[SilentJob]()
    second = Silence(LIMIT_S * 4, other.put)
    second.begin()
    second.started(job("other"), 1)
    other.get(timeout=30)
    second.end()
    silence.end()
    assert told == []
