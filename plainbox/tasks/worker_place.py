# SPDX-License-Identifier: Apache-2.0
"""A place that is another interpreter: one worker process there for each execution, and a channel to it.

:class:`WorkerPlace` does everything that is the same wherever the interpreter is; a subclass says how a worker is
started. Made by the advices that move executions; one place serves many executions, at the same time too.

What must stay true: ``surroundings.started`` is called with the program held, and it runs only when that has returned;
when :meth:`~WorkerPlace.run` is over, however it is, nothing of it is left here.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from plainbox.errors import (
    ChainError,
    DeadlineError,
    PlaceError,
    RemoteSetupError,
    RemoteVersionError,
    TaskError,
    TransportLost,
)
from plainbox.tasks.attaching import ArrivedFiles
from plainbox.tasks.bootstrap import bootstrap_words
from plainbox.tasks.bundle import MOST_BYTES
from plainbox.tasks.channel import Channel, Limits, Receiver, Stopped, Trace
from plainbox.tasks.deadline import Deadline
from plainbox.tasks.distribution import DistributionArchive
from plainbox.tasks.documents import FarFile, Hello, Load, ending_from, result_from
from plainbox.tasks.frames import parse_json
from plainbox.tasks.identity import ProcessIdentity
from plainbox.tasks.link import Link
from plainbox.tasks.output import CancelToken, StreamName
from plainbox.tasks.place import LARGEST_ATTACHED, Program
from plainbox.tasks.process import Ending
from plainbox.tasks.result import Result

if TYPE_CHECKING:
    from plainbox.tasks.invocation import Invocation
    from plainbox.tasks.serialization.serializer import Serializer
    from plainbox.tasks.surroundings import Surroundings

    Files = Mapping[str, Callable[[], bytes]]

__all__ = ["Errand", "Opening", "WorkerPlace", "refuse_code"]

SILENT_BEATS = 3

_log = logging.getLogger(__name__)

_ARCHIVE = DistributionArchive(None)
#: What the names of attached files may take beside their content.
_NAMES_BYTES = 2 * 1024 * 1024
#: What a program that was never started is.
_NOBODY = ProcessIdentity(0, 0, 0)


@dataclass(frozen=True)
class Opening:
    """How the worker of one execution is started.

    ``interpreter`` is the Python there. ``store`` is a directory there which keeps archives and files by their digests,
    and ``directory`` the one in which the worker makes its own: "" when there is none, or for the usual one. ``wrap``
    makes the command that is started *here*, in ``environment``, of the words that must run there.
    """

    interpreter: str
    environment: Mapping[str, str]
    store: str = ""
    directory: str = ""
    wrap: Callable[[Sequence[str]], Sequence[str]] = lambda words: words


@dataclass(frozen=True)
class Errand:
    """What is done with one worker, whatever it runs.

    ``load`` says what, once it is known who is there, with the content of its files by their digests. ``started`` is
    called while the program is held, with the process there and the one here that leads to it. ``is_job`` is true for
    the jobs of a test run.
    """

    load: Callable[[Hello], tuple[Load, Files]]
    started: Callable[[Hello, ProcessIdentity, ProcessIdentity], None]
    receiver: Receiver
    cancel: CancelToken
    limits: Limits
    deadline: Deadline | None = None
    tick: Callable[[], None] = lambda: None
    is_job: bool = False


class WorkerPlace(ABC):
    """Runs programs by workers. A subclass may set what stands below for all of its executions.

    ``limits`` and ``nice`` are those of :mod:`plainbox.tasks.resource_limits`. Both sides say that they are there every
    ``beat_s``, and three times of silence are a loss; with ``watched`` false no side listens for it, for the end of a
    pipe cannot be missed. A function is never taken for lost because it is silent: code that does not let go of the
    interpreter keeps the beats back.

    With ``trusted`` true what comes from there may do here what it likes, as a pickle can: only where it is this user's
    own process.
    """

    limits: Mapping[str, int] = MappingProxyType({})
    nice: int = 0
    beat_s: float = 5.0
    watched: bool = True
    trusted: bool = False

    @abstractmethod
    def opening(self) -> AbstractContextManager[Opening]:
        """Return how the worker of the next execution is started; left when the execution is over, in any case."""

    def archive(self) -> DistributionArchive:
        """Return what the worker imports."""
        return _ARCHIVE

    def prepare(self, load: Load, hello: Hello) -> tuple[Load, Files]:
        """Return the load as it is right for who is there, and the content of its files by their digests."""
        return load, {}

    def leader(self, hello: Hello, there: ProcessIdentity, here: ProcessIdentity) -> ProcessIdentity:
        """Return the process that is recorded for the program: the one there, when it is one of this machine."""
        return there

    def explain(self, error: PlaceError, trace: Trace, opening: Opening) -> PlaceError:
        """Return the error that says best why the connection did not work."""
        if isinstance(error, RemoteVersionError):
            return RemoteVersionError(f"{opening.interpreter}: {error.message}", hint=error.hint)
        words = f": {trace.words.splitlines()[-1]}" if trace.words else ""
        code = "" if trace.exit_code is None else f" (it ended with code {trace.exit_code})"
        if trace.stage == "start":
            return RemoteSetupError(f"{opening.interpreter} did not start{code}{words or f': {error.message}'}")
        if trace.stage == "setup":
            return RemoteSetupError(f"{opening.interpreter} could not begin{code}{words or f': {error.message}'}")
        return type(error)(f"{error.message}{code}{words}", hint=error.hint)

    def run(self, program: Program, surroundings: Surroundings, deadline: Deadline | None) -> Ending:
        """Run ``program`` there; see :class:`~plainbox.tasks.place.Place`."""
        begin_time, begin_s = time.time(), time.monotonic()
        leaders: list[ProcessIdentity] = []

        def started(hello: Hello, there: ProcessIdentity, here: ProcessIdentity) -> None:
            leaders.append(self.leader(hello, there, here))
            surroundings.started(leaders[0])

        errand = Errand(
            load=lambda hello: self.prepare(self._load(program, surroundings, deadline), hello),
            started=started,
            receiver=_Home(surroundings),
            cancel=surroundings.cancel,
            deadline=deadline,
            tick=surroundings.tick,
            limits=Limits(
                silence_s=SILENT_BEATS * self.beat_s if self.watched else None,
                attached_bytes=max(LARGEST_ATTACHED, surroundings.attach_bytes) + _NAMES_BYTES,
            ),
            is_job=True,
        )
        try:
            header, _ = result_from(self.deliver(errand))
        except Stopped as stopped:
            return Ending(_NOBODY, None, stopped.by, begin_time, time.monotonic() - begin_s, (), ())
        ending = ending_from(header)
        if not leaders:
            raise TransportLost("the far end tells of the end of what it has not started")
        return replace(ending, process=leaders[0])

    def move(self, invocation: Invocation) -> None:
        """Have the part of ``invocation`` inside of the advice that calls this done there, and go on with what came of it.

        All that a ``before`` does. That it could not be done, or not in time, is a result, with which outer advices may
        do what they like; what an advice in that part raises is raised here. :class:`ChainError` when the serializer
        would let a place that is not trusted run code here.
        """
        if not self.trusted:
            refuse_code(invocation.serializer)
        saved = io.BytesIO()
        invocation.save(saved)
        bundle = saved.getvalue()
        file = FarFile(hashlib.sha256(bundle).hexdigest(), len(bundle))
        deadline = invocation.deadline

        def load(hello: Hello) -> tuple[Load, Files]:
            found, files = self.prepare(replace(self._limited(deadline), bundle=file.digest), hello)
            return replace(found, files=(*found.files, file)), {**files, file.digest: lambda: bundle}

        errand = Errand(
            load=load,
            started=lambda hello, there, here: None,
            receiver=_Relay(invocation),
            cancel=invocation.cancel_token,
            deadline=deadline,
            limits=Limits(silence_s=None, result_bytes=MOST_BYTES),
        )
        try:
            try:
                _, body = result_from(self.deliver(errand))
            except Stopped:
                if errand.cancel.cancelled:
                    raise TaskError(f"cancelled: {errand.cancel.reason}") from None
                late = "" if deadline is None else f" of {deadline.limit_s:g} s"
                raise DeadlineError(f"ended after its limit{late}") from None
        except TaskError as error:
            if not (isinstance(error, (PlaceError, DeadlineError)) or invocation.cancelled):
                raise
            invocation.conclude(Result(exception=error))
            return
        invocation.restore(io.BytesIO(body))
        invocation.proceed()

    def deliver(self, errand: Errand) -> bytes:
        """Have a worker do ``errand`` and return the document of its result.

        :class:`PlaceError` when that did not work, :class:`Stopped` when it was stopped before it began.
        """
        nonce = os.urandom(16).hex()
        archive = self.archive()
        with self.opening() as opening:
            words = bootstrap_words(opening.interpreter, nonce, archive.digest, opening.store, opening.directory)
            channel = Channel(
                Link(opening.wrap(words), opening.environment, adopts=errand.is_job),
                errand.receiver,
                cancel=errand.cancel,
                deadline=errand.deadline,
                tick=errand.tick,
                limits=errand.limits,
            )
            try:
                hello = channel.open(nonce, lambda: archive.data)
                load, files = errand.load(hello)
                process = channel.load(load, files)
                if process is not None:
                    errand.started(hello, process, channel.leader)
                return channel.go()
            except PlaceError as error:
                raise self.explain(error, channel.trace(), opening) from error
            finally:
                channel.close()

    def _load(self, program: Program, surroundings: Surroundings, deadline: Deadline | None) -> Load:
        given = surroundings.working_directory
        return replace(
            self._limited(deadline),
            program=program,
            environment=surroundings.environment,
            working_directory=None if given is None else str(given),
            keeps_files=surroundings.attachments_dir is not None,
            attach=surroundings.attach,
            attach_bytes=surroundings.attach_bytes,
        )

    def _limited(self, deadline: Deadline | None) -> Load:
        return Load(
            limits=self.limits,
            nice=self.nice,
            remaining_s=None if deadline is None else max(0.0, deadline.at_s - time.monotonic()),
            limit_s=None if deadline is None else deadline.limit_s,
            grace_s=None if deadline is None else deadline.grace_s,
            beat_s=self.beat_s,
            silence_s=SILENT_BEATS * self.beat_s if self.watched else None,
        )


def refuse_code(serializer: Serializer) -> None:
    """Raise :class:`ChainError` when reading what another machine has written would run its code here."""
    if not serializer.data_only:
        raise ChainError(
            f"{type(serializer).__name__} would let another machine run code on this one",
            hint="move functions there with a serializer of data, as JsonSerializer is",
        )


class _Home:
    """Takes what comes for one execution."""

    def __init__(self, surroundings: Surroundings) -> None:
        directory = surroundings.attachments_dir
        self.write = surroundings.output.write
        self.note = surroundings.output.note
        self.line = surroundings.on_line
        self._files = None if directory is None else ArrivedFiles(directory)

    def attach(self, data: bytes) -> None:
        if self._files is None:
            raise TransportLost("the far end sent a file that nobody has asked for")
        self._files.take(data)


class _Relay:
    """Takes what comes while an invocation is elsewhere: what is printed there is printed here."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation

    def write(self, stream: StreamName, data: bytes) -> None:
        target = sys.stdout if stream == "stdout" else sys.stderr
        raw = getattr(target, "buffer", None)
        if raw is None:
            target.write(data.decode("utf-8", "backslashreplace"))
        else:
            target.flush()
            raw.write(data)
        target.flush()

    def note(self, text: str) -> None:
        _log.info("%s", text)

    def line(self, data: bytes) -> None:
        self._invocation.emit(parse_json(data))

    def attach(self, data: bytes) -> None:
        raise TransportLost("the far end sent a file that nobody has asked for")
