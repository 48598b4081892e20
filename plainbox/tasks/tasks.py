# SPDX-License-Identifier: Apache-2.0
"""A piece of work that can be executed: the innermost part of every advice chain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plainbox.tasks.invocation import Invocation
    from plainbox.tasks.result import Result

__all__ = ["Task"]


class Task(ABC):
    """What runs once all advice has been given."""

    @classmethod
    def create_task(cls, obj: Callable[..., object], task_kwargs: Mapping[str, object] | None = None) -> Task:
        """Return the task that calls a function; ``task_kwargs`` are parameters that advices look at.

        TypeError for anything that is no plain function.
        """
        from plainbox.tasks.function import FunctionTask

        return FunctionTask(obj, task_kwargs)

    @property
    def kwargs(self) -> dict[str, object]:
        """A copy of the parameters that the task was given for advices."""
        return {}

    @property
    @abstractmethod
    def task_id(self) -> str:
        """The identifier of what is executed: the same in every process and for every set of arguments."""

    @abstractmethod
    def execute(self, invocation: Invocation) -> Result:
        """Carry out one execution. What it raises becomes the exception of the result."""
