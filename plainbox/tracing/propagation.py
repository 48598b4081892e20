# SPDX-License-Identifier: Apache-2.0
"""The context of a trace on its way to other processes: in the environment of children, in the headers of requests.

What must stay true: the environment of this process is never changed; with tracing switched off everything is passed on
as it came.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping

from plainbox.tracing.action import Action
from plainbox.tracing.tracer import Tracer

__all__ = ["child_environment", "current_traceparent", "inject"]


def child_environment(env: Mapping[str, str] | None = None, action: Action | None = None) -> dict[str, str]:
    """Return a copy of ``env``, of this process's environment by default, for a child that belongs to an action.

    It says ``TRACEPARENT`` for the given action, else the current one.
    """
    environment = dict(os.environ if env is None else env)
    traceparent = current_traceparent(action)
    if traceparent is not None:
        environment["TRACEPARENT"] = traceparent
        if Tracer.TRACER is not None and Tracer.TRACER.incoming is None:
            # It speaks about a parent that there is not, or that made no sense.
            environment.pop("TRACESTATE", None)
    return environment


def current_traceparent(action: Action | None = None) -> str | None:
    """Return the ``traceparent`` of the given action, else of the current one; ``None`` when nothing is traced."""
    tracer = Tracer.TRACER
    if tracer is None or not tracer.settings.propagates:
        return None
    action = Action.maybe_current() if action is None else action
    return None if action is None else action.context.traceparent


def inject(headers: MutableMapping[str, str]) -> None:
    """Set the headers of a request that belongs to the current action."""
    traceparent = current_traceparent()
    if traceparent is not None:
        headers["traceparent"] = traceparent
