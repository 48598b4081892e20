# SPDX-License-Identifier: Apache-2.0
"""Tells the log about every execution."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from plainbox.tasks.advice import Advice
from plainbox.tasks.identifier import short_form
from plainbox.tasks.report import JobReport

if TYPE_CHECKING:
    from plainbox.tasks.invocation import Invocation

__all__ = ["LoggingAdvice"]

_log = logging.getLogger(__name__)
_STARTED = "_log.started_s"


class LoggingAdvice(Advice):
    """Writes one record before an execution and one after it, both at level INFO."""

    def before(self, invocation: Invocation) -> None:
        invocation.context[_STARTED] = time.monotonic()
        _log.info("%s: started, invocation %s", _name(invocation), short_form(invocation.invocation_id))
        invocation.proceed()

    def after(self, invocation: Invocation) -> None:
        started_s = invocation.context.get(_STARTED)
        took_s = time.monotonic() - started_s if isinstance(started_s, float) else 0.0
        _log.info("%s: %s after %.3f s", _name(invocation), _ending(invocation), took_s)
        invocation.proceed()


def _name(invocation: Invocation) -> str:
    return invocation.job_id or f"task {short_form(invocation.task.task_id)}"


def _ending(invocation: Invocation) -> str:
    result = invocation.result
    if result is None:
        return "no result"
    if result.exception is not None:
        return f"not carried out ({type(result.exception).__name__}: {result.exception})"
    return result.value.outcome if isinstance(result.value, JobReport) else "done"
