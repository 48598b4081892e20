# SPDX-License-Identifier: Apache-2.0
"""Far ends for the tests: a real worker in a process of this machine, and programs that only pretend to be one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from plainbox.processes import ProcessStat, scan
from plainbox.tasks import CancelToken, Deadline, MemorySink, ProcessIdentity, Surroundings
from plainbox.tasks.bootstrap import bootstrap_words
from plainbox.tasks.distribution import DistributionArchive
from plainbox.tasks.frames import DOWN, UP, Document, Frame, FrameReader, Kind, document_frames, frame_of, parse_json
from plainbox.tasks.place import Program
from plainbox.tasks.process import Ending
from plainbox.tasks.worker_place import Opening, WorkerPlace

#: What a pretended far end begins with: the start marker, and the ways to say something after it.
PRETENDER = """
import json, os, struct, sys, time
nonce = sys.argv[4]
def raw(data):
    while data:
        data = data[os.write(1, data):]
def frame(kind, payload=b""):
    raw(struct.pack(">IB", len(payload), kind) + payload)
def say(kind, **content):
    frame(kind, json.dumps(content).encode())
def document(kind, data):
    import hashlib
    for start in range(0, len(data), 1000000):
        frame(kind, b"\\0" + data[start:start + 1000000])
    frame(kind, b"\\1" + hashlib.sha256(data).digest())
def begin(version="3.11.7"):
    raw(("\\nplainbox-ptx/1 %s %s have\\n" % (nonce, version)).encode())
PROCESS = {"pid": os.getpid(), "process_group": os.getpid(), "start_ticks": 1}
def hello(**other):
    say(1, **{"protocol": "ptx/1", "python": [3, 11, 7], "implementation": "cpython", "executable": "/usr/bin/python3",
        "host": "dut", "machine_id": "m", "boot_id": "b", "process": PROCESS, "clock": 1.0, "directory": "/tmp/x",
        "store": "", **other})
def ready():
    say(5, **PROCESS)
def ending(**other):
    return {"process": PROCESS, "return_code": 0, "ended_by": None, "start_time": 1.0, "duration": 1.0, "left": [],
        "survivors": [], "leftovers": [], **other}
def result(**content):
    document(13, json.dumps(content).encode() + b"\\n")
def bye():
    frame(14)
def wait():
    while os.read(0, 65536):
        pass
def heard(kind):
    # Comes back when this side has sent a frame of that kind.
    data = b""
    while True:
        while len(data) < 5:
            data += os.read(0, 1)
        length, number = struct.unpack(">IB", data)
        data = b""
        while length:
            length -= len(os.read(0, length))
        if number == kind:
            return
GO, CANCEL = 6, 15
"""


class Far(WorkerPlace):
    """A worker of ``interpreter`` in a directory of its own; a ``script`` is run in place of the worker."""

    def __init__(self, directory: Path, interpreter: str = sys.executable, script: str | None = None) -> None:
        self.directory = directory
        self.interpreter = interpreter
        self.script = script
        self.store = ""
        self.environment: Mapping[str, str] = os.environ

    @contextmanager
    def opening(self) -> Iterator[Opening]:
        directory = tempfile.mkdtemp(dir=self.directory)
        try:
            yield Opening(self.interpreter, self.environment, self.store, directory, self._wrap)
            assert os.listdir(directory) == []
        finally:
            shutil.rmtree(directory)

    def _wrap(self, words: Sequence[str]) -> Sequence[str]:
        if self.script is None:
            return words
        # The nonce is the fourth word then, as in the bootstrap.
        return (sys.executable, "-I", "-c", PRETENDER + self.script, "", "", "", words[3])


@attrs.define
class Execution:
    """Runs commands at a place and remembers what came."""

    place: WorkerPlace
    sink: MemorySink = attrs.field(factory=MemorySink)
    cancel: CancelToken = attrs.field(factory=CancelToken)
    started: list[ProcessIdentity] = attrs.field(factory=list)
    lines: list[bytes] = attrs.field(factory=list)
    attachments_dir: Path | None = None
    attach: tuple[str, ...] = ()
    attach_bytes: int = 0
    environment: Mapping[str, str] = attrs.field(factory=lambda: dict(os.environ))
    working_directory: Path | None = None

    def __call__(self, command: str, *, limit_s: float | None = None, user: str | None = None) -> Ending:
        surroundings = Surroundings(
            environment=self.environment,
            output=self.sink,
            started=self.started.append,
            working_directory=self.working_directory,
            cancel=self.cancel,
            on_line=self.lines.append,
            attachments_dir=self.attachments_dir,
            attach=self.attach,
            attach_bytes=self.attach_bytes,
        )
        deadline = None if limit_s is None else Deadline.after(limit_s, grace_s=0.3)
        return self.place.run(Program(("bash", "-c", command), user), surroundings, deadline)


class RawWorker:
    """A real worker, spoken to frame by frame."""

    def __init__(self, directory: Path, interpreter: str = sys.executable) -> None:
        archive = DistributionArchive(directory / "archives")
        words = bootstrap_words(interpreter, "n0nce", archive.digest, str(archive.path.parent), str(directory))
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        self.frames: list[Frame] = []
        self._reader = FrameReader(UP)

    def __enter__(self) -> RawWorker:
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def greeting(self) -> bytes:
        """Return all that comes before the first frame."""
        assert self.process.stdout is not None
        return self.process.stdout.readline() + self.process.stdout.readline()

    def send(self, *frames: bytes) -> None:
        assert self.process.stdin is not None
        for frame in frames:
            self.process.stdin.write(frame)

    def load(self, **content: object) -> None:
        import json

        self.send(*document_frames(Kind.LOAD, json.dumps(content).encode()))

    def go(self) -> None:
        self.send(frame_of(Kind.GO))

    def next(self, kind: Kind) -> Frame:
        """Return the next frame of a kind; those before it are kept in ``frames``."""
        assert self.process.stdout is not None
        while True:
            while self.frames:
                frame = self.frames.pop(0)
                if frame.kind is kind:
                    return frame
            data = self.process.stdout.read(65536)
            assert data, f"the worker ended before {kind.name} had come"
            self.frames += self._reader.feed(data)

    def document(self, kind: Kind) -> bytes:
        document = Document(1 << 24)
        while True:
            whole = document.add(self.next(kind).payload)
            if whole is not None:
                return whole


def reads_load(data: bytes) -> Mapping[str, object]:
    """Return the load that this side has sent."""
    document = Document(1 << 24)
    for frame in FrameReader(DOWN).feed(data):
        whole = document.add(frame.payload)
        if whole is not None:
            return parse_json(whole)
    raise AssertionError("no load")


def of_session(leader: int) -> list[ProcessStat]:
    """Return the living processes of a session."""
    return [stat for stat in scan() if stat.session == leader and not stat.ended]


def interpreter(version: str) -> str | None:
    """Return a Python of that version (``3.8``) that this machine has."""
    found = shutil.which(f"python{version}")
    managed = sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python"))
    for path in [*map(str, managed), *([found] if found else [])]:
        if subprocess.run([path, "-c", "import hashlib"], capture_output=True, check=False).returncode == 0:
            return path
    return None
