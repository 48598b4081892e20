# SPDX-License-Identifier: Apache-2.0
"""Small builders for the tests of the session manager and of what stands on it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import attrs

from plainbox.session import MemoryJobResult, SessionManager, SessionStorage, SessionStorageRepository
from plainbox.session.files import FileOps
from plainbox.session.jobs import JobState
from plainbox.session.result import JobResult
from plainbox.session.state import SessionState
from plainbox.units import JobDefinition, TemplateUnit, TestPlanUnit, Unit

__all__ = ["Provider", "job", "manager_of", "plan", "records", "reload", "result", "session", "state_of", "template"]


@attrs.define(eq=False)
class Provider:
    """A provider as far as units and sessions ask: its names, and the units that it has."""

    namespace: str = "org.example"
    name: str = "org.example:samples"
    version: str = "1.0"
    unit_list: list[Unit] = attrs.field(factory=list)
    executable_list: list[Path] = attrs.field(factory=list)
    gettext_domain: str | None = None
    base_dir: Path = Path("/nowhere")
    units_dir: Path | None = None
    jobs_dir: Path | None = None
    data_dir: Path | None = None
    bin_dir: Path | None = None
    locale_dir: Path | None = None


PROVIDER = Provider()


def job(partial_id: str, **fields: object) -> JobDefinition:
    """A job of the sample provider; a shell job that does nothing unless the fields say otherwise."""
    defaults: dict[str, object] = {"plugin": "shell", "command": "true"}
    if fields.get("plugin") == "manual":
        del defaults["command"]
    named = {key.replace("_", "-") if key == "on_crash" else key: value for key, value in fields.items()}
    return JobDefinition({"id": partial_id, **defaults, **named}, provider=PROVIDER)


def template(partial_id: str, resource: str, **fields: object) -> TemplateUnit:
    """A template of jobs over the records of a resource."""
    data = {"template-resource": resource, "id": partial_id, "plugin": "shell", "command": "true", **fields}
    return TemplateUnit(data, provider=PROVIDER)


def plan(partial_id: str, **fields: str) -> TestPlanUnit:
    return TestPlanUnit({"id": partial_id, "name": partial_id, "include": "", **fields}, provider=PROVIDER)


def full(partial_id: str) -> str:
    return f"{PROVIDER.namespace}::{partial_id}"


def result(outcome: str = "pass", **known: object) -> MemoryJobResult:
    return MemoryJobResult({"outcome": outcome, **known})


def records(*texts: str) -> MemoryJobResult:
    """The result of a resource job that printed records: ``name: a`` and so on, a record for each text."""
    output = "\n\n".join(texts) + "\n"
    return result(io_log=[(0.0, "stdout", output.encode())])


def session(base: Path, *units: Unit, files: FileOps | None = None, run: Iterable[Unit] = ()) -> SessionManager:
    """A session over these units, on disk and locked, nothing checkpointed; ``run`` is the wish list."""
    state = SessionState(list(units))
    storage = SessionStorage.create(SessionStorageRepository(base).location, files=files or FileOps(durable=False))
    manager = manager_of(state, storage)
    state.update_desired_job_list([unit for unit in run if isinstance(unit, JobDefinition)])
    return manager


def manager_of(state: SessionState, storage: SessionStorage) -> SessionManager:
    from plainbox.session import SessionDeviceContext
    from plainbox.session.dirs import WellKnownDirsHelper

    WellKnownDirsHelper(storage).populate()
    return SessionManager([SessionDeviceContext(state)], storage)


def state_of(manager: SessionManager) -> SessionState:
    assert manager.state is not None
    return manager.state


def job_state(manager: SessionManager, partial_id: str) -> JobState:
    return state_of(manager).job_state_map[full(partial_id)]


def give(manager: SessionManager, partial_id: str, outcome: JobResult, *, replace: bool = False) -> None:
    """Give a job a result."""
    state = state_of(manager)
    state.update_job_result(state.job_state_map[full(partial_id)].job, outcome, replace=replace)


def reload(manager: SessionManager, *units: Unit, flags: Iterable[str] | None = None) -> SessionManager:
    """Close a session and load it again over these units."""
    manager.close()
    storage = SessionStorage(manager.storage.location, files=FileOps(durable=False))
    return SessionManager.load_session(list(units), storage, flags=flags)
