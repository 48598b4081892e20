# SPDX-License-Identifier: Apache-2.0
"""What ``run`` and ``resume`` share: carrying a run through, stopping it, reporting it."""

from __future__ import annotations

import argparse
import contextlib
import functools
import logging
import math
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType

from plainbox.cli.console.progress import first_reason, make_progress
from plainbox.cli.console.summary import exit_code_of, print_summary
from plainbox.cli.output import say, warn
from plainbox.cli.reports import Report, parse_report, write_report
from plainbox.config import Settings
from plainbox.errors import PlainboxError, SessionError
from plainbox.runner.phases import SessionRun
from plainbox.runner.stop import StopRequest
from plainbox.session.metadata import SessionMetaData
from plainbox.session.outcome import OUTCOME_METADATA_MAP
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.retention import tidy

__all__ = [
    "add_running",
    "carry_through",
    "exit_code_of_stop",
    "is_durable",
    "stopping_on_signals",
    "tell_settled",
    "tidy_up",
]

_log = logging.getLogger(__name__)

EXIT_STOPPED = 6
EXIT_REPORT = 4
_SIGNAL_EXIT: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def add_running(parser: argparse.ArgumentParser) -> None:
    """Declare what both commands take."""
    parser.add_argument(
        "-o",
        "--output",
        dest="reports",
        metavar="FORMAT:FILE",
        type=parse_report,
        action="append",
        default=[],
        help="also write this report at the end, for example html:report.html (may be given again)",
    )
    parser.add_argument("--timeout", metavar="SECONDS", type=_limit, help="limit for jobs that name none of their own")
    parser.add_argument(
        "--durability",
        choices=("full", "relaxed"),
        help="with relaxed nothing waits for the medium: a power loss may cost results, a killed process none",
    )
    parser.add_argument("--no-input", action="store_true", help="never ask anything")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what the jobs print")
    parser.add_argument("-q", "--quiet", action="store_true", help="show nothing until the end")


def is_durable(arguments: argparse.Namespace, settings: Settings) -> bool:
    """Tell whether results are to be on the medium before anybody sees them: what the option says, else the setting."""
    return (arguments.durability or settings.durability) == "full"


def tidy_up(settings: Settings) -> None:
    """Remove the sessions that the settings do not keep, and say so; for when a run has ended and let go of its own."""
    removed = tidy(SessionStorageRepository(), settings)
    if removed:
        say(f"Removed {len(removed)} old session{'' if len(removed) == 1 else 's'}, as the settings say.")


def _limit(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def carry_through(run: SessionRun, arguments: argparse.Namespace) -> int:
    """Run what is left of a session, write the reports, and return the exit code."""
    started = time.monotonic()
    session_id = run.manager.storage.id
    if not arguments.quiet:
        say(f"{run.state.metadata.title or ''}  (session {session_id})")
    tell_settled(run)
    progress = make_progress(
        run.runner, functools.partial(_phase, run.state.metadata), verbose=arguments.verbose, quiet=arguments.quiet
    )
    try:
        with stopping_on_signals(run.stop) as received, progress:
            finished = run.go_on()
    except SessionError:
        print_summary([run.state.job_state_map[job.id] for job in run.jobs], time.monotonic() - started)
        say(f"The session could not be stored any further. Go on with: plainbox resume {session_id}")
        raise
    states = [run.state.job_state_map[job.id] for job in run.jobs]
    for problem in run.state.problems:
        warn(str(problem), problem.hint)
    took_s = time.monotonic() - started
    # Before the summary: whatever becomes of that, who has asked for a report has it.
    reports = _write_reports(run, arguments.reports) if finished or run.failed_setup else []
    print_summary(states, took_s)
    if run.failed_setup:
        failed = ", ".join(job.id for job in run.failed_setup)
        say(f"The setup has failed ({failed}), so nothing else was run. Try again with: plainbox resume {session_id}")
    elif not finished:
        say(f"Stopped before the end. Go on with: plainbox resume {session_id}")
        return exit_code_of_stop(run.stop, received)
    code = exit_code_of(states)
    for report, error in reports:
        if error is not None:
            reason = str(error) if isinstance(error, (PlainboxError, OSError)) else f"{type(error).__name__}: {error}"
            warn(f"no {report.format} report: {reason}", "try again with: plainbox export")
            code = code or EXIT_REPORT
        elif report.path != "-":
            say(f"Report: {report.path}")
    say(f"Session: {session_id}")
    return code


def tell_settled(run: SessionRun) -> None:
    """Say what became of the jobs that were running when the session ended."""
    for job, result in run.settled:
        label = OUTCOME_METADATA_MAP[result.outcome].label
        reason = first_reason(result).removeprefix("interrupted: ")
        say(f"{job.id} was interrupted: {label} - {reason}")


def exit_code_of_stop(stop: StopRequest, received: list[int]) -> int:
    """Return the exit code of a run that these signals have stopped: of one that ended a job, or of a stop between jobs."""
    return _SIGNAL_EXIT[received[-1]] if stop.cancel.cancelled and received else EXIT_STOPPED


def _phase(metadata: SessionMetaData) -> str:
    if metadata.setting_up:
        return "Setting up: jobs that prepare this machine"
    return "Preparing: jobs that find out what there is" if metadata.bootstrapping else "Running"


def _write_reports(run: SessionRun, reports: list[Report]) -> list[tuple[Report, Exception | None]]:
    """Write the reports, each whatever became of the others; return what went wrong with each."""
    written: list[tuple[Report, Exception | None]] = []
    for report in reports:
        try:
            write_report(run.manager, report)
        except Exception as error:  # noqa: BLE001 - one exporter must not cost the other reports
            _log.debug("The report %s was not made", report.format, exc_info=True)
            written.append((report, error))
        else:
            written.append((report, None))
    return written


@contextlib.contextmanager
def stopping_on_signals(stop: StopRequest) -> Iterator[list[int]]:
    """Let signals stop the run: the first interrupt after the current job, anything else now, one more without delay.

    After a run that has ended at once further signals are ignored: the session is stored, and little is left to do.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and not received:
            received.append(number)
            stop.after_this_job()
            _tell_at_once("\nStopping when this job has ended; once more ends it now.\n")
            return
        received.append(number)
        name = signal.Signals(number).name
        if number != signal.SIGINT:
            stop.suspend(name)
        elif not stop.cancel.cancelled:
            stop.now(name)
            _tell_at_once("\nEnding this job now; once more kills it.\n")
        elif not stop.cancel.hurried:
            stop.at_once(name)
            _tell_at_once("\nKilling this job.\n")

    # What is ignored on purpose (nohup, background jobs of a script) stays ignored.
    wanted = [number for number in _SIGNAL_EXIT if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, handle) for number in wanted}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            # Once the run has ended on request, what comes now comes too late, and must not change how it is told.
            signal.signal(number, signal.SIG_IGN if stop.cancel.cancelled else handler)


def _tell_at_once(text: str) -> None:
    """Write from within a signal handler: the stream itself may be in the middle of a write."""
    with contextlib.suppress(OSError):
        os.write(2, text.encode("ascii"))
