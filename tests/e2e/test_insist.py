# SPDX-License-Identifier: Apache-2.0
"""A session that was opened again and again without a new result, as somebody has it who wants it to go on."""

from __future__ import annotations

from plainbox.providers import Catalogue
from plainbox.runner import Selection, SessionRun
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.storage import SessionStorage


def test_resume_of_a_stuck_session(plainbox, provider) -> None:
    """Without the option the command tells what can be done and ends with 6; with it the session goes on."""
    directory = provider("id: a\nplugin: shell\ncommand: true\n")
    catalogue = Catalogue.load([directory])
    selection = Selection(patterns=("org.example::a",), providers=(str(directory),))
    run = SessionRun.start(catalogue, selection, repository=SessionStorageRepository(plainbox.sessions))
    run.close()
    for _ in range(5):
        SessionRun.reopen(catalogue, SessionStorage(run.manager.storage.location)).close()
    done = plainbox.run("resume", "--no-input", code=6)
    assert "plainbox resume --insist" in done.stderr
    plainbox.run("resume", "--no-input", "--insist")
    assert plainbox.jobs()["org.example::a"]["outcome"] == "pass"
