# SPDX-License-Identifier: Apache-2.0
"""The output of one attempt as text for a report, streamed and bounded.

Exporters iterate over a :class:`LogText` and write what comes. Memory is bounded by the limit (without one, by a piece of
the log), whatever the size of the log. Reading never raises: a log that is gone or damaged ends in a note that says so.
"""

from __future__ import annotations

import codecs
import collections
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from plainbox.errors import BrokenReferenceToExternalFile, CorruptedSessionError, PlainboxError
from plainbox.exporters.characters import encodable, without_controls
from plainbox.session.result import JobResult

__all__ = ["LogText", "Piece", "document_problem", "log_note"]

_PIECE_CHARS = 16 * 1024
_CHUNK_BYTES = 16 * 1024
#: No terminal sequence that is worth removing is longer.
_LONGEST_ESCAPE = 256
#: A terminal sequence that the end of a text cuts.
_BEGUN_ESCAPE = re.compile("\x1b(?:\\[[0-?]*[ -/]*|\\][^\x07\x1b\n]*\x1b?|[ #%(-/])?\\Z")
_CONTINUATION = bytes(range(0x80, 0xC0))

_decoder = codecs.getincrementaldecoder("utf-8")


class Piece(NamedTuple):
    """``stream`` is ``stdout``, ``stderr`` or ``note``; notes are of the log or of this report, not of the job."""

    stream: str
    text: str


class _Cut(NamedTuple):
    omitted_bytes: int


class LogText:
    """The text of a log, at most ``limit_bytes`` of it; 0 is all.

    Of a longer log the report has the beginning and the end, or with ``keep='tail'`` the end alone, and between them a
    note of what was left out. ``streams`` are those that are wanted. With ``verbatim`` the text is what the job wrote;
    otherwise control characters and terminal sequences are removed, and a log that is known to lack something ends in a
    note that says so. After the iteration ``truncated`` and ``problem``
    tell how it went. A log can be iterated over several times: it is read each time.
    """

    def __init__(
        self,
        result: JobResult,
        limit_bytes: int,
        *,
        keep: Literal["ends", "tail"] = "ends",
        streams: Iterable[str] = ("stdout", "stderr"),
        verbatim: bool = False,
    ) -> None:
        self._result = result
        self._limit_bytes = limit_bytes
        self._head_bytes = limit_bytes // 2 if keep == "ends" else 0
        self._streams = frozenset(streams)
        self._verbatim = verbatim
        self.truncated = False
        self.problem: str | None = None

    def __iter__(self) -> Iterator[Piece]:
        self.truncated = False
        self.problem = None
        chunks = self._chunks()
        return _joined(self._decoded(self._bounded(chunks) if self._limit_bytes > 0 else chunks))

    def __str__(self) -> str:
        return "".join(piece.text for piece in self)

    def _chunks(self) -> Iterator[Piece | tuple[str, bytes]]:
        """Yield (stream, bytes) of the streams that are wanted, and in place of an error a note."""
        lack = "" if self._verbatim else log_note(self._result)
        if _is_empty(self._result):
            if lack:
                yield Piece("note", f"[{lack}]")
            return
        # Small records of one stream are joined first: what follows costs by the piece.
        stream = ""
        begun: list[bytes] = []
        size = 0
        try:
            for record in self._result.get_io_log():
                name = record.stream_name
                if name not in self._streams:
                    continue
                if begun and (name != stream or size >= _CHUNK_BYTES):
                    yield stream, b"".join(begun)
                    begun, size = [], 0
                stream = name
                data = record.data if name != "note" else _bracketed(record.data)
                begun.append(data)
                size += len(data)
        except Exception as error:  # noqa: BLE001 - one bad log must not cost the report
            self.problem = _problem(error)
        if begun:
            yield stream, b"".join(begun)
        if self.problem is not None:
            yield Piece("note", f"[the log cannot be read from here on: {self.problem}]")
        elif lack:
            yield Piece("note", f"[{lack}]")

    def _bounded(self, chunks: Iterable[Piece | tuple[str, bytes]]) -> Iterator[Piece | _Cut | tuple[str, bytes]]:
        head = self._head_bytes
        tail_limit = self._limit_bytes - head
        tail: collections.deque[tuple[str, bytes]] = collections.deque()
        tail_size = omitted = 0
        note: Piece | None = None
        for chunk in chunks:
            if isinstance(chunk, Piece):
                note = chunk
                break
            stream, data = chunk
            if head:
                yield stream, data[:head]
                data, head = data[head:], max(0, head - len(data))
            if not data:
                continue
            tail.append((stream, data))
            tail_size += len(data)
            while tail_size > tail_limit:
                stream, data = tail.popleft()
                surplus = min(tail_size - tail_limit, len(data))
                if surplus < len(data):
                    tail.appendleft((stream, data[surplus:]))
                tail_size -= surplus
                omitted += surplus
        if omitted:
            self.truncated = True
            yield _Cut(omitted)
        yield from tail
        if note is not None:
            yield note

    def _decoded(self, chunks: Iterable[Piece | _Cut | tuple[str, bytes]]) -> Iterator[Piece]:
        decoders: dict[str, _StreamText] = {}
        after_cut = False
        for chunk in chunks:
            if isinstance(chunk, Piece):
                for stream, decoder in decoders.items():
                    yield Piece(stream, decoder.rest())
                yield Piece(chunk.stream, f"{chunk.text}\n")
                decoders = {}
            elif isinstance(chunk, _Cut):
                # A character that the cut goes through is of no use to anybody.
                decoders = {}
                after_cut = True
                yield Piece("note", f"[... {chunk.omitted_bytes} bytes of the log are left out here ...]\n")
            else:
                stream, data = chunk
                if stream not in decoders:
                    decoders[stream] = _StreamText(self._verbatim)
                    if after_cut:
                        data = data[:3].lstrip(_CONTINUATION) + data[3:]
                yield Piece(stream, decoders[stream].take(data))
        for stream, decoder in decoders.items():
            yield Piece(stream, decoder.rest())


