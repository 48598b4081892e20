# SPDX-License-Identifier: Apache-2.0
"""Writes the output of one attempt to its log while the job runs.

The runner makes an :class:`IOLogWriter` before it starts a job, hands it to the execution as the sink of its output,
and puts what :meth:`IOLogWriter.close` returns into the result. What must stay true:

* The bytes are kept exactly as they came, in the order in which they came, stdout and stderr interleaved.
* Nothing that a job prints, and no state of the machine, makes the writer raise into the execution: over the limit, or
  without space, output is dropped and the reference says so. Once there is space again the log goes on, with a note
  about the gap.
* The log is durable before :meth:`IOLogWriter.close` returns, so before the result that refers to it. While the job
  runs, the file is at most 0.2 s behind and the disk at most 5 s or 4 MiB; a thread sees to it when the job is silent.
  Where no thread can be had, the next output does.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from typing import Final

from plainbox.clock import SYSTEM_CLOCK, Clock
from plainbox.errors import StorageError, StorageFullError
from plainbox.session.boot import boot_id
from plainbox.session.codec import JsonObject
from plainbox.session.directory import IO_LOGS
from plainbox.session.files import FULL_ERRORS, Buffer, FileOps, PathLike, deferred_signals
from plainbox.session.iolog_frames import FLUSH_NS, EncodedFrame, WaitingFrames
from plainbox.session.iolog_reader import (
    FLAGS,
    Frame,
    LogReference,
    encode_header,
    encode_trailer,
    read_frames,
    read_recorded,
    resolve_log_path,
    verify,
)

__all__ = [
    "Frame",
    "IOLogWriter",
    "LogReference",
    "log_name",
    "read_frames",
    "read_recorded",
    "resolve_log_path",
    "verify",
]

DEFAULT_MAX_LOG_BYTES: Final = 256 * 1024 * 1024

_FLUSH_BYTES: Final = 64 * 1024
_SYNC_BYTES: Final = 4 * 1024 * 1024
_SYNC_NS: Final = 5_000_000_000
#: After a write without space it takes so long until the next one is tried.
_SPACE_PAUSE_NS: Final = 1_000_000_000
_MAX_BUFFERS: Final = 512
_KIND_OF_STREAM: Final = {"stdout": b"o", "stderr": b"e"}
_NOT_IN_SLUG = re.compile(r"[^A-Za-z0-9._-]")


def log_name(job_id: str, attempt: int) -> str:
    """Return the file name of the log of an attempt; two ids never share one, however alike they look."""
    slug = _NOT_IN_SLUG.sub("_", job_id)[:100]
    digest = hashlib.blake2b(job_id.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{'_' + slug[1:] if slug.startswith('.') else slug}-{digest}.{attempt}.iolog"


class IOLogWriter:
    """The open log of one attempt; a sink of output.

    Making it creates the file, never replacing one: should the name be taken by the log of a tester that died before
    it could tell anybody, a number is added. ``max_log_bytes`` limits the output that is kept; ``boot`` is the boot id,
    for callers that know it.
    """

    def __init__(
        self,
        session_dir: PathLike,
        job_id: str,
        attempt: int,
        *,
        max_log_bytes: int = DEFAULT_MAX_LOG_BYTES,
        boot: str | None = None,
        files: FileOps | None = None,
        clock: Clock = SYSTEM_CLOCK,
        background: bool = True,
    ) -> None:
        self._fd = -1
        self._files = FileOps() if files is None else files
        self._clock = clock
        self._background = background
        self._max_log_bytes = max_log_bytes
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._helper: threading.Thread | None = None
        self._digest = hashlib.blake2b(digest_size=16)
        #: What the file has.
        self._size_bytes = 0
        self._frames = self._out = self._err = 0
        #: What was taken, and what was not, because of the limit.
        self._kept_bytes = 0
        self._dropped_bytes = 0
        self._truncated = self._incomplete = False
        #: Output that found no space, since the last note that tells of such; and when writing is tried again.
        self._lost_bytes = 0
        self._retry_ns: int | None = None
        #: The medium failed: nothing more is written but the trailer.
        self._given_up = False
        self._unsynced_bytes = 0
        self._reference: LogReference | None = None
        self._session_dir = os.fspath(session_dir)
        self._boot_id = boot_id() if boot is None else boot
        self._create(job_id, attempt)
        now = clock.monotonic_ns()
        self._waiting = WaitingFrames(now)
        self._synced_ns = now
        self._flushed_ns = now - FLUSH_NS  # the first output is worth a write of its own

    @property
    def path(self) -> str:
        """The path of the log, relative to the session directory: what the reference will say."""
        return self._path

    # What the execution calls

    def write(self, stream: str, data: bytes) -> None:
        """Take output of ``stdout`` or ``stderr``."""
        kind = _KIND_OF_STREAM[stream]
        with self._lock:
            if self._reference is not None or not data:
                return
            now = self._clock.monotonic_ns()
            if not self._accepts(now):
                self._lost_bytes += len(data)
                return
            room = self._max_log_bytes - self._kept_bytes
            if len(data) > room:
                self._dropped_bytes += len(data) - room
                data = data[:room]
            if data:
                self._kept_bytes += len(data)
                self._waiting.take(kind, data, now)
            if self._dropped_bytes and not self._truncated:
                self._truncated = True
                self._waiting.note(f"output beyond {self._max_log_bytes} bytes is not kept", now)
            self._flush_if_due(now)
            if self._helper is None and self._background and self._fd >= 0:
                self._start_helper()

    def note(self, text: str) -> None:
        """Put a remark for people between the output."""
        with self._lock:
            now = self._clock.monotonic_ns()
            if self._reference is None and self._accepts(now):
                self._waiting.note(text, now)
                self._flush_if_due(now)

    def tick(self) -> None:
        """Write and sync what is due; the writer's own thread does this five times a second while there is output."""
        with self._lock:
            now = self._clock.monotonic_ns()
            if self._reference is None and self._accepts(now):
                self._flush_if_due(now)

    # What the runner calls

    def flush(self) -> None:
        """Hand everything to the system, so that readers see it."""
        with self._lock:
            now = self._clock.monotonic_ns()
            if self._reference is None and self._accepts(now):
                self._flush(now)

    def close(self) -> LogReference:
        """Finish the log, make it durable and return the reference to it; again, return the same."""
        self._stop_helper()
        with self._lock:
            if self._reference is None:
                self._finish()
                self._reference = self._refer()
            return dict(self._reference)

    def discard(self) -> None:
        """Close and delete the log of an attempt that never started."""
        self._stop_helper()
        with self._lock:
            if self._reference is None:
                self._reference = self._refer()
                self._close_file()
                with contextlib.suppress(OSError):
                    self._files.unlink(os.path.join(self._session_dir, self._path))

    def __del__(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    # After trouble

    def _accepts(self, now: int) -> bool:
        """Tell whether output can be taken, having tried to go on after a gap when it is time to."""
        if self._retry_ns is not None and now >= self._retry_ns:
            self._go_on(now)
        return self._retry_ns is None and not self._given_up

    def _go_on(self, now: int) -> None:
        """Try to write again, a note about what was lost first; without space for that everything stays as it is."""
        self._retry_ns = None
        self._restore_size()
        self._waiting.note(f"{self._lost_bytes} bytes lost: no space left", now)
        self._flush(now)
        if self._retry_ns is None and not self._given_up:
            self._lost_bytes = 0

    # The file

    def _create(self, job_id: str, attempt: int) -> None:
        header = encode_header(
            {
                "attempt": attempt,
                "boot_id": self._boot_id,
                "job": job_id,
                "start": round(self._clock.time(), 6),
                "uuid": os.urandom(16).hex(),
            }
        )
        directory = os.path.join(self._session_dir, IO_LOGS)
        name: str | None = None
        try:
            self._files.reach("log.create")
            name = self._open_new(directory, log_name(job_id, attempt))
            self._path = os.path.join(IO_LOGS, name)
            self._files.write_all(self._fd, header, 0)
            self._files.reach("log.sync-directory")
            self._files.sync_directory(directory)
        except OSError as error:
            if name is not None:
                self._close_file()
                with contextlib.suppress(OSError):
                    self._files.unlink(os.path.join(directory, name))
            kind = StorageFullError if error.errno in FULL_ERRORS else StorageError
            raise kind(f"the log of {job_id} cannot be made in {directory}", errno=error.errno) from error
        self._digest.update(header)
        self._size_bytes = len(header)

    def _open_new(self, directory: str, name: str) -> str:
        number = 1
        chosen = name
        while True:
            try:
                self._fd = self._files.open(os.path.join(directory, chosen), os.O_RDWR | os.O_CREAT | os.O_EXCL)
            except FileExistsError:
                number += 1
                chosen = f"{name.removesuffix('.iolog')}-{number}.iolog"
            else:
                return chosen

    def _flush_if_due(self, now: int) -> None:
        waiting = self._waiting.size_bytes
        if waiting >= _FLUSH_BYTES or (waiting and now - self._flushed_ns >= FLUSH_NS):
            self._flush(now)
        elif self._unsynced_bytes and now - self._synced_ns >= _SYNC_NS:
            with deferred_signals():
                self._sync(now)

    def _flush(self, now: int) -> None:
        with deferred_signals():
            frames = self._waiting.hand_over()
            if not frames:
                return
            try:
                size = self._write_out(frames)
            except OSError as error:
                self._incomplete = True
                self._lost_bytes += sum(len(data) for kind, _, data in frames if kind != b"n")
                if error.errno in FULL_ERRORS:
                    self._retry_ns = now + _SPACE_PAUSE_NS
                else:
                    self._given_up = True
                self._restore_size()
                return
            for kind, line, data in frames:
                self._digest.update(line)
                self._digest.update(data)
                self._digest.update(b"\n")
                if kind == b"o":
                    self._out += len(data)
                elif kind == b"e":
                    self._err += len(data)
            self._frames += len(frames)
            self._size_bytes += size
            if not self._unsynced_bytes:
                self._synced_ns = now
            self._unsynced_bytes += size
            self._flushed_ns = now
            if self._unsynced_bytes >= _SYNC_BYTES or now - self._synced_ns >= _SYNC_NS:
                self._sync(now)

    def _write_out(self, frames: list[EncodedFrame]) -> int:
        buffers: list[Buffer] = []
        size = 0
        for _, line, data in frames:
            buffers += (line, data, b"\n")
            size += len(line) + len(data) + 1
        if len(buffers) > _MAX_BUFFERS:
            buffers = [b"".join(buffers)]
        self._files.reach("log.write")
        try:
            written = self._files.pwritev(self._fd, buffers, self._size_bytes)
        except InterruptedError:
            written = 0
        if written != size:
            self._files.write_all(self._fd, b"".join(buffers)[written:], self._size_bytes + written)
        return size

    def _restore_size(self) -> None:
        with contextlib.suppress(OSError):
            self._files.ftruncate(self._fd, self._size_bytes)

    def _sync(self, now: int) -> None:
        try:
            self._files.reach("log.sync")
            self._files.fdatasync(self._fd)
        except OSError:
            self._incomplete = self._given_up = True
            return
        self._unsynced_bytes, self._synced_ns = 0, now

    def _finish(self) -> None:
        now = self._clock.monotonic_ns()
        if self._retry_ns is not None:
            self._go_on(now)
        if self._retry_ns is None and not self._given_up:
            if self._dropped_bytes:
                self._waiting.note(f"{self._dropped_bytes} bytes of output were not kept", now)
            self._flush(now)
        with deferred_signals():
            trailer = encode_trailer(self._digest.hexdigest(), self._frames, self._out, self._err, self._flags())
            try:
                self._files.reach("log.trailer")
                self._files.write_all(self._fd, trailer, self._size_bytes)
                self._size_bytes += len(trailer)
            except OSError:
                self._incomplete = True
                self._restore_size()
            # What an incomplete log has is worth no less.
            self._sync(self._clock.monotonic_ns())
            self._close_file()

    def _close_file(self) -> None:
        fd, self._fd = self._fd, -1
        with contextlib.suppress(OSError):
            self._files.close(fd)

    def _flags(self) -> JsonObject:
        values = (self._truncated, self._incomplete)
        return {name: True for name, value in zip(FLAGS, values, strict=True) if value}

    def _refer(self) -> LogReference:
        return {
            "path": self._path,
            "size": self._size_bytes,
            "frames": self._frames,
            "out": self._out,
            "err": self._err,
            "digest": self._digest.hexdigest(),
            **self._flags(),
        }

    # The thread

    def _start_helper(self) -> None:
        helper = threading.Thread(target=self._help, name="plainbox-iolog", daemon=True)
        try:
            helper.start()
        except RuntimeError:
            self._background = False  # the machine has no thread left: what is due goes out with the next output
        else:
            self._helper = helper

    def _help(self) -> None:
        while not self._done.wait(FLUSH_NS / 1e9):
            self.tick()

    def _stop_helper(self) -> None:
        self._done.set()
        if self._helper is not None:
            self._helper.join()
