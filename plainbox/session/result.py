# SPDX-License-Identifier: Apache-2.0
"""What one attempt at a job came to: an immutable value that is stored, restored and reported.

The runner builds results with :class:`JobResultBuilder`, the session keeps them, exporters read them. A result is
the mapping of what is known about the attempt: a key without a value is not there, two results are equal when their
mappings are, and a result without any key is *hollow* and stands for a job that did not run. The output of the
attempt is either part of the result (:class:`MemoryJobResult`) or in a log file that it refers to
(:class:`DiskJobResult`); a log is read as a stream, and only the two properties that return it as one text hold all
of it in memory.

What cannot be stored never becomes a result: a session with one could not be saved any more, and nothing that came
after it either.
"""

from __future__ import annotations

import base64
import binascii
import collections
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self, TypeAlias

from plainbox.errors import CorruptedSessionError
from plainbox.session import textual
from plainbox.session.outcome import OUTCOME_METADATA_MAP, Outcome, OutcomeMetadata

__all__ = [
    "OUTCOME_METADATA_MAP",
    "DiskJobResult",
    "IOLogRecord",
    "JobResult",
    "JobResultBuilder",
    "JsonValue",
    "MemoryJobResult",
    "Outcome",
    "OutcomeMetadata",
    "is_moment",
    "log_is_partial",
    "restore_result",
]

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"

STREAMS = ("stdout", "stderr", "note")


class IOLogRecord(NamedTuple):
    """A piece of output: seconds since the piece before it, the stream it came from, its bytes."""

    delay: float
    stream_name: str
    data: bytes


#: What is a dict need not be asked whether it is another mapping.
_MAPPING = (dict, Mapping)
#: Type of the keys that have one; further keys are kept as they are.
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "outcome": str,
    "comments": str,
    "execution_duration": (int, float),
    "return_code": int,
    "skip_reason": _MAPPING,
    "attempt": int,
    "tries": int,
    "leaked_processes": int,
    "host": str,
    "start_time": (int, float),
    "boot_id": str,
    "origin": str,
    "log": _MAPPING,
    "io_log": (list, tuple),
    "subtests": (list, tuple),
    "measurements": (list, tuple),
    "attachments": (list, tuple),
    "io_log_filename": (str, os.PathLike),
}
#: What a job has told of itself: lists of objects.
_ITEMS = frozenset({"subtests", "measurements", "attachments"})
_MAX_ITEMS = 10_000
#: Keys whose texts need no further look.
_TEXTS = frozenset({"comments", "boot_id", "origin"})
_LOG_ON_DISK = frozenset({"log", "io_log_filename"})

#: A character has twelve bytes at most when it is stored: what is kept of comments fits into a record of the journal.
_MAX_COMMENT_CHARS = 1024 * 1024
_MAX_MEMORY_LOG_BYTES = 8 * 1024 * 1024
#: What a piece of output costs beside its bytes.
_RECORD_BYTES = 32
_MAX_INTEGER = 2**53


