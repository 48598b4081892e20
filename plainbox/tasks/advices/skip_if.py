# SPDX-License-Identifier: Apache-2.0
"""Leaves executions out where the machine is one that they make no sense on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from plainbox.tasks.advice import Advice
from plainbox.tasks.report import JobReport
from plainbox.tasks.result import Result

if TYPE_CHECKING:
    from plainbox.tasks.invocation import Invocation
    from plainbox.units.expressions import ResourceExpression

__all__ = ["SkipAdvice"]


class SkipAdvice(Advice):
    """Concludes with ``skip`` when ``expression`` holds for the resources of the test session as they are then.

    The expression is one of those of the field ``requires``. Names of resources are those of ``namespace``, by default
    that of the job. A resource that has no records does not make an expression hold. Only jobs are left out.
    """

    # Those that it leaves out are asked for, too, before a kept result is.
    changes_results = False

    def __init__(self, expression: str, namespace: str | None = None) -> None:
        """Raise ValueError for what is no expression."""
        self.expression = expression
        self.namespace = namespace
        self._parsed: dict[str | None, ResourceExpression] = {}
        self._parse(namespace)

    def before(self, invocation: Invocation) -> None:
        if not self.leaves_out(invocation):
            invocation.proceed()
            return
        comment = f"skipped, because this holds: {self.expression}"
        invocation.conclude(Result(JobReport("skip", start_time=time.time(), duration=0.0, comments=comment)))

    def leaves_out(self, invocation: Invocation) -> bool:
        """Tell whether the expression holds now."""
        job, surroundings = invocation.job, invocation.surroundings
        if job is None or surroundings is None:
            return False
        namespace = self.namespace or job.namespace
        expression = self._parsed.get(namespace) or self._parse(namespace)
        return expression.evaluate(surroundings.resources)

    def _parse(self, namespace: str | None) -> ResourceExpression:
        from plainbox.errors import ExpressionError
        from plainbox.units.expressions import ResourceExpression

        try:
            parsed = self._parsed[namespace] = ResourceExpression(self.expression, namespace)
        except ExpressionError as error:
            raise ValueError(error.message) from None
        return parsed
