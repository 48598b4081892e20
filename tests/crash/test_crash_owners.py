# SPDX-License-Identifier: Apache-2.0
"""A short fight for one session, and what jobs and children get of its lock: nothing."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

from kills_support import Lab, drain, start_child
from owners import UnlockedFiles, fight, run, try_in_child
from scale import Tally
from store_rig import full

from plainbox.session.storage import SessionStorage


def test_never_two_owners(tmp_path: Path) -> None:
    """Eight processes that fight for a session, some of them killed, own it one after the other."""
    figures = run(trials=120, seed=1, base=tmp_path)
    assert figures.good, figures.line()


def test_the_fight_notices_a_lock_that_is_not_taken(tmp_path: Path) -> None:
    """A store that does not really lock does not pass."""
    tally = Tally()
    fight(tally, 80, 2, tmp_path, UnlockedFiles())
    assert not tally.figures("owners").good


def test_a_child_cannot_write(tmp_path: Path) -> None:
    """The child of a fork neither writes to the session nor takes the lock along."""
    storage = SessionStorage.create(tmp_path)
    storage.save_checkpoint(full(meta={"title": "fork"}))
    storage.close()
    process, pipe = start_child(try_in_child, storage.location)
    process.join()
    assert drain(pipe).split() == [b"0", b"1"]
    assert b'"after":"child"' in storage.load_checkpoint()
    assert b'"by":"parent"' in storage.load_checkpoint()
    assert not storage.is_locked()


UNITS = (
    "id: shows\nplugin: shell\ncommand: ls -l /proc/self/fd\n\n"
    "id: stays\nplugin: shell\ncommand: setsid sh -c 'echo $$ > \"$LEDGER\"; exec sleep 60' & "
    'while ! test -s "$LEDGER"; do sleep 0.01; done; sleep 60\n'
)


def test_a_job_gets_nothing_of_the_session(tmp_path: Path) -> None:
    """No descriptor of the session is open in a job."""
    lab = Lab.at(tmp_path, UNITS)
    lab.plainbox.run(*lab.words(plan="shows"), **lab.variables)
    [storage] = lab.stored()
    [log] = Path(storage.location).glob("io-logs/*.iolog")
    shown = log.read_text(errors="replace")
    assert re.search(r" 0 -> ", shown)
    assert storage.location not in shown


def test_what_a_killed_run_has_left_does_not_lock(tmp_path: Path) -> None:
    """A daemon that a job has started keeps nothing locked when the run is killed."""
    lab = Lab.at(tmp_path, UNITS)
    process = lab.started(plan="stays")
    while not lab.ledger.read_text().strip():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not lab.stored()[0].is_locked()
    # Ends the daemon, too: it belongs to the interrupted job.
    lab.plainbox.run("resume", "--no-input", code=1, **lab.variables)
