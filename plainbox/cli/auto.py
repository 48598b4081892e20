# SPDX-License-Identifier: Apache-2.0
"""``plainbox resume --auto``: what systemd, a desktop entry or a job starts to go on with one session.

Nobody is asked and nobody may be there. A session that needs nobody to go on - over, given up as stuck, gone - ends this
with code 0, and is not gone on with after the next restart either. One that is in use stays as it is: whoever has it is
responsible for it.
"""

from __future__ import annotations

import argparse
import os

from plainbox.cli.commands.resume import go_on
from plainbox.cli.output import say
from plainbox.cli.stored import stored_metadata
from plainbox.errors import LockedStorageError, UsageError
from plainbox.runner.phases import APP_ID
from plainbox.runner.respawn import AutoResume
from plainbox.runner.watchdog import Watchdog
from plainbox.session.directory import SUFFIX
from plainbox.session.files import FileOps
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.restart import diffuse_everywhere
from plainbox.session.storage import SessionStorage

__all__ = ["go_on_by_itself"]


def go_on_by_itself(arguments: argparse.Namespace) -> int:
    """Go on with the session of exactly this id, if it is to be gone on with, and return the exit code."""
    watchdog = Watchdog.from_environment(os.environ)
    # Before anything else: systemd takes a service that ends without this for one that has failed.
    watchdog.ready()
    session_id = arguments.session
    if session_id is None or "/" in session_id:
        raise UsageError("resume --auto goes on with one session: name it by its id")
    repository = SessionStorageRepository().location
    storage = SessionStorage(os.path.join(repository, session_id + SUFFIX))
    if not os.path.isdir(storage.location):
        diffuse_everywhere(session_id, repository, FileOps(), app_id=APP_ID)
        say(f"Session {session_id} is not in {repository}: nothing to do.")
        return 0
    if storage.is_locked():
        say(f"Session {session_id} is in use: nothing to do.")
        return 0
    reason = _reason_to_leave(storage)
    if reason is not None:
        AutoResume(storage, APP_ID).disarm()
        say(f"Session {session_id} {reason}: nothing to do.")
        return 0
    arguments.no_input = True
    try:
        return go_on(storage, arguments, tick=watchdog.tick)
    except LockedStorageError:
        say(f"Session {session_id} is in use: nothing to do.")
        return 0


def _reason_to_leave(storage: SessionStorage) -> str | None:
    if not storage.has_checkpoint():
        return "was never begun"
    flags = stored_metadata(storage).flags
    if "stuck" in flags:
        return "was given up as stuck"
    if "submitted" in flags:
        return "was submitted"
    return None if flags & {"incomplete", "setting_up"} else "is complete"
