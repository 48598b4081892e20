# SPDX-License-Identifier: Apache-2.0
"""Watches what a job takes of the machine: processor time, memory, input and output of all its processes.

Not part of any chain unless somebody puts it there. What it has found is attached to the result as ``metrics.json``::

    {"schema": "plainbox.metrics/1", "interval_s", "summary": {"cpu_s", "peak_rss_bytes", "read_bytes", "written_bytes"},
     "samples": [{"at_s", "cpu_s", "rss_bytes", "read_bytes", "written_bytes", "processes"}]}
"""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from plainbox.processes import process_start_ticks
from plainbox.tasks.advice import Advice
from plainbox.tasks.report import JobReport
from plainbox.tasks.result import Result

if TYPE_CHECKING:
    import psutil

    from plainbox.tasks.identity import ProcessIdentity
    from plainbox.tasks.invocation import Invocation

__all__ = ["METRICS_NAME", "MetricsAdvice"]

_log = logging.getLogger(__name__)

METRICS_NAME = "metrics.json"
_SAMPLER = "_metrics.sampler"
#: With so many samples every second one is dropped, and half as many are taken from then on.
_MOST_SAMPLES = 1200
_SHORTEST_INTERVAL_S = 0.01
_MEBIBYTE = 1024 * 1024


class MetricsAdvice(Advice):
    """Looks at the processes of a job every ``interval`` seconds while they run; they must run on this machine."""

    changes_results = False

    def __init__(self, interval: float = 1.0) -> None:
        self.interval = max(interval, _SHORTEST_INTERVAL_S)

    def before(self, invocation: Invocation) -> None:
        outer = invocation.surroundings
        if outer is None:
            invocation.proceed()
            return
        sampler = _Sampler(self.interval)
        started = outer.started

        def watch_and_start(process: ProcessIdentity) -> None:
            sampler.watch(process)
            started(process)

        invocation.context[_SAMPLER] = sampler
        invocation.surroundings = replace(outer, started=watch_and_start)
        try:
            invocation.proceed()
        finally:
            sampler.stop()
            invocation.surroundings = outer

    def after(self, invocation: Invocation) -> None:
        sampler = invocation.context.get(_SAMPLER)
        report = None if invocation.result is None else invocation.result.value
        if isinstance(sampler, _Sampler) and isinstance(report, JobReport):
            sampler.stop()
            if sampler.samples:
                invocation.conclude(Result(_with_metrics(invocation, report, sampler)))
                return
        invocation.proceed()


def _with_metrics(invocation: Invocation, report: JobReport, sampler: _Sampler) -> JobReport:
    """Attach the metrics to the invocation, and say the main part of them in the comments of the report."""
    name = METRICS_NAME if invocation.attempt == 1 else f"{invocation.attempt}-{METRICS_NAME}"
    try:
        invocation.attachments.add(
            name, json.dumps(sampler.document(), indent=1).encode("ascii"), media_type="application/json"
        )
    except (OSError, ValueError) as error:
        _log.warning("the metrics of %s could not be attached: %s", invocation.job_id, error)
    summary = sampler.summary()
    memory = summary["peak_rss_bytes"] / _MEBIBYTE
    text = f"took {summary['cpu_s']:.2f} s of processor time and {memory:.1f} MiB of memory"
    return replace(report, comments="; ".join(filter(None, (report.comments, text))))


@dataclass(frozen=True)
class _Sample:
    """What all processes of a job have taken until a moment; memory and number are those of the moment."""

    at_s: float
    cpu_s: float = 0.0
    rss_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    processes: int = 0


class _Sampler:
    """A thread that looks at the processes of one job until it is told to stop."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self.samples: list[_Sample] = []
        self._peak_rss_bytes = 0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, process: ProcessIdentity) -> None:
        """Begin, unless the process is one of another machine."""
        import psutil

        if process_start_ticks(process.pid) != process.start_ticks:
            return
        with suppress(psutil.Error):
            leader = psutil.Process(process.pid)
            self._thread = threading.Thread(target=self._sample, args=(leader,), name="metrics", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread. A second call does nothing."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def document(self) -> dict[str, object]:
        return {
            "schema": "plainbox.metrics/1",
            "interval_s": self.interval_s,
            "summary": self.summary(),
            "samples": [asdict(sample) for sample in self.samples],
        }

    def summary(self) -> dict[str, float]:
        last = self.samples[-1]
        return {
            "cpu_s": last.cpu_s,
            "peak_rss_bytes": self._peak_rss_bytes,
            "read_bytes": last.read_bytes,
            "written_bytes": last.written_bytes,
        }

    def _sample(self, leader: psutil.Process) -> None:
        import psutil

        began_s = time.monotonic()
        while not self._over.is_set():
            try:
                self._take(_look(leader, time.monotonic() - began_s))
            except psutil.Error:
                return  # the job has ended
            self._over.wait(self.interval_s)

    def _take(self, sample: _Sample) -> None:
        if self.samples:
            # What a process has taken stays taken when it has ended and nobody can be asked any more.
            last = self.samples[-1]
            sample = replace(
                sample,
                cpu_s=max(sample.cpu_s, last.cpu_s),
                read_bytes=max(sample.read_bytes, last.read_bytes),
                written_bytes=max(sample.written_bytes, last.written_bytes),
            )
        self._peak_rss_bytes = max(self._peak_rss_bytes, sample.rss_bytes)
        self.samples.append(sample)
        if len(self.samples) >= _MOST_SAMPLES:
            del self.samples[1::2]
            self.interval_s *= 2


def _look(leader: psutil.Process, at_s: float) -> _Sample:
    """Look at the leader and everything below it; :class:`psutil.Error` when the leader has ended."""
    import psutil

    cpu_s, rss, read, written, count = 0.0, 0, 0, 0, 0
    if leader.status() == psutil.STATUS_ZOMBIE:
        raise psutil.NoSuchProcess(leader.pid)
    for process in (leader, *leader.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            # Children that were waited for are counted by who has waited.
            cpu_s += times.user + times.system + times.children_user + times.children_system
            rss += process.memory_info().rss
            count += 1
            counters = process.io_counters()
            read += counters.read_bytes
            written += counters.write_bytes
    return _Sample(round(at_s, 3), round(cpu_s, 3), rss, read, written, count)
