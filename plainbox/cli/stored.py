# SPDX-License-Identifier: Apache-2.0
"""Opening stored sessions to look at them: nothing in them is changed, and their providers need not be there."""

from __future__ import annotations

from pathlib import Path

from plainbox.cli.arguments import load_catalogue
from plainbox.runner.selection import Selection
from plainbox.session.manager import SessionManager
from plainbox.session.metadata import SessionMetaData
from plainbox.session.resume import ResumeFlag
from plainbox.session.storage import SessionStorage

__all__ = ["open_stored"]


def open_stored(storage: SessionStorage, named: list[Path]) -> SessionManager:
    """Return a manager of a stored session; jobs whose definition is gone or changed show what the session stored."""
    metadata = SessionMetaData()
    metadata.update_from_dict(storage.peek_metadata()["meta"])
    directories = [Path(text) for text in Selection.from_blob(metadata.app_blob).providers]
    there = [directory for directory in directories if directory.is_dir()]
    catalogue = load_catalogue(list(dict.fromkeys([*named, *there])), quiet=True)
    return SessionManager.load_session(list(catalogue.units), storage, flags=[ResumeFlag.READ_ONLY])
