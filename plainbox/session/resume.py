# SPDX-License-Identifier: Apache-2.0
"""From the bytes of a checkpoint back to a session state.

Facts are read, never guessed: every stored result is replayed through the state, oldest first, so that resources and the
jobs made from them come back the way they came. Jobs that are not what they were, or not there at all, are reported all
together. A resource job whose output is lost is run again: what was made from it comes back then, and what has a
result keeps it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from plainbox.errors import (
    BrokenReferenceToExternalFile,
    CorruptedSessionError,
    IncompatibleJobError,
    IncompatibleSessionError,
    SessionResumeError,
)
from plainbox.session.jobs import JobState
from plainbox.session.metadata import SessionMetaData
from plainbox.session.outcome import Outcome
from plainbox.session.result import DiskJobResult, JobResult, restore_result
from plainbox.session.state import SessionState
from plainbox.session.suspend import differing_field, is_same_checksum, job_of_definition, provider_of_definition
from plainbox.session.tree import Tree, check_change
from plainbox.units import JobDefinition, Unit

__all__ = [
    "STALE",
    "BrokenReferenceToExternalFile",
    "CorruptedSessionError",
    "EarlyCallback",
    "IncompatibleJobError",
    "IncompatibleSessionError",
    "ResumeFlag",
    "SessionPeekHelper",
    "SessionResumeError",
    "SessionResumeHelper",
]

_log = logging.getLogger(__name__)

EarlyCallback: TypeAlias = Callable[[SessionState], "SessionState | None"]
_Json: TypeAlias = "dict[str, Any]"

#: Key of a result whose job is not defined any more as it was when the result came.
STALE = "stale_definition"

_SCHEMA = "plainbox.session/1"
_MAX_INTEGER = 2**53


class ResumeFlag:
    """What the resume may overlook or must check."""

    FILE_REFERENCE_CHECKS = "file-reference-checks"
    #: Jobs may have changed: results keep their outcome and are marked with :data:`STALE`.
    IGNORE_JOB_CHECKSUMS = "ignore-job-checksums"
    #: Jobs may be gone: they are not run, and what is stored of them stands for them in reports.
    ALLOW_MISSING_JOBS = "allow-missing-jobs"
    #: The session must go on where it was opened last: the same machine, kernel, programs and versions of providers.
    STRICT_ENVIRONMENT = "strict-environment"
    #: Whatever can be shown is shown, on the understanding that nobody goes on with the session.
    READ_ONLY = "read-only"


_KNOWN_FLAGS = {value for name, value in vars(ResumeFlag).items() if name.isupper()}


class SessionPeekHelper:
    """Reads the metadata of a representation and nothing else."""

    def peek(self, data: bytes) -> SessionMetaData:
        """Return the metadata; bytes that are no representation raise :class:`CorruptedSessionError`."""
        return _metadata(_parse(data))


class SessionResumeHelper:
    """Rebuilds a state over the units that are known now."""

    def __init__(self, job_list: list[Unit], flags: Iterable[str] | None = None, location: str | None = None) -> None:
        self._units = job_list
        self._flags = set(flags or ())
        self._location = location
        #: Whether the state that was made is not the one that was stored: something was overlooked on request or lost.
        self.differs = False
        for flag in sorted(self._flags - _KNOWN_FLAGS):
            _log.warning("The resume flag %r is not known", flag)
        if ResumeFlag.READ_ONLY in self._flags:
            self._flags |= {ResumeFlag.IGNORE_JOB_CHECKSUMS, ResumeFlag.ALLOW_MISSING_JOBS}

    def resume(self, data: bytes | Tree, early_cb: EarlyCallback | None = None) -> SessionState:
        """Return the state that a full representation describes; :attr:`differs` tells whether it is exactly that.

        ``early_cb`` sees the bare state before anything is restored and may return another one to be filled. Raises
        :class:`CorruptedSessionError` for what cannot be, :class:`IncompatibleSessionError` for what another version
        wrote, :class:`IncompatibleJobError` for jobs that have changed or are missing, and
        :class:`BrokenReferenceToExternalFile` for logs that are gone when asked to check. A resource job whose output
        cannot be read has a further result, a crash with the key ``retry``: its run is to be repeated.
        """
        try:
            return self._resume(_parse(data), early_cb)
        except RecursionError:
            raise CorruptedSessionError("the checkpoint makes no sense: it is nested too deeply") from None

    def _resume(self, document: _Json, early_cb: EarlyCallback | None) -> SessionState:
        metadata = _metadata(document)
        state = SessionState(self._units)
        if early_cb is not None:
            state = early_cb(state) or state
        state.metadata.update_from_dict(metadata.as_dict())
        with state.deferred_readiness():
            _Restoring(state, document, self._flags, self._location, self._note_difference).all_jobs()
        information = document.get("sys")
        if information is not None:
            try:
                state.system_information = information
            except ValueError as error:
                raise _senseless(error) from None
        return state

    def _note_difference(self) -> None:
        self.differs = True


class _Restoring:
    """The way from a checked document to the jobs, results and lists of one state."""

    def __init__(
        self,
        state: SessionState,
        document: _Json,
        flags: set[str],
        location: str | None,
        note_difference: Callable[[], None],
    ) -> None:
        self._state = state
        self._flags = flags
        self._location = location
        self._note_difference = note_difference
        self._entries: dict[str, _Json] = document.get("jobs", {})
        self._definitions: _Json = document.get("units", {})
        self._lists: tuple[list[str], list[str]] = document.get("must", []), document.get("want", [])
        self._histories = self._restored_results(document.get("res", []))
        self._changed: list[str] = []
        #: Resource jobs that have lost output, those of them that are run again for it, and jobs to be made again.
        self._lossy: set[str] = set()
        self._run_again: list[str] = []
        self._forgotten: set[str] = set()

    def all_jobs(self) -> None:
        """Restore everything that is stored about jobs."""
        # Of several resource jobs that make the same job, the first one to run made it.
        self._state.makers = {job_id: entry["via"] for job_id, entry in self._entries.items() if entry.get("via")}
        missing = self._replay_known()
        self._state.makers = {}
        missing += sorted({item for items in self._lists for item in items} - self._entries.keys() - self._known())
        bogus = [job_id for job_id in missing if job_of_definition(job_id, self._definitions.get(job_id)) is None]
        if bogus:
            raise CorruptedSessionError(f"the session speaks of jobs that it does not know: {', '.join(bogus)}")
        self._judge(missing)
        read_only = ResumeFlag.READ_ONLY in self._flags
        for job_id in missing:
            self._stand_in(job_id)
        left_out = self._forgotten if read_only else self._forgotten.union(missing)
        must, want = (
            [self._state.job_state_map[job_id].job for job_id in ids if job_id not in left_out] for ids in self._lists
        )
        want = [
            self._state.job_state_map[job_id].job for job_id in self._run_again if job_id not in self._lists[1]
        ] + want
        self._state.update_mandatory_job_list(must)
        self._state.update_desired_job_list(want, include_mandatory=False)
        if self._forgotten and self._state.dropped:
            # Who needs what is to be made again cannot be put in order now; the selection will mean it again.
            want = [job for job in want if job.id not in self._state.dropped]
            self._state.update_desired_job_list(want, include_mandatory=False)

    def _known(self) -> set[str]:
        return set(self._state.job_state_map)

    def _replay_known(self) -> list[str]:
        """Replay the results of the jobs that are known or become known by it; return the ids of the others.

        A resource job brings the jobs made from its records; these may be resource jobs themselves.
        """
        states = self._state.job_state_map
        waiting = sorted(self._entries)
        while waiting:
            later = []
            for job_id in waiting:
                job_state = states.get(job_id)
                if job_state is None:
                    later.append(job_id)
                    continue
                same = is_same_checksum(self._entries[job_id].get("sum"), job_state.job.checksum)
                if not same:
                    self._changed.append(job_id)
                self._replay(job_id, stale=not same)
            if len(later) == len(waiting):
                orphans = self._settle_orphans(later)
                if not orphans:
                    break
                later = [job_id for job_id in later if job_id not in orphans]
            waiting = later
        return waiting

    def _settle_orphans(self, waiting: list[str]) -> set[str]:
        """Take care of jobs that were made from output that is lost; return them.

        What has come to its end stays with its results, also when no later record makes it again; what was running then
        stays to be judged. The others come back when the resource job is run again.
        """
        orphans = set()
        for job_id in waiting:
            via = self._entries[job_id].get("via")
            stored = job_of_definition(job_id, self._definitions.get(job_id))
            if stored is None or (via not in self._lossy and via not in self._forgotten):
                continue
            orphans.add(job_id)
            history = self._histories.get(job_id)
            begun = bool(history and not history[-1].get("retry")) or job_id in self._state.metadata.running
            if begun and stored.plugin != "resource":
                self._stand_in(job_id)
            else:
                self._forgotten.add(job_id)
        return orphans

    def _replay(self, job_id: str, *, stale: bool = False) -> None:
        job_state = self._state.job_state_map[job_id]
        lost: Exception | None = None
        for result in self._histories.get(job_id, ()):
            if stale:
                result = restore_result({**result.as_dict(), STALE: True}, self._location)
            lost = None
            if job_state.job.plugin == "resource" and isinstance(result, DiskJobResult):
                # Half of an answer would decide what runs: output that is not all there is as good as gone.
                result = result.compared()
            try:
                self._state.update_job_result(job_state.job, result)
            except (SessionResumeError, OSError) as error:
                if ResumeFlag.READ_ONLY not in self._flags and job_state.job.plugin != "resource":
                    raise
                _log.warning("What the resource job %s found out cannot be read: %s", job_id, error)
                lost = error
                if ResumeFlag.READ_ONLY not in self._flags:
                    self._lossy.add(job_id)
        entry = self._entries[job_id]
        job_state.attempts = entry.get("attempts", job_state.attempts)
        if lost is not None and ResumeFlag.READ_ONLY not in self._flags:
            self._let_run_again(job_state, lost)
        via = self._state.job_state_map.get(entry.get("via", ""))
        if via is not None and job_state.via_job is not None:
            # Of several resource jobs that make the same job, the first one to run made it.
            job_state.via_job = via.job

    def _let_run_again(self, job_state: JobState, reason: Exception) -> None:
        """Let a resource job whose last output is lost count as not done."""
        self._run_again.append(job_state.job.id)
        if not job_state.result.get("retry"):
            comment = f"its output is lost: {reason}; the job is run again"
            known = {"outcome": Outcome.CRASH.value, "origin": "resume", "comments": comment, "retry": True}
            self._state.update_job_result(job_state.job, restore_result(known))
        job_state.attempts = max(1, job_state.attempts)
        self._note_difference()

    def _stand_in(self, job_id: str) -> None:
        """Put the job that the session has stored in the place of the one that is gone."""
        entry = self._entries.get(job_id, {})
        job = job_of_definition(job_id, self._definitions.get(job_id), entry.get("sum"))
        assert job is not None
        self._state.add_unit(job, via=self._known_maker(job_id))
        if job_id in self._entries:
            self._replay(job_id)

    def _known_maker(self, job_id: str) -> JobDefinition | None:
        """Return the resource job that a job was made from, or what made that one when it has to be made again."""
        maker = self._entries.get(job_id, {}).get("via")
        while maker in self._forgotten:
            maker = self._entries[maker].get("via")
        known = self._state.job_state_map.get(maker or "")
        return known.job if known is not None else None

    def _judge(self, missing: list[str]) -> None:
        """Raise :class:`IncompatibleJobError` with all jobs at fault, those left out that may be."""
        refused = {
            "changed": () if ResumeFlag.IGNORE_JOB_CHECKSUMS in self._flags else tuple(self._changed),
            "missing": () if ResumeFlag.ALLOW_MISSING_JOBS in self._flags else tuple(missing),
        }
        if any(refused.values()):
            details = {"changed": self._about_changed, "missing": self._about_missing}
            text = "; ".join(f"{kind}: {', '.join(map(details[kind], ids))}" for kind, ids in refused.items() if ids)
            raise IncompatibleJobError(
                f"the providers are not what they were when the session began; {text}", **refused
            )
        if self._changed or missing:
            self._note_difference()
            # Whoever only looks is shown what is stored and has not asked what has become of the providers.
            level = logging.INFO if ResumeFlag.READ_ONLY in self._flags else logging.WARNING
            _log.log(level, "Jobs that are not as they were: %s", ", ".join([*self._changed, *missing]))

    def _about_changed(self, job_id: str) -> str:
        job = self._state.job_state_map[job_id].job
        field = differing_field(self._definitions.get(job_id), job)
        if job.template_id is None:
            where = str(job.origin) if job.origin is not None else ""
        elif field == "parameters":
            return f"{job_id} (template {job.template_id} was filled in with other values)"
        else:
            where = f"template {job.template_id}"
        remarks = [where] if where else []
        if field is not None:
            remarks.append(f"field {field}")
        return f"{job_id} ({', '.join(remarks)})" if remarks else job_id

    def _about_missing(self, job_id: str) -> str:
        name = provider_of_definition(self._definitions.get(job_id))
        return f"{job_id} (provider {name})" if name is not None else job_id

    def _restored_results(self, stored: list[Any]) -> dict[str, list[JobResult]]:
        histories: dict[str, list[JobResult]] = {}
        for job_id, attempt, data in sorted(stored, key=lambda item: item[1]):
            if job_id not in self._entries:
                raise CorruptedSessionError(f"there is a result of {job_id!r}, which the session does not list")
            try:
                result = restore_result(data, self._location)
                if result.is_hollow or result.attempt != attempt:
                    raise ValueError(f"it is not one of attempt {attempt}")
            except (TypeError, ValueError) as error:
                raise CorruptedSessionError(f"a result of {job_id!r} makes no sense: {error}") from None
            if ResumeFlag.FILE_REFERENCE_CHECKS in self._flags:
                _check_log(job_id, result)
            histories.setdefault(job_id, []).append(result)
        return histories


# -- the document


def _parse(data: bytes | Tree) -> _Json:
    """Return the document of a representation, everything in it of the right type as far as it is looked at here."""
    if isinstance(data, Tree):  # what was folded from a journal has passed the same checks, record by record
        return _checked(data.as_full())
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise CorruptedSessionError("this is no checkpoint of a session") from None
    if not isinstance(document, dict) or document.get("t") not in ("full", "ck"):
        raise CorruptedSessionError("this is no checkpoint of a session")
    if document.get("schema", _SCHEMA) != _SCHEMA:
        raise IncompatibleSessionError(f"the checkpoint was written as {document['schema']!r}; this is {_SCHEMA}")
    if document["t"] != "full":
        raise CorruptedSessionError("this is a change of a session and not all of it")
    try:
        check_change(document)
    except ValueError as error:
        raise _senseless(error) from None
    return _checked(document)


def _checked(document: _Json) -> _Json:
    try:
        _check_entries(document.get("jobs", {}))
        if not isinstance(document.get("sys", {}), dict | None):
            raise ValueError("'sys' is not an object")
    except ValueError as error:
        raise _senseless(error) from None
    return document


def _senseless(error: ValueError) -> CorruptedSessionError:
    return CorruptedSessionError(f"the checkpoint makes no sense: {error}")


def _check_entries(entries: Mapping[str, _Json]) -> None:
    for job_id, entry in entries.items():
        attempts, via = entry.get("attempts", 0), entry.get("via", "")
        if type(attempts) is not int or not -_MAX_INTEGER < attempts < _MAX_INTEGER or not isinstance(via, str):
            raise ValueError(f"the entry of job {job_id!r} has a value of a wrong type")


def _metadata(document: _Json) -> SessionMetaData:
    return SessionMetaData.of_stored(document.get("meta", {}))


def _check_log(job_id: str, result: JobResult) -> None:
    filename = result.io_log_filename if isinstance(result, DiskJobResult) else None
    if filename is not None and not Path(filename).is_file():
        raise BrokenReferenceToExternalFile(f"the log of {job_id!r} is gone: {filename}")
