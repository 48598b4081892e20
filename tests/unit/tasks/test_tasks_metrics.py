# SPDX-License-Identifier: Apache-2.0
"""The advice that watches what a job takes of the machine."""

from __future__ import annotations

import json
import os
import threading

from plainbox.tasks import Advice, ExecutionEngine, Invocation, JobReport, MemorySink, ProcessIdentity, Surroundings
from plainbox.tasks.advices import metrics
from plainbox.tasks.advices.metrics import MetricsAdvice
from plainbox.tasks.configuration import advice_by_name
from plainbox.units import JobDefinition

BUSY = "python3 -c 'import time; data = bytearray(50_000_000)\nwhile time.process_time() < 0.4: pass' & wait"


class Reader(Advice):
    """Reads what is attached before the invocation is over."""

    def __init__(self) -> None:
        self.found: dict[str, dict] = {}

    def after(self, invocation: Invocation) -> None:
        for name, attachment in invocation.attachments.items():
            with attachment.open() as file:
                self.found[name] = json.load(file)
        invocation.proceed()


class Twice(Advice):
    def before(self, invocation: Invocation) -> None:
        invocation.run_inner()
        invocation.conclude(invocation.run_inner())


def execute(command: str, *outer: Advice, interval: float = 0.02) -> JobReport:
    engine = ExecutionEngine()
    engine.configuration.add_advice_chain(*outer, MetricsAdvice(interval))
    job = JobDefinition({"id": "job", "plugin": "shell", "command": command})
    report = engine.execute(job, Surroundings(os.environ, MemorySink(), lambda process: None)).get()
    assert isinstance(report, JobReport)
    return report


def test_by_name() -> None:
    """A chain names it ``metrics``."""
    assert isinstance(advice_by_name("metrics"), MetricsAdvice)


def test_what_a_job_takes() -> None:
    """Processor time and memory of everything below the job are counted, also of what has ended by then."""
    reader = Reader()
    assert execute(BUSY, reader).outcome == "pass"
    document = reader.found["metrics.json"]
    assert document["schema"] == "plainbox.metrics/1"
    assert document["summary"]["cpu_s"] > 0.2
    assert document["summary"]["peak_rss_bytes"] > 50_000_000
    samples = document["samples"]
    assert max(sample["processes"] for sample in samples) >= 2
    assert [sample["cpu_s"] for sample in samples] == sorted(sample["cpu_s"] for sample in samples)


def test_each_attempt() -> None:
    """Each attempt at a job has metrics of its own."""
    reader = Reader()
    execute("sleep 0.1", reader, Twice())
    assert sorted(reader.found) == ["2-metrics.json", "metrics.json"]


def test_summary() -> None:
    """The comments say what it took, beside what there was to say; the outcome is what it was."""
    report = execute("sleep 0.1; kill -9 $$")
    assert (report.outcome, report.signal) == ("crash", 9)
    assert report.comments is not None
    assert report.comments.startswith("killed by SIGKILL (9); took ")


def test_threads_end() -> None:
    """No thread is left when the job is over, whatever became of it."""
    before = threading.active_count()
    execute("true")
    execute("kill -9 $$")
    assert threading.active_count() == before


def test_process_of_another_machine() -> None:
    """A process that is not the one of this machine with its number is not watched."""
    sampler = metrics._Sampler(0.01)
    sampler.watch(ProcessIdentity(pid=os.getpid(), process_group=1, start_ticks=0))
    sampler.stop()
    assert sampler.samples == []


def test_samples_are_bounded() -> None:
    """A long job has as many samples as a short one, further apart."""
    sampler = metrics._Sampler(1.0)
    for second in range(3 * metrics._MOST_SAMPLES):
        sampler._take(metrics._Sample(at_s=float(second), rss_bytes=second % 7))
    assert len(sampler.samples) < metrics._MOST_SAMPLES
    assert sampler.samples[0].at_s == 0
    assert sampler.interval_s > 1.0
    assert sampler.summary()["peak_rss_bytes"] == 6
