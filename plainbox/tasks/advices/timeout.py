# SPDX-License-Identifier: Apache-2.0
"""Gives an execution the time that it may take.

Limits of attempts and limits of all attempts together are kept apart, wherever in the chain they are set: an advice that
repeats what is inside of it gives each attempt a new :meth:`TimeLimits.deadline`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from plainbox.tasks.advice import Advice
from plainbox.tasks.deadline import Deadline

if TYPE_CHECKING:
    from typing import Literal

    from plainbox.tasks.invocation import Invocation
    from plainbox.tasks.parameters import Duration

__all__ = ["TimeLimits", "TimeoutAdvice"]

_LIMITS = "_timeout.limits"


@dataclass(frozen=True)
class TimeLimits:
    """What holds for all attempts together, and how many seconds each of them may take."""

    total: Deadline | None = None
    attempt_s: float | None = None
    grace_s: float | None = None

    @classmethod
    def of(cls, invocation: Invocation) -> TimeLimits:
        """Return the limits that the advices further outside have set."""
        found = invocation.context.get(_LIMITS)
        # A deadline that was set by anybody else is one for everything.
        return found if isinstance(found, TimeLimits) else cls(invocation.deadline)

    def deadline(self) -> Deadline | None:
        """Return the deadline of an attempt that begins now."""
        if self.attempt_s is None:
            return self.total
        return Deadline.after(self.attempt_s, self.grace_s).or_earlier(self.total)


class TimeoutAdvice(Advice):
    """Ends an execution after ``limit`` seconds, or after those that its job allows; the earlier of the two counts.

    What the job allows is its own ``timeout``, else that of the surroundings. With ``scope`` *attempt* each attempt of an
    execution that is repeated has that time, with *total* all of them together have ``limit``, and what the job allows is
    left to an advice for attempts. What has to be ended gets ``grace`` seconds to end by itself. Without any limit this
    does nothing. Functions are not ended: their time is limited where they run in a process of their own.
    """

    def __init__(
        self,
        limit: Duration | None = None,
        *,
        scope: Literal["attempt", "total"] = "attempt",
        grace: Duration | None = None,
    ) -> None:
        """Raise ValueError for a limit of 0, another scope, and a total without a limit."""
        if scope not in ("attempt", "total"):
            raise ValueError(f"the scope of a limit is attempt or total, not {scope!r}")
        if limit is not None and limit <= 0:
            raise ValueError("a limit is longer than 0 s")
        if limit is None and scope == "total":
            raise ValueError("a limit for all attempts together needs limit=DURATION")
        self.limit = limit
        self.scope = scope
        self.grace = grace
        # A limit for all attempts would begin anew with each of them further inside.
        self.placement = "outer" if scope == "total" else None

    def before(self, invocation: Invocation) -> None:
        limit_s = self.limit if self.scope == "total" else _earlier(self.limit, _limit_of_job(invocation))
        if limit_s is None:
            invocation.proceed()
            return
        outer = TimeLimits.of(invocation)
        if self.scope == "total":
            limits = replace(outer, total=Deadline.after(limit_s, self.grace).or_earlier(outer.total))
        else:
            attempt_s = _earlier(limit_s, outer.attempt_s)
            limits = replace(outer, attempt_s=attempt_s, grace_s=outer.grace_s if self.grace is None else self.grace)
        before = invocation.context.get(_LIMITS)
        invocation.context[_LIMITS] = limits
        invocation.deadline = limits.deadline()
        try:
            invocation.proceed()
        finally:
            invocation.context[_LIMITS] = before


def _earlier(one: float | None, other: float | None) -> float | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _limit_of_job(invocation: Invocation) -> float | None:
    if invocation.job is not None and invocation.job.timeout is not None:
        return invocation.job.timeout
    return None if invocation.surroundings is None else invocation.surroundings.timeout_s
