# SPDX-License-Identifier: Apache-2.0
"""The names by which other code knows the session: where they are, and the parameters that they take."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

import plainbox
from plainbox.session import (
    SessionDeviceContext,
    SessionManager,
    SessionPeekHelper,
    SessionResumeHelper,
    SessionState,
    SessionStorage,
    SessionStorageRepository,
    SessionSuspendHelper,
)

NAMES = {
    "plainbox.session": (
        "DiskJobResult MemoryJobResult SessionDeviceContext SessionManager SessionState SessionStorage"
        " SessionStorageRepository"
    ),
    "plainbox.session.context": "SessionDeviceContext",
    "plainbox.session.iolog": "IOLogWriter read_frames verify",
    "plainbox.session.jobs": "InhibitionCause JobReadinessInhibitor JobState OverridableJobField",
    "plainbox.session.journal": "JournalReader JournalWriter",
    "plainbox.session.manager": "SessionManager WellKnownDirsHelper at_most_one_context_filter",
    "plainbox.session.repository": "SessionStorageRepository",
    "plainbox.session.result": "DiskJobResult IOLogRecord JobResultBuilder MemoryJobResult",
    "plainbox.session.resume": (
        "BrokenReferenceToExternalFile CorruptedSessionError IncompatibleJobError IncompatibleSessionError"
        " SessionPeekHelper SessionResumeError SessionResumeHelper"
    ),
    "plainbox.session.state": "SessionMetaData SessionState",
    "plainbox.session.storage": (
        "LockedStorageError SessionStorage SessionStorageRepository StorageClosedError StorageError"
        " StorageFailedError StorageFullError StorageGoneError"
    ),
    "plainbox.session.suspend": "SessionSuspendHelper",
    "plainbox.units": "CategoryUnit ExporterUnit JobDefinition ManifestEntryUnit TemplateUnit TestPlanUnit",
}


@pytest.mark.parametrize("module", NAMES)
def test_public_names_are_where_they_are_said_to_be(module: str) -> None:
    """Each name is exported by the module that is documented for it."""
    assert set(NAMES[module].split()) <= set(importlib.import_module(module).__all__)


PARAMETERS: list[tuple[Callable[..., object], str]] = [
    (SessionManager, "device_context_list storage test_plans=()"),
    (SessionManager.create, "repo=None prefix='pbox-'"),
    (SessionManager.create_with_state, "state repo=None"),
    (SessionManager.create_with_unit_list, "unit_list=None repo=None"),
    (SessionManager.load_session, "unit_list storage early_cb=None flags=None"),
    (SessionManager.get_throwaway_manager, "provider_list=None"),
    (SessionManager.create_exporter, "self exporter_id option_list=() strict=True"),
    (SessionManager.checkpoint, "self"),
    (SessionManager.destroy, "self"),
    (SessionDeviceContext, "state=None"),
    (SessionDeviceContext.add_provider, "self provider add_units=True"),
    (SessionDeviceContext.add_unit, "self unit recompute=True"),
    (SessionDeviceContext.remove_unit, "self unit"),
    (SessionDeviceContext.get_unit, "self unit_id kind_name=None"),
    (SessionState, "unit_list"),
    (SessionState.add_unit, "self unit recompute=True via=None"),
    (SessionState.remove_unit, "self unit *recompute=True"),
    (SessionState.update_desired_job_list, "self desired_job_list include_mandatory=True *excluded=None"),
    (SessionState.update_job_result, "self job result *replace=False"),
    (SessionState.get_estimated_duration, "self manual_overhead=30.0"),
    (SessionState.get_certification_status_map, "self outcomes=('fail',) statuses=('blocker',)"),
    (SessionStorageRepository, "location=None"),
    (SessionStorage.save_checkpoint, "self data"),
    (SessionSuspendHelper.suspend, "self session session_dir=None *since=None"),
    (SessionResumeHelper, "job_list flags=None location=None"),
    (SessionResumeHelper.resume, "self data early_cb=None"),
    (SessionPeekHelper.peek, "self data"),
]


def parameters_of(callable_: Callable[..., object]) -> str:
    def words(parameter: inspect.Parameter) -> str:
        star = "*" if parameter.kind is inspect.Parameter.KEYWORD_ONLY else ""
        default = "" if parameter.default is inspect.Parameter.empty else f"={parameter.default!r}"
        return f"{star}{parameter.name}{default}"

    return " ".join(map(words, inspect.signature(callable_).parameters.values()))


@pytest.mark.parametrize(
    ("callable_", "parameters"), PARAMETERS, ids=[callable_.__qualname__ for callable_, _ in PARAMETERS]
)
def test_public_calls_take_the_documented_parameters(callable_: Callable[..., object], parameters: str) -> None:
    """Names, order and defaults are what code that was written against them relies on."""
    assert parameters_of(callable_) == parameters


def test_one_module_knows_the_library_of_the_signals() -> None:
    """Only ``plainbox.events`` imports morris, so that another library would touch one file."""
    package = Path(plainbox.__file__).parent
    importers = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "morris" in path.read_text(encoding="utf-8") and "morris" in imported_by(path)
    ]
    assert importers == ["events.py"]


def imported_by(path: Path) -> set[str]:
    """Return the top-level names of everything that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found
