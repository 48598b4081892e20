# SPDX-License-Identifier: Apache-2.0
"""A whole run: a new session or one that goes on, through its phases.

Setup (jobs that prepare the machine), bootstrap (the resource jobs that templates need), selection, the jobs themselves.
Which phase a session is in is part of its state, so a run that was interrupted in any of them goes on where it was.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from types import TracebackType
from typing import Self

from plainbox import __version__, dirs
from plainbox.errors import IncompatibleJobError, NothingSelectedError, StorageError, UsageError
from plainbox.providers import Catalogue
from plainbox.runner.environment import JobEnvironment
from plainbox.runner.executor import JobExecutor
from plainbox.runner.janitor import clear_dead_directories
from plainbox.runner.manifest import RECORDS_NAME, load_manifest, manifest_records
from plainbox.runner.recovery import settle_interrupted
from plainbox.runner.runner import Runner, is_done
from plainbox.runner.selection import Selection
from plainbox.runner.stop import StopRequest
from plainbox.session.boot import boot_id
from plainbox.session.dirs import WellKnownDirsHelper
from plainbox.session.manager import SessionManager
from plainbox.session.outcome import Outcome
from plainbox.session.result import JobResult
from plainbox.session.state import SessionState
from plainbox.session.storage import SessionStorage, SessionStorageRepository
from plainbox.tasks import ExecutionEngine
from plainbox.units import JobDefinition, ManifestEntryUnit, TestPlanUnit
from plainbox.units.selection import FlatPlan

__all__ = ["APP_ID", "SessionRun"]

APP_ID = "plainbox"


class SessionRun:
    """One session being run. Use it as a context manager: leaving it lets go of the storage."""

    def __init__(
        self, manager: SessionManager, catalogue: Catalogue, selection: Selection, *, timeout_s: float | None = None
    ) -> None:
        assert manager.state is not None
        self.manager = manager
        self.state: SessionState = manager.state
        self.selection = selection
        self.stop = StopRequest()
        #: Attempts that were interrupted, as they were judged when the session was opened again.
        self.settled: list[tuple[JobDefinition, JobResult]] = []
        #: The setup jobs that failed: nothing but setup jobs has run, and a resume tries these again.
        self.failed_setup: list[JobDefinition] = []
        self._catalogue = catalogue
        share_dir = WellKnownDirsHelper(manager.storage).share_pathname
        # A variable that whoever started this has set says more than a file.
        self._environment = JobEnvironment(catalogue.providers, share_dir, {**catalogue.environment, **os.environ})
        executor = JobExecutor(manager, ExecutionEngine(), self._environment, self.stop, timeout_s=timeout_s)
        self.runner = Runner(manager, executor, self.stop, reselect=self._reselect)

    # -- beginning

    @classmethod
    def start(
        cls,
        catalogue: Catalogue,
        selection: Selection,
        *,
        repository: SessionStorageRepository | None = None,
        title: str | None = None,
        timeout_s: float | None = None,
        strict: bool = True,
    ) -> Self:
        """Return the run of a new session; it is on disk, locked, and nothing has run yet.

        With ``strict`` an instance of a template that is no good job fails; otherwise it is left out.
        """
        plan = catalogue.find(TestPlanUnit, selection.plan_id) if selection.plan_id is not None else None
        clear_dead_directories()
        repository = repository if repository is not None else SessionStorageRepository()
        repository.remove_leftovers()
        state = SessionState(list(catalogue.units))
        metadata = state.metadata
        metadata.title = title or (plan.name if plan is not None else " ".join(selection.patterns))
        metadata.app_id = APP_ID
        metadata.app_blob = selection.as_blob()
        metadata.flags = {"incomplete", "setting_up", "bootstrapping"}
        metadata.flags |= {"strict_template_expansion"} if strict else set()
        metadata.flags |= set() if plan is not None else {"testplanless"}
        metadata.test_plan_ids = [plan.id] if plan is not None else []
        metadata.boot_id = boot_id()
        metadata.tz_offset = time.localtime().tm_gmtoff
        manager = SessionManager.create_with_state(state, repository)
        try:
            manager.storage.environment = _environment_snapshot(catalogue)
            manager.storage.why = "create"
            run = cls(manager, catalogue, selection, timeout_s=timeout_s)
            run._prepare()
            manager.checkpoint()
        except BaseException:
            manager.destroy()
            raise
        return run

    @classmethod
    def reopen(
        cls, catalogue: Catalogue, storage: SessionStorage, *, timeout_s: float | None = None, insist: bool = False
    ) -> Self:
        """Return the run of a stored session; what was running when it ended has its result.

        With ``insist`` a session that was given up as stuck is tried once more.
        """
        storage.lock()
        try:
            storage.environment = _environment_snapshot(catalogue)
            storage.why = "resume"
            WellKnownDirsHelper(storage).populate()
            try:
                manager = SessionManager.load_session(list(catalogue.units), storage)
            except IncompatibleJobError as error:
                error.hint = error.hint or _provider_hint(storage, catalogue)
                raise
            assert manager.state is not None
            metadata = manager.state.metadata
            if metadata.app_id != APP_ID:
                raise UsageError(f"session {storage.id} was not made by plainbox run")
            if insist and "stuck" in metadata.flags:
                metadata.flags.discard("stuck")
                metadata.resume_count = 0
            run = cls(manager, catalogue, Selection.from_blob(metadata.app_blob), timeout_s=timeout_s)
            run._prepare()
            units = manager.state.unit_list_version

            def reselect() -> None:
                # What an interrupted resource job has printed may have made jobs that the selection means.
                if manager.state is not None and manager.state.unit_list_version != units:
                    run._reselect()

            run.settled = settle_interrupted(manager, afterwards=reselect)
            if metadata.setting_up:
                run.runner.again = {job.id for job in run.state.run_list if run._has_failed(job)}
        except BaseException:
            storage.close()
            raise
        return run

    def _prepare(self) -> None:
        known = self._catalogue.of_kind(TestPlanUnit)
        plan_ids = self.state.metadata.test_plan_ids
        missing = [plan_id for plan_id in plan_ids if plan_id not in known]
        if missing:
            raise UsageError(f"test plans of the session are not known any more: {', '.join(missing)}")
        self.manager.test_plans = tuple(known[plan_id] for plan_id in plan_ids)
        if self.state.metadata.setting_up:
            self._want_setup()
        elif self.state.metadata.bootstrapping:
            self._want_bootstrap()
        self.state.manifest = load_manifest(dirs.machine_manifest())
        self._write_manifest_records()

    def _want_setup(self) -> None:
        plan = self._flat_plan()
        jobs = self.selection.setup_jobs(self.state, plan)
        unknown = self.selection.unknown_setup(jobs, plan)
        if unknown:
            # Whatever ran now would find a machine that nobody has prepared.
            raise UsageError(
                f"the plan names setup jobs that are not there: {', '.join(unknown)}",
                hint=f"load the provider that has them, or go without: --exclude {unknown[0]}",
            )
        if jobs:
            self.state.update_desired_job_list(jobs, include_mandatory=False)
        else:
            self.state.metadata.setting_up = False
            self._want_bootstrap()

    def _want_bootstrap(self) -> None:
        jobs = self.selection.bootstrap_jobs(self.state, self._flat_plan())
        self.state.update_desired_job_list(jobs, include_mandatory=False)

    def _has_failed(self, job: JobDefinition) -> bool:
        """Tell whether a setup job has left the machine unprepared; one that the manifest makes needless has not."""
        return self.state.job_state_map[job.id].result.outcome not in (Outcome.PASS, Outcome.SKIPPED_MANIFEST, None)

    def _write_manifest_records(self) -> None:
        entries = self._catalogue.of_kind(ManifestEntryUnit).values()
        share_dir = WellKnownDirsHelper(self.manager.storage).share_pathname
        target = os.path.join(share_dir, RECORDS_NAME)
        # Jobs may write into the share: whatever has taken the place of the file is replaced, never followed.
        temporary: str | None = None
        try:
            fd, temporary = tempfile.mkstemp(prefix=f".{RECORDS_NAME}.", dir=share_dir)
            with open(fd, "w", encoding="utf-8") as file:
                file.write(manifest_records(entries, dict(self.state.manifest)))
            if os.path.isdir(target) and not os.path.islink(target):
                shutil.rmtree(target)
            os.replace(temporary, target)
        except OSError as error:
            if temporary is not None:
                os.unlink(temporary)
            raise StorageError(f"{RECORDS_NAME} cannot be written to {share_dir}", errno=error.errno) from error

    # -- going on

    def go_on(self) -> bool:
        """Run what is left; return whether the end was reached.

        It is not when somebody asked to stop, and when a setup job has failed: see :attr:`failed_setup`.
        """
        if not self.prepare():
            return False
        plan = self._flat_plan()
        before = [*self.selection.setup_jobs(self.state, plan), *self.selection.bootstrap_jobs(self.state, plan)]
        states = self.state.job_state_map
        self.runner.uncounted = frozenset(job.id for job in before if is_done(states[job.id]))
        # This begins with one checkpoint of the selection and of the results of what cannot be put in order: nothing that
        # was chosen gets lost.
        if not self.runner.run():
            return False
        self._end()
        return True

    def prepare(self, *, setup: bool = True) -> bool:
        """Run what is left of the setup and the bootstrap, and select; return whether all of that is done.

        Without ``setup`` no setup job runs: for a look at what would be selected. A selection without jobs raises
        :class:`NothingSelectedError`.
        """
        metadata = self.state.metadata
        if metadata.setting_up:
            if setup and not self.runner.run():
                return False
            self.failed_setup = [job for job in self.state.run_list if self._has_failed(job)]
            if self.failed_setup:
                # What would run now would find a machine that nobody has described.
                return False
            metadata.setting_up = False
            self._want_bootstrap()
        if metadata.bootstrapping:
            if not self.runner.run():
                return False
            try:
                self.selection.apply(self.state, self._flat_plan())
            except NothingSelectedError:
                if any(job_state.result_history for job_state in self.state.job_state_map.values()):
                    self._end()
                else:
                    self.manager.destroy()
                raise
            metadata.bootstrapping = False
        return True

    def _end(self) -> None:
        self.state.metadata.flags -= {"incomplete", "setting_up", "bootstrapping"}
        self.manager.checkpoint()

    def _reselect(self) -> None:
        if not (self.state.metadata.setting_up or self.state.metadata.bootstrapping):
            self.selection.apply(self.state, self._flat_plan())

    def _flat_plan(self) -> FlatPlan | None:
        context = self.manager.default_device_context
        return context.flat_plan() if context is not None and self.manager.test_plans else None

    # -- looking

    @property
    def jobs(self) -> list[JobDefinition]:
        """The jobs of the run list, then those that were left out of it and have a result."""
        listed = {job.id for job in self.state.run_list}
        rest = [
            job_state.job
            for job_id, job_state in self.state.job_state_map.items()
            if job_id not in listed and is_done(job_state)
        ]
        return [*self.state.run_list, *rest]

    # -- the end

    def close(self) -> None:
        """Let go of the storage and of what was made for the jobs."""
        self._environment.close()
        self.manager.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _provider_hint(storage: SessionStorage, catalogue: Catalogue) -> str | None:
    """Return what has become of the providers that the session was last opened with, if that explains anything."""
    opened = [record.get("env") for record in storage.records() if record.get("t") == "open"]
    known = opened[-1].get("providers") if opened and isinstance(opened[-1], dict) else None
    if not isinstance(known, dict):
        return None
    present = {provider.name: provider.version for provider in catalogue.providers}
    gone = sorted(name for name in known if name not in present)
    other = sorted(name for name in known if name in present and present[name] != known[name])
    remarks = [f"the provider {name} is not here" for name in gone]
    remarks += [f"the provider {name} was {known[name]} and is {present[name]}" for name in other]
    return "; ".join(remarks) or None


def _environment_snapshot(catalogue: Catalogue) -> dict[str, object]:
    """Return what a later reader may want to know of the machine and the programs that ran here."""
    return {
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "plainbox": __version__,
        "locale": os.environ.get("LC_ALL") or os.environ.get("LANG") or "",
        "providers": {provider.name: provider.version for provider in catalogue.providers},
    }