class _StreamText:
    """One stream on its way from bytes to text: keeps back what the next bytes may complete."""

    def __init__(self, verbatim: bool) -> None:
        self._decoder = _decoder("replace")
        self._verbatim = verbatim
        self._begun = ""

    def take(self, data: bytes) -> str:
        text = self._decoder.decode(data)
        if self._verbatim:
            return encodable(text)
        text = self._begun + text
        end = _complete(text)
        self._begun = text[end:]
        return without_controls(text[:end])

    def rest(self) -> str:
        text = self._decoder.decode(b"", final=True)
        if self._verbatim:
            return encodable(text)
        text, self._begun = self._begun + text, ""
        return without_controls(text)


def _complete(text: str) -> int:
    """Return how much of the text can be cleaned now: a terminal sequence or a line end may be cut at its end."""
    begun = _BEGUN_ESCAPE.search(text, max(0, len(text) - _LONGEST_ESCAPE))
    if begun is not None:
        return begun.start()
    return len(text) - 1 if text.endswith("\r") else len(text)


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Join pieces of one stream: a log of many small records becomes few spans. Notes begin lines of their own."""
    stream = ""
    at_line_start = True
    texts: list[str] = []
    size = 0
    for piece in pieces:
        if not piece.text:
            continue
        if piece.stream == "note" and not at_line_start:
            piece = Piece("note", "\n" + piece.text)
        at_line_start = piece.text.endswith("\n")
        if texts and (piece.stream != stream or size >= _PIECE_CHARS):
            yield Piece(stream, "".join(texts))
            texts, size = [], 0
        stream = piece.stream
        texts.append(piece.text)
        size += len(piece.text)
    if texts:
        yield Piece(stream, "".join(texts))


def document_problem(result: JobResult) -> str | None:
    """Return why standard output is not a document in UTF-8, or ``None`` when it is one."""
    lack = log_note(result)
    if lack:
        return lack
    decoder = _decoder("strict")
    try:
        for data in result.iter_output("stdout"):
            decoder.decode(data)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "the output is not UTF-8"
    except Exception as error:  # noqa: BLE001 - one bad log must not cost the report
        return _problem(error)
    return None


def log_note(result: JobResult) -> str:
    """Return what the log of an attempt lacks, as its writer has recorded it; empty when it has everything."""
    log = result.get("log")
    if not isinstance(log, Mapping):
        return ""
    if log.get("incomplete"):
        return "a part of the output is lost"
    return "the output is longer than what was kept of it" if log.get("truncated") else ""


def _bracketed(note: bytes) -> bytes:
    return b"[" + note.strip() + b"]\n"


def _is_empty(result: JobResult) -> bool:
    log = result.get("log")
    # Many jobs print nothing: their files need not be opened to know that.
    return log is not None and log.get("frames") == 0


def _problem(error: Exception) -> str:
    """Say what went wrong without naming places on the machine."""
    match error:
        case FileNotFoundError() | BrokenReferenceToExternalFile():
            return "the log is gone"
        case CorruptedSessionError(offset=int() as offset):
            return f"the log is damaged at byte {offset}"
        case PlainboxError():
            return error.message
        case OSError(strerror=str() as reason):
            return reason
    return type(error).__name__
