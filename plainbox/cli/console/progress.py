# SPDX-License-Identifier: Apache-2.0
"""The progress of a run: a line for each job that has ended, and on a terminal a line that moves while one runs.

It only listens to the runner. A line about a job is written when its result is durable, never before.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

import attrs

from plainbox.cli.console.lines import Lines
from plainbox.cli.console.silence import Silence, SilentJob
from plainbox.cli.output import clean, duration, say
from plainbox.runner.runner import Runner
from plainbox.session.outcome import OUTCOME_METADATA_MAP
from plainbox.session.result import JobResult
from plainbox.tasks import JobItem, Measurement, StreamName, Subtest
from plainbox.tasks import Progress as ProgressItem
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
_RETURN = b"\r"
#: Of so many jobs that run at the same time each has its line on a terminal.
_MOST_SHOWN = 16
_WIDTH = max(len(word) for word in ("passed", "CRASHED", "skipped"))


def make_progress(
    runner: Runner, phase: Callable[[], str], *, verbose: bool = False, quiet: bool = False, silence_s: float = 60.0
) -> Progress:
    """Return the progress that fits standard error, connected to a runner; ``phase`` tells what the run is at.

    Of a job that prints nothing for ``silence_s`` seconds it says that it still runs.
    """
    if quiet:
        return Progress(runner, phase)
    fancy = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    kind = TerminalProgress if fancy else PlainProgress
    return kind(runner, phase, verbose=verbose, silence_s=silence_s)


class Progress:
    """Says nothing; the others say more."""

    def __init__(self, runner: Runner, phase: Callable[[], str], *, verbose: bool = False) -> None:
        self._phase = phase
        self._shown_phase = ""
        self._number = self._total = 0
        self._running: dict[str, _Turn] = {}
        #: Of several jobs each line says whose it is.
        self._lines = Lines() if runner.jobs > 1 else None
        runner.on_job_started.connect(self.started)
        runner.on_job_finished.connect(self.finished)
        runner.on_end_awaited.connect(self.awaited)
        if verbose:
            runner.on_job_output.connect(self.output)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop showing anything."""

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to somebody else."""
        yield

    def started(self, job: JobDefinition, number: int, total: int) -> None:
        self._number, self._total = number, total
        self._running[job.id] = _Turn(job, number, time.monotonic())
        phase = self._phase()
        if phase != self._shown_phase:
            self._shown_phase = phase
            self.heading(phase)

    def heading(self, text: str) -> None:
        """Show what comes next."""

    def output(self, job: JobDefinition, stream: StreamName, data: bytes) -> None:
        """Show what a job prints."""

    def awaited(self, job: JobDefinition, limit_s: float) -> None:
        """Show that a job has ended and the machine is to do so, too."""

    def finished(self, job: JobDefinition, result: JobResult) -> None:
        """Show what became of a job."""
        self._running.pop(job.id, None)


@attrs.define
class _Turn:
    """A job that runs; ``told`` is what it has told last."""

    job: JobDefinition
    number: int
    since: float
    told: str = ""
    heard: float = 0.0


class PlainProgress(Progress):
    """One line for each job; for logs, pipes and terminals that can do nothing else."""

    def __init__(
        self, runner: Runner, phase: Callable[[], str], *, verbose: bool = False, silence_s: float = 60.0
    ) -> None:
        super().__init__(runner, phase, verbose=verbose)
        self._silence = Silence(silence_s, self._tell_silent)
        runner.on_job_output.connect(self.heard)

    def __enter__(self) -> Self:
        self._silence.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._silence.end()

    def started(self, job: JobDefinition, number: int, total: int) -> None:
        super().started(job, number, total)
        self._silence.started(job, number)

    def heard(self, job: JobDefinition, stream: StreamName, data: bytes) -> None:
        """Take note of a sign of life."""
        self._silence.heard(job)

    def _tell_silent(self, silent: SilentJob) -> None:
        since = f"no output for {duration(silent.silent_s)}" if silent.spoke else "no output yet"
        job_id, took = clean(silent.job.id), duration(silent.running_s)
        say(f"{self._counter(silent.number)} {'running':<{_WIDTH}}  {job_id}  ({took}, {since})")

    def heading(self, text: str) -> None:
        say(text)

    def output(self, job: JobDefinition, stream: StreamName, data: bytes) -> None:
        if self._lines is None:
            self.show(_readable(data))
        else:
            self._show_lines(job, self._lines.take(job.id, stream, data))

    def _show_lines(self, job: JobDefinition, lines: list[bytes]) -> None:
        if lines:
            self.show("".join(f"{clean(job.id)} | {_readable(line.removesuffix(_RETURN))}\n" for line in lines))

    def show(self, text: str) -> None:
        """Show what jobs have printed."""
        say(text, end="")

    def awaited(self, job: JobDefinition, limit_s: float) -> None:
        say(_awaited(job, limit_s))

    def finished(self, job: JobDefinition, result: JobResult) -> None:
        super().finished(job, result)
        self._silence.finished(job)
        if self._lines is not None:
            self._show_lines(job, self._lines.rest(job.id))
        self.tell(job, result)

    def tell(self, job: JobDefinition, result: JobResult) -> None:
        """Show the line about a job that has ended."""
        say(self.line(job, result))
        reason = first_reason(result)
        if reason and result.outcome != "pass":
            say(f"{'':{self._counter_width() + 1}}{reason}")

    def line(self, job: JobDefinition, result: JobResult) -> str:
        word = _WORDS.get(result.outcome or "", result.outcome or "")
        took = _took(result)
        return f"{self._counter()} {word:<{_WIDTH}}  {clean(job.id)}{f'  ({took})' if took else ''}"

    def _counter(self, number: int | None = None) -> str:
        """Return the number of a job, or how many have ended, of how many."""
        width = len(str(self._total))
        return f"[{self._number - len(self._running) if number is None else number:>{width}}/{self._total}]"

    def _counter_width(self) -> int:
        return len(self._counter())


class TerminalProgress(PlainProgress):
    """Colours, and below the finished jobs the one that runs, with a clock and its last line of output."""

    def __init__(
        self, runner: Runner, phase: Callable[[], str], *, verbose: bool = False, silence_s: float = 60.0
    ) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(runner, phase, verbose=verbose, silence_s=silence_s)
        self._silence_s = silence_s
        self._console = Console(file=sys.stderr, highlight=False)
        runner.on_job_item.connect(self.told)
        self._live = Live(console=self._console, get_renderable=self._status, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        # A terminal may be gone at any moment: then nobody watches, and the run ends for its own reasons.
        with contextlib.suppress(OSError):
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._running.clear()
        with contextlib.suppress(OSError):
            self._live.stop()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        with contextlib.suppress(OSError):
            self._live.stop()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                self._live.start()

    def heard(self, job: JobDefinition, stream: StreamName, data: bytes) -> None:
        if job.id in self._running:
            self._running[job.id].heard = time.monotonic()

    def told(self, job: JobDefinition, item: JobItem) -> None:
        """Keep what a job tells of itself for the line about it."""
        text = _in_words(item)
        if text and job.id in self._running:
            self._running[job.id].told = text

    def heading(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text(text, style="bold"))

    def show(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text(text, style="dim"), end="")

    def awaited(self, job: JobDefinition, limit_s: float) -> None:
        from rich.text import Text

        self._console.print(Text(_awaited(job, limit_s), style="dim"), soft_wrap=True)

    def tell(self, job: JobDefinition, result: JobResult) -> None:
        from rich.text import Text

        metadata = OUTCOME_METADATA_MAP[result.outcome]
        took = _took(result)
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
        self._console.print(line, soft_wrap=True)

    def _status(self) -> Text:
        from rich.text import Text

        turns = list(self._running.values())
        lines = [self._line_about(turn) for turn in turns[:_MOST_SHOWN]]
        if len(turns) > _MOST_SHOWN:
            lines.append(Text(f"  and {len(turns) - _MOST_SHOWN} more", "dim"))
        return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)

    def _line_about(self, turn: _Turn) -> Text:
        from rich.text import Text

        job = turn.job
        now = time.monotonic()
        elapsed, silent = now - turn.since, now - max(turn.heard, turn.since)
        spinner = "|/-\\"[int(elapsed * 8) % 4] if not self._unicode() else "⠋⠙⠹⠸⠼⠴⠦⠧"[int(elapsed * 8) % 8]
        estimate = f" of about {duration(job.estimated_duration)}" if job.estimated_duration else ""
        return Text.assemble(
            (f"{spinner} ", "cyan"),
            (f"{self._counter(turn.number)} ", "dim"),
            clean(job.id),
            (f"  {duration(elapsed)}{estimate}", "cyan"),
            (f"  {turn.told}" if turn.told else "", "dim"),
            (f"  no output for {duration(silent)}" if silent >= self._silence_s else "", "dim"),
            no_wrap=True,
            overflow="ellipsis",
        )

    def _unicode(self) -> bool:
        return self._console.encoding.lower().startswith("utf")


def _readable(data: bytes) -> str:
    return clean(data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\t", "    "))


def _took(result: JobResult) -> str:
    """Return how long a job has run, or why it did not have to."""
    return "from the cache" if result.origin == "cache" else duration(result.execution_duration)


def _awaited(job: JobDefinition, limit_s: float) -> str:
    most = duration(limit_s)
    return f"{clean(job.id)} has returned: waiting for the machine to go down, {most} at most (Ctrl-C twice ends that)"


def _in_words(item: JobItem) -> str:
    """Return what a job has told as a few words for the line about it."""
    match item:
        case ProgressItem(current=current, total=total, text=text, group=group):
            share = f"{current:g} of {total:g}" if total else f"{current:g}"
            return clean(" ".join(filter(None, (f"{group}:" if group else "", share, text))))
        case Subtest(name=name, outcome=outcome):
            return clean(f"{name}: {_WORDS.get(outcome, outcome)}")
        case Measurement(name=name, value=value, unit=unit):
            return clean(f"{name}: {str(value)[:40]} {unit or ''}".strip())
    return ""


def first_reason(result: JobResult) -> str:
    """Return the first line of what there is to say about a result."""
    return clean((result.comments or "").partition("\n")[0])
