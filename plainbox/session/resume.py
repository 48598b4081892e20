# SPDX-License-Identifier: Apache-2.0
"""From the bytes of a checkpoint back to a session state.

Facts are read, never guessed: every stored result is replayed through the state, oldest first, so that resources and the
jobs made from them come back the way they came. Jobs that are not what they were, or not there at all, are reported all
together.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import attrs

from plainbox.errors import (
    BrokenReferenceToExternalFile,
    CorruptedSessionError,
    IncompatibleJobError,
    IncompatibleSessionError,
)
from plainbox.session.metadata import SessionMetaData
from plainbox.session.result import JobResult, restore_result
from plainbox.session.state import SessionState
from plainbox.units import JobDefinition, Unit

__all__ = ["EarlyCallback", "ResumeFlag", "SessionPeekHelper", "SessionResumeHelper"]

_log = logging.getLogger(__name__)

EarlyCallback: TypeAlias = Callable[[SessionState], "SessionState | None"]
_Json: TypeAlias = "dict[str, Any]"


class ResumeFlag:
    """What the resume may overlook or must check."""

    FILE_REFERENCE_CHECKS = "file-reference-checks"
    IGNORE_JOB_CHECKSUMS = "ignore-job-checksums"
    ALLOW_MISSING_JOBS = "allow-missing-jobs"
    #: Both of the latter: enough to show and export a session, not to go on with it.
    READ_ONLY = "read-only"


_KNOWN_FLAGS = {value for name, value in vars(ResumeFlag).items() if name.isupper()}


@attrs.frozen
class StoredProvider:
    """Stands for the provider of a job whose definition comes from the session itself."""

    namespace: str
    name: str = "stored in the session"
    version: str = "0"
    gettext_domain: None = None
    units_dir: None = None
    jobs_dir: None = None
    data_dir: None = None
    bin_dir: None = None
    locale_dir: None = None

    @property
    def base_dir(self) -> Any:
        raise FileNotFoundError("the provider is not there any more")


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
        for flag in sorted(self._flags - _KNOWN_FLAGS):
            _log.warning("The resume flag %r is not known", flag)
        if ResumeFlag.READ_ONLY in self._flags:
            self._flags |= {ResumeFlag.IGNORE_JOB_CHECKSUMS, ResumeFlag.ALLOW_MISSING_JOBS}

    def resume(self, data: bytes, early_cb: EarlyCallback | None = None) -> SessionState:
        """Return the state that the bytes describe.

        ``early_cb`` sees the bare state before anything is restored and may return another one to be filled. Raises
        :class:`CorruptedSessionError` for what cannot be, :class:`IncompatibleJobError` for jobs that have changed or
        are missing, :class:`BrokenReferenceToExternalFile` for logs that are gone, when asked to check.
        """
        document = _parse(data)
        state = SessionState(self._units)
        if early_cb is not None:
            state = early_cb(state) or state
        metadata = _metadata(document)
        state.metadata.update_from_dict(metadata.as_dict())
        with state.deferred_readiness():
            self._restore_jobs(state, document)
            must, want = (self._known_jobs(state, document.get(key, [])) for key in ("must", "want"))
            state.update_mandatory_job_list(must)
            state.update_desired_job_list(want, include_mandatory=False)
        information = document.get("sys")
        if information is not None:
            state.system_information = _typed(information, dict, "system information")
        return state

    # -- jobs and results

    def _restore_jobs(self, state: SessionState, document: _Json) -> None:
        entries = _typed(document.get("jobs", {}), dict, "jobs")
        histories = self._histories(document)
        unknown = [job_id for job_id in histories if job_id not in entries]
        if unknown:
            raise CorruptedSessionError(f"results of jobs that are not listed: {', '.join(sorted(unknown))}")
        changed: list[str] = []
        waiting = sorted(entries)
        while waiting:
            later: list[str] = []
            for job_id in waiting:
                job_state = state.job_state_map.get(job_id)
                if job_state is None:
                    later.append(job_id)
                    continue
                if entries[job_id].get("sum") != job_state.job.checksum:
                    changed.append(job_id)
                self._replay(state, job_id, entries[job_id], histories.get(job_id, ()))
            if len(later) == len(waiting):
                break
            waiting = later
        else:
            later = []
        missing = self._stand_in(state, document, later, entries, histories)
        if ResumeFlag.IGNORE_JOB_CHECKSUMS in self._flags:
            for job_id in changed:
                _log.warning("The definition of %s has changed since the session began", job_id)
            changed = []
        if changed or missing:
            raise IncompatibleJobError(
                _incompatible(state, document, changed, missing), changed=changed, missing=missing
            )

    def _replay(self, state: SessionState, job_id: str, entry: Mapping[str, Any], history: Iterable[JobResult]) -> None:
        job_state = state.job_state_map[job_id]
        for result in history:
            state.update_job_result(job_state.job, result)
        attempts = entry.get("attempts")
        if attempts is not None:
            job_state.attempts = _typed(attempts, int, f"attempts of {job_id}")

    def _stand_in(
        self,
        state: SessionState,
        document: _Json,
        ids: list[str],
        entries: Mapping[str, Any],
        histories: Mapping[str, list[JobResult]],
    ) -> list[str]:
        """Make jobs from their stored definitions where that is allowed; return the ids that stay missing."""
        if not ids or ResumeFlag.ALLOW_MISSING_JOBS not in self._flags:
            return ids
        definitions = _typed(document.get("units", {}), dict, "units")
        missing = []
        for job_id in ids:
            job = _from_definition(definitions.get(job_id))
            if job is None or job.id != job_id:
                missing.append(job_id)
                continue
            state.add_unit(job, recompute=False)
            self._replay(state, job_id, entries[job_id], histories.get(job_id, ()))
        return missing

    def _histories(self, document: _Json) -> dict[str, list[JobResult]]:
        histories: dict[str, list[JobResult]] = {}
        for job_id, _, stored in _typed(document.get("res", []), list, "results"):
            try:
                result = restore_result(stored, self._location)
            except (TypeError, ValueError) as error:
                raise CorruptedSessionError(f"a result of {job_id!r} makes no sense: {error}") from None
            if ResumeFlag.FILE_REFERENCE_CHECKS in self._flags:
                _check_log(job_id, result)
            histories.setdefault(job_id, []).append(result)
        return histories

    def _known_jobs(self, state: SessionState, ids: Any) -> list[JobDefinition]:
        lenient = ResumeFlag.ALLOW_MISSING_JOBS in self._flags
        missing = [job_id for job_id in _typed(ids, list, "job list") if job_id not in state.job_state_map]
        if missing and not lenient:
            raise IncompatibleJobError(
                f"jobs of the session are not known any more: {', '.join(sorted(missing))}", missing=missing
            )
        return [state.job_state_map[job_id].job for job_id in ids if job_id in state.job_state_map]


def _parse(data: bytes) -> _Json:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise CorruptedSessionError("this is no checkpoint of a session") from None
    if not isinstance(document, dict) or "t" not in document:
        raise CorruptedSessionError("this is no checkpoint of a session")
    if document["t"] != "full":
        raise IncompatibleSessionError(f"this is no full checkpoint but {document['t']!r}")
    return document


def _metadata(document: _Json) -> SessionMetaData:
    metadata = SessionMetaData()
    try:
        metadata.update_from_dict(_typed(document.get("meta", {}), dict, "metadata"))
    except (TypeError, ValueError) as error:
        raise CorruptedSessionError(f"the metadata of the session makes no sense: {error}") from None
    return metadata


def _typed(value: Any, wanted: type, name: str) -> Any:
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise CorruptedSessionError(f"{name} should be {wanted.__name__}, not {type(value).__name__}")
    return value


def _check_log(job_id: str, result: JobResult) -> None:
    from pathlib import Path

    filename = getattr(result, "io_log_filename", None)
    if filename is not None and not Path(filename).is_file():
        raise BrokenReferenceToExternalFile(f"the log of {job_id!r} is gone: {filename}")


def _from_definition(stored: Any) -> JobDefinition | None:
    if not isinstance(stored, dict) or not isinstance(stored.get("fields"), dict):
        return None
    namespace = stored.get("namespace")
    provider = StoredProvider(namespace) if isinstance(namespace, str) else None
    parameters = stored.get("parameters")
    return JobDefinition(
        stored["fields"], provider=provider, parameters=parameters if isinstance(parameters, dict) else None
    )


def _incompatible(state: SessionState, document: _Json, changed: list[str], missing: list[str]) -> str:
    """Return a sentence that names every job at fault and, for an instance, the field that differs first."""
    parts = []
    definitions = document.get("units", {})
    for job_id in changed:
        stored = definitions.get(job_id, {})
        old = stored.get("fields", {})
        new = state.job_state_map[job_id].job
        differing = [key for key in sorted({*old, *new.data}) if key in old and old[key] != new.data.get(key)]
        detail = f" (field {differing[0]!r})" if differing else ""
        if stored.get("parameters", None) not in (None, new.parameters):
            detail = f" (made by template {new.template_id!r} from other values)"
        parts.append(f"{job_id}{detail}")
    text = "; ".join(
        f"{title}: {', '.join(items)}" for title, items in (("changed", parts), ("missing", missing)) if items
    )
    return f"the providers are not what they were when the session began; {text}"
