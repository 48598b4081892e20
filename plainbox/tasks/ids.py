# SPDX-License-Identifier: Apache-2.0
"""All identifiers of one invocation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from plainbox.errors import SerializationError
from plainbox.tasks.identifier import identifier_from_string

__all__ = ["InvocationIds"]

_DIGITS = re.compile("[0-9a-f]{32,64}")


@dataclass(frozen=True)
class InvocationIds:
    """``session_id`` is the test session's, None for calls without one; ``invocation_id`` is random."""

    run_id: str
    task_id: str
    execution_id: str
    invocation_id: str
    session_id: str | None = None

    def as_path(self) -> PurePosixPath:
        """Return a relative path of hexadecimal digits only: task, execution, invocation."""
        return PurePosixPath(*map(_digits, (self.task_id, self.execution_id, self.invocation_id)))

    def serialized(self) -> dict[str, object]:
        """Return the identifiers as a JSON object."""
        return asdict(self)

    @classmethod
    def deserialize(cls, values: object) -> InvocationIds:
        """Return the identifiers of a JSON object; :class:`SerializationError` when it holds anything else."""
        if not isinstance(values, Mapping) or set(values) != set(cls.__dataclass_fields__):
            raise SerializationError("these are no identifiers of an invocation")
        if not all(isinstance(value, str) or (value is None and key == "session_id") for key, value in values.items()):
            raise SerializationError("the identifiers of an invocation are text")
        return cls(**values)


def _digits(identifier: str) -> str:
    return identifier if _DIGITS.fullmatch(identifier) else identifier_from_string(identifier)
