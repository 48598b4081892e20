# SPDX-License-Identifier: Apache-2.0
"""``plainbox resume``.

Go on with an interrupted session: the job that was running is judged by what is known of it, everything that has a result
keeps it, the rest is run. Providers that were named with --provider are found again by themselves, and the reports and
the limit that the run was given hold on, unless others are given here.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Final

import attrs

from plainbox.cli.arguments import add_providers, add_session, find_session, load_catalogue
from plainbox.cli.chains import accept_changes, add_chain_changed, chains_of, engine_with, with_chains
from plainbox.cli.console.choose import can_ask
from plainbox.cli.output import say, warn
from plainbox.cli.reports import Report, check_formats
from plainbox.cli.running import add_running, carry_through, is_durable, tell_settled, tidy_up
from plainbox.cli.stopping import EXIT_STOPPED, StopSignals
from plainbox.cli.stored import stored_metadata, stored_providers
from plainbox.config import Settings, load_settings
from plainbox.errors import SessionError, UsageError
from plainbox.runner import SessionRun, StopRequest
from plainbox.runner.interrupted import CHOICES, Decision, ResumePolicy
from plainbox.runner.phases import APP_ID
from plainbox.runner.selection import Selection, WantedReport
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.resume import ResumeFlag
from plainbox.session.storage import SessionStorage

_FLAGS: Final = (
    ("--allow-changed", ResumeFlag.IGNORE_JOB_CHECKSUMS, "go on although jobs are defined in another way now"),
    ("--allow-missing", ResumeFlag.ALLOW_MISSING_JOBS, "go on without the jobs that are not there any more"),
    ("--strict-environment", ResumeFlag.STRICT_ENVIRONMENT, "go on only where the session was opened last"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    add_session(parser, "the newest that is not complete")
    add_providers(parser)
    add_running(parser)
    parser.add_argument(
        "--insist", action="store_true", help="try once more, also when the session was given up as stuck"
    )
    parser.add_argument(
        "--auto",
        action="store_true",
        help="go on as after a restart: ask nothing, and leave a session that is over or in use as it is",
    )
    parser.add_argument(
        "--outcome", choices=CHOICES, help="what became of the jobs that were running; rerun tries them again"
    )
    parser.add_argument(
        "--comment", metavar="TEXT", help="why, with --outcome; blockers cannot fail or be skipped without"
    )
    add_chain_changed(parser)
    for option, flag, text in _FLAGS:
        parser.add_argument(option, dest="flags", action="append_const", const=flag, default=[], help=text)


def run(arguments: argparse.Namespace) -> int:
    if arguments.auto:
        from plainbox.cli.auto import go_on_by_itself

        _refuse_decisions(arguments)
        return go_on_by_itself(arguments)
    if arguments.session is not None:
        storage = find_session(arguments.session)
    else:
        newest = newest_incomplete(or_blocked=True, stuck_too=arguments.insist)
        if newest is None:
            raise UsageError("there is no session to go on with", hint="plainbox session list shows all sessions")
        storage = newest
    decision = None
    if arguments.outcome is not None:
        decision = Decision(arguments.outcome, arguments.comment)
    elif arguments.comment is not None:
        raise UsageError("--comment says why the job has the outcome that --outcome names")
    return go_on(storage, arguments, insist=arguments.insist, decision=decision, flags=arguments.flags)


def _refuse_decisions(arguments: argparse.Namespace) -> None:
    """Refuse, beside --auto, what somebody has decided who is not there: it would have no effect."""
    given = [f"--{name}" for name in ("insist", "outcome", "comment") if getattr(arguments, name)]
    given += [option for option, flag, _ in _FLAGS if flag in arguments.flags]
    if given:
        raise UsageError(
            f"--auto goes on without a decision, so not with {' and '.join(given)}", hint="leave out --auto"
        )


def go_on(
    storage: SessionStorage,
    arguments: argparse.Namespace,
    *,
    insist: bool = False,
    decision: Decision | None = None,
    flags: Collection[str] = (),
    tick: Callable[[], None] | None = None,
) -> int:
    """Resume one stored session and return the exit code; with ``insist`` also one that was given up as stuck.

    ``decision`` is what became of the job that was running; ``flags`` are those of the resume. ``tick`` is called again
    and again by whatever waits for the jobs.
    """
    metadata = stored_metadata(storage)
    if not storage.has_checkpoint():
        raise UsageError(f"session {storage.id} has no checkpoint: nothing of it was begun")
    if not metadata.flags & {"incomplete", "setting_up"}:
        raise UsageError(f"session {storage.id} is complete", hint=f"plainbox export {storage.id} makes reports of it")
    named: list[Path] = [directory.resolve() for directory in arguments.providers]
    catalogue = load_catalogue([*named, *stored_providers(metadata, named)])
    # Before the session is opened: that gives the interrupted job its verdict.
    check_formats(catalogue.units, arguments.reports)
    stored = Selection.from_blob(metadata.app_blob)
    chains = chains_of(stored)
    accept_changes(stored, chains, arguments)
    selection = with_chains(_with_options(stored, arguments), chains)
    settings = load_settings()
    if not is_durable(arguments, settings):
        storage = SessionStorage(storage.location, durable=False)
    stop = StopRequest() if tick is None else StopRequest(tick)
    with StopSignals(stop) as signals:
        with stop.awaiting("what was interrupted has its result"):
            session_run = SessionRun.reopen(
                catalogue,
                storage,
                timeout_s=selection.timeout_s,
                max_log_bytes=settings.max_log_bytes,
                insist=insist,
                flags=flags,
                policy=_policy(settings, decision, signals if can_ask() and not arguments.no_input else None),
                stop=stop,
                engine=engine_with(chains),
                jobs=arguments.jobs,
            )
        with session_run:
            if not session_run.is_settled:
                return signals.tell_stopped(storage.id)
            if selection != stored:
                session_run.state.metadata.app_blob = selection.as_blob()
            if "stuck" in session_run.state.metadata.flags:
                tell_settled(session_run)
                say(f"Session {storage.id} was opened again and again without a new result.")
                say(f"Try once more with: plainbox resume --insist {storage.id}")
                return EXIT_STOPPED
            # Those of the session were checked when it was begun: one that cannot be written now costs no result.
            arguments.reports = [Report(report.format, report.path, report.options) for report in selection.reports]
            code = carry_through(session_run, arguments, signals)
    tidy_up(settings)
    return code


def wanted_reports(reports: Iterable[Report]) -> list[WantedReport]:
    """Return reports as a session keeps them: in their places, wherever it is gone on with."""
    return [
        WantedReport(report.format, report.path if report.path == "-" else os.path.abspath(report.path), report.options)
        for report in reports
    ]


def _with_options(selection: Selection, arguments: argparse.Namespace) -> Selection:
    """Return what the session was asked to do, with the limit and the reports that are given now instead of its own."""
    return attrs.evolve(
        selection,
        timeout_s=arguments.timeout or selection.timeout_s,
        reports=wanted_reports(arguments.reports) or selection.reports,
    )


def _policy(settings: Settings, decision: Decision | None, asking: StopSignals | None) -> ResumePolicy:
    """Return what decides about what was running; nobody is asked unless there are signals that end the question."""
    from plainbox.cli.console.decide import ask_what_became

    return ResumePolicy(
        decision=decision,
        ask=None if asking is None else asking.asking(ask_what_became),
        retry_by_default=settings.on_crash == "retry",
        noreturn_needs_reboot=settings.noreturn_same_boot == "crash",
    )


def newest_incomplete(*, or_blocked: bool = False, stuck_too: bool = False) -> SessionStorage | None:
    """Return the youngest session that can be gone on with; of those that cannot be read a warning tells.

    One that is running cannot, nor, unless ``stuck_too``, one that was given up as stuck; with ``or_blocked`` the
    youngest of these is returned when there is no other.
    """
    blocked: SessionStorage | None = None
    for storage in SessionStorageRepository().get_storage_list():
        try:
            metadata = stored_metadata(storage)
            is_blocked = storage.is_locked() or ("stuck" in metadata.flags and not stuck_too)
        except (SessionError, OSError) as error:
            warn(f"session {storage.id} is passed over: {error}", getattr(error, "hint", None))
            continue
        if metadata.app_id == APP_ID and metadata.flags & {"incomplete", "setting_up"}:
            if not is_blocked:
                return storage
            blocked = blocked or storage
    return blocked if or_blocked else None
