# SPDX-License-Identifier: Apache-2.0
"""Exceptions as data: what is left of one that was raised in another process.

A record holds what a person needs (type, message, notes, the frames as text, what caused it) and enough to make the
exception anew where its class is known: a builtin one, one of our own, or one that the reader has registered. Any
other becomes a :class:`~plainbox.errors.RemoteError`. No module is ever imported because a record names it.
"""

from __future__ import annotations

import builtins
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import plainbox.errors
from plainbox.errors import RemoteError, SerializationError, TaskError
from plainbox.tasks.serialization.serializer import SerializableValue

__all__ = ["ExceptionRecord", "rebuild", "record_of"]

#: Exceptions that cause each other, frames of each, and characters of each text: what comes from elsewhere is bounded.
_LONGEST_CHAIN = 16
_MOST_FRAMES = 100
_LONGEST_TEXT = 65536

#: The attribute under which an exception that was made anew has its record.
_BROUGHT = "__plainbox_record__"


@dataclass(frozen=True)
class ExceptionRecord(SerializableValue):
    """One exception. ``args`` makes it anew, None when that cannot be; ``frames`` are text, the outermost first."""

    type_name: str
    module: str
    message: str
    args: tuple[object, ...] | None = None
    notes: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    cause: ExceptionRecord | None = None
    context: ExceptionRecord | None = None

    @property
    def full_name(self) -> str:
        return self.type_name if self.module == "builtins" else f"{self.module}.{self.type_name}"

    @property
    def text(self) -> str:
        """The traceback, as Python shows it."""
        parts = []
        if self.cause is not None:
            parts.append(
                f"{self.cause.text}\n\nThe above exception was the direct cause of the following exception:\n\n"
            )
        elif self.context is not None:
            parts.append(
                f"{self.context.text}\n\nDuring handling of the above exception, another exception occurred:\n\n"
            )
        if self.frames:
            parts.append("Traceback (most recent call last):\n")
            parts += self.frames
        parts.append(f"{self.full_name}: {self.message}" if self.message else self.full_name)
        parts += [f"\n{note}" for note in self.notes]
        return "".join(parts)

    def serialized(self) -> dict[str, object]:
        return {
            "type": self.type_name,
            "module": self.module,
            "message": self.message,
            "args": None if self.args is None else list(self.args),
            "notes": list(self.notes),
            "frames": list(self.frames),
            "cause": None if self.cause is None else self.cause.serialized(),
            "context": None if self.context is None else self.context.serialized(),
        }

    @classmethod
    def deserialize(cls, values: object) -> ExceptionRecord:
        return cls._read(values, _LONGEST_CHAIN)

    @classmethod
    def _read(cls, values: object, depth: int) -> ExceptionRecord:
        if not isinstance(values, Mapping) or not depth:
            raise SerializationError("this is no record of an exception")
        args, cause, context = values.get("args"), values.get("cause"), values.get("context")
        return cls(
            type_name=_text(values.get("type")),
            module=_text(values.get("module")),
            message=_text(values.get("message")),
            args=tuple(args) if isinstance(args, list) else None,
            notes=_texts(values.get("notes")),
            frames=_texts(values.get("frames")),
            cause=None if cause is None else cls._read(cause, depth - 1),
            context=None if context is None else cls._read(context, depth - 1),
        )


def record_of(error: BaseException, can_travel: Callable[[object], bool] = lambda args: True) -> ExceptionRecord:
    """Return the record of an exception. One that came from another process has brought its own along.

    ``can_travel`` tells whether the arguments that make the exception anew can be written.
    """
    return _record_of(error, can_travel, _LONGEST_CHAIN)


def _record_of(error: BaseException, can_travel: Callable[[object], bool], depth: int) -> ExceptionRecord:
    brought = vars(error).get(_BROUGHT)
    if isinstance(brought, ExceptionRecord):
        return brought if can_travel(brought.args) else replace(brought, args=None)
    kind = type(error)
    args = _constructor_args(error)
    cause = error.__cause__
    context = None if cause is not None or error.__suppress_context__ else error.__context__
    notes = getattr(error, "__notes__", ())
    return ExceptionRecord(
        type_name=kind.__qualname__,
        module=kind.__module__,
        message=_message(error)[:_LONGEST_TEXT],
        args=args if can_travel(args) else None,
        notes=tuple(str(note)[:_LONGEST_TEXT] for note in notes) if isinstance(notes, (list, tuple)) else (),
        frames=tuple(traceback.format_tb(error.__traceback__, -_MOST_FRAMES)),
        cause=None if cause is None or depth == 1 else _record_of(cause, can_travel, depth - 1),
        context=None if context is None or depth == 1 else _record_of(context, can_travel, depth - 1),
    )


def rebuild(record: ExceptionRecord, known: Callable[[str, str], type[BaseException] | None]) -> BaseException:
    """Return the exception of a record, or a :class:`RemoteError` in its place. :func:`record_of` returns the record of
    either.

    ``known`` returns the registered class of a module and name. The traceback text becomes a note of the exception.
    """
    error = _made_anew(record, _builtin(record) or _ours(record) or known(record.module, record.type_name))
    if error is None:
        error = RemoteError(f"{record.full_name}: {record.message}" if record.message else record.full_name)
    error.__cause__ = None if record.cause is None else rebuild(record.cause, known)
    error.__context__ = None if record.context is None else rebuild(record.context, known)
    notes = list(record.notes)
    if record.frames:
        notes.append("Traceback in the other process:\n" + "".join(record.frames).rstrip("\n"))
    if notes:
        vars(error)["__notes__"] = notes
    vars(error)[_BROUGHT] = record
    return error


def _made_anew(record: ExceptionRecord, kind: type[BaseException] | None) -> BaseException | None:
    if kind is None or record.args is None:
        return None
    try:
        error = kind(*record.args)
    except Exception:  # noqa: BLE001 - a constructor that wants something else: the record says it all
        return None
    if isinstance(error, TaskError):
        return error
    # One that says something else was made of other arguments than those that it keeps.
    same = isinstance(error, BaseException) and _message(error)[:_LONGEST_TEXT] == record.message
    return error if same else None


def _builtin(record: ExceptionRecord) -> type[BaseException] | None:
    kind = vars(builtins).get(record.type_name) if record.module == "builtins" else None
    # KeyboardInterrupt and the like mean something to this process: nobody else may have them raised in it.
    return kind if isinstance(kind, type) and issubclass(kind, (Exception, SystemExit)) else None


def _ours(record: ExceptionRecord) -> type[BaseException] | None:
    kind = vars(plainbox.errors).get(record.type_name) if record.module == "plainbox.errors" else None
    return kind if isinstance(kind, type) and issubclass(kind, TaskError) else None


def _constructor_args(error: BaseException) -> tuple[object, ...]:
    """Return what makes the exception anew: for builtin ones that is more than ``args``, the file of an OSError too."""
    if type(error).__module__ == "builtins":
        reduced = error.__reduce__()
        if isinstance(reduced, tuple) and reduced[0] is type(error):
            return tuple(reduced[1])
    return error.args


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:  # noqa: BLE001 - what an exception says of itself is anybody's code
        return f"<its message cannot be read: {type(second).__name__}>"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise SerializationError("the record of an exception holds something that is no text")
    return value[:_LONGEST_TEXT]


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise SerializationError("the record of an exception holds something that is no list")
    return tuple(_text(item) for item in value[:_MOST_FRAMES])
