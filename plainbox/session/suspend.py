# SPDX-License-Identifier: Apache-2.0
"""From a session state to the bytes of a checkpoint: all of it, or what has changed.

Pure and deterministic: the same state gives the same bytes. The form is described in :mod:`plainbox.session.tree`. Beside
the identity of each job its definition is stored as far as reports need it, so that a session can be shown and exported
where its providers are gone; instances of templates are stored whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from plainbox.session.changes import ChangeSet, represented
from plainbox.session.jobs import JobState
from plainbox.session.result import JsonValue
from plainbox.session.state import SessionState
from plainbox.units import JobDefinition
from plainbox.units.record import Value

__all__ = ["SessionSuspendHelper"]

#: The fields of a job that reports show.
_SHOWN = ("id", "plugin", "_summary", "summary", "category_id", "certification-status", "flags")


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
        states = {job_id: state.job_state_map[job_id] for job_id in changes.jobs}
        parts: dict[str, JsonValue] = {
            "meta": dict(changes.meta),
            "jobs": {job_id: _entry(job_state) for job_id, job_state in states.items()},
            "units": _definitions(states.values()),
            "gone": list(changes.gone),
            "drop": [[job_id, attempt] for job_id, attempt in changes.dropped],
            "res": [[job_id, result.attempt, result.as_dict()] for job_id, result in changes.results],
        }
        document = {key: value for key, value in parts.items() if value}
        if changes.want is not None:
            document["want"] = list(changes.want)
        if changes.must is not None:
            document["must"] = list(changes.must)
        if changes.system_information and state.system_information is not None:
            document["sys"] = state.system_information
        return {**document, "t": "ck"}


def _entry(job_state: JobState) -> dict[str, JsonValue]:
    entry: dict[str, JsonValue] = {"sum": job_state.job.checksum, "attempts": job_state.attempts}
    if job_state.via_job is not None:
        entry["via"] = job_state.via_job.id
    return entry


def _definitions(states: Iterable[JobState]) -> dict[str, JsonValue]:
    return {job_state.job.id: definition(job_state.job) for job_state in states}


def _json(value: Value) -> JsonValue:
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    return value


def definition(job: JobDefinition) -> dict[str, JsonValue]:
    """Return what is stored of a job's definition: the namespace, its fields and what they are filled in with."""
    generated = job.parameters is not None
    fields = {key: _json(value) for key, value in job.data.items() if generated or key in _SHOWN}
    stored: dict[str, JsonValue] = {"fields": fields}
    if job.namespace is not None:
        stored["namespace"] = job.namespace
    if job.parameters is not None:
        stored["parameters"] = dict(job.parameters)
    return stored
