# SPDX-License-Identifier: Apache-2.0
"""A whole run: a new session or one that goes on, through its phases.

Setup (jobs that prepare the machine), bootstrap (the resource jobs that templates need), selection, the jobs themselves.
Which phase a session is in is part of its state, so a run that was interrupted in any of them goes on where it was.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Self

from plainbox import dirs
from plainbox.errors import (
    ChainError,
    IncompatibleJobError,
    IncompatibleSessionError,
    NothingSelectedError,
    StorageError,
    UsageError,
)
from plainbox.providers import Catalogue
from plainbox.runner.environment import JobEnvironment
from plainbox.runner.executor import JobExecutor, is_armed
from plainbox.runner.interrupted import ResumePolicy
from plainbox.runner.manifest import RECORDS_NAME, load_manifest, manifest_records
from plainbox.runner.recovery import settle_interrupted
from plainbox.runner.respawn import AutoResume
from plainbox.runner.runner import Runner, is_done
from plainbox.runner.selection import Selection
from plainbox.runner.stop import StopRequest
from plainbox.runner.tracing import TracedSessionManager, traced_session
from plainbox.session.atomic import write_file
from plainbox.session.boot import boot_id
from plainbox.session.dirs import WellKnownDirsHelper
from plainbox.session.environment import EnvironmentSnapshot, stored_snapshots
from plainbox.session.iolog import DEFAULT_MAX_LOG_BYTES
from plainbox.session.manager import SessionManager
from plainbox.session.outcome import Outcome
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.result import JobResult
from plainbox.session.resume import ResumeFlag
from plainbox.session.state import SessionState
from plainbox.session.storage import SessionStorage
from plainbox.tasks import ExecutionEngine
from plainbox.tasks.links import join_chain_errors
from plainbox.tasks.sweeping import clear_dead_directories
from plainbox.units import JobDefinition, ManifestEntryUnit, TestPlanUnit
from plainbox.units.selection import FlatPlan

__all__ = ["APP_ID", "SessionRun"]

APP_ID = "plainbox"


class SessionRun:
    """One session being run. Use it as a context manager: leaving it lets go of the storage."""

    def __init__(
        self,
        manager: SessionManager,
        catalogue: Catalogue,
        selection: Selection,
        *,
        timeout_s: float | None = None,
        max_log_bytes: int | None = None,
        engine: ExecutionEngine | None = None,
        stop: StopRequest | None = None,
        jobs: int = 1,
    ) -> None:
        assert manager.state is not None
        self.manager = manager
        self.state: SessionState = manager.state
        self.selection = selection
        self.stop = stop if stop is not None else StopRequest()
        #: Attempts that were interrupted, as they were judged when the session was opened again.
        self.settled: list[tuple[JobDefinition, JobResult]] = []
        #: Whether all of them have their result; they have not when somebody has asked to stop in the middle of that.
        self.is_settled = True
        #: The setup jobs that failed: nothing but setup jobs has run, and a resume tries these again.
        self.failed_setup: list[JobDefinition] = []
        self._catalogue = catalogue
        share_dir = WellKnownDirsHelper(manager.storage).share_pathname
        # A variable that whoever started this has set says more than a file.
        base = {**catalogue.environment, **os.environ}
        self._environment = JobEnvironment(catalogue.providers, share_dir, base, given=catalogue.environment)
        engine = engine if engine is not None else ExecutionEngine()
        self._engine = engine
        self._configuration = engine.configuration
        self._auto_resume = AutoResume(manager.storage, APP_ID)
        executor = JobExecutor(
            manager,
            engine,
            self._environment,
            self.stop,
            timeout_s=timeout_s,
            max_log_bytes=DEFAULT_MAX_LOG_BYTES if max_log_bytes is None else max_log_bytes,
            auto_resume=self._auto_resume,
        )
        self.runner = Runner(manager, executor, self.stop, reselect=self._reselect, jobs=jobs)

    # -- beginning

    @classmethod
    def start(
        cls,
        catalogue: Catalogue,
        selection: Selection,
        *,
        repository: SessionStorageRepository | None = None,
        storage: SessionStorage | None = None,
        title: str | None = None,
        timeout_s: float | None = None,
        max_log_bytes: int | None = None,
        strict: bool = True,
        durable: bool = True,
        engine: ExecutionEngine | None = None,
        jobs: int = 1,
    ) -> Self:
        """Return the run of a new session; it is on disk, locked, and nothing has run yet.

        With ``strict`` an instance of a template that is no good job fails; otherwise it is left out. The session is
        made in ``repository`` unless there is an empty ``storage`` for it; without ``durable`` nothing waits for the
        medium. ``engine`` executes its jobs, up to ``jobs`` of them at the same time.
        """
        plan = catalogue.find(TestPlanUnit, selection.plan_id) if selection.plan_id is not None else None
        clear_dead_directories()
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
        if storage is None:
            repository = repository if repository is not None else SessionStorageRepository()
            repository.remove_leftovers()
            storage = SessionStorage.create(repository.location, durable=durable)
        manager = TracedSessionManager.over(storage, state)
        try:
            manager.storage.environment = EnvironmentSnapshot.taken(catalogue).as_dict()
            manager.storage.why = "create"
            run = cls(
                manager,
                catalogue,
                selection,
                timeout_s=timeout_s,
                max_log_bytes=max_log_bytes,
                engine=engine,
                jobs=jobs,
            )
            run._prepare()
            manager.checkpoint()
        except BaseException:
            manager.destroy()
            raise
        return run

    @classmethod
    def reopen(
        cls,
        catalogue: Catalogue,
        storage: SessionStorage,
        *,
        timeout_s: float | None = None,
        max_log_bytes: int | None = None,
        insist: bool = False,
        flags: Collection[str] = (),
        policy: ResumePolicy | None = None,
        engine: ExecutionEngine | None = None,
        stop: StopRequest | None = None,
        jobs: int = 1,
    ) -> Self:
        """Return the run of a stored session; what was running when it ended has its result.

        With ``insist`` a session that was given up as stuck is tried once more. ``flags`` are those of
        :class:`~plainbox.session.resume.ResumeFlag`, ``policy`` is for what was running. ``stop`` is the request of the
        run, and holds in here, too: see :attr:`is_settled`. Up to ``jobs`` jobs run at the same time.
        """
        storage.lock()
        try:
            storage.environment = EnvironmentSnapshot.taken(catalogue).as_dict()
            storage.why = "resume"
            # First, for it gives back rights that a job has taken.
            WellKnownDirsHelper(storage).populate()
            if is_armed(storage):
                storage.make_durable()
            try:
                manager = TracedSessionManager.load_session(list(catalogue.units), storage, flags=flags)
            except IncompatibleJobError as error:
                error.hint = error.hint or _hint_about_jobs(error, storage)
                raise
            except IncompatibleSessionError as error:
                if ResumeFlag.STRICT_ENVIRONMENT in flags:
                    error.hint = error.hint or "without --strict-environment the session goes on all the same"
                raise
            assert manager.state is not None
            metadata = manager.state.metadata
            if metadata.app_id != APP_ID:
                raise UsageError(f"session {storage.id} was not made by plainbox run")
            if insist and "stuck" in metadata.flags:
                metadata.flags.discard("stuck")
                metadata.resume_count = 0
            selection = Selection.from_blob(metadata.app_blob)
            run = cls(
                manager,
                catalogue,
                selection,
                timeout_s=timeout_s,
                max_log_bytes=max_log_bytes,
                engine=engine,
                stop=stop,
                jobs=jobs,
            )
            run._prepare()
            units = manager.state.unit_list_version

            def reselect() -> None:
                # What an interrupted resource job has printed may have made jobs that the selection means.
                if manager.state is not None and manager.state.unit_list_version != units:
                    run._reselect()

            settled = settle_interrupted(manager, policy, stop=run.stop, afterwards=reselect)
            run.settled, run.is_settled = settled or [], settled is not None
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
        self._check_chains(self.state.run_list)
        if self.state.metadata.setting_up or self.state.metadata.bootstrapping:
            self._check_chains(self.selection.foreseen(self.state, self._flat_plan()))
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
        text = manifest_records(entries, dict(self.state.manifest))
        try:
            write_file(self.manager.storage.files, share_dir, RECORDS_NAME, text.encode("utf-8"))
        except OSError as error:
            raise StorageError(f"{RECORDS_NAME} cannot be written to {share_dir}", errno=error.errno) from error

    # -- going on

    def go_on(self) -> bool:
        """Run what is left; return whether the end was reached.

        It is not when somebody asked to stop, and when a setup job has failed: see :attr:`failed_setup`.
        """
        with traced_session(self.manager, self.runner):
            return self._go_on()

    def _go_on(self) -> bool:
        if not self.is_settled or not self.prepare():
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
            self._check_chains(self.state.run_list)
        return True

    def _check_chains(self, jobs: Iterable[JobDefinition]) -> None:
        """Raise :class:`ChainError`, all mistakes in one, when the advice of a job that is to run means nothing."""
        problems: dict[str, ChainError] = {}
        for job in jobs:
            try:
                self._configuration.chain_of(job)
            except ChainError as error:
                # What a job with errors in its unit says has no effect: it does not run.
                if not job.errors:
                    problems[str(error)] = error
        if problems:
            raise join_chain_errors(list(problems.values()))

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
        """Let go of the storage and of what was made for the jobs; what is over is not gone on with after a restart."""
        self._engine.close()
        self._environment.close()
        if self._is_over():
            self._auto_resume.disarm()
        self.manager.close()

    def _is_over(self) -> bool:
        """Tell whether the session has come to its end, cannot go on by itself, or was stopped by a person."""
        flags = self.state.metadata.flags
        stopped = self.stop.requested and not self.stop.suspending
        ended = not flags & {"incomplete", "setting_up"} or not os.path.isdir(self.manager.storage.location)
        return ended or stopped or "stuck" in flags or bool(self.failed_setup)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _hint_about_jobs(error: IncompatibleJobError, storage: SessionStorage) -> str:
    """Return what has become of the providers that the session was last opened with, and the ways to go on."""
    remarks = []
    snapshots = stored_snapshots(storage.records())
    if snapshots:
        now = EnvironmentSnapshot.of_stored(storage.environment)
        for key, (before, present) in snapshots[-1].diff(now).items():
            where, _, name = key.partition(".")
            if where == "providers" and before is not None:
                gone = f"the provider {name} is not here: name its place with --provider DIR"
                remarks.append(gone if present is None else f"the provider {name} was {before} and is {present}")
    if error.changed:
        remarks.append("--allow-changed goes on with the jobs as they are now")
    if error.missing:
        remarks.append("--allow-missing goes on without the jobs that are not there")
    return "; ".join(remarks)
