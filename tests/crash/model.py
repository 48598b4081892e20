# SPDX-License-Identifier: Apache-2.0
"""Any sequence of doings on a session, against a model that knows nothing of journals.

The model is a plain copy of everything that a session should hold, taken whole at every save. :class:`Driver` does each
thing to both; whatever is loaded from the disk must be one of the copies.
"""

from __future__ import annotations

import base64
import copy
import errno
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from invariants import one_look
from manager_rig import full, job, manager_of, records, result, template
from open_session import OpenSession
from scale import Figures, Tally
from steps import Steps

from plainbox.errors import StorageFullError
from plainbox.session import SessionManager, SessionStorage
from plainbox.session.jobs import JobState
from plainbox.session.metadata import RunningAttempt
from plainbox.session.result import JobResult
from plainbox.session.state import SessionState
from plainbox.testing.files import Stopped
from plainbox.units import Unit

__all__ = ["OPERATIONS", "Driver", "run"]

_JOBS = [f"job-{number}" for number in range(5)]
_UNITS: list[Unit] = [
    *map(job, _JOBS),
    job("scan", plugin="resource"),
    template("made-{name}", "scan", **{"template-id": "maker"}),
]
_OUTCOMES = ["pass", "fail", "skip", "crash", "undecided"]


def _nothing() -> dict[str, Any]:
    return {"meta": {}, "res": {}, "attempts": {}, "want": [], "must": []}


class Driver(OpenSession):
    """One session in ``base``; the numbers that the operations take choose among what there is."""

    def __init__(self, base: Path) -> None:
        self.files = Steps()
        self._manager = manager_of(SessionState(list(_UNITS)), SessionStorage.create(base, files=self.files))
        self.location = self.manager.storage.location
        #: What the session should hold, and what the disk should.
        self.now = _nothing()
        self.saved: dict[str, Any] | None = None
        self.saves = 0

    def _pick(self, number: int) -> JobState:
        states = [state for state in self.state.job_state_map.values() if state.job.plugin != "resource"]
        return states[number % len(states)]

    # What happens to a session

    def take_result(self, number: int) -> None:
        job_state = self._pick(number)
        self._take(job_state, result(_OUTCOMES[number % 5], comments=f"comment {number}", return_code=number))

    def take_records(self, number: int) -> None:
        scan = self.state.job_state_map[full("scan")]
        self._take(scan, records(*(f"name: {name}" for name in "xyz"[: number % 4])))

    def _take(self, job_state: JobState, taken: JobResult) -> None:
        of_job = self.now["res"].setdefault(job_state.job.id, {})
        attempt = max(of_job, default=0) + 1
        of_job[attempt] = {**taken.as_dict(), "attempt": attempt}
        self.state.update_job_result(job_state.job, taken)

    def replace_result(self, number: int) -> None:
        job_state = self._pick(number)
        of_job = self.now["res"].get(job_state.job.id)
        if of_job:
            last = max(of_job)
            of_job[last] = {"outcome": "skip", "attempt": last, "comments": "replaced"}
            self.state.update_job_result(job_state.job, result("skip", comments="replaced"), replace=True)

    def drop_result(self, number: int) -> None:
        """Forget the last result but one; the history of a job may be cut and then go on."""
        job_state = self._pick(number)
        of_job = self.now["res"].get(job_state.job.id)
        if of_job and len(of_job) > 1:
            del of_job[sorted(of_job)[-2]]
            history = job_state.result_history
            job_state.result_history = (*history[:-2], history[-1])
            self.replace_result(number)

    def start(self, number: int) -> None:
        job_state = self._pick(number)
        job_id = job_state.job.id
        if job_state.attempts and job_id not in self.state.metadata.running:
            running = RunningAttempt(job_state.next_attempt, float(number), "boot")
            self.state.metadata.running = {**self.state.metadata.running, job_id: running}
            job_state.attempts -= 1
            self.now["attempts"][job_id] = job_state.attempts
            self.now["meta"].setdefault("running", {})[job_id] = running.as_dict()

    def finish(self, number: int) -> None:
        running = list(self.state.metadata.running)
        if running:
            job_id = running[number % len(running)]
            self._take(self.state.job_state_map[job_id], result("fail"))
            self.state.metadata.running = {
                key: value for key, value in self.state.metadata.running.items() if key != job_id
            }
            del self.now["meta"]["running"][job_id]

    def wish(self, number: int) -> None:
        wanted = [self._pick(number + step).job for step in range(number % 4)]
        self.state.update_desired_job_list(wanted, include_mandatory=False)
        self.now["want"] = [wish.id for wish in self.state.desired_job_list]

    def insist(self, number: int) -> None:
        mandatory = [self._pick(number).job]
        self.state.update_mandatory_job_list(mandatory)
        self.now["must"] = [mandatory[0].id]

    def change_metadata(self, number: int) -> None:
        metadata = self.state.metadata
        metadata.title = f"title {number}"
        metadata.app_blob = bytes([number % 256]) * (number % 700)
        metadata.rejected_jobs.append(str(number))
        self.now["meta"]["title"] = metadata.title
        self.now["meta"]["app_blob"] = base64.b64encode(metadata.app_blob).decode()
        self.now["meta"].setdefault("rejected_jobs", []).append(str(number))

    def turn_flag(self, number: int) -> None:
        flag = ("incomplete", "submitted", "bootstrapping")[number % 3]
        self.state.metadata.flags.symmetric_difference_update({flag})
        flags = set(self.now["meta"].get("flags", ())) ^ {flag}
        self.now["meta"]["flags"] = sorted(flags)

    def find_out(self, number: int) -> None:
        self.state.system_information = {"number": number}
        self.now["sys"] = {"number": number}

    # What happens to the store

    def checkpoint(self, number: int = 0) -> None:
        self.manager.checkpoint()
        self._kept()

    def _kept(self) -> None:
        self.saved = copy.deepcopy(self.now)
        self.saves += 1
        self.check()

    def compact(self, number: int) -> None:
        if self.saved is not None:
            self.manager.storage.compact()
            self.check()

    def reopen(self, number: int) -> None:
        """End without a word, or properly, and load what is on the disk: what was not saved is gone."""
        if number % 2:
            self.manager.close()
        self.end()
        self._load()

    def full_disk(self, number: int) -> None:
        self.files.fail("pwrite", errno.ENOSPC)
        try:
            self.manager.checkpoint()
        except StorageFullError:
            self.files.heal()
            self.check()
        else:
            self.files.heal()
            self._kept()

    def bad_sync(self, number: int) -> None:
        self.files.heal()
        self.files.fail("fdatasync", errno.EIO, lambda count: count == 1)
        if self.saved is not None:
            self.checkpoint()
        self.files.heal()

    def kill(self, number: int) -> None:
        """End in the middle of a checkpoint: it is there whole, or not at all."""
        self.files.stop_at = len(self.files.steps) + 1 + number % 6
        self.files.how = ("before", "after", "half")[number % 3]
        try:
            self.manager.checkpoint()
        except Stopped:
            pass
        else:
            self.saved = copy.deepcopy(self.now)
        self.end()
        self.files = Steps()
        found = self.stored()
        if found is not None and found == self._expected(self.now):
            self.saved = copy.deepcopy(self.now)
        self._load()

    def _load(self) -> None:
        self.check()
        self._manager = SessionManager.load_session(list(_UNITS), SessionStorage(self.location, files=self.files))
        self.now = copy.deepcopy(self.saved or _nothing())
        # Nobody counts the attempts of a job that is not stored.
        present = self._present(self.now)
        self.now["attempts"] = {job_id: left for job_id, left in self.now["attempts"].items() if job_id in present}

    # The comparison

    def stored(self) -> dict[str, Any] | None:
        """Return what the disk has of what the model knows."""
        try:
            document = json.loads(SessionStorage(self.location, files=Steps()).load_checkpoint())
        except FileNotFoundError:
            return None
        found: dict[str, Any] = {"meta": document["meta"], "res": {}, "sys": document.get("sys")}
        for job_id, attempt, stored in document.get("res", []):
            found["res"].setdefault(job_id, {})[attempt] = stored
        found["attempts"] = {
            job_id: entry["attempts"] for job_id, entry in document.get("jobs", {}).items() if "attempts" in entry
        }
        found["want"], found["must"] = document.get("want", []), document.get("must", [])
        found["jobs"] = sorted(document.get("jobs", {}))
        found["meta"] = {key: value for key, value in found["meta"].items() if value}
        return found

    @staticmethod
    def _present(model: dict[str, Any]) -> set[str]:
        """Return the jobs that are stored: those that somebody wants, and those with results."""
        results = {job_id for job_id, of_job in model["res"].items() if of_job}
        return results.union(model["want"], model["must"])

    def _expected(self, model: dict[str, Any]) -> dict[str, Any]:
        present = self._present(model)
        return {
            "meta": {key: value for key, value in model["meta"].items() if value},
            "res": {job_id: of_job for job_id, of_job in model["res"].items() if of_job},
            "sys": model.get("sys"),
            "attempts": {job_id: left for job_id, left in model["attempts"].items() if job_id in present},
            "want": model["want"],
            "must": model["must"],
            "jobs": sorted(present),
        }

    def check(self) -> None:
        """Fail unless the disk has exactly what the model has saved."""
        wanted = None if self.saved is None else self._expected(self.saved)
        found = self.stored()
        assert found == wanted, f"{found}\n!=\n{wanted}"


