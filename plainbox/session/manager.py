# SPDX-License-Identifier: Apache-2.0
"""The manager of a test session: its state in memory and its storage on disk, kept together.

Whoever runs or reads a session goes through one. The order of effects in the constructors is part of the contract:
nothing in memory is built on storage that failed to appear, and nothing is left on disk by a constructor that failed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import attrs

from plainbox.errors import LockedStorageError, StorageClosedError, StorageGoneError
from plainbox.events import signal
from plainbox.session.announcement import Announcement, fire
from plainbox.session.changes import ChangeTracker
from plainbox.session.codec import JsonObject
from plainbox.session.collector import collector_at_rest
from plainbox.session.context import SessionDeviceContext
from plainbox.session.dirs import WellKnownDirsHelper
from plainbox.session.environment import check_same_environment
from plainbox.session.fields import const, typed, typed_sequence, unique
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.resume import EarlyCallback, ResumeFlag, SessionResumeHelper
from plainbox.session.state import SessionState
from plainbox.session.storage import SessionStorage
from plainbox.session.suspend import SessionSuspendHelper
from plainbox.units import ExporterUnit, TestPlanUnit, Unit

if TYPE_CHECKING:
    from plainbox.providers import Provider
    from plainbox.units.exporter import ExporterUnitSupport

__all__ = ["SessionManager", "WellKnownDirsHelper", "at_most_one_context_filter", "exporters_of"]

_log = logging.getLogger(__name__)

#: Names that are shorter than the full ids of the bundled exporters.
_SHORT_NAMES = {
    f"com.canonical.plainbox::{name}": name
    for name in (
        "global",
        "html",
        "json",
        "junit",
        "tar",
        "text",
        "xlsx",
    )
}


def at_most_one_context_filter(
    instance: object, field: object, old: object, new: list[SessionDeviceContext]
) -> list[SessionDeviceContext]:
    """Return ``new`` unless it holds more than one context, which is a :class:`ValueError`."""
    if len(new) > 1:
        raise ValueError("sessions with several devices are not supported")
    return new


def _at_most_one(instance: Any, attribute: attrs.Attribute[Any], value: list[SessionDeviceContext]) -> None:
    at_most_one_context_filter(instance, attribute, None, value)


def _propagate(instance: SessionManager, attribute: attrs.Attribute[Any], new: tuple[TestPlanUnit, ...]) -> Any:
    old = instance.__dict__["test_plans"]
    instance.__dict__["test_plans"] = new
    if new != old:
        with Announcement() as announcement:
            announcement.step(instance._propagate_test_plans)
            announcement.step(fire, instance, "on_test_plans_changed", old, new)
    # A listener may have assigned again; attrs stores what is returned here.
    return instance.__dict__["test_plans"]


@attrs.define(slots=False, eq=False, init=False)
class SessionManager:
    """One test session. Managers compare and hash by identity: they own a resource."""

    device_context_list: list[SessionDeviceContext] = attrs.field(
        validator=[typed(list), typed_sequence(SessionDeviceContext)],
        on_setattr=[attrs.setters.validate, const],
    )
    storage: SessionStorage = attrs.field(validator=typed(SessionStorage), on_setattr=[attrs.setters.validate, const])
    test_plans: tuple[TestPlanUnit, ...] = attrs.field(
        default=(),
        validator=[typed(tuple), typed_sequence(TestPlanUnit), unique],
        on_setattr=[attrs.setters.validate, _propagate],
    )

    def __init__(
        self,
        device_context_list: list[SessionDeviceContext],
        storage: SessionStorage,
        test_plans: tuple[TestPlanUnit, ...] = (),
    ) -> None:
        self._tracker: ChangeTracker | None = None
        #: Whether what is on disk is about this state, so that it is enough to add what has changed.
        self._has_base = False
        self._read_only = False
        self._destroyed = False
        #: Whether every checkpoint is compared with the state; for tests and for the search for faults.
        self.audit = os.environ.get("PLAINBOX_AUDIT") == "1"
        self._exporters: tuple[int, dict[str, ExporterUnitSupport]] | None = None
        self.__attrs_init__(device_context_list, storage, test_plans)
        at_most_one_context_filter(self, None, None, device_context_list)
        for context in device_context_list:
            self._track(context)
        self._propagate_test_plans()

    # -- construction

    @classmethod
    def create(cls, repo: SessionStorageRepository | None = None, prefix: str = "pbox-") -> Self:
        """Return a manager without a device over a new storage."""
        repo = repo if repo is not None else SessionStorageRepository()
        return cls.over(SessionStorage.create(repo.location, prefix), [])

    @classmethod
    def create_with_state(cls, state: SessionState, repo: SessionStorageRepository | None = None) -> Self:
        """Return a manager of a state over a new storage."""
        if not isinstance(state, SessionState):
            raise TypeError(f"state must be SessionState, not {type(state).__name__}")
        repo = repo if repo is not None else SessionStorageRepository()
        storage = SessionStorage.create(repo.location)
        return cls.over(storage, state)

    @classmethod
    def create_with_unit_list(
        cls, unit_list: list[Unit] | None = None, repo: SessionStorageRepository | None = None
    ) -> Self:
        """Return a manager of a fresh state over a new storage.

        Different jobs with one id raise :class:`DependencyDuplicateError` before anything appears on disk.
        """
        state = SessionState([] if unit_list is None else unit_list)
        return cls.create_with_state(state, repo)

    @classmethod
    def over(cls, storage: SessionStorage, content: SessionState | list[SessionDeviceContext]) -> Self:
        """Return a manager of a state, or of devices, over a storage in which there is nothing yet.

        When that fails, the storage is removed.
        """
        try:
            WellKnownDirsHelper(storage).populate()
            contexts = content if isinstance(content, list) else [SessionDeviceContext(content)]
            return cls(contexts, storage)
        except BaseException:
            try:
                storage.remove()
            except OSError as error:
                _log.warning("%s is left behind: %s", storage.location, error)
            raise

    @classmethod
    def load_session(
        cls,
        unit_list: list[Unit],
        storage: SessionStorage,
        early_cb: EarlyCallback | None = None,
        flags: Iterable[str] | None = None,
    ) -> Self:
        """Return a manager of the session in ``storage``, over the units that are known now.

        A session that never had a checkpoint loads as a fresh state; a directory that is gone, and any other trouble
        with the medium, passes through. ``early_cb`` is called once with the bare state. ``flags`` are those of
        :class:`~plainbox.session.resume.ResumeFlag`; a session that was loaded ``read-only`` is never written to.
        """
        if flags is not None and not isinstance(flags, Collection):
            flags = tuple(flags)
        if ResumeFlag.STRICT_ENVIRONMENT in (flags or ()):
            check_same_environment(storage)
        with collector_at_rest():
            try:
                tree = storage.load_tree()
            except StorageGoneError:
                raise
            except FileNotFoundError:
                state = SessionState(unit_list)
                if early_cb is not None:
                    state = early_cb(state) or state
                return cls([SessionDeviceContext(state)], storage)
            helper = SessionResumeHelper(unit_list, flags, storage.location)
            state = helper.resume(tree, early_cb)
            manager = cls([SessionDeviceContext(state)], storage)
            assert manager._tracker is not None
            if not helper.differs:
                manager._tracker.commit_full()
                manager._has_base = True
            manager._read_only = ResumeFlag.READ_ONLY in (flags or ())
            return manager

    @classmethod
    @contextlib.contextmanager
    def get_throwaway_manager(cls, provider_list: list[Provider] | None = None) -> Iterator[Self]:
        """Yield a manager whose session is gone afterwards; ``None`` stands for all providers that are found."""
        with tempfile.TemporaryDirectory(prefix="plainbox-throwaway-") as directory:
            if provider_list is None:
                from plainbox.providers import Catalogue

                provider_list = Catalogue.load().providers
            storage = SessionStorage.create(directory, durable=False)
            manager = cls.over(storage, [])
            try:
                context = manager.add_local_device_context()
                for provider in provider_list:
                    context.add_provider(provider)
                yield manager
            finally:
                manager.destroy()

    # -- devices

    @property
    def default_device_context(self) -> SessionDeviceContext | None:
        return self.device_context_list[0] if self.device_context_list else None

    @property
    def state(self) -> SessionState | None:
        """The state of the default device, ``None`` without a device."""
        context = self.default_device_context
        return context.state if context is not None else None

    def add_device_context(self, context: SessionDeviceContext) -> SessionDeviceContext:
        """Add a device; a second one is a :class:`ValueError`."""
        if any(other.device == context.device for other in self.device_context_list):
            raise ValueError(f"there is a context of the device {context.device!r} already")
        at_most_one_context_filter(self, None, None, [*self.device_context_list, context])
        self.device_context_list.append(context)
        self._track(context)
        self.on_device_context_added(context)
        return context

    def add_local_device_context(self) -> SessionDeviceContext:
        """Add this machine, with a fresh state."""
        return self.add_device_context(SessionDeviceContext())

    def remove_device_context(self, context: SessionDeviceContext) -> None:
        """Remove a device; one that is not there is a :class:`ValueError`."""
        for index, other in enumerate(self.device_context_list):
            if other is context:
                del self.device_context_list[index]
                break
        else:
            raise ValueError(f"this context is not there: {context!r}")
        if self._tracker is not None:
            self._tracker.detach()
            self._tracker = None
            # What is on disk is about another state: the next checkpoint starts over.
            self._has_base = False
        self.on_device_context_removed(context)

    def _track(self, context: SessionDeviceContext) -> None:
        self._tracker = ChangeTracker(context.state)
        self._exporters = None

    # -- signals

    @signal
    def on_device_context_added(self, context: SessionDeviceContext) -> None:
        """A device is there; it hears of the test plans."""
        self._propagate_test_plans()

    @signal
    def on_device_context_removed(self, context: SessionDeviceContext) -> None:
        """A device is gone."""
        self._propagate_test_plans()

    @signal
    def on_test_plans_changed(self, old: tuple[TestPlanUnit, ...], new: tuple[TestPlanUnit, ...]) -> None:
        """Other test plans are in effect."""

    def _propagate_test_plans(self) -> None:
        for context in self.device_context_list:
            context.set_test_plan_list(self.test_plans)

    # -- checkpoints

    def checkpoint(self) -> None:
        """Make the state durable: when this returns, nothing that the state held at the call can be lost.

        Without changes nothing is written. A failure raises, keeps the changes pending and leaves the former checkpoint
        in force.

        With :attr:`audit`, which ``PLAINBOX_AUDIT=1`` sets, a state that was changed without its signals raises
        :class:`SessionAuditError`.
        """
        if self._destroyed:
            raise StorageClosedError("the session was destroyed")
        if self._read_only:
            raise StorageClosedError(f"the session {self.storage.id} was opened to be read only")
        state, tracker = self.state, self._tracker
        if state is None or tracker is None:
            raise ValueError("no device context")
        helper = SessionSuspendHelper()
        if not self._has_base:
            self._save(helper.suspend(state, self.storage.location))
            self._has_base = True
            tracker.commit_full()
        else:
            changes = tracker.pending()
            if changes:
                self._save(helper.suspend(state, self.storage.location, since=changes))
            tracker.commit(changes)
        if self.audit:
            from plainbox.session.audit import audit

            audit(state, self.storage)

    def _save(self, data: bytes) -> None:
        try:
            self.storage.save_checkpoint(data)
        except LockedStorageError:
            self.storage.break_lock()
            self.storage.save_checkpoint(data)

    def close(self) -> None:
        """Let go of the storage; what was not checkpointed is not stored. A second call does nothing."""
        self.storage.close(self._summary())

    def _summary(self) -> JsonObject | None:
        """Return what a listing says of the session, unless that is not what the last checkpoint holds."""
        state, tracker = self.state, self._tracker
        if state is None or tracker is None or not self._has_base or tracker.pending():
            return None
        metadata = state.metadata
        outcomes = dict(state.get_outcome_stats())
        return {"title": metadata.title, "flags": sorted(metadata.flags), "outcomes": outcomes}

    def destroy(self) -> None:
        """Remove the session from the disk; a second call does nothing."""
        if not self._destroyed:
            self.storage.remove()
            self._destroyed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- reports

    @property
    def exporter_map(self) -> dict[str, ExporterUnitSupport]:
        """The reports that can be made, by the id of their unit and then by the short names of the bundled ones."""
        state = self.state
        if state is None:
            return {}
        if self._exporters is None or self._exporters[0] != state.unit_list_version:
            self._exporters = (state.unit_list_version, exporters_of(state.unit_list))
        return dict(self._exporters[1])

    def create_exporter(self, exporter_id: str, option_list: Iterable[str] = (), strict: bool = True) -> Any:
        """Return a new exporter; an id that is not known raises :class:`LookupError`.

        An option that the exporter does not have is a :class:`ValueError`, or left out without ``strict``. Options of
        the exporter's unit win over those given here.
        """
        exporters = self.exporter_map
        if exporter_id not in exporters:
            known = ", ".join(sorted(exporters)) or "none"
            raise LookupError(f"no exporter {exporter_id!r}; known are {known}")
        support = exporters[exporter_id]
        options = list(option_list)
        if not strict:
            supported = support.exporter_cls.supported_option_list
            options = [option for option in options if option.partition("=")[0] in supported]
        return support.exporter_cls(options, exporter_unit=support)


def exporters_of(units: Iterable[Unit]) -> dict[str, ExporterUnitSupport]:
    """Return the reports that exporter units make possible, by id and then by the short names of the bundled ones."""
    found: dict[str, ExporterUnitSupport] = {}
    for unit in units:
        if isinstance(unit, ExporterUnit):
            support = unit.support
            if support is not None:
                found[unit.id] = support
            else:
                _log.info("%s makes no reports: %s", unit.id, "; ".join(map(str, unit.issues)) or "nothing can make it")
    for full, short in _SHORT_NAMES.items():
        if full in found:
            found.setdefault(short, found[full])
    return found
