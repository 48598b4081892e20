# SPDX-License-Identifier: Apache-2.0
"""What a session knows about itself: its title, who made it, what is running in it.

Small values only. They are compared with their last saved copy at every checkpoint, so a change made inside of one
of them (``flags.add``) is seen like any other.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from plainbox.session.fields import Validator, typed
from plainbox.session.result import JsonValue

__all__ = ["RunningAttempt", "SessionMetaData"]


def _typed_or_none(*types: type) -> Validator:
    return typed(*types, type(None))


def _words(value: Iterable[str] | None) -> set[str]:
    words = {value} if isinstance(value, str) else set(value or ())
    if not all(isinstance(word, str) for word in words):
        raise TypeError("SessionMetaData.flags must hold str only")
    return words


@attrs.frozen
class RunningAttempt:
    """An attempt that has been started and has no result.

    ``start_time`` is wall-clock seconds; process group and start ticks (field 22 of ``/proc/PID/stat``) identify the
    processes that it may have left behind; ``log`` is the path of its log below the session directory.
    """

    attempt: int = 1
    start_time: float | None = None
    boot_id: str | None = None
    process_group: int | None = None
    start_ticks: int | None = None
    log: str | None = None

    def as_dict(self) -> dict[str, JsonValue]:
        """Return what is known as plain JSON values."""
        return {name: value for name, value in attrs.asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunningAttempt:
        """Return what :meth:`as_dict` has described; keys that are not known are ignored."""
        return cls(**{field.name: data[field.name] for field in attrs.fields(cls) if field.name in data})


@attrs.define(slots=False)
class SessionMetaData:
    """A wrong type raises :class:`TypeError` and leaves the old value.

    Known ``flags``: ``incomplete``, ``submitted``, ``bootstrapping``, ``setting_up``, ``testplanless``, ``stuck``
    and the features ``strict_template_expansion`` and ``systemd_based_job_runner``. ``app_id`` and ``app_blob``
    belong to the application. ``running`` has an entry for each job that has been started and has no result yet.
    """

    title: str | None = attrs.field(default=None, validator=_typed_or_none(str))
    flags: set[str] = attrs.field(factory=set, converter=_words)
    app_blob: bytes | None = attrs.field(default=b"", validator=_typed_or_none(bytes))
    app_id: str | None = attrs.field(default=None, validator=_typed_or_none(str))
    custom_joblist: bool = attrs.field(default=False, validator=typed(bool))
    rejected_jobs: list[str] = attrs.field(factory=list, validator=typed(list))
    remaining_todo_jobs: list[str] = attrs.field(factory=list, validator=typed(list))
    last_job_start_time: float | None = attrs.field(default=None, validator=_typed_or_none(int, float))
    test_plan_ids: list[str] = attrs.field(factory=list, validator=typed(list))
    resume_count: int = attrs.field(default=0, validator=typed(int))
    boot_id: str | None = attrs.field(default=None, validator=_typed_or_none(str))
    tz_offset: int | None = attrs.field(default=None, validator=_typed_or_none(int))
    running: dict[str, RunningAttempt] = attrs.field(factory=dict, validator=typed(dict))

    # -- flags that have a name of their own

    @property
    def bootstrapping(self) -> bool:
        return "bootstrapping" in self.flags

    @bootstrapping.setter
    def bootstrapping(self, value: bool) -> None:
        self._set_flag("bootstrapping", value)

    @property
    def setting_up(self) -> bool:
        return "setting_up" in self.flags

    @setting_up.setter
    def setting_up(self, value: bool) -> None:
        self._set_flag("setting_up", value)

    def _set_flag(self, flag: str, value: bool) -> None:
        if value:
            self.flags.add(flag)
        else:
            self.flags.discard(flag)

    # -- the running job of a session that runs one at a time

    @property
    def running_job_name(self) -> str | None:
        """The id of the job that was started first of those that run, ``None`` when none does.

        Setting it says that this job alone runs, or none.
        """
        return next(iter(self.running), None)

    @running_job_name.setter
    def running_job_name(self, job_id: str | None) -> None:
        if job_id is not None and not isinstance(job_id, str):
            raise TypeError(f"SessionMetaData.running_job_name must be str or None, not {type(job_id).__name__}")
        if job_id is None:
            self.running = {}
        elif list(self.running) != [job_id]:
            self.running = {job_id: RunningAttempt()}

    @property
    def running_attempt(self) -> int | None:
        """The number of the attempt at :attr:`running_job_name`."""
        running = next(iter(self.running.values()), None)
        return running.attempt if running is not None else None

    # -- stored form

    def as_dict(self) -> dict[str, JsonValue]:
        """Return what is stored: plain JSON values, a copy that later changes do not reach."""
        data: dict[str, JsonValue] = {}
        for field in attrs.fields(SessionMetaData):
            value = getattr(self, field.name)
            data[field.name] = list(value) if isinstance(value, list) else value
        data["flags"] = list[JsonValue](sorted(self.flags))
        data["app_blob"] = None if self.app_blob is None else base64.b64encode(self.app_blob).decode("ascii")
        data["running"] = {job_id: attempt.as_dict() for job_id, attempt in self.running.items()}
        return data

    def update_from_dict(self, data: Mapping[str, Any]) -> None:
        """Take over what :meth:`as_dict` has described; keys that are not known are ignored.

        A value of a wrong form raises :class:`TypeError` or :class:`ValueError`.
        """
        for field in attrs.fields(SessionMetaData):
            if field.name in data:
                setattr(self, field.name, _restored(field.name, data[field.name]))


def _restored(name: str, value: Any) -> Any:
    if name == "app_blob" and value is not None:
        return base64.b64decode(value, validate=True)
    if name == "running":
        return {job_id: RunningAttempt.from_dict(attempt) for job_id, attempt in _mapping(value).items()}
    return list(value) if isinstance(value, list) else value


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"a mapping is wanted, not {type(value).__name__}")
    return value
