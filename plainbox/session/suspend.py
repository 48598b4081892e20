# SPDX-License-Identifier: Apache-2.0
"""From a session state to the bytes of a checkpoint: all of it, or what has changed.

Pure and deterministic: the same state gives the same bytes. The form is described in :mod:`plainbox.session.tree`; what
stands in it about one job is made as short as reports and comparisons allow, because it is written for every job:

* the entry of a job has the beginning of its checksum, and its attempts unless it still has all of them;
* the definition of a job, written once, has what reports show of a job whose provider is gone. An instance of a template
  has its parameters and a short digest of every other field too, so that a resume can name the field that has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from plainbox.session.changes import ChangeSet, represented
from plainbox.session.jobs import JobState
from plainbox.session.result import JsonValue
from plainbox.session.state import SessionState
from plainbox.units import JobDefinition
from plainbox.units.record import Value

__all__ = ["SessionSuspendHelper", "digest_of_field", "is_same_checksum", "job_of_definition"]

#: The fields of a job that reports show.
_SHOWN = ("plugin", "_summary", "summary", "category_id", "certification-status", "flags")
#: Of the checksum of a job 128 bits are kept: enough to tell that a definition has changed.
_SUM_DIGITS = 32
#: What a job has when it was never started.
_ALL_ATTEMPTS = 3


class SessionSuspendHelper:
    """Makes the representation of a state."""

    def suspend(
        self, session: SessionState, session_dir: str | None = None, *, since: ChangeSet | None = None
    ) -> bytes:
        """Return the full representation of a state, or with ``since`` only these changes of it.

        ``session_dir`` is where the logs of its results are; paths in the representation are relative to it.
        """
        document = self._full(session) if since is None else self._changes(session, since)
        return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")

    def _full(self, state: SessionState) -> dict[str, JsonValue]:
        states = represented(state)
        parts: dict[str, JsonValue] = {
            "meta": state.metadata.as_dict(),
            "jobs": {job_id: _entry(job_state) for job_id, job_state in states.items()},
            "units": _definitions(states.values()),
            "res": [
                [job_id, result.attempt, result.as_dict()]
                for job_id, job_state in sorted(states.items())
                for result in job_state.result_history
            ],
            "want": [job.id for job in state.desired_job_list],
            "must": [job.id for job in state.mandatory_job_list],
        }
        document = {key: value for key, value in parts.items() if value}
        if state.system_information is not None:
            document["sys"] = state.system_information
        return {**document, "t": "full"}

    def _changes(self, state: SessionState, changes: ChangeSet) -> dict[str, JsonValue]:
        states = state.job_state_map
        parts: dict[str, JsonValue] = {
            "meta": dict(changes.meta),
            "jobs": {job_id: _entry(states[job_id]) for job_id in changes.jobs},
            "units": _definitions(states[job_id] for job_id in changes.defined),
            "gone": list(changes.gone),
            "drop": [[job_id, attempt] for job_id, attempt in changes.dropped],
            "res": [[job_id, result.attempt, result.as_dict()] for job_id, result in changes.results],
        }
        document = {key: value for key, value in parts.items() if value}
        if changes.want is not None:
            document["want"] = list(changes.want)
        if changes.must is not None:
            document["must"] = list(changes.must)
        if changes.system_information:
            document["sys"] = state.system_information
        return {**document, "t": "ck"}


# -- one job


def _entry(job_state: JobState) -> dict[str, JsonValue]:
    entry: dict[str, JsonValue] = {"sum": job_state.job.checksum[:_SUM_DIGITS]}
    if job_state.attempts != _ALL_ATTEMPTS:
        entry["attempts"] = job_state.attempts
    if job_state.via_job is not None:
        entry["via"] = job_state.via_job.id
    return entry


def is_same_checksum(stored: object, checksum: str) -> bool:
    """Tell whether the checksum of an entry is that of a job."""
    return isinstance(stored, str) and len(stored) >= _SUM_DIGITS and checksum.startswith(stored)


def _definitions(states: Iterable[JobState]) -> dict[str, JsonValue]:
    return {job_state.job.id: _definition(job_state.job) for job_state in states}


def _definition(job: JobDefinition) -> dict[str, JsonValue]:
    stored: dict[str, JsonValue] = {"fields": {key: _json(job.data[key]) for key in _SHOWN if key in job.data}}
    if job.provider is not None:
        stored["provider"] = job.provider.name
    if job.parameters is not None:
        stored["parameters"] = dict(job.parameters)
        stored["others"] = {key: digest_of_field(value) for key, value in job.data.items() if key not in _SHOWN}
    return stored


def job_of_definition(job_id: str, stored: Any) -> JobDefinition | None:
    """Return a job with this id that shows what its stored definition says; ``None`` when there is no such thing.

    It can be looked at and reported, and not be run.
    """
    if not isinstance(stored, Mapping) or not isinstance(stored.get("fields"), Mapping):
        return None
    parameters = stored.get("parameters")
    if parameters is not None and not _is_text_mapping(parameters):
        return None
    namespace, colons, partial_id = job_id.partition("::")
    provider = _StoredProvider(namespace, str(stored.get("provider"))) if colons else None
    fields = {**stored["fields"], "id": partial_id if colons else job_id}
    return JobDefinition(fields, provider=provider, parameters=parameters)
