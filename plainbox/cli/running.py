# SPDX-License-Identifier: Apache-2.0
"""What ``run`` and ``resume`` share: carrying a run through and reporting it."""

from __future__ import annotations

import argparse
import functools
import logging
import math
import time

from plainbox.cli.console.choose import can_ask
from plainbox.cli.console.password import ask_password
from plainbox.cli.console.progress import first_reason, make_progress
from plainbox.cli.console.session_limit import EXIT_LIMIT, SessionLimit
from plainbox.cli.console.summary import exit_code_of, print_summary
from plainbox.cli.output import say, warn
from plainbox.cli.reports import Report, parse_report, write_report
from plainbox.cli.stopping import StopSignals
from plainbox.config import Settings, load_settings
from plainbox.errors import PlainboxError, SessionError, TaskError
from plainbox.runner.phases import SessionRun
from plainbox.session.metadata import SessionMetaData
from plainbox.session.outcome import OUTCOME_METADATA_MAP
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.retention import tidy
from plainbox.tasks.descriptors import make_room, most_jobs
from plainbox.tasks.users import SUDO

__all__ = [
    "add_running",
    "carry_through",
    "is_durable",
    "tell_settled",
    "tidy_up",
]

_log = logging.getLogger(__name__)

EXIT_REPORT = 4
#: Each has a thread, two pipes and a log: more would meet the limits of the system first.
_MOST_JOBS = 256


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
    parser.add_argument(
        "-j",
        "--jobs",
        metavar="N",
        type=_count,
        default=1,
        help="run up to N jobs at the same time, where their dependencies allow it",
    )
    parser.add_argument("--timeout", metavar="SECONDS", type=_limit, help="limit for jobs that name none of their own")
    parser.add_argument(
        "--session-timeout",
        metavar="SECONDS",
        type=_limit,
        help="limit for all of it: then the job that runs is ended, and the session can be gone on with",
    )
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


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= _MOST_JOBS):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {_MOST_JOBS}")
    most = most_jobs()
    if int(text) > most:
        limit = "the limit of open files (ulimit -H -n)"
        raise argparse.ArgumentTypeError(
            f"{limit} leaves room for {most} job{'s' if most > 1 else ''} at the same time"
        )
    return int(text)


def _limit(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def carry_through(run: SessionRun, arguments: argparse.Namespace, signals: StopSignals | None = None) -> int:
    """Run what is left of a session, write the reports, and return the exit code.

    ``signals`` are those that the run is under already; they are let go when it has ended.
    """
    signals = signals or StopSignals(run.stop)
    started = time.monotonic()
    session_id = run.manager.storage.id
    make_room(arguments.jobs)
    if not arguments.quiet:
        say(f"{run.state.metadata.title or ''}  (session {session_id})")
    tell_settled(run)
    settings = load_settings()
    progress = make_progress(
        run.runner,
        functools.partial(_phase, run.state.metadata),
        verbose=arguments.verbose,
        quiet=arguments.quiet,
        silence_s=settings.heartbeat,
    )
    asks = can_ask() and not arguments.no_input
    SUDO.ask = signals.asking(functools.partial(ask_password, progress)) if asks else None
    limit = SessionLimit(run.stop, arguments.session_timeout or settings.session_timeout)
    try:
        with signals, progress, limit:
            finished = run.go_on()
    except (SessionError, TaskError) as failure:
        _print_summary(run, time.monotonic() - started)
        what = "stored any further" if isinstance(failure, SessionError) else "gone on with"
        say(f"The session could not be {what}. Go on with: plainbox resume {session_id}")
        raise
    states = [run.state.job_state_map[job.id] for job in run.jobs]
    for problem in run.state.problems:
        warn(str(problem), problem.hint)
    took_s = time.monotonic() - started
    # Before the summary: whatever becomes of that, who has asked for a report has it.
    reports = _write_reports(run, arguments.reports) if finished or run.failed_setup else []
    _print_summary(run, took_s)
    if run.failed_setup:
        failed = ", ".join(job.id for job in run.failed_setup)
        say(f"The setup has failed ({failed}), so nothing else was run. Try again with: plainbox resume {session_id}")
    elif not finished:
        code = signals.tell_stopped(session_id)
        return EXIT_LIMIT if limit.is_over else code
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


def _print_summary(run: SessionRun, took_s: float) -> None:
    states = [run.state.job_state_map[job.id] for job in run.jobs]
    print_summary(states, took_s, interrupted=run.state.metadata.running, unstored=run.runner.unstored)


def tell_settled(run: SessionRun) -> None:
    """Say what became of the jobs that were running when the session ended."""
    for job, result in run.settled:
        label = OUTCOME_METADATA_MAP[result.outcome].label
        reason = first_reason(result).removeprefix("interrupted: ")
        say(f"{job.id} was interrupted: {label} - {reason}")


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
