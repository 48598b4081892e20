# SPDX-License-Identifier: Apache-2.0
"""``plainbox resume``.

Go on with an interrupted session: the job that was running is judged by what is known of it, everything that has a result
keeps it, the rest is run. Providers that were named with --provider are found again by themselves.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from plainbox.cli.arguments import add_providers, add_session, find_session, load_catalogue
from plainbox.cli.output import say
from plainbox.cli.reports import check_formats
from plainbox.cli.running import EXIT_STOPPED, add_running, carry_through
from plainbox.cli.stored import stored_metadata
from plainbox.errors import SessionError, UsageError
from plainbox.runner import Selection, SessionRun
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
        newest = newest_incomplete()
        if newest is None:
            raise UsageError("there is no session to go on with", hint="plainbox session list shows all sessions")
        storage = newest
    return go_on(storage, arguments, insist=arguments.insist)


def go_on(storage: SessionStorage, arguments: argparse.Namespace, *, insist: bool = False) -> int:
    """Resume one stored session and return the exit code; with ``insist`` also one that was given up as stuck."""
    metadata = stored_metadata(storage)
    if not metadata.flags & {"incomplete", "setting_up"}:
        raise UsageError(f"session {storage.id} is complete", hint=f"plainbox export {storage.id} makes reports of it")
    named = list(dict.fromkeys([*arguments.providers, *map(Path, Selection.from_blob(metadata.app_blob).providers)]))
    catalogue = load_catalogue(named)
    with SessionRun.reopen(catalogue, storage, timeout_s=arguments.timeout, insist=insist) as session_run:
        if "stuck" in session_run.state.metadata.flags:
            say(f"Session {storage.id} was opened again and again without a new result.")
            say(f"Try once more with: plainbox resume --insist {storage.id}")
            return EXIT_STOPPED
        check_formats(session_run.manager, arguments.reports)
        return carry_through(session_run, arguments)


def newest_incomplete() -> SessionStorage | None:
    """Return the youngest session that can be gone on with; sessions that cannot be read do not count here."""
    for storage in SessionStorageRepository().get_storage_list():
        try:
            metadata = stored_metadata(storage)
        except (SessionError, OSError):
            continue
        if metadata.app_id == APP_ID and metadata.flags & {"incomplete", "setting_up"}:
            return storage
    return None