class JobResult:
    """What both kinds of results have in common.

    Keys: ``outcome`` (one of :class:`Outcome`), ``execution_duration`` and ``start_time`` (seconds), ``comments``,
    ``return_code`` (negative: ended by that signal), ``skip_reason``, ``attempt`` (counted from 1), ``tries`` (how often
    the job was run within this attempt, when that is more than once), ``leaked_processes`` (how many the job has left
    running, which were ended), ``host`` (another machine that it ran on), ``boot_id``, ``origin`` (``run``, ``resume``,
    ``operator`` or ``salvage``), ``subtests``, ``measurements`` and ``attachments`` (what the job has told of itself),
    and the log of the respective kind. An unknown outcome, a number that is not finite or
    has more than 53 bits, or a start time that no calendar has is a :class:`ValueError`, a value of a wrong type, also of
    a further key, a :class:`TypeError`. Comments of more than 1 048 576 characters end with a note that says how many are
    missing.
    """

    __slots__ = ("_data",)

    _foreign_keys: frozenset[str] = frozenset()

    def __init__(self, data: Mapping[str, Any]) -> None:
        kept: dict[str, Any] = {}
        for key, value in data.items():
            if type(value) is str and key in _TEXTS:
                kept[key] = value
                continue
            if value is None or (isinstance(value, (list, tuple)) and not value):
                continue
            wanted = _TYPES.get(key)
            if wanted is not None:
                _check(key, value, wanted)
            kept[key] = value if type(value) is str or key == "io_log" else _frozen(key, value)
        comments = kept.get("comments")
        if comments is not None and len(comments) > _MAX_COMMENT_CHARS:
            kept["comments"] = _shortened(comments)
        if not self._foreign_keys.isdisjoint(kept):
            raise ValueError(f"{type(self).__name__} has no {min(self._foreign_keys & kept.keys())!r}")
        self._data = kept

    # -- identity

    def __eq__(self, other: object) -> bool:
        return self._data == other._data if isinstance(other, JobResult) else NotImplemented

    def __hash__(self) -> int:
        get = self._data.get
        return hash((get("outcome"), get("attempt"), get("return_code"), get("execution_duration")))

    def __repr__(self) -> str:
        shown = {key: value for key, value in self._data.items() if key != "io_log"}
        return f"{type(self).__name__}({shown!r})"

    @property
    def is_hollow(self) -> bool:
        """Whether nothing is known: the job did not run."""
        return not self._data

    def as_dict(self) -> dict[str, JsonValue]:
        """Return what is stored: plain JSON values, accepted by :func:`restore_result`."""
        return {key: _thawed(value) for key, value in self._data.items()}

    def with_attempt(self, attempt: int) -> Self:
        """Return the same result as that of another attempt."""
        other = object.__new__(type(self))
        other._data = {**self._data, "attempt": attempt}
        return other

    def get_builder(self, **changes: Any) -> JobResultBuilder:
        """Return a builder that makes this result again, with ``changes``."""
        return JobResultBuilder(**{**self._data, **changes})

    # -- what is known

    @property
    def outcome(self) -> str | None:
        return self._data.get("outcome")

    @property
    def metadata(self) -> OutcomeMetadata:
        """How to show the outcome."""
        return OUTCOME_METADATA_MAP[self._data.get("outcome")]

    @property
    def comments(self) -> str | None:
        """What was said about the attempt, without terminal control sequences."""
        comments = self._data.get("comments")
        return None if comments is None else textual.without_escapes(comments)

    @property
    def execution_duration(self) -> float | None:
        return self._data.get("execution_duration")

    @property
    def return_code(self) -> int | None:
        return self._data.get("return_code")

    @property
    def skip_reason(self) -> Mapping[str, Any] | None:
        """Why the job could not start: ids of dependencies and manifest entries, texts of resource expressions."""
        return self._data.get("skip_reason")

    @property
    def subtests(self) -> tuple[Mapping[str, Any], ...]:
        """Parts of the job: each has ``name``, ``outcome``, maybe ``comment``."""
        return self._listed("subtests")

    @property
    def measurements(self) -> tuple[Mapping[str, Any], ...]:
        """What was measured: each has ``name``, ``value``, maybe ``unit``, ``lower``, ``upper``, ``verdict``."""
        return self._listed("measurements")

    @property
    def attachments(self) -> tuple[Mapping[str, Any], ...]:
        """Files of the session: each has ``name``, ``path`` below it, ``size``, ``sha256``, maybe ``media_type``."""
        return self._listed("attachments")

    def _listed(self, key: str) -> tuple[Mapping[str, Any], ...]:
        found: tuple[Mapping[str, Any], ...] = self._data.get(key, ())
        return found

    @property
    def attempt(self) -> int | None:
        return self._data.get("attempt")

    @property
    def start_time(self) -> float | None:
        return self._data.get("start_time")

    @property
    def boot_id(self) -> str | None:
        return self._data.get("boot_id")

    @property
    def origin(self) -> str | None:
        return self._data.get("origin")

    def get(self, key: str) -> Any:
        """Return what is known under a key, also one that has no property; ``None`` when it is not there."""
        return self._data.get(key)

    # -- output

    def get_io_log(self) -> Iterator[IOLogRecord]:
        """Yield the output in the order in which it came; notes about the log itself have the stream ``note``."""
        raise NotImplementedError

    def iter_output(self, stream: str = "stdout") -> Iterator[bytes]:
        """Yield the pieces of one stream, exactly as the job wrote them."""
        return (record.data for record in self.get_io_log() if record.stream_name == stream)

    @property
    def io_log_as_flat_text(self) -> str:
        """Both streams as one text for people: bad UTF-8 replaced, what controls a terminal removed."""
        return "".join(textual.flat_pieces(self._output()))

    @property
    def io_log_as_text_attachment(self) -> str:
        """Standard output as the document that it is, or the empty text when it is not UTF-8."""
        try:
            return b"".join(self.iter_output("stdout")).decode()
        except UnicodeDecodeError:
            return ""

    def tail_text(self, limit_chars: int) -> str:
        """Return at most the last ``limit_chars`` characters of the flat text, in memory bounded by them."""
        if limit_chars <= 0:
            return ""
        # No character has more than four bytes; one that the cut has left without its start is dropped.
        limit_bytes = 4 * limit_chars + 3
        kept: collections.deque[tuple[str, bytes]] = collections.deque()
        size = total = 0
        for stream, data in self._output():
            total += len(data)
            data = data[-limit_bytes:]
            kept.append((stream, data))
            size += len(data)
            while size - len(kept[0][1]) >= limit_bytes:
                size -= len(kept.popleft()[1])
        return "".join(textual.flat_pieces(kept, begins_inside=size < total))[-limit_chars:]

    def _output(self) -> Iterator[tuple[str, bytes]]:
        return ((item.stream_name, item.data) for item in self.get_io_log() if item.stream_name != "note")


