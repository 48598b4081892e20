# SPDX-License-Identifier: Apache-2.0
"""From a session state to the bytes of a checkpoint: all of it, or what has changed.

Pure and deterministic: the same state gives the same bytes. The form is described in :mod:`plainbox.session.tree`; what
stands in it about one job is made as short as reports and comparisons allow, because it is written for every job:

* the entry of a job has the beginning of its checksum, and its attempts unless it still has all of them;
* the definition of a job, written once, has what reports show of a job whose provider is gone. For an instance of a
  template, which a resume makes anew, it has a short digest of everything else too, to name what has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs

from plainbox.session.changes import ChangeSet, represented
from plainbox.session.jobs import JobState
from plainbox.session.result import JsonValue
from plainbox.session.state import SessionState
from plainbox.units import JobDefinition
from plainbox.units.record import Value

__all__ = [
    "SessionSuspendHelper",
    "differing_field",
    "is_same_checksum",
    "is_stand_in",
    "job_of_definition",
    "provider_of_definition",
]

#: The fields of a job that reports show.
_SHOWN = ("plugin", "summary", "category_id", "certification-status", "template-id")
#: Of the checksum of a job 128 bits are kept: enough to tell that a definition has changed.
_SUM_DIGITS = 32
#: What a job has when it was never started.
_ALL_ATTEMPTS = 3
_STAND_IN = "_is_stand_in"


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
        document: dict[str, JsonValue] = {key: value for key, value in parts.items() if value}
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
    """Tell whether the checksum of an entry is that of a job; an entry that has lost its own in damage says nothing."""
    return stored is None or (isinstance(stored, str) and len(stored) >= _SUM_DIGITS and checksum.startswith(stored))


def _definitions(states: Iterable[JobState]) -> dict[str, JsonValue]:
    return {job_state.job.id: _definition(job_state.job) for job_state in states}


def _definition(job: JobDefinition) -> dict[str, JsonValue]:
    stored: dict[str, JsonValue] = {"fields": _shown(job)}
    if job.provider is not None:
        stored["provider"] = job.provider.name
    if job.parameters is not None:
        stored["parameters"] = _digest(job.parameters)
        stored["others"] = _others(job)
    return stored


def _shown(job: JobDefinition) -> dict[str, JsonValue]:
    return {key: _json(value) for key in _SHOWN if (value := job.value_of(key)) is not None}


def _others(job: JobDefinition) -> dict[str, JsonValue]:
    return {key: _digest(value) for key, value in job.data.items() if key.removeprefix("_") not in _SHOWN}


def _json(value: Value) -> JsonValue:
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    return value


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=dict)
    return hashlib.blake2b(text.encode("ascii"), digest_size=4).hexdigest()


def differing_field(stored: object, job: JobDefinition) -> str | None:
    """Return the first field, by name, in which a job is not what its stored definition says, as far as that tells.

    ``parameters`` stands for what a template was filled in with.
    """
    if not isinstance(stored, Mapping):
        return None
    if job.parameters is not None and stored.get("parameters") not in (None, _digest(job.parameters)):
        return "parameters"
    for known, present in ((stored.get("fields"), _shown(job)), (stored.get("others"), _others(job))):
        if isinstance(known, Mapping):
            differing = [str(key) for key in {*known, *present} if known.get(key) != present.get(key)]
            if differing:
                return min(differing).removeprefix("_")
    return None


def provider_of_definition(stored: object) -> str | None:
    """Return the name of the provider that a job came from, when its stored definition tells."""
    name = stored.get("provider") if isinstance(stored, Mapping) else None
    return name if isinstance(name, str) else None


def job_of_definition(job_id: str, stored: object, checksum: object = None) -> JobDefinition | None:
    """Return a job with this id that shows what its stored definition says; ``None`` when that says nothing.

    It can be looked at and reported, and not be run. With the checksum of the entry it counts as the job it stands for.
    """
    if not isinstance(stored, Mapping) or not isinstance(stored.get("fields"), Mapping):
        return None
    namespace, colons, partial_id = job_id.partition("::")
    provider = _StoredProvider(namespace, provider_of_definition(stored) or namespace) if colons else None
    job = JobDefinition({**stored["fields"], "id": partial_id if colons else job_id}, provider=provider)
    vars(job)[_STAND_IN] = True
    if isinstance(checksum, str):
        vars(job)["checksum"] = checksum
    return job


def is_stand_in(job: JobDefinition) -> bool:
    """Tell whether a job is only what a session has stored of it: :func:`job_of_definition` has made it."""
    return _STAND_IN in vars(job)


@attrs.frozen
class _StoredProvider:
    """Stands for the provider of a job whose definition comes from the session itself."""

    namespace: str
    name: str
    version: str = "0"
    gettext_domain: None = None
    units_dir: None = None
    jobs_dir: None = None
    data_dir: None = None
    bin_dir: None = None
    locale_dir: None = None

    @property
    def base_dir(self) -> Path:
        raise FileNotFoundError(f"the provider {self.name} is not there any more")
