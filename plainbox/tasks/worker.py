# SPDX-License-Identifier: Apache-2.0
"""The far end: one process for one execution, which runs it like any other and tells our side about it.

Started by :mod:`plainbox.tasks.bootstrap` with frames on its standard input and output. What must stay true:

* The program runs only after our side has said so, and by the same ``HERE`` as it would there.
* When our side is gone - end of input, or nothing heard for too long - the program and everything that it started are
  ended, SIGTERM first, and the worker is gone with its directory.
* Nothing but frames is ever written where our side reads frames.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from plainbox.errors import TransportLost
from plainbox.tasks.attaching import attached, collect
from plainbox.tasks.documents import Load, ending_content, failure_content, load_from, own_hello, result_document
from plainbox.tasks.far_files import FarFiles
from plainbox.tasks.frames import LARGEST_PAYLOAD, FrameWriter, Kind, frame_of, json_frame, note_frame, parse_json
from plainbox.tasks.identity import ProcessIdentity
from plainbox.tasks.inbox import Inbox
from plainbox.tasks.output import StreamName
from plainbox.tasks.place import HERE, LARGEST_ATTACHED
from plainbox.tasks.process import Ending
from plainbox.tasks.resource_limits import restrict
from plainbox.tasks.surroundings import Surroundings
from plainbox.tasks.workplace import has_mounts

__all__ = ["main"]

LARGEST_LOAD = 16 * 1024 * 1024
DELIVERED, BAD_LOAD, TEMPORARY = 0, 65, 75


def main(directory: str, store: str) -> int:
    """Run one execution; ``directory`` is the worker's own and is removed, ``store`` keeps files by their digests."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # The end of the input is what ends this. No SIG_IGN: the program would inherit that.
        signal.signal(number, lambda *ignored: None)
    writer, inbox = _take_over()
    tempfile.tempdir = directory
    try:
        return _Worker(writer, inbox, directory, store).run()
    except TransportLost as error:
        return _say(f"{error}", TEMPORARY)
    except (BrokenPipeError, KeyboardInterrupt):
        return TEMPORARY
    except OSError as error:
        return _say(f"{error}", TEMPORARY)
    finally:
        _clear(directory)


def _take_over() -> tuple[FrameWriter, Inbox]:
    """Take the two descriptors of the frames away from whatever runs in this process and below it."""
    source, target = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    writer = FrameWriter(target)
    return writer, Inbox(source, writer)


def _say(text: str, code: int) -> int:
    with suppress(OSError, ValueError, AttributeError):  # what ran in here may have closed it, or put it elsewhere
        sys.stderr.write(f"{text}\n")
    return code


def _clear(directory: str) -> None:
    if not has_mounts(Path(directory)):
        shutil.rmtree(directory, ignore_errors=True)


class _Worker:
    def __init__(self, writer: FrameWriter, inbox: Inbox, directory: str, store: str) -> None:
        self._writer = writer
        self._inbox = inbox
        self._directory = directory
        self._store = store

    def run(self) -> int:
        self._writer.write(json_frame(Kind.HELLO, own_hello(self._directory, self._store)))
        try:
            load = load_from(parse_json(self._inbox.document(Kind.LOAD, LARGEST_LOAD)))
        except (TypeError, ValueError, KeyError) as error:
            return _say(f"the load cannot be understood: {error}", BAD_LOAD)
        self._inbox.expect_beats(load.beat_s, load.silence_s)
        try:
            result = self._execute(load)
        except (TransportLost, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, our side hears of it
            result = result_document(failure_content(error))
        _clear(self._directory)
        self._deliver(result)
        return DELIVERED

    def _execute(self, load: Load) -> bytes:
        """Do what the load says and return the document of its result."""
        own, kept = FarFiles(Path(self._directory)), FarFiles(Path(self._store or self._directory))
        homes = {file: own if file.digest == load.bundle else kept for file in load.files}
        lacking = [file for file, home in homes.items() if not home.has(file)]
        if lacking:
            self._writer.write(json_frame(Kind.NEED, {"digests": [file.digest for file in lacking]}))
        for file in lacking:
            homes[file].keep(file, self._inbox.document(Kind.FILE, file.size))
        sink = _Sink(self._writer)
        if load.bundle is None:
            return result_document(ending_content(self._run_program(load, sink)))
        from plainbox.tasks.worker_bundle import run_bundle

        bundle = Path(self._directory, load.bundle).read_bytes()
        return result_document({}, run_bundle(bundle, load, self._writer, self._inbox, sink, self._give_up))

    def _give_up(self, error: Exception) -> None:
        """Deliver an error in place of a result that will not come, and be gone."""
        try:
            _clear(self._directory)
            self._deliver(result_document(failure_content(error)))
        finally:
            os._exit(DELIVERED)

    def _deliver(self, result: bytes) -> None:
        self._writer.document(Kind.RESULT, result)
        self._writer.write(frame_of(Kind.BYE))

    def _run_program(self, load: Load, sink: _Sink) -> Ending:
        assert load.program is not None

        def started(process: ProcessIdentity) -> None:
            restrict(process.pid, load.limits, load.nice)
            self._writer.write(json_frame(Kind.READY, asdict(process)))
            self._inbox.wait_for(Kind.GO)
            sink.begin()

        given = load.working_directory
        files = Path(self._directory, "attached")
        files.mkdir(mode=0o700)
        surroundings = Surroundings(
            environment=load.environment,
            output=sink,
            started=started,
            working_directory=None if given is None else Path(given),
            cancel=self._inbox.cancel,
            on_line=sink.line,
            attachments_dir=files if load.keeps_files else None,
            attach=load.attach,
            attach_bytes=load.attach_bytes,
        )
        ending = HERE.run(load.program, surroundings, load.deadline)
        found = collect(files, ("*",), max(LARGEST_ATTACHED, load.attach_bytes))
        while True:
            try:
                name, data = next(found)
            except StopIteration:
                return ending
            except OSError as error:
                sink.note(f"not everything could be attached: {error.strerror}")
                return ending
            if data is not None:
                self._writer.document(Kind.ATTACH, attached(name, data))


class _Sink:
    """Sends the output of a program as it comes."""

    def __init__(self, writer: FrameWriter) -> None:
        self._writer = writer
        self._begun_s = time.monotonic()

    def begin(self) -> None:
        """Count the time from now on."""
        self._begun_s = time.monotonic()

    def write(self, stream: StreamName, data: bytes) -> None:
        kind = Kind.OUT if stream == "stdout" else Kind.ERR
        self._writer.output(kind, self._begun_s, data)

    def note(self, text: str) -> None:
        self._writer.write(note_frame(text))

    def line(self, data: bytes) -> None:
        self._writer.write(frame_of(Kind.LINE, data[:LARGEST_PAYLOAD]))
