# SPDX-License-Identifier: Apache-2.0
"""``plainbox session compact``: make the journals of sessions as short as they can be; the newest session when none is
named. The state is written anew, and the older journal goes when the new one is on the medium. Nothing of the session
changes. One that is as short as it can be, or in use, stays as it is, and the others are done.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable

from plainbox.cli.arguments import find_session
from plainbox.cli.output import complain, print_table
from plainbox.cli.sessions.choosing import add_sessions, find_sessions
from plainbox.cli.sessions.facts import shown_size
from plainbox.errors import PlainboxError, SessionError, StorageError
from plainbox.session.codec import JsonObject
from plainbox.session.storage import SessionStorage

EXIT_REFUSED = 3


def configure(parser: argparse.ArgumentParser) -> None:
    add_sessions(parser, "compact")


def run(arguments: argparse.Namespace) -> int:
    code = 0
    for storage in find_sessions(arguments.sessions) if arguments.sessions else [find_session(None)]:
        try:
            told = _compact(storage)
        except (SessionError, OSError) as error:
            complain(_of_session(storage, error))
            code = EXIT_REFUSED
        else:
            print_table([(storage.id, told)])
    return code


def _of_session(storage: SessionStorage, error: SessionError | OSError) -> PlainboxError:
    """Return the error with the session in its message: several may be compacted at once."""
    message = str(error)
    return StorageError(
        message if storage.id in message else f"the session {storage.id} cannot be compacted: {message}",
        hint=error.hint if isinstance(error, PlainboxError) else None,
    )


def _compact(storage: SessionStorage) -> str:
    """Compact one session, and say what came of it."""
    before = _journal_bytes(storage)
    records = storage.records()  # says what is wrong with a directory that never was a session
    storage.lock()
    summary = storage.closing_summary()
    try:
        if _is_short(records) and storage.journal_info().size_bytes == before:
            return f"{shown_size(before)}, as short as it can be"
        storage.why = "compact"
        storage.compact()
    finally:
        # Ends the writing: the older generations are dropped here, and the end tells what it told before.
        storage.close(summary)
    return f"{shown_size(before)} -> {shown_size(_journal_bytes(storage))}"


def _is_short(records: Iterable[JsonObject]) -> bool:
    """Tell whether a journal holds nothing but a state, and who opened it."""
    return all(record.get("t") != "ck" for record in records)


def _journal_bytes(storage: SessionStorage) -> int:
    with os.scandir(storage.location) as entries:
        return sum(entry.stat(follow_symlinks=False).st_size for entry in entries if entry.name.endswith(".pbj"))
