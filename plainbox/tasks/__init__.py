# SPDX-License-Identifier: Apache-2.0
"""The one way to execute: a task, the advice around it, and the engine that takes it through.

The names are loaded when they are asked for. What travels to another machine needs few of these modules, and those use
nothing but the standard library of Python 3.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plainbox.lazy import lazily

if TYPE_CHECKING:
    from plainbox.tasks.advice import Advice, advise_task_with_chain
    from plainbox.tasks.attachments import Attachment, Attachments
    from plainbox.tasks.configuration import Configuration, get_configuration
    from plainbox.tasks.context import Context
    from plainbox.tasks.deadline import Deadline
    from plainbox.tasks.decorator import task
    from plainbox.tasks.engine import ExecutionEngine
    from plainbox.tasks.execution import Execution
    from plainbox.tasks.extensions import Extension
    from plainbox.tasks.function import FunctionTask, current_invocation
    from plainbox.tasks.identifier import identifier_from_bytes, identifier_from_string
    from plainbox.tasks.identity import ProcessIdentity
    from plainbox.tasks.ids import InvocationIds
    from plainbox.tasks.interpreter import Interpreter
    from plainbox.tasks.invocation import Invocation, InvocationState
    from plainbox.tasks.job import FunctionJobTask, ShellJobTask
    from plainbox.tasks.jobresult import AttachedFile, JobItem, Measurement, Progress, Subtest
    from plainbox.tasks.output import CancelToken, MemorySink, OutputSink, StreamName, TeeSink
    from plainbox.tasks.report import CachedFrom, JobReport, OutcomeCandidate
    from plainbox.tasks.reporting import SkipJob
    from plainbox.tasks.result import Result
    from plainbox.tasks.run import get_run_id, set_run_id
    from plainbox.tasks.serialization.json import JsonSerializer
    from plainbox.tasks.serialization.pickle import PickleSerializer
    from plainbox.tasks.serialization.serializer import SerializableValue, Serializer
    from plainbox.tasks.surroundings import Surroundings
    from plainbox.tasks.tasks import Task

__all__ = [
    "Advice",
    "AttachedFile",
    "Attachment",
    "Attachments",
    "CachedFrom",
    "CancelToken",
    "Configuration",
    "Context",
    "Deadline",
    "Execution",
    "ExecutionEngine",
    "Extension",
    "FunctionJobTask",
    "FunctionTask",
    "Interpreter",
    "Invocation",
    "InvocationIds",
    "InvocationState",
    "JobItem",
    "JobReport",
    "JsonSerializer",
    "Measurement",
    "MemorySink",
    "OutcomeCandidate",
    "OutputSink",
    "PickleSerializer",
    "ProcessIdentity",
    "Progress",
    "Result",
    "SerializableValue",
    "Serializer",
    "ShellJobTask",
    "SkipJob",
    "StreamName",
    "Subtest",
    "Surroundings",
    "Task",
    "TeeSink",
    "advise_task_with_chain",
    "current_invocation",
    "get_configuration",
    "get_run_id",
    "identifier_from_bytes",
    "identifier_from_string",
    "set_run_id",
    "task",
]

__getattr__ = lazily(
    __name__,
    {
        "advice": ("Advice", "advise_task_with_chain"),
        "attachments": ("Attachment", "Attachments"),
        "configuration": ("Configuration", "get_configuration"),
        "context": ("Context",),
        "deadline": ("Deadline",),
        "decorator": ("task",),
        "engine": ("ExecutionEngine",),
        "execution": ("Execution",),
        "extensions": ("Extension",),
        "function": ("FunctionTask", "current_invocation"),
        "identifier": ("identifier_from_bytes", "identifier_from_string"),
        "identity": ("ProcessIdentity",),
        "ids": ("InvocationIds",),
        "interpreter": ("Interpreter",),
        "invocation": ("Invocation", "InvocationState"),
        "job": ("FunctionJobTask", "ShellJobTask"),
        "jobresult": ("AttachedFile", "JobItem", "Measurement", "Progress", "Subtest"),
        "output": ("CancelToken", "MemorySink", "OutputSink", "StreamName", "TeeSink"),
        "report": ("CachedFrom", "JobReport", "OutcomeCandidate"),
        "reporting": ("SkipJob",),
        "result": ("Result",),
        "run": ("get_run_id", "set_run_id"),
        "serialization.json": ("JsonSerializer",),
        "serialization.pickle": ("PickleSerializer",),
        "serialization.serializer": ("SerializableValue", "Serializer"),
        "surroundings": ("Surroundings",),
        "tasks": ("Task",),
    },
)