class MemoryJobResult(JobResult):
    """A result that holds its output: ``io_log`` is a sequence of (delay, stream, bytes).

    The bytes may also be given as they are stored, in base64. More than 8 MiB of them are a :class:`ValueError`: that
    much belongs into a file.
    """

    __slots__ = ()

    _foreign_keys = _LOG_ON_DISK

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        log = self._data.get("io_log")
        if log is not None:
            self._data["io_log"] = records = tuple(_record(item) for item in log)
            if sum(_RECORD_BYTES + len(record.data) for record in records) > _MAX_MEMORY_LOG_BYTES:
                raise ValueError(f"output of more than {_MAX_MEMORY_LOG_BYTES} bytes cannot be kept in a result")

    def get_io_log(self) -> Iterator[IOLogRecord]:
        return iter(self._data.get("io_log", ()))


class DiskJobResult(JobResult):
    """A result whose output is in a file of the session.

    ``log`` is the reference that the writer of the log returned, its path relative to ``session_dir``;
    ``io_log_filename`` is the path alone. A path that leads out of the session directory raises
    :class:`CorruptedSessionError`; reading a log that is gone raises :class:`BrokenReferenceToExternalFile`. A log that was
    cut ends at its last good piece, unless the result is :meth:`compared`.
    """

    __slots__ = ("_compared", "_session_dir")

    _foreign_keys = frozenset({"io_log"})

    def __init__(self, data: Mapping[str, Any], session_dir: str | os.PathLike[str] | None = None) -> None:
        super().__init__(data)
        self._session_dir = None if session_dir is None else os.fspath(session_dir)
        self._compared = False
        if _LOG_ON_DISK.issubset(self._data):
            raise ValueError("a result has one log: either 'log' or 'io_log_filename'")
        written = self._written_path()
        if written is not None:
            _check_confined(written, self._session_dir)

    def with_attempt(self, attempt: int) -> Self:
        other = super().with_attempt(attempt)
        other._session_dir = self._session_dir
        other._compared = self._compared
        return other

    def compared(self) -> Self:
        """Return the same result, its log compared with what was recorded of it whenever it is read.

        A log that is not the same raises :class:`CorruptedSessionError`, at the latest behind the last good piece. A log
        that was recorded as incomplete is read as it is, and so is one of which nothing but the path was recorded.
        """
        log = self._data.get("log")
        if log is None or log.get("incomplete"):
            return self
        other = object.__new__(type(self))
        other._data, other._session_dir, other._compared = self._data, self._session_dir, True
        return other

    @property
    def session_dir(self) -> str | None:
        """The directory below which the files of the result are, when that is known."""
        return self._session_dir

    @property
    def io_log_filename(self) -> str | None:
        """Path of the log, below the session directory when that is known."""
        written = self._written_path()
        # An absolute path stays as it is: it was found to lie in there.
        return written if written is None or self._session_dir is None else os.path.join(self._session_dir, written)

    def _written_path(self) -> str | None:
        written = self._data.get("io_log_filename")
        if written is None:
            log = self._data.get("log")
            if log is None:
                return None
            written = log.get("path")
        if not isinstance(written, str):
            raise CorruptedSessionError("the reference to a log has no path")
        return written

    def get_io_log(self) -> Iterator[IOLogRecord]:
        filename = self.io_log_filename
        if filename is None:
            return
        from plainbox.session.iolog import read_frames, read_recorded, resolve_log_path

        path = Path(filename)
        if self._session_dir is not None:
            # Only now it is known whether a link on the way leads out of the session.
            path = resolve_log_path(self._session_dir, os.path.relpath(filename, self._session_dir))
        for frame in read_recorded(path, self._data["log"]) if self._compared else read_frames(path):
            yield IOLogRecord(frame.delay_us / 1e6, frame.stream, frame.data)


