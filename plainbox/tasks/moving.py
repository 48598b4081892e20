# SPDX-License-Identifier: Apache-2.0
"""How an invocation gets into a bundle and out of it again.

An advice that moves invocations saves one in its ``before``; another process restores it, does the inner part and saves
what it came to; the advice restores that and proceeds. Here is what is written, and how little is believed of what
comes back: the result, the context, the attachments, and counters that can only be the expected ones.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from plainbox.errors import SerializationError
from plainbox.tasks import bundle
from plainbox.tasks.configuration import configuration_named
from plainbox.tasks.context import Context
from plainbox.tasks.counters import Counters
from plainbox.tasks.execution import Execution
from plainbox.tasks.function import FunctionTask
from plainbox.tasks.ids import InvocationIds
from plainbox.tasks.modules import name_of_type
from plainbox.tasks.result import Result
from plainbox.tasks.tasks import Task

if TYPE_CHECKING:
    from plainbox.tasks.configuration import Configuration
    from plainbox.tasks.invocation import Invocation
    from plainbox.tasks.serialization.serializer import Serializer

__all__ = ["fill", "send", "take_back"]

_Value = TypeVar("_Value")


def send(invocation: Invocation, counters: Counters, stream: BinaryIO) -> None:
    """Write the bundle of an invocation that stands at ``counters``."""
    if invocation.job is not None:
        raise SerializationError("a job does not travel as a bundle; only its program does")
    serializer = invocation.serializer
    attachments = dict(invocation.attachments)
    values = {
        "task": _of_task(invocation.task),
        "execution": invocation.execution,
        "context": invocation.context.shared(),
        "result": invocation.result,
    }
    document = {
        "schema": bundle.SCHEMA,
        "ids": invocation.ids.serialized(),
        "attempt": invocation.attempt,
        "configuration": invocation.configuration.module_name,
        "advice_chain": invocation.advice_chain,
        "advices": _advices(invocation.configuration, invocation.advice_chain),
        "counters": counters.serialized(),
        "attachments": [[name, attachment.media_type] for name, attachment in attachments.items()],
    }
    parts = {name: _bytes(serializer, value) for name, value in values.items()}
    bundle.write(stream, bundle.Bundle(document, parts, tuple(attachment.path for attachment in attachments.values())))


class _Received:
    """What a bundle tells, checked."""

    def __init__(self, found: bundle.Bundle, configuration: Configuration | None) -> None:
        document = found.document
        self.ids = InvocationIds.deserialize(document.get("ids"))
        attempt = document.get("attempt")
        if not isinstance(attempt, int) or attempt < 1:
            raise SerializationError("the bundle of an invocation has no attempt")
        self.attempt = attempt
        self.configuration_name = document.get("configuration")
        if not (self.configuration_name is None or isinstance(self.configuration_name, str)):
            raise SerializationError("the bundle of an invocation has no configuration")
        self.configuration = configuration_named(self.configuration_name) if configuration is None else configuration
        self.advice_chain = str(document.get("advice_chain"))
        advices = _advices(self.configuration, self.advice_chain)
        if document.get("advices") != advices:
            raise SerializationError(
                f"the chain {self.advice_chain!r} has other advices here ({', '.join(advices) or 'none'})",
                hint="both processes need the same configuration",
            )
        self.counters = Counters.deserialize(document.get("counters"), len(advices))
        self._serializer = self.configuration.serializer
        self._found = found

    def part(self, name: str, kind: type[_Value]) -> _Value:
        """Return a part of the bundle, which must be of that class."""
        value = self._serializer.deserialize(io.BytesIO(self._found.parts[name]))
        if not isinstance(value, kind):
            raise SerializationError(f"the {name} of a bundle is a {type(value).__name__}")
        return value

    @property
    def result(self) -> Result | None:
        """The result, which is there exactly when the task has been called."""
        return self.part("result", Result) if self.counters.task_called else self.part("result", type(None))

    def attach_to(self, invocation: Invocation) -> None:
        """Add the attachments that the invocation does not have yet."""
        listed = self._found.document.get("attachments")
        files = self._found.attachments
        if not isinstance(listed, list) or len(listed) != len(files):
            raise SerializationError("the attachments of a bundle are not those that it lists")
        for number, item in enumerate(listed):
            name, media_type = item if isinstance(item, list) and len(item) == 2 else (None, None)
            if not isinstance(name, str) or not (media_type is None or isinstance(media_type, str)):
                raise SerializationError("a bundle lists something that is no attachment")
            if name not in invocation.attachments:
                try:
                    invocation.attachments.add(name, files[number], media_type=media_type)
                except ValueError as error:
                    raise SerializationError(f"a bundle has an attachment that cannot be taken: {error}") from error


def fill(
    invocation: Invocation, configuration: Configuration | None, stream: BinaryIO
) -> tuple[InvocationIds, Counters, Result | None]:
    """Make a new invocation the one that was sent; return its ids, where it stands and its result.

    Without a ``configuration`` its module is imported by the name that the bundle tells.
    """
    received = _Received(bundle.read(stream, invocation.new_directory), configuration)
    invocation.configuration = received.configuration
    invocation.advice_chain = received.advice_chain
    invocation.task = _task_of(received.part("task", object))
    invocation.execution = received.part("execution", Execution)
    invocation.context = received.part("context", Context)
    invocation.attempt = received.attempt
    received.attach_to(invocation)
    return received.ids, received.counters, received.result


def take_back(invocation: Invocation, expected: Counters, stream: BinaryIO) -> Result:
    """Take from a bundle what the inner part of ``invocation`` came to, and nothing else; return the result."""
    received = _Received(bundle.read(stream, invocation.new_directory), invocation.configuration)
    same = (
        received.ids == invocation.ids,
        received.attempt == invocation.attempt,
        received.configuration_name == invocation.configuration.module_name,
        received.advice_chain == invocation.advice_chain,
        received.counters == expected,
    )
    if not all(same):
        raise SerializationError("the bundle that came back is not the one that was sent, with its inner part done")
    result, context = received.part("result", Result), received.part("context", Context)
    received.attach_to(invocation)
    invocation.context.take(context)
    return result


def _of_task(task: Task) -> object:
    # A task is code to import: only who restores a new invocation reads one, so no serializer knows it.
    return task.serialized() if isinstance(task, FunctionTask) else task


def _task_of(value: object) -> Task:
    return value if isinstance(value, Task) else FunctionTask.deserialize(value)


def _bytes(serializer: Serializer, value: object) -> bytes:
    stream = io.BytesIO()
    serializer.serialize(value, stream)
    return stream.getvalue()


def _advices(configuration: Configuration, chain: str) -> list[str]:
    return [name_of_type(type(advice)) for advice in configuration.get_advice_chain(chain)]
