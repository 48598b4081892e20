# SPDX-License-Identifier: Apache-2.0
"""Real processes for the rigs: children that are started cheaply, the command with a plan of quick jobs, their traces.

What must stay true: a rig ends only processes that it has started, and judges a session from outside, by what the
command shows and by the ledger that the jobs themselves have written.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest import mock

import attrs

_TESTS = Path(__file__).resolve().parent.parent
_FOLDERS = [str(folder) for folder in (_TESTS, _TESTS / "e2e", _TESTS / "crash", _TESTS.parent)]
sys.path[:0] = [folder for folder in _FOLDERS[:3] if folder not in sys.path]

from e2e_support import Plainbox, write_provider  # noqa: E402
from scale import Tally  # noqa: E402

from plainbox.errors import SessionError  # noqa: E402
from plainbox.session.repository import SessionStorageRepository  # noqa: E402
from plainbox.session.storage import SessionStorage  # noqa: E402

__all__ = ["PROCESSES", "Lab", "drain", "is_running", "quick_units", "start_child"]

#: Children are forked from one clean process, which takes a few milliseconds instead of the start of an interpreter.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["plainbox.session.manager", "kills", "owners", "output", "readers", "soak", "texts"])

_PASSED = re.compile(r"passed +(\S+)")


def start_child(target: object, *arguments: object) -> tuple[BaseProcess, Connection]:
    """Start ``target(*arguments, pipe)`` in a process of its own; return it and the reading end of the pipe."""
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(_FOLDERS)):
        forkserver.ensure_running()  # finds what it is to load beforehand
    reader, writer = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=target, args=(*arguments, writer))  # type: ignore[arg-type]
    process.start()
    writer.close()
    return process, reader


def drain(pipe: Connection) -> bytes:
    """Return what is left in the pipe of a process that has ended."""
    data = bytearray()
    while piece := os.read(pipe.fileno(), 65536):
        data += piece
    pipe.close()
    return bytes(data)


def is_running(pid: int) -> bool:
    """Tell whether the process still runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def quick_units(count: int, command: str = "echo out; echo err >&2") -> str:
    """Return the units of a plan ``quick`` of jobs that write their number into the ledger, then do ``command``.

    ``NUMBER`` in the command stands for that of the job.
    """
    jobs = "\n".join(
        f"id: job-{number:02d}\nplugin: shell\n"
        f'command: echo {number:02d} >> "$LEDGER"; {command.replace("NUMBER", str(number))}\n'
        for number in range(count)
    )
    return f"{jobs}\nunit: test plan\nid: quick\n_name: Quick\ninclude: job-.*\n"


@attrs.frozen
class Lab:
    """The command in a home of its own, with one provider and the ledger of its jobs."""

    plainbox: Plainbox
    provider: Path
    ledger: Path

    @classmethod
    def at(cls, base: Path, units: str, **files: str) -> Lab:
        home = base / "home"
        home.mkdir(parents=True)
        (home / "tmp").mkdir()
        ledger = home / "ledger"
        ledger.touch()
        return cls(Plainbox(home), write_provider(base / "provider", units, **files), ledger)

    @property
    def variables(self) -> dict[str, str]:
        return {"LEDGER": str(self.ledger), "TMPDIR": str(self.plainbox.home / "tmp")}

    def words(self, *more: str, plan: str = "quick") -> list[str]:
        return ["run", "--no-input", "--provider", str(self.provider), plan, *more]

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        return self.plainbox.start(*words, **{**self.variables, **variables})

    def started(self, *more: str, plan: str = "quick", **variables: str) -> subprocess.Popen[str]:
        """Start a run and return it when there is a session that can be lost."""
        process = self.start(*self.words(*more, plan=plan), **variables)
        while not any(self.journals()):
            if process.poll() is not None:
                raise RuntimeError(f"the run has ended with {process.returncode}: {process.communicate()[1]}")
            time.sleep(0.002)
        return process

    def journals(self) -> Iterator[Path]:
        return self.plainbox.sessions.glob("*.session/journal-*.pbj")

    def stored(self) -> list[SessionStorage]:
        return SessionStorageRepository(self.plainbox.sessions).get_storage_list()

    def is_incomplete(self) -> bool:
        """Whether there is a session to go on with."""
        return any("incomplete" in storage.peek_metadata()["meta"].get("flags", ()) for storage in self.stored())

    def ran(self) -> Counter[str]:
        """How often each job has run, by its id, from what the jobs have written."""
        return Counter(f"org.example::job-{number}" for number in self.ledger.read_text().split())

    def conclude(self, tally: Tally, shown: set[str], *, jobs: int, crashes: int, trial: str) -> str:
        """Take the session to its end and judge it; return what the resume has said."""
        said = ""
        try:
            if self.is_incomplete():
                done = self.plainbox.run("resume", "--no-input", code=None, **self.variables)
                said = done.stderr
                tally.expect(done.returncode in (0, 1), f"{trial}: resume ended with {done.returncode}: {said}")
            found = self.plainbox.jobs()
        except (SessionError, AssertionError) as error:
            tally.unreadable += 1
            tally.violations.append(f"{trial}: {error}")
            return said
        everything_shown = shown | self.shown(said)
        tally.acknowledged += len(everything_shown)
        self._judge(tally, found, everything_shown, jobs=jobs, crashes=crashes, trial=trial)
        return said

    def _judge(
        self, tally: Tally, found: dict[str, dict], shown: set[str], *, jobs: int, crashes: int, trial: str
    ) -> None:
        """Compare a finished session with what was shown as passed and with the ledger."""
        outcomes = {job_id: job["outcome"] for job_id, job in found.items()}
        tally.lost += sum(outcomes.get(job_id) != "pass" for job_id in shown)
        counts = Counter(outcomes.values())
        tally.expect(len(found) == jobs, f"{trial}: {len(found)} jobs of {jobs}")
        tally.expect(counts["crash"] <= crashes, f"{trial}: {counts['crash']} crashes after {crashes} interruptions")
        tally.expect(counts["pass"] + counts["crash"] == jobs, f"{trial}: outcomes {dict(counts)}")
        tally.expect(
            all(len(job["attempts"]) == 1 and not job["running"] for job in found.values()),
            f"{trial}: a job has not exactly one result",
        )
        ran = self.ran()
        twice = [job_id for job_id, times in ran.items() if times > 1]
        never = [job_id for job_id, outcome in outcomes.items() if outcome == "pass" and not ran[job_id]]
        tally.expect(not twice, f"{trial}: ran twice: {twice}")
        tally.expect(not never, f"{trial}: passed and never ran: {never}")

    @staticmethod
    def shown(stderr: str) -> set[str]:
        """The jobs that a run has shown as passed, whole lines only."""
        return {
            job_id
            for line in stderr.splitlines(keepends=True)
            if line.endswith("\n")
            for job_id in _PASSED.findall(line)
        }