class JobResultBuilder:
    """A result in the making: attributes are set as they become known, :meth:`get_result` makes the value."""

    def __init__(self, **known: Any) -> None:
        self.outcome: str | None = None
        self.execution_duration: float | None = None
        self.comments: str | None = None
        self.return_code: int | None = None
        self.skip_reason: Mapping[str, Any] | None = None
        self.start_time: float | None = None
        self.boot_id: str | None = None
        self.origin: str | None = None
        self.subtests: Iterable[Any] | None = None
        self.measurements: Iterable[Any] | None = None
        self.attachments: Iterable[Any] | None = None
        self.io_log: Iterable[Any] | None = None
        self.log: Mapping[str, Any] | None = None
        self.io_log_filename: str | None = None
        for key, value in known.items():
            setattr(self, key, value)

    def add_comment(self, comment: str) -> None:
        """Add a line to what is said about the attempt."""
        self.comments = f"{self.comments}\n{comment}" if self.comments else comment

    def get_result(self, session_dir: str | os.PathLike[str] | None = None) -> JobResult:
        """Return the result, of the kind that its log asks for; two logs raise :class:`ValueError`."""
        data = {key: value for key, value in vars(self).items() if value is not None}
        if "io_log" in data:
            data["io_log"] = list(data["io_log"])
        return restore_result(data, session_dir)


def restore_result(data: Mapping[str, Any], session_dir: str | os.PathLike[str] | None = None) -> JobResult:
    """Return the result that :meth:`JobResult.as_dict` has described."""
    if not _LOG_ON_DISK.isdisjoint(data):
        if data.get("io_log"):
            raise ValueError("the log of a result is either in memory or on the disk")
        return DiskJobResult(data, session_dir)
    return MemoryJobResult(data)


def log_is_partial(result: JobResult) -> bool:
    """Tell whether the log of a result lacks output: it was over its limit, or there was no space for all of it."""
    log = result.get("log")
    return isinstance(log, Mapping) and any(log.get(flag) for flag in ("incomplete", "truncated"))


#: The years 1 to 9999 without their first and last day, so that no time zone leads out of them.
_FIRST_MOMENT_S, _LAST_MOMENT_S = -62_135_510_400, 253_402_214_400


def is_moment(seconds: float) -> bool:
    """Tell whether a calendar can show so many seconds since the epoch."""
    return _FIRST_MOMENT_S <= seconds <= _LAST_MOMENT_S


