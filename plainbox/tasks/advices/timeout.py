# SPDX-License-Identifier: Apache-2.0
"""Gives an execution the time that its job allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plainbox.tasks.advice import Advice
from plainbox.tasks.deadline import Deadline

if TYPE_CHECKING:
    from plainbox.tasks.invocation import Invocation

__all__ = ["TimeoutAdvice"]


class TimeoutAdvice(Advice):
    """Sets the deadline of everything inside of it.

    The limit is the job's own ``timeout``, else that of the surroundings; without one there is no limit. A deadline
    that exists already and comes earlier stays.
    """

    def before(self, invocation: Invocation) -> None:
        limit_s = _limit_s(invocation)
        if limit_s is not None:
            invocation.deadline = Deadline.after(limit_s).or_earlier(invocation.deadline)
        invocation.proceed()


def _limit_s(invocation: Invocation) -> float | None:
    if invocation.job is not None and invocation.job.timeout is not None:
        return invocation.job.timeout
    return None if invocation.surroundings is None else invocation.surroundings.timeout_s