#: With how often each is done by the random driver.
OPERATIONS: dict[Callable[[Driver, int], None], int] = {
    Driver.take_result: 6,
    Driver.take_records: 1,
    Driver.replace_result: 2,
    Driver.drop_result: 1,
    Driver.start: 4,
    Driver.finish: 4,
    Driver.wish: 2,
    Driver.insist: 1,
    Driver.change_metadata: 2,
    Driver.turn_flag: 2,
    Driver.find_out: 1,
    Driver.checkpoint: 12,
    Driver.compact: 1,
    Driver.reopen: 2,
    Driver.full_disk: 2,
    Driver.bad_sync: 1,
    Driver.kill: 2,
}


def play(rng: random.Random, base: Path, length: int) -> tuple[int, Sequence[str]]:
    """Do ``length`` random things; return how many saves there were, and what was done when that went wrong."""
    driver = Driver(base)
    done: list[str] = []
    try:
        for _ in range(length):
            (operation,) = rng.choices(list(OPERATIONS), list(OPERATIONS.values()))
            number = rng.randrange(1000)
            done.append(f"{operation.__name__}({number})")
            operation(driver, number)
        driver.checkpoint()
    except Exception as error:
        return driver.saves, [*done, repr(error)]
    finally:
        driver.end()
    return driver.saves, ()


def run(*, trials: int, seed: int, base: Path) -> Figures:
    """Play ``trials`` sequences of fifty operations each."""
    tally = Tally()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else base) as name, one_look():
        for number in range(trials):
            place = os.path.join(name, str(number))
            saves, trouble = play(random.Random(f"{seed}/{number}"), Path(place), 50)
            tally.trials += 1
            tally.acknowledged += saves
            tally.expect(not trouble, f"sequence {seed}/{number}: {' '.join(trouble)}"[:4000])
            shutil.rmtree(place, ignore_errors=True)
    return tally.figures("model", "sequences of 50 operations")