def _check(key: str, value: Any, wanted: type | tuple[type, ...]) -> None:
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise TypeError(f"the {key!r} of a result cannot be {value!r}")
    if key == "start_time" and isinstance(value, (int, float)) and not is_moment(value):
        raise ValueError(f"no clock shows the {key!r} {value!r}")
    if key == "outcome" and value not in OUTCOME_METADATA_MAP:
        raise ValueError(f"unknown outcome: {value!r}")
    if key in _ITEMS and isinstance(value, (list, tuple)):
        _check_items(key, value)
    if key == "attempt" and isinstance(value, int) and value < 1:
        raise ValueError(f"attempts are counted from 1, not {value!r}")


def _check_items(key: str, items: Sequence[Any]) -> None:
    if len(items) > _MAX_ITEMS:
        raise ValueError(f"a result cannot have {len(items)} {key}")
    for item in items:
        if not isinstance(item, _MAPPING):
            raise TypeError(f"{item!r} cannot be among the {key} of a result")
        path = item.get("path") if key == "attachments" else ""
        if not isinstance(path, str) or path.startswith("/") or not _is_file_name(path) or ".." in path.split("/"):
            raise CorruptedSessionError(f"an attachment outside of the session: {path!r}")


def _record(item: Any) -> IOLogRecord:
    """Return a checked record from a triple, its bytes as they are or in base64."""
    try:
        delay, stream, data = item
    except (TypeError, ValueError):
        raise ValueError("a record of a log is (delay, stream, bytes)") from None
    if isinstance(data, str):
        try:
            data = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("a record of a log is not base64") from None
    if not isinstance(data, bytes) or not isinstance(delay, (int, float)) or isinstance(delay, bool):
        raise TypeError("a record of a log is (delay, stream, bytes)")
    if not math.isfinite(delay) or delay < 0:
        raise ValueError(f"a record of a log cannot come {delay!r} s after the one before it")
    if stream not in STREAMS:
        raise ValueError(f"unknown stream: {stream!r}")
    return IOLogRecord(delay, stream, data)


def _check_confined(written: str, session_dir: str | None) -> None:
    """Refuse the path of a log that is not below the session directory."""
    inside = _is_file_name(written) and (".." not in written or ".." not in written.split("/"))
    if inside and session_dir is not None and written.startswith("/"):
        inside = written.startswith(session_dir.rstrip("/") + "/")
    if not inside:
        raise CorruptedSessionError(f"a log outside of the session: {written!r}")


def _is_file_name(text: str) -> bool:
    if not text.isascii():
        try:
            os.fsencode(text)
        except UnicodeEncodeError:
            return False
    return "\0" not in text


def _shortened(comments: str) -> str:
    note = f"\n[cut: the comment had {len(comments)} characters]"
    return comments[: _MAX_COMMENT_CHARS - len(note)] + note


def _frozen(key: str, value: Any) -> Any:
    """Return a value that nobody can change, so that the result cannot change with it, and that can be stored."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if (kind is int or kind is float) and -_MAX_INTEGER < value < _MAX_INTEGER:
        return value  # nearly all of them are
    if isinstance(value, int):
        if not -_MAX_INTEGER < value < _MAX_INTEGER:
            raise ValueError(f"the {key!r} of a result cannot be {value!r}: it has more than 53 bits")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"the {key!r} of a result cannot be {value!r}")
        return float(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, _MAPPING):
        frozen = {}
        for name, item in value.items():
            if not isinstance(name, str):
                raise TypeError(f"the {key!r} of a result has a name that is no text: {name!r}")
            frozen[name] = item if type(item) is str else _frozen(key, item)
        return MappingProxyType(frozen)
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(key, item) for item in value)
    if isinstance(value, os.PathLike) and isinstance(path := os.fspath(value), str):
        return path
    raise TypeError(f"the {key!r} of a result cannot hold {type(value).__name__}: it cannot be stored")


def _thawed(value: Any) -> JsonValue:
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_thawed(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    plain: JsonValue = value
    return plain
