# SPDX-License-Identifier: Apache-2.0
"""One connection to another machine, which all executions of a run share, and the keeper at its far end.

Opened when the first execution needs it, opened anew when it was lost, closed with the run. What the keeper does there
is told in :mod:`plainbox.tasks.keeper`. Nothing here waits without a limit: whoever waits says how long, and who can stop
it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from plainbox.errors import PlaceError, RemoteSetupError, RemoteVersionError, SshConnectError, TransportLost
from plainbox.tasks.bootstrap import OLDEST_PYTHON, archive_header, bootstrap_words, greeting
from plainbox.tasks.channel import MOST_FOREIGN_BYTES, Stopped
from plainbox.tasks.deadline import Deadline
from plainbox.tasks.distribution import DistributionArchive
from plainbox.tasks.documents import Hello, hello_from, result_from
from plainbox.tasks.frames import UP, Document, FrameReader, Kind, document_frames, parse_json
from plainbox.tasks.keeper import BEAT_S, PREFIX
from plainbox.tasks.master import Master, SocketDirectory
from plainbox.tasks.output import CancelToken
from plainbox.tasks.remote import Remote
from plainbox.tasks.share import MOST_BYTES
from plainbox.tasks.ssh import client_words, error_of, master_words, ssh_environment, trusted_keys
from plainbox.tasks.wire import Wire

__all__ = ["Attendance", "Connection", "FarMachine"]

TURN_S = 0.2
#: The keeper answers at once; a large share takes as long as it takes, but something comes or goes.
SILENCE_S = 30.0
LAST_WORDS_S = 2.0
LARGEST_ANSWER = MOST_BYTES + 16 * 1024 * 1024


@dataclass(frozen=True)
class Attendance:
    """Who waits: until when, who can stop it, and what is called meanwhile."""

    cancel: CancelToken = field(default_factory=CancelToken)
    deadline: Deadline | None = None
    tick: Callable[[], None] = lambda: None

    def check(self) -> None:
        """Raise :class:`Stopped` when it is over."""
        self.tick()
        if self.cancel.cancelled:
            raise Stopped("cancel")
        if self.deadline is not None and self.deadline.is_over:
            raise Stopped("deadline")


@dataclass(frozen=True)
class FarMachine:
    """Who is there. ``environment`` is what a login has; ``directory`` the one of this run."""

    hello: Hello
    environment: Mapping[str, str]
    user: str
    home: str
    free_bytes: int

    @property
    def directory(self) -> str:
        return self.hello.directory


class Connection:
    """A connection to ``remote``. May be used by several threads; the conversation with the keeper is one at a time."""

    def __init__(self, remote: Remote, archive: DistributionArchive) -> None:
        self.remote = remote
        self._archive = archive
        self._token = os.urandom(16).hex()
        self._lock = threading.RLock()
        self._socket: SocketDirectory | None = None
        self._master: Master | None = None
        self._wire: Wire | None = None
        self._machine: FarMachine | None = None
        self._foreign = b""
        self._frames = FrameReader(UP)
        self._arrived: list[tuple[Kind, bytes]] = []
        #: How often it was opened: a new number means that the far end knows nothing any more.
        self.opened = 0
        #: What is to be told about the connection: that a key was believed to be right.
        self.remarks: list[str] = []

    @property
    def machine(self) -> FarMachine:
        """Who is there; for an open connection."""
        assert self._machine is not None
        return self._machine

    @property
    def is_open(self) -> bool:
        """Whether the connection stands, as far as this side can tell."""
        with self._lock:
            if self._master is None or self._wire is None:
                return False
            with suppress(PlaceError):
                while self._wire.turn(0.0) and not self._wire.ended:
                    pass
                return not self._wire.ended and self._master.process.poll() is None
            return False

    def ensure(self, attendance: Attendance) -> FarMachine:
        """Return who is there, having connected if need be.

        :class:`PlaceError` when that does not work, :class:`Stopped` when somebody stops it.
        """
        with self._lock:
            if not self.is_open:
                self._open(attendance)
            return self.machine

    def client(self, words: Sequence[str]) -> list[str]:
        """Return what runs ``words`` there, over this connection."""
        assert self._socket is not None
        return client_words(self.remote, self._socket.socket, words)

    def ask(
        self, attendance: Attendance, request: Mapping[str, object], body: bytes = b""
    ) -> tuple[Mapping[str, object], bytes]:
        """Have the keeper do something and return what it says.

        :class:`TransportLost` when it does not, :class:`RemoteSetupError` when it cannot; who stops it has no connection.
        """
        with self._lock:
            if self._wire is None:
                raise TransportLost(f"{self.remote.name}: there is no connection")
            try:
                document = json.dumps(request).encode("ascii") + b"\n" + body
                self._wire.send(document_frames(Kind.LOAD, document))
                header, found = result_from(self._document(attendance))
            except (TransportLost, Stopped) as error:
                self.drop()
                if isinstance(error, Stopped):
                    raise
                raise TransportLost(f"{self.remote.name}: {error.message}", hint=error.hint) from error
            if "problem" in header:
                raise RemoteSetupError(f"{self.remote.name}: {header['problem']}", hint="is there space left?")
            return header, found

    def drop(self) -> None:
        """Give the connection up at once: whoever is there finds out, and tidies up."""
        self._end(hurried=True)

    def close(self) -> None:
        """End the connection and wait for the far end to have removed what was there."""
        self._end(hurried=False)

    # -- opening

    def _open(self, attendance: Attendance) -> None:
        earlier = self._machine.directory if self._machine is not None else None
        self.drop()
        self.remote.check_files()
        trusted = trusted_keys(self.remote)
        self._socket = SocketDirectory()
        nonce = os.urandom(16).hex()
        try:
            words = self._far_words(nonce, earlier)
            self._master = Master(master_words(self.remote, self._socket.socket, words), ssh_environment())
            self._wire = Wire(
                self._master, CancelToken(), lambda data: self._take_foreign(data, nonce), lambda data: None
            )
            self._foreign, self._frames, self._arrived = b"", FrameReader(UP), []
            self._machine = self._meet(attendance, nonce, earlier)
        except Stopped:
            self.drop()
            raise
        except PlaceError as error:
            raise self._explained(error) from error
        except BaseException:
            self.drop()
            raise
        for new in sorted(trusted_keys(self.remote) - trusted):
            self.remarks.append(f"the host key of {self.remote.name} was not known and is trusted from now on: {new}")
        self.opened += 1

    def _far_words(self, nonce: str, earlier: str | None) -> Sequence[str]:
        """Return what is started there. It takes over the directory ``earlier`` of this run, if it is there still."""
        return bootstrap_words(
            self.remote.interpreter.executable,
            nonce,
            self._archive.digest,
            "",
            str(self.remote.directory),
            module="plainbox.tasks.keeper",
            prefix=PREFIX,
        )

    def _meet(self, attendance: Attendance, nonce: str, earlier: str | None) -> FarMachine:
        """Return who is there once everything of this run is in place there."""
        self._greet(attendance, nonce)
        machine = _machine_of(parse_json(self._frame(attendance, Kind.HELLO)))
        assert self._wire is not None
        self._wire.beat_every(BEAT_S)
        self.ask(attendance, {"do": "begin", "token": self._token, "adopt": earlier})
        return machine

    def _greet(self, attendance: Attendance, nonce: str) -> None:
        """Wait for the far interpreter, and give it what it runs."""
        until_s = time.monotonic() + self.remote.connect_timeout_s + SILENCE_S
        while True:
            found = greeting(self._foreign, nonce)
            if found is not None:
                break
            if len(self._foreign) > MOST_FOREIGN_BYTES:
                raise RemoteSetupError("what was started talks without end, and is no interpreter that we know")
            self._turn(attendance)
            if time.monotonic() >= until_s:
                raise SshConnectError("nothing was heard from the other end")
        if found.version < OLDEST_PYTHON:
            raise RemoteVersionError(
                f"Python {_dotted(OLDEST_PYTHON)} or newer is needed, and {self.remote.interpreter.executable} is "
                f"{_dotted(found.version)}",
                hint="name another interpreter of that machine, or write mode = shell, which needs none",
            )
        assert self._wire is not None
        if found.needs_archive:
            archive = self._archive.data
            self._wire.send([archive_header(len(archive)), archive])
        rest, self._foreign = self._foreign[found.end :], b""
        self._wire.take = self._take_frames
        self._take_frames(rest)

    def _explained(self, error: PlaceError) -> PlaceError:
        """Return the error with what ssh and the far end have said, and give the connection up."""
        words, code = self._last_words()
        has_spoken = self._wire is not None and self._wire.take == self._take_frames
        self.drop()
        name, interpreter = self.remote.name, self.remote.interpreter.executable
        if isinstance(error, RemoteVersionError):
            return RemoteVersionError(f"{name}: {error.message}", hint=error.hint)
        last = words.splitlines()[-1] if words else ""
        if has_spoken:
            return RemoteSetupError(
                f"{name}: {interpreter} could not begin: {last or error.message}",
                hint=f"everything is kept below {self.remote.directory} there: is there space, and may we write?",
            )
        if code in (126, 127):
            return RemoteSetupError(
                f"{name}: there is no interpreter {interpreter}: {last or f'code {code}'}",
                hint="name one with interpreter, or write mode = shell, which needs none",
            )
        if code is not None and code != 255:
            return RemoteSetupError(f"{name}: {interpreter} did not start (code {code}): {last or error.message}")
        return error_of(self.remote, words or error.message, code)

    def _last_words(self) -> tuple[str, int | None]:
        if self._wire is None or self._master is None:
            return "", None
        if self._wire.ended:
            self._wire.drain(LAST_WORDS_S)
            with suppress(Exception):
                self._master.process.wait(LAST_WORDS_S)
        return self._wire.words.decode("utf-8", "backslashreplace").strip(), self._master.process.poll()

    # -- talking

    def _turn(self, attendance: Attendance) -> bool:
        wire = self._wire
        assert wire is not None
        attendance.check()
        if wire.ended:
            raise TransportLost("the connection ended")
        left_s = TURN_S if attendance.deadline is None else attendance.deadline.at_s - time.monotonic()
        return wire.turn(min(TURN_S, left_s))

    def _frame(self, attendance: Attendance, kind: Kind) -> bytes:
        """Return the next frame, which must be of a kind."""
        heard_s = time.monotonic()
        while not self._arrived:
            if self._turn(attendance):
                heard_s = time.monotonic()
            elif time.monotonic() > heard_s + SILENCE_S:
                raise TransportLost(f"nothing was heard for {SILENCE_S:g} s")
        found, payload = self._arrived.pop(0)
        if found is not kind:
            raise TransportLost(f"the far end sent {found.name} out of turn")
        return payload

    def _document(self, attendance: Attendance) -> bytes:
        document = Document(LARGEST_ANSWER)
        while True:
            whole = document.add(self._frame(attendance, Kind.RESULT))
            if whole is not None:
                return whole

    def _take_foreign(self, data: bytes, nonce: str) -> None:
        self._foreign += data

    def _take_frames(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            if frame.kind is not Kind.BEAT:
                self._arrived.append((frame.kind, frame.payload))

    # -- the end

    def _end(self, *, hurried: bool) -> None:
        with self._lock:
            wire, self._wire = self._wire, None
            master, self._master = self._master, None
            socket, self._socket = self._socket, None
            try:
                if wire is not None:
                    wire.close()
                if master is not None:
                    master.close(hurried=hurried)
            finally:
                if socket is not None:
                    socket.remove()


def _machine_of(content: Mapping[str, object]) -> FarMachine:
    more = content.get("more")
    if not isinstance(more, dict):
        raise TransportLost("the far end says nothing about its machine")
    environment, free = more.get("environment"), more.get("free_bytes")
    user, home = more.get("user"), more.get("home")
    texts = isinstance(environment, dict) and all(
        isinstance(text, str) for text in (*environment, *environment.values())
    )
    if not texts or not isinstance(user, str) or not isinstance(home, str) or not isinstance(free, int):
        raise TransportLost("the far end says nothing sensible about its machine")
    return FarMachine(hello_from(content), cast("dict[str, str]", environment), user, home, free)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
