# SPDX-License-Identifier: Apache-2.0
"""Where the time of a run goes: actions, the tracer that writes them as spans, and their context in other processes."""

from __future__ import annotations

from plainbox.tracing.action import Action, traced
from plainbox.tracing.context import SpanContext
from plainbox.tracing.propagation import child_environment, current_traceparent, inject
from plainbox.tracing.threads import run_in_thread_with
from plainbox.tracing.tracer import Exporter, Tracer

__all__ = [
    "Action",
    "Exporter",
    "SpanContext",
    "Tracer",
    "child_environment",
    "current_traceparent",
    "inject",
    "run_in_thread_with",
    "traced",
]
