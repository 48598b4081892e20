# SPDX-License-Identifier: Apache-2.0
"""The one way to execute a job: a task, the advice around it, and the engine that takes it through."""

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
