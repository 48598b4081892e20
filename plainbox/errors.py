# SPDX-License-Identifier: Apache-2.0
"""The error tree.

Every error that Plainbox raises on purpose is below :class:`PlainboxError`, which says what happened, where it
happened (``file:line`` when there is such a place) and what to do about it. Each carries the exit code of the
command that it ends::

    PlainboxError                         exit
    ├── UsageError                          2   a name or an option that means nothing here
    │   └── NothingSelectedError            5   the selection holds no job
    ├── UnitError                           2   text of a provider is not a good unit
    │   ├── UnitSyntaxError                     a file that is no sequence of records
    │   ├── FieldError                          a value that its field does not accept
    │   │   └── MissingParameterError           a template asks for what the resource does not have
    │   └── ExpressionError                     a resource expression outside the language
    ├── ProviderError                       2   a provider that cannot be loaded
    ├── DependencyError                     2   a job that cannot be put in order
    │   ├── DependencyUnknownError              the wanted job is not known
    │   ├── DependencyMissingError              the job needs one that is not known
    │   ├── DependencyCycleError                the job needs itself
    │   └── DependencyDuplicateError            two different jobs have one id
    ├── SessionError                        3   the test session cannot be used
    │   ├── StorageError (OSError)              its directory does not do what was asked
    │   │   ├── StorageFullError                no space left; nothing that was acknowledged is lost
    │   │   ├── StorageFailedError              the medium failed or somebody interfered
    │   │   └── StorageClosedError              used after close() or destroy()
    │   ├── StorageGoneError (FileNotFoundError)  the session directory does not exist
    │   ├── LockedStorageError (OSError)        another process owns the session
    │   ├── SessionAuditError              70   a checkpoint that does not hold its state: a fault of the program
    │   └── SessionResumeError
    │       ├── CorruptedSessionError           what is stored is damaged
    │       ├── IncompatibleSessionError        stored by another version
    │       ├── IncompatibleJobError            the jobs have changed or are missing
    │       └── BrokenReferenceToExternalFile   a log that a result refers to is absent
    ├── TaskError                           4   an execution could not be carried out
    │   ├── AdviceProtocolError (RuntimeError)  an advice broke its contract
    │   ├── ChainError (ValueError)             a chain, advice or parameter that is not known
    │   ├── JobStartError                       the process could not be started
    │   ├── DeadlineError                       a function that was elsewhere when its time was over
    │   ├── SerializationError                  a value that cannot travel, or bytes that are none
    │   │   └── UncacheableArgument                 an argument without a canonical form
    │   ├── RemoteError                         an exception of another process that cannot be made here
    │   └── PlaceError                          another interpreter or machine
    │       ├── TransportLost                       the connection broke: what became of the job is not known
    │       ├── SshConnectError                     not reachable, or not in time
    │       ├── SshHostKeyError                     the key of the host is unknown or has changed
    │       ├── SshAuthError                        the host does not let us in
    │       ├── RemoteSetupError                    no interpreter, no space, no right
    │       └── RemoteVersionError                  its Python is too old
    ├── ExporterError                       4   a report could not be made
    └── GlueError                           4   a pipeline, or an action of a trace, that was used wrongly
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from plainbox.units.origin import Origin

__all__ = [
    "PlainboxError",
    "UsageError",
    "NothingSelectedError",
    "UnitError",
    "UnitSyntaxError",
    "FieldError",
    "MissingParameterError",
    "ExpressionError",
    "ProviderError",
    "DependencyError",
    "DependencyUnknownError",
    "DependencyMissingError",
    "DependencyCycleError",
    "DependencyDuplicateError",
    "SessionError",
    "StorageError",
    "StorageFullError",
    "StorageFailedError",
    "StorageClosedError",
    "StorageGoneError",
    "LockedStorageError",
    "SessionAuditError",
    "SessionResumeError",
    "CorruptedSessionError",
    "IncompatibleSessionError",
    "IncompatibleJobError",
    "BrokenReferenceToExternalFile",
    "TaskError",
    "AdviceProtocolError",
    "ChainError",
    "JobStartError",
    "DeadlineError",
    "SerializationError",
    "UncacheableArgument",
    "RemoteError",
    "PlaceError",
    "TransportLost",
    "SshConnectError",
    "SshHostKeyError",
    "SshAuthError",
    "RemoteSetupError",
    "RemoteVersionError",
    "ExporterError",
    "GlueError",
]


class PlainboxError(Exception):
    """Something that Plainbox could not do, told so that the reader can act on it.

    ``message`` is one sentence without a full stop; ``origin`` the place in a file; ``hint`` what to do next.
    """

    exit_code: ClassVar[int] = 4

    def __init__(self, message: str, *, origin: Origin | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.origin = origin
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}" if self.origin is not None else self.message


class UsageError(PlainboxError):
    exit_code = 2


class NothingSelectedError(UsageError):
    exit_code = 5


class UnitError(PlainboxError):
    exit_code = 2


class UnitSyntaxError(UnitError):
    pass


class FieldError(UnitError):
    """``line`` counts the lines of the value from 0; ``field`` is set by whoever knows the field's name."""

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        line: int = 0,
        origin: Origin | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, origin=origin, hint=hint)
        self.field = field
        self.line = line


