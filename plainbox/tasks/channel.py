# SPDX-License-Identifier: Apache-2.0
"""This side of one conversation with a far end: :meth:`~Channel.open`, :meth:`~Channel.load`, :meth:`~Channel.go`.

Made by :mod:`plainbox.tasks.worker_place`. The far end is taken for hostile: what comes is bounded in size and number,
checked before it is used, and comes in its turn; anything else is :class:`~plainbox.errors.TransportLost`. It has
delivered when its result and its farewell have come, whatever the exit status of the process says.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol, TypeVar

from plainbox.errors import RemoteSetupError, RemoteVersionError, TransportLost
from plainbox.tasks.bootstrap import OLDEST_PYTHON, archive_header, greeting
from plainbox.tasks.deadline import Deadline
from plainbox.tasks.documents import Hello, Load, hello_from, identity_from, needed_files
from plainbox.tasks.frames import (
    UP,
    Document,
    Frame,
    FrameReader,
    Kind,
    document_frames,
    frame_of,
    json_frame,
    parse_json,
    parse_output,
)
from plainbox.tasks.identity import ProcessIdentity
from plainbox.tasks.link import Link
from plainbox.tasks.output import CancelToken, StreamName
from plainbox.tasks.process import GIVE_UP_S, GRACE_S
from plainbox.tasks.wire import Wire

__all__ = ["Channel", "Limits", "Receiver", "Stage", "Stopped", "Trace"]

MOST_FOREIGN_BYTES = 64 * 1024
LONGEST_TURN_S = 5.0
LAST_WORDS_S = 2.0

Stage = Literal["start", "setup", "run"]
_T = TypeVar("_T")


class Receiver(Protocol):
    """Takes what a far end sends, as it comes. What it raises ends the conversation."""

    def write(self, stream: StreamName, data: bytes) -> None:
        """Take bytes of a stream."""

    def note(self, text: str) -> None:
        """Take a remark: one line for people."""

    def line(self, data: bytes) -> None:
        """Take one line that the job has written to its result file: any bytes."""

    def attach(self, data: bytes) -> None:
        """Take a file that the job has made: an object in JSON, a line end, and its content."""


@dataclass(frozen=True)
class Limits:
    """How patient this side is, and how much it takes.

    Until the program is held something must happen every ``setup_s``. After that, something must be heard every
    ``silence_s``, if that is given. A program that is to end has ``overtime_s`` to have done so, whatever its grace.
    """

    setup_s: float = 60.0
    silence_s: float | None = 15.0
    overtime_s: float = GRACE_S + GIVE_UP_S + 10.0
    hurried_s: float = 5.0
    result_bytes: int = 1024 * 1024
    attached_bytes: int = 0
    line_bytes: int = 16 * 1024 * 1024
    notes: int = 1000
    note_length: int = 2000


class Stopped(Exception):
    """The time was over, or somebody has cancelled, before the program could be let go."""

    def __init__(self, by: Literal["deadline", "cancel"]) -> None:
        super().__init__(by)
        self.by = by


@dataclass(frozen=True)
class Trace:
    """What is known when something went wrong.

    ``stage`` is ``start`` before the start marker, ``setup`` until the program is held, then ``run``. ``words`` is the end
    of what the process has written to its standard error; ``exit_code`` None while it runs.
    """

    stage: Stage
    exit_code: int | None
    words: str


class Channel:
    """A conversation over ``link``. The three steps come once each and in order; :meth:`close` in any case."""

    def __init__(
        self,
        link: Link,
        receiver: Receiver,
        *,
        cancel: CancelToken,
        deadline: Deadline | None = None,
        tick: Callable[[], None] = lambda: None,
        limits: Limits | None = None,
    ) -> None:
        self._link = link
        self._receiver = receiver
        self._cancel = cancel
        self._deadline = deadline
        self._tick = tick
        self._limits = limits if limits is not None else Limits()
        self._stage: Stage = "start"
        self._foreign = b""
        self._frames = FrameReader(UP)
        self._expected: dict[Kind, Callable[[bytes], None]] = {Kind.BEAT: lambda payload: None, Kind.NOTE: self._note}
        self._progress_s = time.monotonic()
        self._end_at_s = float("inf")
        self._told: set[str] = set()
        self._number = self._offset_us = 0
        self._notes_left = self._limits.notes
        self._line_bytes_left = self._limits.line_bytes
        self._attached_left = self._limits.attached_bytes
        self._attached = Document(self._attached_left)
        self._collected = Document(self._limits.result_bytes)
        self._result: bytes | None = None
        self._over = False
        self._unsaid = b""
        self._wire = Wire(link, cancel, self._take_foreign, self._take_words)

    def open(self, nonce: str, archive: Callable[[], bytes]) -> Hello:
        """Wait for the far end to start, give it the archive if it has none, and return who it is."""
        self._nonce, self._archive = nonce, archive
        hello = self._answer(Kind.HELLO, hello_from)
        assert hello is not None
        return hello

    def load(self, load: Load, files: Mapping[str, Callable[[], bytes]]) -> ProcessIdentity | None:
        """Tell the far end what to run, give it those of the files that it needs, and wait until the program is held.

        ``files`` has the content of each file of the load by its digest. Returns the leader of the program; None when
        it cannot run, for which :meth:`go` has the reason.
        """

        def need(payload: bytes) -> None:
            del self._expected[Kind.NEED]
            for digest in needed_files(parse_json(payload), load.files):
                self._wire.send(document_frames(Kind.FILE, files[digest]()))

        self._expected.update({Kind.NEED: need, Kind.RESULT: self._take_result})
        if load.silence_s is not None:
            self._wire.beat_every(load.beat_s)
        self._wire.send(document_frames(Kind.LOAD, json.dumps(load.content()).encode("ascii")))
        return self._answer(Kind.READY, identity_from)

    def go(self) -> bytes:
        """Let the program run, pass on what comes, and return the document of its result."""
        if not self._over:
            self._stage = "run"
            self._expected.pop(Kind.NEED, None)
            self._expected[Kind.OUT] = partial(self._take_output, "stdout")
            self._expected[Kind.ERR] = partial(self._take_output, "stderr")
            self._expected[Kind.LINE] = self._take_line
            self._expected[Kind.ATTACH] = self._take_attached
            self._tell_cancel(time.monotonic())
            self._wire.send([frame_of(Kind.GO)])
            self._wait(lambda: self._over)
        assert self._result is not None
        return self._result

    @property
    def leader(self) -> ProcessIdentity:
        """The process on this side."""
        return self._link.identity

    def close(self) -> None:
        """End the conversation, however far it is, and everything that it started on this side."""
        self._wire.close()
        self._link.close(hurried=self._cancel.hurried)

    def trace(self) -> Trace:
        """Return what is known of trouble; gives the process a moment to say the last of it, and to end."""
        if self._wire.ended:
            self._wire.drain(LAST_WORDS_S)
            with suppress(subprocess.TimeoutExpired):
                self._link.process.wait(LAST_WORDS_S)
        words = self._wire.words.decode("utf-8", "backslashreplace").strip()
        return Trace(self._stage, self._link.process.poll(), words)

    # The loop.

    def _answer(self, kind: Kind, read: Callable[[Mapping[str, object]], _T]) -> _T | None:
        """Wait for the one frame of a kind, or for the farewell, and return what it says."""
        found: list[_T] = []

        def take(payload: bytes) -> None:
            del self._expected[kind]
            found.append(read(parse_json(payload)))

        self._expected[kind] = take
        self._wait(lambda: bool(found) or self._over)
        return found[0] if found else None

    def _wait(self, done: Callable[[], bool]) -> None:
        self._progress_s = self._wire.heard_s = time.monotonic()
        while not done():
            if self._wire.ended:
                raise TransportLost("the connection ended before the result had come")
            something = self._wire.turn(self._wait_s())
            self._tick()
            now_s = time.monotonic()
            self._check_stop(now_s)
            if not something:
                self._check_silence(now_s)

    def _wait_s(self) -> float:
        deadline_s = float("inf") if self._deadline is None or self._stage == "run" else self._deadline.at_s
        limits = self._limits
        silent_at_s = float("inf")
        if self._stage != "run":
            silent_at_s = self._progress_s + limits.setup_s
        elif limits.silence_s is not None:
            silent_at_s = self._wire.heard_s + limits.silence_s
        return min(min(deadline_s, silent_at_s, self._end_at_s) - time.monotonic(), LONGEST_TURN_S)

    def _check_stop(self, now_s: float) -> None:
        late = self._deadline is not None and now_s >= self._deadline.at_s
        if self._stage == "run":
            if late and self._deadline is not None:
                self._end_by(self._deadline.at_s + (self._deadline.grace_s or 0) + self._limits.overtime_s)
            self._tell_cancel(now_s)
        elif self._cancel.cancelled:
            raise Stopped("cancel")
        elif late:
            raise Stopped("deadline")
        if now_s >= self._end_at_s:
            raise TransportLost("the far end was to end the job and has not done it")

    def _check_silence(self, now_s: float) -> None:
        limits = self._limits
        if self._stage != "run":
            if now_s >= max(self._progress_s, self._wire.sent_s) + limits.setup_s:
                raise TransportLost(f"nothing has happened for {limits.setup_s:g} s")
        elif limits.silence_s is not None and now_s >= self._wire.heard_s + limits.silence_s:
            raise TransportLost(f"nothing was heard for {limits.silence_s:g} s")

    def _tell_cancel(self, now_s: float) -> None:
        if self._cancel.cancelled and "cancel" not in self._told:
            self._told.add("cancel")
            self._end_by(now_s + self._limits.overtime_s)
            self._wire.send([json_frame(Kind.CANCEL, {"reason": str(self._cancel.reason)[:1000]})])
        if self._cancel.hurried and "hurry" not in self._told:
            self._told.add("hurry")
            self._end_by(now_s + self._limits.hurried_s)
            self._wire.send([json_frame(Kind.CANCEL, {"hurry": True})])

    def _end_by(self, at_s: float) -> None:
        self._end_at_s = min(self._end_at_s, at_s)

    # What comes.

    def _take_foreign(self, data: bytes) -> None:
        """Look for the start marker; what comes before it is somebody else's talk."""
        self._foreign += data
        self._progress_s = time.monotonic()
        found = greeting(self._foreign, self._nonce)
        if found is None:
            if len(self._foreign) > MOST_FOREIGN_BYTES:
                raise RemoteSetupError("what was started talks without end, and is no interpreter that we know")
            return
        for line in self._foreign[: found.start].splitlines():
            self._note(line)
        rest, self._foreign = self._foreign[found.end :], b""
        if found.version < OLDEST_PYTHON:
            raise RemoteVersionError(
                f"Python {_dotted(OLDEST_PYTHON)} or newer is needed, and this is {_dotted(found.version)}",
                hint="name another interpreter",
            )
        if found.needs_archive:
            archive = self._archive()
            self._wire.send([archive_header(len(archive)), archive])
        self._stage = "setup"
        self._wire.take = self._take_frames
        self._take_frames(rest)

    def _take_frames(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        handle = self._expected.get(frame.kind)
        if handle is None or self._over:
            raise TransportLost(f"the far end sent {frame.kind.name} out of turn")
        if frame.kind is not Kind.BEAT:
            self._progress_s = time.monotonic()
        handle(frame.payload)

    def _take_output(self, stream: StreamName, payload: bytes) -> None:
        number, offset_us, data = parse_output(payload)
        if number != self._number or offset_us < self._offset_us:
            raise TransportLost(f"the far end sent output number {number}, and {self._number} was next")
        self._number, self._offset_us = number + 1, offset_us
        self._receiver.write(stream, data)

    def _take_line(self, payload: bytes) -> None:
        self._line_bytes_left -= len(payload) + 1
        if self._line_bytes_left >= 0:
            self._receiver.line(payload)

    def _take_attached(self, payload: bytes) -> None:
        data = self._attached.add(payload)
        if data is not None:
            self._attached_left -= len(data)
            self._attached = Document(self._attached_left)
            self._receiver.attach(data)

    def _take_result(self, payload: bytes) -> None:
        self._result = self._collected.add(payload)
        if self._result is not None:
            self._expected = {Kind.BEAT: self._expected[Kind.BEAT], Kind.NOTE: self._note, Kind.BYE: self._take_bye}

    def _take_bye(self, payload: bytes) -> None:
        self._over = True

    def _take_words(self, data: bytes) -> None:
        *lines, self._unsaid = (self._unsaid + data).split(b"\n")
        if len(self._unsaid) > self._limits.note_length:
            lines, self._unsaid = [*lines, self._unsaid], b""
        for line in lines:
            self._note(line)

    def _note(self, payload: bytes) -> None:
        """Pass a remark on, as one line that can be read; very many are no remarks any more."""
        text = payload[: self._limits.note_length].decode("utf-8", "backslashreplace")
        text = "".join(character if character.isprintable() else " " for character in text).strip()
        if text and self._notes_left > 0:
            self._notes_left -= 1
            self._receiver.note(text)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
