# SPDX-License-Identifier: Apache-2.0
"""The progress of a run: a line for each job that has ended, and on a terminal a line that moves while one runs.

It only listens to the runner. A line about a job is written when its result is durable, never before.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from plainbox.cli.output import clean, duration, say
from plainbox.runner.runner import Runner
from plainbox.session.outcome import OUTCOME_METADATA_MAP
from plainbox.session.result import JobResult
from plainbox.tasks import StreamName
from plainbox.units import JobDefinition

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["Progress", "PlainProgress", "TerminalProgress", "make_progress"]

_WORDS = {
    "pass": "passed",
    "fail": "FAILED",
    "crash": "CRASHED",
    "skip": "skipped",
    "skipped-dependency": "skipped",
    "skipped-resource": "skipped",
    "skipped-manifest": "skipped",
    "not-supported": "not supported",
    "not-implemented": "not implemented",
    "undecided": "undecided",
}
_WIDTH = max(len(word) for word in ("passed", "CRASHED", "skipped"))


def make_progress(runner: Runner, phase: Callable[[], str], *, verbose: bool = False, quiet: bool = False) -> Progress:
    """Return the progress that fits standard error, connected to a runner; ``phase`` tells what the run is at."""
    if quiet:
        return Progress(runner, phase)
    fancy = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    kind = TerminalProgress if fancy else PlainProgress
    return kind(runner, phase, verbose=verbose)


class Progress:
    """Says nothing; the others say more."""

    def __init__(self, runner: Runner, phase: Callable[[], str], *, verbose: bool = False) -> None:
        self._phase = phase
        self._shown_phase = ""
        self._number = self._total = 0
        runner.on_job_started.connect(self.started)
        runner.on_job_finished.connect(self.finished)
        if verbose:
            runner.on_job_output.connect(self.output)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop showing anything."""

    def started(self, job: JobDefinition, number: int, total: int) -> None:
        self._number, self._total = number, total
        phase = self._phase()
        if phase != self._shown_phase:
            self._shown_phase = phase
            self.heading(phase)

    def heading(self, text: str) -> None:
        """Show what comes next."""

    def output(self, job: JobDefinition, stream: StreamName, data: bytes) -> None:
        """Show what a job prints."""

    def finished(self, job: JobDefinition, result: JobResult) -> None:
        """Show what became of a job."""


class PlainProgress(Progress):
    """One line for each job; for logs, pipes and terminals that can do nothing else."""

    def heading(self, text: str) -> None:
        say(text)

    def output(self, job: JobDefinition, stream: StreamName, data: bytes) -> None:
        say(_readable(data), end="")

    def finished(self, job: JobDefinition, result: JobResult) -> None:
        say(self.line(job, result))
        reason = first_reason(result)
        if reason and result.outcome != "pass":
            say(f"{'':{self._counter_width() + 1}}{reason}")

    def line(self, job: JobDefinition, result: JobResult) -> str:
        word = _WORDS.get(result.outcome or "", result.outcome or "")
        took = duration(result.execution_duration)
        return f"{self._counter()} {word:<{_WIDTH}}  {clean(job.id)}{f'  ({took})' if took else ''}"

    def _counter(self) -> str:
        width = len(str(self._total))
        return f"[{self._number:>{width}}/{self._total}]"

    def _counter_width(self) -> int:
        return len(self._counter())


class TerminalProgress(PlainProgress):
    """Colours, and below the finished jobs the one that runs, with a clock and its last line of output."""

    def __init__(self, runner: Runner, phase: Callable[[], str], *, verbose: bool = False) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(runner, phase, verbose=verbose)
        self._console = Console(file=sys.stderr, highlight=False)
        self._job: JobDefinition | None = None
        self._since = time.monotonic()
        self._live = Live(console=self._console, get_renderable=self._status, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        # A terminal may be gone at any moment: then nobody watches, and the run ends for its own reasons.
        with contextlib.suppress(OSError):
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._job = None
        with contextlib.suppress(OSError):
            self._live.stop()

    def started(self, job: JobDefinition, number: int, total: int) -> None:
        super().started(job, number, total)
        self._job = job
        self._since = time.monotonic()

    def heading(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text(text, style="bold"))

    def output(self, job: JobDefinition, stream: StreamName, data: bytes) -> None:
        from rich.text import Text

        self._console.print(Text(_readable(data), style="dim"), end="")

    def finished(self, job: JobDefinition, result: JobResult) -> None:
        from rich.text import Text

        metadata = OUTCOME_METADATA_MAP[result.outcome]
        took = duration(result.execution_duration)
        line = Text.assemble(
            (f"{metadata.sigil} ", metadata.colour),
            (f"{self._counter()} ", "dim"),
            clean(job.id),
            (f"  {took}" if took else "", "dim"),
        )
        if result.outcome != "pass":
            line.append(f"  {_WORDS.get(result.outcome or '', '')}", style=metadata.colour)
            reason = first_reason(result)
            if reason:
                line.append(f"\n    {reason}", style="dim")
        self._job = None
        self._console.print(line, soft_wrap=True)

    def _status(self) -> Text:
        from rich.text import Text

        job = self._job
        if job is None:
            return Text("")
        elapsed = time.monotonic() - self._since
        spinner = "|/-\\"[int(elapsed * 8) % 4] if not self._unicode() else "⠋⠙⠹⠸⠼⠴⠦⠧"[int(elapsed * 8) % 8]
        estimate = f" of about {duration(job.estimated_duration)}" if job.estimated_duration else ""
        return Text.assemble(
            (f"{spinner} ", "cyan"),
            (f"{self._counter()} ", "dim"),
            clean(job.id),
            (f"  {duration(elapsed)}{estimate}", "cyan"),
            no_wrap=True,
            overflow="ellipsis",
        )

    def _unicode(self) -> bool:
        return self._console.encoding.lower().startswith("utf")


def _readable(data: bytes) -> str:
    return clean(data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\t", "    "))


def first_reason(result: JobResult) -> str:
    """Return the first line of what there is to say about a result."""
    return clean((result.comments or "").partition("\n")[0])
