# SPDX-License-Identifier: Apache-2.0
"""A tester for the rigs: takes a session through its life at the level of the manager, and keeps the ledger.

Attempts are noted, logged and finished in the order in which the runner does it. Twins of it, in the tests, do one thing
wrong each.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from invariants import Ledger
from manager_rig import full, job, manager_of, template
from open_session import OpenSession

from plainbox.errors import StorageFullError
from plainbox.session import SessionManager, SessionStorage, SessionSuspendHelper
from plainbox.session.files import FileOps
from plainbox.session.iolog import IOLogWriter, LogReference
from plainbox.session.jobs import JobState
from plainbox.session.metadata import RunningAttempt
from plainbox.session.result import JobResultBuilder
from plainbox.session.state import SessionState
from plainbox.session.tree import canonical_full
from plainbox.testing.files import FaultyFiles
from plainbox.units import Unit

__all__ = ["SCRIPTS", "UNITS", "Script", "Tester", "failed_sync", "full_disk", "generations", "life"]

UNITS: tuple[Unit, ...] = (
    job("scan", plugin="resource"),
    job("first"),
    job("second"),
    template("made-{name}", "scan", **{"template-id": "maker"}),
)


class Tester(OpenSession):
    """One process after the other that works on one session in ``base``."""

    def __init__(self, base: Path, files: FileOps, ledger: Ledger) -> None:
        self.base = base
        self.files = files
        self.ledger = ledger

    def job_state(self, partial_id: str) -> JobState:
        return self.state.job_state_map[full(partial_id)]

    # The process

    def create(self) -> None:
        storage = SessionStorage.create(self.base, files=self.files)
        self.ledger.name = os.path.basename(storage.location)
        self._manager = manager_of(SessionState(list(UNITS)), storage)

    def reopen(self) -> None:
        """Let the next process load the session."""
        location = self.manager.storage.location
        self.end()
        self._manager = SessionManager.load_session(list(UNITS), SessionStorage(location, files=self.files))

    def close(self) -> None:
        self.manager.close()

    # What it does

    def checkpoint(self) -> None:
        self.ledger.intend(canonical_full(SessionSuspendHelper().suspend(self.state, self.manager.storage.location)))
        self.manager.checkpoint()
        self.ledger.confirm()

    def wish(self, *partial_ids: str) -> None:
        """Want these jobs, those of them that there are."""
        states = self.state.job_state_map
        self.state.update_desired_job_list(
            [states[job_id].job for job_id in map(full, partial_ids) if job_id in states]
        )

    def run_job(self, partial_id: str, outcome: str = "pass", output: bytes = b"") -> None:
        """Run one attempt: note it, log it, and make its result durable; a job that is not there is left out."""
        if full(partial_id) not in self.state.job_state_map:
            return
        job_state = self.job_state(partial_id)
        log = self.open_log(job_state)
        attempt, metadata = job_state.next_attempt, self.state.metadata
        metadata.running = {**metadata.running, job_state.job.id: RunningAttempt(attempt, 1.0, "boot", 7, 8, log.path)}
        job_state.attempts -= 1
        self.checkpoint()
        log.write("stdout", output or b"output of %b\n" % partial_id.encode())
        self.finish(job_state, outcome, log)

    def open_log(self, job_state: JobState) -> IOLogWriter:
        return IOLogWriter(
            self.manager.storage.location,
            job_state.job.id,
            job_state.next_attempt,
            boot="boot",
            files=self.files,
            background=False,
        )

    def finish(self, job_state: JobState, outcome: str, log: IOLogWriter) -> None:
        self.take(job_state, outcome, log.close())
        self.forget_running(job_state)
        self.checkpoint()

    def take(self, job_state: JobState, outcome: str, reference: LogReference) -> None:
        built = JobResultBuilder(outcome=outcome, return_code=0, log=reference, origin="run")
        self.state.update_job_result(job_state.job, built.get_result(self.manager.storage.location))

    def forget_running(self, job_state: JobState) -> None:
        metadata = self.state.metadata
        metadata.running = {key: value for key, value in metadata.running.items() if key != job_state.job.id}


Script = Callable[[Tester], None]


def life(tester: Tester) -> None:
    """Create, scan the machine, run what that makes, fail, retry, close, come back, compact, go on, close."""
    tester.create()
    tester.wish("scan", "first", "second")
    tester.state.metadata.title = "life"
    tester.state.metadata.flags = {"incomplete"}
    tester.checkpoint()
    tester.run_job("scan", output=b"name: x\n\nname: y\n")
    tester.wish("scan", "first", "second", "made-x", "made-y")
    tester.run_job("first", "fail")
    tester.run_job("first")
    tester.manager.storage.note("decision", {"job": "made-x"})
    tester.run_job("made-x")
    tester.close()
    tester.reopen()
    tester.run_job("made-y", "skip")
    tester.manager.storage.compact()
    tester.state.metadata.flags.discard("incomplete")
    tester.checkpoint()
    tester.run_job("second", output=b"many lines\n" * 200)
    tester.close()


def generations(tester: Tester) -> None:
    """Processes that end without a word, and one generation after the other."""
    tester.create()
    tester.wish("first")
    tester.checkpoint()
    tester.run_job("first", "crash")
    tester.reopen()
    tester.manager.storage.compact()
    tester.run_job("first")
    tester.manager.storage.compact()
    tester.reopen()
    tester.state.metadata.title = "third"
    tester.checkpoint()
    tester.close()


def full_disk(tester: Tester) -> None:
    """A checkpoint finds no space, half of it written, is tried in vain, and succeeds when there is room."""
    files = tester.files
    assert isinstance(files, FaultyFiles)
    tester.create()
    tester.wish("first", "second")
    tester.checkpoint()
    tester.run_job("first")
    tester.state.metadata.app_blob = b"x" * 3000
    files.heal()
    files.write_limit = 1000
    files.fail("pwrite", errno.ENOSPC, lambda number: number % 3 == 0)
    for _ in range(2):
        with contextlib.suppress(StorageFullError):
            tester.checkpoint()
    files.heal()
    files.write_limit = None
    tester.state.metadata.app_blob = b""
    tester.checkpoint()
    tester.run_job("second")
    tester.close()


def failed_sync(tester: Tester) -> None:
    """The medium refuses to sync a record, and the session goes on in a new generation."""
    files = tester.files
    assert isinstance(files, FaultyFiles)
    tester.create()
    tester.wish("first", "second")
    tester.checkpoint()
    tester.run_job("first")
    files.heal()
    files.fail("fdatasync", errno.EIO, lambda number: number == 1)
    tester.state.metadata.title = "a sync has failed"
    tester.checkpoint()
    files.heal()
    tester.run_job("second")
    tester.close()


SCRIPTS: tuple[Script, ...] = (life, generations, full_disk, failed_sync)
