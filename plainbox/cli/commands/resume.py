# SPDX-License-Identifier: Apache-2.0
"""``plainbox resume``.

Go on with an interrupted session: the job that was running is judged by what is known of it, everything that has a result
keeps it, the rest is run. Providers that were named with --provider are found again by themselves.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from plainbox.cli.arguments import add_providers, add_session, find_session, load_catalogue
from plainbox.cli.output import say, warn
from plainbox.cli.reports import check_formats
from plainbox.cli.running import EXIT_STOPPED, add_running, carry_through
from plainbox.cli.stored import stored_metadata, stored_providers
from plainbox.errors import SessionError, UsageError
from plainbox.runner import SessionRun
from plainbox.runner.phases import APP_ID
from plainbox.session.storage import SessionStorage, SessionStorageRepository


def configure(parser: argparse.ArgumentParser) -> None:
    add_session(parser, "the newest that is not complete")
    add_providers(parser)
    add_running(parser)
    parser.add_argument(
        "--insist", action="store_true", help="try once more, also when the session was given up as stuck"
    )


def run(arguments: argparse.Namespace) -> int:
    if arguments.session is not None:
        storage = find_session(arguments.session)
    else:
        newest = newest_incomplete(or_running=True)
        if newest is None:
            raise UsageError("there is no session to go on with", hint="plainbox session list shows all sessions")
        storage = newest
    return go_on(storage, arguments, insist=arguments.insist)


def go_on(storage: SessionStorage, arguments: argparse.Namespace, *, insist: bool = False) -> int:
    """Resume one stored session and return the exit code; with ``insist`` also one that was given up as stuck."""
    metadata = stored_metadata(storage)
    if not storage.has_checkpoint():
        raise UsageError(f"session {storage.id} has no checkpoint: nothing of it was begun")
    if not metadata.flags & {"incomplete", "setting_up"}:
        raise UsageError(f"session {storage.id} is complete", hint=f"plainbox export {storage.id} makes reports of it")
    named: list[Path] = [directory.resolve() for directory in arguments.providers]
    catalogue = load_catalogue([*named, *stored_providers(metadata, named)])
    # Before the session is opened: that gives the interrupted job its verdict.
    check_formats(catalogue.units, arguments.reports)
    with SessionRun.reopen(catalogue, storage, timeout_s=arguments.timeout, insist=insist) as session_run:
        if "stuck" in session_run.state.metadata.flags:
            say(f"Session {storage.id} was opened again and again without a new result.")
            say(f"Try once more with: plainbox resume --insist {storage.id}")
            return EXIT_STOPPED
        return carry_through(session_run, arguments)


def newest_incomplete(*, or_running: bool = False) -> SessionStorage | None:
    """Return the youngest session that can be gone on with; of those that cannot be read a warning tells.

    One that is running cannot; with ``or_running`` it is returned when there is no other.
    """
    running: SessionStorage | None = None
    for storage in SessionStorageRepository().get_storage_list():
        try:
            metadata = stored_metadata(storage)
            is_running = storage.is_locked()
        except (SessionError, OSError) as error:
            warn(f"session {storage.id} is passed over: {error}")
            continue
        if metadata.app_id == APP_ID and metadata.flags & {"incomplete", "setting_up"}:
            if not is_running:
                return storage
            running = running or storage
    return running if or_running else None
