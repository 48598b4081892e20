# SPDX-License-Identifier: Apache-2.0
"""Whole sessions from the text of a few units: for tests of exporters, launchers and whatever else looks at sessions."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

from plainbox.clock import Clock
from plainbox.providers import Catalogue, Provider
from plainbox.providers.definition import ProviderDefinition
from plainbox.runner import Selection, SessionRun
from plainbox.session import SessionManager, SessionStorage
from plainbox.tasks import ExecutionEngine
from plainbox.testing.clock import ManualClock
from plainbox.testing.execution import ScriptedEngine
from plainbox.testing.storage import MemoryStorage
from plainbox.units import Unit, pxu
from plainbox.units.origin import Origin
from plainbox.units.reader import units_of

__all__ = ["catalogue_of", "resume_session", "run_session"]


class _TextProvider(Provider):
    """A provider that is nothing but the text of its units."""

    def __init__(self, text: str, name: str) -> None:
        namespace = name.partition(":")[0]
        directories = dict.fromkeys(("units_dir", "jobs_dir", "data_dir", "bin_dir", "locale_dir"))
        super().__init__(
            ProviderDefinition(
                name=name,
                namespace=namespace,
                version="1.0",
                description="units of a test",
                gettext_domain=None,
                base_dir=Path("/nonexistent"),
                origin=Origin(f"{name}.pxu"),
                **directories,
            )
        )
        self._text = text

    @functools.cached_property
    def unit_list(self) -> list[Unit]:
        lines = self._text.splitlines(keepends=True)
        records = pxu.parse(lines, str(self.definition.origin), on_error=self._add_problem)
        return list(units_of(records, self, on_error=self._add_problem))


def catalogue_of(text: str, *, provider: str = "org.example:test") -> Catalogue:
    """Return the catalogue of one provider that exists only as the PXU text of its units.

    What is wrong with the text raises the :class:`~plainbox.errors.UnitError` that a command would only tell.
    """
    catalogue = Catalogue([_TextProvider(text, provider)])
    for problem in catalogue.problems:
        raise problem
    return catalogue


def run_session(
    units: str | Catalogue,
    *,
    plan: str | None = None,
    patterns: Iterable[str] = (".*",),
    engine: ExecutionEngine | None = None,
    storage: SessionStorage | None = None,
    clock: Clock | None = None,
) -> SessionManager:
    """Run a new session to its end and return its manager; its storage is closed and can still be read.

    ``units`` are PXU text or a catalogue; a ``plan``, by its full id, or the jobs that ``patterns`` match are run. By
    default every job passes, in a time of its own (a ``clock`` is for the default storage and engine), and the session
    is kept in memory.
    """
    if clock is None:
        clock = storage.clock if storage is not None else ManualClock()
    catalogue = catalogue_of(units) if isinstance(units, str) else units
    run = SessionRun.start(
        catalogue,
        Selection(plan_id=plan, patterns=() if plan is not None else patterns),
        storage=storage if storage is not None else MemoryStorage.create(clock=clock),
        engine=engine if engine is not None else ScriptedEngine(clock=clock),
    )
    with run:
        run.go_on()
    return run.manager


def resume_session(
    units: str | Catalogue, storage: SessionStorage, *, engine: ExecutionEngine | None = None
) -> SessionManager:
    """Go on with a session, as ``plainbox resume`` does, to its end; return its manager like :func:`run_session`."""
    catalogue = catalogue_of(units) if isinstance(units, str) else units
    engine = engine if engine is not None else ScriptedEngine(clock=storage.clock)
    with SessionRun.reopen(catalogue, storage, engine=engine) as run:
        run.go_on()
    return run.manager
