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

from plainbox.errors import CorruptedSessionError
from plainbox.session.fields import Validator, integer, typed, typed_sequence
from plainbox.session.result import JsonValue, is_moment

__all__ = ["RunningAttempt", "SessionMetaData"]


#: It is stored as text, a third longer, in one record of the journal.
_MAX_BLOB_BYTES = 8 * 1024 * 1024


def _typed_or_none(*types: type) -> Validator:
    return typed(*types, type(None))


def _moment_or_none(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    _typed_or_none(int, float)(instance, attribute, value)
    if value is not None and not is_moment(value):
        raise ValueError(f"{type(instance).__name__}.{attribute.name} is no time that a clock shows: {value!r}")


def _blob(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    _typed_or_none(bytes)(instance, attribute, value)
    if value is not None and len(value) > _MAX_BLOB_BYTES:
        raise ValueError(
            f"{type(instance).__name__}.{attribute.name} can have {_MAX_BLOB_BYTES} bytes at most, not {len(value)}"
        )


def _attempts_by_id(instance: object, attribute: attrs.Attribute[Any], value: dict[Any, Any]) -> None:
    for job_id, attempt in value.items():
        if not isinstance(job_id, str) or not isinstance(attempt, RunningAttempt):
            raise TypeError(f"{type(instance).__name__}.{attribute.name} must map str to RunningAttempt")


def _words(value: Iterable[str] | None) -> set[str]:
    words = {value} if isinstance(value, str) else set(value or ())
    if not all(isinstance(word, str) for word in words):
        raise TypeError("SessionMetaData.flags must hold str only")
    return words


@attrs.frozen
class RunningAttempt:
    """An attempt that has been started and has no result.

    ``start_time`` is wall-clock seconds; process group and start ticks (field 22 of ``/proc/PID/stat``) identify the
    processes that it may have left behind; ``log`` is the path of its log below the session directory; ``alone`` says that
    no other job ran at the same time. A wrong type raises :class:`TypeError`, an impossible number :class:`ValueError`.
    """

    attempt: int = attrs.field(default=1, validator=integer(at_least=1))
    start_time: float | None = attrs.field(default=None, validator=_moment_or_none)
    boot_id: str | None = attrs.field(default=None, validator=_typed_or_none(str))
    process_group: int | None = attrs.field(default=None, validator=attrs.validators.optional(integer()))
    start_ticks: int | None = attrs.field(default=None, validator=attrs.validators.optional(integer()))
    log: str | None = attrs.field(default=None, validator=_typed_or_none(str))
    alone: bool = attrs.field(default=True, validator=typed(bool))

    def as_dict(self) -> dict[str, JsonValue]:
        """Return what is known as plain JSON values; that an attempt is alone goes without saying."""
        known = {name: value for name, value in attrs.asdict(self).items() if value is not None}
        if self.alone:
            del known["alone"]
        return known

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunningAttempt:
        """Return what :meth:`as_dict` has described; keys that are not known are ignored."""
        return cls(**{field.name: data[field.name] for field in attrs.fields(cls) if field.name in data})


_STRINGS = [typed(list), typed_sequence(str)]


@attrs.define(slots=False)
class SessionMetaData:
    """A wrong type, also of an item, raises :class:`TypeError` and leaves the old value; so does, as
    :class:`ValueError`, what cannot be stored: a blob of more than 8 MiB, a number of more than 53 bits.

    Known ``flags``: ``incomplete``, ``submitted``, ``bootstrapping``, ``setting_up``, ``testplanless``, ``stuck``
    and the features ``strict_template_expansion`` and ``systemd_based_job_runner``. ``app_id`` and ``app_blob``
    belong to the application. ``running`` has an entry for each job that has been started and has no result yet.
    """

    title: str | None = attrs.field(default=None, validator=_typed_or_none(str))
    flags: set[str] = attrs.field(factory=set, converter=_words, validator=[typed(set), typed_sequence(str)])
    app_blob: bytes | None = attrs.field(default=b"", validator=_blob)
    app_id: str | None = attrs.field(default=None, validator=_typed_or_none(str))
    custom_joblist: bool = attrs.field(default=False, validator=typed(bool))
    rejected_jobs: list[str] = attrs.field(factory=list, validator=_STRINGS)
    last_job_start_time: float | None = attrs.field(default=None, validator=_moment_or_none)
    test_plan_ids: list[str] = attrs.field(factory=list, validator=_STRINGS)
    resume_count: int = attrs.field(default=0, validator=integer(at_least=0))
    boot_id: str | None = attrs.field(default=None, validator=_typed_or_none(str))
    tz_offset: int | None = attrs.field(default=None, validator=attrs.validators.optional(integer()))
    running: dict[str, RunningAttempt] = attrs.field(factory=dict, validator=[typed(dict), _attempts_by_id])

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

    @classmethod
    def of_stored(cls, data: Mapping[str, Any]) -> SessionMetaData:
        """Return what a stored session says; values of a wrong form raise :class:`CorruptedSessionError`."""
        metadata = cls()
        try:
            metadata.update_from_dict(data)
        except (TypeError, ValueError) as error:
            raise CorruptedSessionError(
                f"the metadata of the session makes no sense: {error}", kind="invalid"
            ) from None
        return metadata

    def as_dict(self) -> dict[str, JsonValue]:
        """Return what is stored: plain JSON values, a copy that later changes do not reach.

        Something that was put inside of a value and does not belong there raises :class:`TypeError`: once stored, it
        would keep the session from being loaded.
        """
        attrs.validate(self)
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
        return {job_id: RunningAttempt.from_dict(_mapping(attempt)) for job_id, attempt in _mapping(value).items()}
    return list(value) if isinstance(value, list) else value


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"a mapping is wanted, not {type(value).__name__}")
    return value
