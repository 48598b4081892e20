# SPDX-License-Identifier: Apache-2.0
"""The device that a session is about: its state, its providers, and what the test plans say about its jobs.

There is one context in a session today; the manager keeps a list so that it can grow. Whatever goes into the state goes
through the context when providers are involved, so that providers are not added twice and overrides reach jobs that
appear later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from plainbox.events import signal
from plainbox.session.announcement import Announcement
from plainbox.session.state import SessionState
from plainbox.units import JobDefinition, TestPlanUnit, Unit, UnitProvider
from plainbox.units.patterns import Pattern
from plainbox.units.selection import FlatPlan, OverrideRules, flatten, matching

if TYPE_CHECKING:
    from plainbox.providers import Provider

__all__ = ["SessionDeviceContext"]

P = ParamSpec("P")
T = TypeVar("T")


class SessionDeviceContext:
    """State, providers and test plans of one device.

    ``state``, ``provider_list`` and ``unit_list`` are live objects: look, do not change. With ``fixed_selection`` test
    plans change what is said about jobs and never which jobs are wanted: for stored sessions that are only looked at.
    """

    def __init__(self, state: SessionState | None = None) -> None:
        if state is None:
            state = SessionState([])
        elif not isinstance(state, SessionState):
            raise TypeError(f"state must be SessionState, not {type(state).__name__}")
        self._state = state
        self.fixed_selection = False
        providers = dict.fromkeys(unit.provider for unit in state.unit_list if unit.provider is not None)
        self._provider_list: list[UnitProvider] = list(providers)
        self._checksums: set[str] | None = None
        self._test_plan_list: tuple[TestPlanUnit, ...] = ()
        self._rules = OverrideRules(())
        self._shared: dict[str, object] = {}
        state.on_unit_added.connect(self._unit_added)
        state.on_unit_removed.connect(self._unit_removed)
        state.on_job_added.connect(self._job_added)

    # -- what is there

    @property
    def device(self) -> None:
        """What the session is about beside this machine; an extension point, always ``None`` today."""
        return None

    @property
    def state(self) -> SessionState:
        return self._state

    @property
    def provider_list(self) -> list[UnitProvider]:
        return self._provider_list

    @property
    def unit_list(self) -> list[Unit]:
        return self._state.unit_list

    def get_unit(self, unit_id: str, kind_name: str | None = None) -> Unit:
        """Return the unit with a full id; :class:`KeyError` when there is none, or none of this kind."""
        for unit in self._state.unit_list:
            if unit.id == unit_id and kind_name in (None, unit.kind):
                return unit
        raise KeyError(f"no {kind_name or 'unit'} {unit_id!r}")

    def plans_by_id(self) -> dict[str, TestPlanUnit]:
        """Return the known test plans by full id."""
        return {unit.id: unit for unit in self._state.unit_list if isinstance(unit, TestPlanUnit)}

    # -- providers and units

    def add_provider(self, provider: Provider, add_units: bool = True) -> None:
        """Add a provider and its units; one that is there already raises :class:`ValueError`.

        All of its units are added even when one of them clashes with what is there; the first error is raised at the end.
        """
        if provider in self._provider_list:
            raise ValueError(f"provider {provider.name!r} is there already")
        self._provider_list.append(provider)
        self.on_provider_added(provider)
        if add_units:
            self._state.add_units(provider.unit_list)

    def add_unit(self, unit: Unit, recompute: bool = True) -> None:
        """Add a unit; one that says the same and is there already raises :class:`ValueError`."""
        if self._is_known(unit):
            raise ValueError(f"this unit is there already: {unit!r}")
        self._state.add_unit(unit, recompute=recompute)

    def _is_known(self, unit: Unit) -> bool:
        if isinstance(unit, JobDefinition):
            known = self._state.job_state_map.get(unit.id)
            return known is not None and known.job == unit
        if self._checksums is None:
            # The checksums of all units take their time; hardly a session needs them.
            self._checksums = {item.checksum for item in self.unit_list if not isinstance(item, JobDefinition)}
        return unit.checksum in self._checksums

    def remove_unit(self, unit: Unit) -> None:
        """Remove a unit; one that is not there raises :class:`ValueError`."""
        if not any(item is unit or item == unit for item in self._state.unit_list):
            raise ValueError(f"this unit is not there: {unit!r}")
        self._state.remove_unit(unit)

    # -- test plans

    @property
    def test_plan_list(self) -> tuple[TestPlanUnit, ...]:
        return self._test_plan_list

    def flat_plan(self) -> FlatPlan:
        """Return the test plans with all their nested parts as one."""
        return self.compute_shared("flat_plan", lambda: flatten(self._test_plan_list, self.plans_by_id()))

    @property
    def override_map(self) -> dict[Pattern, list[tuple[str, str]]]:
        """What the test plans override: pattern -> (name of the field, value), in the order in which it counts."""
        return self.compute_shared("override_map", self._override_map)

    def _override_map(self) -> dict[Pattern, list[tuple[str, str]]]:
        result: dict[Pattern, list[tuple[str, str]]] = {}
        for pattern, field, value in self.flat_plan().overrides:
            result.setdefault(pattern, []).append((field, value))
        return result

    def set_test_plan_list(self, test_plan_list: Sequence[TestPlanUnit]) -> None:
        """Let these plans be in effect: their overrides on every job, their mandatory jobs on the wish list.

        A selection that is fixed stays as it is.
        """
        had_plans = bool(self._test_plan_list)
        self._test_plan_list = tuple(test_plan_list)
        self.invalidate_shared("flat_plan")
        self.invalidate_shared("override_map")
        plan = self.flat_plan()
        self._rules = OverrideRules(plan.overrides)
        if had_plans or self._rules:
            for job_state in self._state.job_state_map.values():
                job_state.reset_overrides()
                if self._rules:
                    self._override(job_state.job)
        if test_plan_list and not self.fixed_selection:
            jobs = self._state.job_list
            ids = matching(plan.mandatory, jobs)
            self._state.update_mandatory_job_list([self._state.job_state_map[job_id].job for job_id in ids])
            self._state.update_desired_job_list(self._state.desired_job_list)

    def _override(self, job: JobDefinition) -> None:
        overrides = self._rules.of(job.id, job.template_id)
        if overrides:
            self._state.job_state_map[job.id].apply_overrides(overrides)

    # -- memory shared by whoever works on the context

    def compute_shared(self, key: str, compute: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``compute`` returned, called with the arguments, when it was first asked for under this key."""
        if key not in self._shared:
            self._shared[key] = compute(*args, **kwargs)
        return self._shared[key]  # type: ignore[return-value]

    def invalidate_shared(self, key: str) -> None:
        """Forget what was computed under a key."""
        self._shared.pop(key, None)

    # -- signals

    @signal
    def on_provider_added(self, provider: UnitProvider) -> None:
        """A provider is there; its units follow."""

    @signal
    def on_unit_added(self, unit: Unit) -> None:
        """A unit is there."""

    @signal
    def on_unit_removed(self, unit: Unit) -> None:
        """A unit is gone."""

    @signal
    def on_job_added(self, job: JobDefinition) -> None:
        """A job is there, its overrides applied."""

    def _unit_added(self, unit: Unit) -> None:
        if self._checksums is not None and not isinstance(unit, JobDefinition):
            self._checksums.add(unit.checksum)
        if isinstance(unit, TestPlanUnit):
            self.invalidate_shared("flat_plan")
        self.on_unit_added(unit)

    def _unit_removed(self, unit: Unit) -> None:
        self._checksums = None
        if isinstance(unit, TestPlanUnit):
            self.invalidate_shared("flat_plan")
        self.on_unit_removed(unit)

    def _job_added(self, job: JobDefinition) -> None:
        with Announcement() as announcement:
            if self._rules:
                announcement.step(self._override, job)
            announcement.step(self.on_job_added, job)
