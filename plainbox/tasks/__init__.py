# SPDX-License-Identifier: Apache-2.0
"""The one way to execute: a task, the advice around it, and the engine that takes it through.

The names are loaded when they are asked for. What travels to another machine needs few of these modules, and those use
nothing but the standard library of Python 3.8.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plainbox.tasks.advice import Advice, advise_task_with_chain
    from plainbox.tasks.configuration import Configuration
    from plainbox.tasks.context import Context
    from plainbox.tasks.deadline import Deadline
    from plainbox.tasks.engine import ExecutionEngine
    from plainbox.tasks.execution import Execution
    from plainbox.tasks.identifier import identifier_from_bytes, identifier_from_string
    from plainbox.tasks.identity import ProcessIdentity
    from plainbox.tasks.invocation import Invocation, InvocationState
    from plainbox.tasks.job import ShellJobTask
    from plainbox.tasks.output import CancelToken, MemorySink, OutputSink, StreamName, TeeSink
    from plainbox.tasks.report import JobReport, OutcomeCandidate
    from plainbox.tasks.result import Result
    from plainbox.tasks.surroundings import Surroundings
    from plainbox.tasks.task import Task

__all__ = [
    "Advice",
    "CancelToken",
    "Configuration",
    "Context",
    "Deadline",
    "Execution",
    "ExecutionEngine",
    "Invocation",
    "InvocationState",
    "JobReport",
    "MemorySink",
    "OutcomeCandidate",
    "OutputSink",
    "ProcessIdentity",
    "Result",
    "ShellJobTask",
    "StreamName",
    "Surroundings",
    "Task",
    "TeeSink",
    "advise_task_with_chain",
    "identifier_from_bytes",
    "identifier_from_string",
]

#: The modules of ``plainbox.tasks`` that define the names above.
_HOMES = {
    "advice": ("Advice", "advise_task_with_chain"),
    "configuration": ("Configuration",),
    "context": ("Context",),
    "deadline": ("Deadline",),
    "engine": ("ExecutionEngine",),
    "execution": ("Execution",),
    "identifier": ("identifier_from_bytes", "identifier_from_string"),
    "identity": ("ProcessIdentity",),
    "invocation": ("Invocation", "InvocationState"),
    "job": ("ShellJobTask",),
    "output": ("CancelToken", "MemorySink", "OutputSink", "StreamName", "TeeSink"),
    "report": ("JobReport", "OutcomeCandidate"),
    "result": ("Result",),
    "surroundings": ("Surroundings",),
    "task": ("Task",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"plainbox.tasks.{home}"), name)
    globals()[name] = value
    return value