class MissingParameterError(FieldError):
    def __init__(self, parameter: str, *, field: str | None = None, origin: Origin | None = None) -> None:
        super().__init__(f"the template parameter {parameter!r} has no value", field=field, origin=origin)
        self.parameter = parameter


class ExpressionError(UnitError):
    pass


class ProviderError(PlainboxError):
    exit_code = 2


class DependencyError(PlainboxError):
    """A job that cannot be put in order. ``affected_job_id`` cannot run because of ``affecting_job_id``."""

    exit_code = 2

    def __init__(
        self,
        message: str,
        affected_job_id: str,
        affecting_job_id: str | None = None,
        *,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.affected_job_id = affected_job_id
        self.affecting_job_id = affecting_job_id


class DependencyUnknownError(DependencyError):
    def __init__(self, job_id: str) -> None:
        super().__init__(f"unknown job referenced: {job_id!r}", job_id, job_id)


class DependencyMissingError(DependencyError):
    def __init__(self, job_id: str, missing_job_id: str, dependency_type: str) -> None:
        super().__init__(f"missing dependency: {missing_job_id!r} ({dependency_type})", job_id, missing_job_id)
        self.missing_job_id = missing_job_id
        self.dependency_type = dependency_type


class DependencyCycleError(DependencyError):
    """``job_ids`` is the way around; its first and last item are the same. ``way`` says it in words, with the groups whose
    jobs are tied to each other."""

    def __init__(self, job_ids: Iterable[str], way: str | None = None) -> None:
        self.job_ids = tuple(job_ids)
        self.way = way or " -> ".join(self.job_ids)
        super().__init__(f"dependency cycle detected: {self.way}", self.job_ids[0], self.job_ids[1])


class DependencyDuplicateError(DependencyError):
    def __init__(self, job_id: str, places: Iterable[Origin | None] = ()) -> None:
        known = list(dict.fromkeys(str(place) for place in places if place is not None))
        super().__init__(f"duplicate job id: {job_id!r}" + (f" ({', '.join(known)})" if known else ""), job_id, job_id)


class SessionError(PlainboxError):
    exit_code = 3


class StorageError(SessionError, OSError):
    """The storage of a session failed; ``errno`` keeps the cause when the system gave one."""

    def __init__(self, message: str, *, errno: int | None = None, hint: str | None = None) -> None:
        SessionError.__init__(self, message, hint=hint)
        self.errno = errno

    def __str__(self) -> str:
        return f"{self.message}: {os.strerror(self.errno)}" if self.errno else self.message


class StorageFullError(StorageError):
    pass


class StorageFailedError(StorageError):
    pass


class StorageClosedError(StorageError):
    pass


class StorageGoneError(SessionError, FileNotFoundError):
    def __init__(self, message: str) -> None:
        import errno

        SessionError.__init__(self, message)
        self.errno = errno.ENOENT

    def __str__(self) -> str:
        return self.message


class LockedStorageError(SessionError, OSError):
    """``pid`` is the owner's process id when it could be read."""

    def __init__(self, message: str, *, pid: int | None = None) -> None:
        SessionError.__init__(self, message, hint="wait for it to end, or stop it")
        self.pid = pid

    def __str__(self) -> str:
        return self.message


class SessionAuditError(SessionError):
    """What was changed without the session hearing of it; see :mod:`plainbox.session.audit`."""

    exit_code = 70

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            hint="change results with SessionState.update_job_result, lists and fields by assigning them anew",
        )


class SessionResumeError(SessionError):
    pass


class CorruptedSessionError(SessionResumeError):
    """``kind`` is ``damaged``, ``lost-tail`` or ``invalid``; ``offset`` the byte in the journal, when known."""

    def __init__(
        self, message: str, *, kind: str = "invalid", offset: int | None = None, seq: int | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.offset = offset
        self.seq = seq


class IncompatibleSessionError(SessionResumeError):
    pass


class IncompatibleJobError(SessionResumeError):
    """``changed`` and ``missing`` list every job id at fault."""

    def __init__(self, message: str, *, changed: Iterable[str] = (), missing: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.changed = tuple(changed)
        self.missing = tuple(missing)


class BrokenReferenceToExternalFile(SessionResumeError):
    pass


class TaskError(PlainboxError):
    pass


class AdviceProtocolError(TaskError, RuntimeError):
    pass


class ChainError(TaskError, ValueError):
    exit_code = 2


class JobStartError(TaskError):
    pass


class DeadlineError(TaskError):
    pass


class SerializationError(TaskError, TypeError):
    pass


class UncacheableArgument(SerializationError):
    pass


class RemoteError(TaskError):
    pass


class PlaceError(TaskError):
    pass


class TransportLost(PlaceError):
    pass


class SshConnectError(PlaceError):
    pass


class SshHostKeyError(PlaceError):
    pass


class SshAuthError(PlaceError):
    pass


class RemoteSetupError(PlaceError):
    pass


class RemoteVersionError(PlaceError):
    pass


class ExporterError(PlainboxError):
    pass


class GlueError(PlainboxError):
    pass
