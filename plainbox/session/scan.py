# SPDX-License-Identifier: Apache-2.0
"""What the bytes of one journal generation prove.

The records of a generation are

============ ====================================================================================================
``head``     first, always: ``schema``, ``req`` and ``opt`` features, ``uuid`` and ``id`` of the session, ``gen``,
             ``base`` (a dump follows), ``parent`` (the generation before: ``gen``, ``seq``, ``sum``), ``created``
             (the session), ``at`` (this file), ``by`` (the program)
``full``     slices of the complete state, closed by
``full-end`` ``counts`` of what the slices hold, ``digest`` of the canonical state, ``n`` the last checkpoint in it
``open``     a writer started: ``pid``, ``env``, ``why``
``ck``       one checkpoint: ``n`` its number, ``w`` wall clock, ``m`` monotonic microseconds, what changed, ``notes``
``note``     ``kind`` and ``data``
``close``    a writer ended
============ ====================================================================================================

A bad place is *damage* when a good line follows it or when it lies in the head or in the dump, because a file gets
its name only when these are durable. Any other bad place is a *torn tail*: the one record that may be in flight was
never acknowledged. A last record whose bytes all verify counts, whatever became of its line feed.

Called by the journal. Pure: no I/O here.
"""

from __future__ import annotations

import hashlib
from typing import Final

import attrs

from plainbox.errors import CorruptedSessionError, IncompatibleSessionError
from plainbox.session.codec import NO_SUM, JsonObject, Line, decode_at
from plainbox.session.tree import Tree, check_change, fold, fold_slice

__all__ = ["SCHEMA", "Content", "check_head", "counts_of", "digest_of", "remarks_of", "scan"]

SCHEMA: Final = "plainbox.session/1"
_SCHEMA_NAME, _SCHEMA_VERSION = SCHEMA.split("/")
_LF: Final = 0x0A


def digest_of(tree: Tree) -> str:
    """Return the 128-bit digest of the canonical state."""
    return hashlib.blake2b(tree.as_bytes(), digest_size=16).hexdigest()


def counts_of(tree: Tree) -> JsonObject:
    return {
        "jobs": len(tree.jobs),
        "results": sum(map(len, tree.results.values())),
        "units": len(tree.units),
    }


def remarks_of(record: JsonObject) -> list[JsonObject]:
    """Return what a record tells of the past of the session beside its state: an opening, or notes."""
    if record.get("t") in ("open", "note"):
        return [record]
    notes = record.get("notes")
    return [{**note, "t": "note"} for note in notes if isinstance(note, dict)] if isinstance(notes, list) else []


@attrs.define
class Content:
    """What was read of one generation.

    ``size_bytes`` is where the proven records end, ``seq`` and ``sum`` name the last of them, ``number`` is the last
    checkpoint. ``unterminated``: the last record lacks its line feed. ``torn``: bytes follow that prove nothing.
    With ``folding_proven`` the digest of the dump is compared with what its slices gave; their bytes are proven anyhow.
    ``remarks`` are the openings and the notes, the latter as records of their own. ``tree`` is filled only when one was
    given, ``records`` likewise.
    """

    tree: Tree | None = None
    records: list[JsonObject] | None = None
    folding_proven: bool = True
    remarks: list[JsonObject] = attrs.field(factory=list)
    head: JsonObject = attrs.field(factory=dict)
    seq: int = -1
    sum: str = NO_SUM
    size_bytes: int = 0
    number: int = 0
    based: bool = False
    unterminated: bool = False
    torn: bool = False

    def take(self, line: Line) -> None:
        """Add one chained line; a record that cannot stand here raises :class:`ValueError`."""
        payload = line.payload
        kind = payload.get("t")
        if (kind == "head") != (line.seq == 0):
            raise ValueError("the head is not the first record and the only one of its kind")
        if kind == "ck":  # nearly all of them are
            self._take_change(payload)
        elif kind == "head":
            check_head(payload)
            self.head = payload
            self.based = not payload.get("base", True)
        elif kind == "full":
            if self.based:
                raise ValueError("a slice of the state follows the end of the dump")
            check_change(payload)
            if self.tree is not None:
                fold_slice(self.tree, payload)
        elif kind == "full-end":
            self._take_end(payload)
        else:
            self.remarks += remarks_of(payload)
        if self.records is not None:
            self.records.append(payload)
        self.seq, self.sum = line.seq, line.sum

    def _take_change(self, payload: JsonObject) -> None:
        if not self.based:
            raise ValueError("a checkpoint comes before the end of the dump")
        if payload.get("n") != self.number + 1:
            raise ValueError(f"checkpoint {self.number + 1} is expected, this is {payload.get('n')}")
        check_change(payload)
        self.number += 1
        if "notes" in payload:
            self.remarks += remarks_of(payload)
        if self.tree is not None:
            fold(self.tree, payload)

    def _take_end(self, payload: JsonObject) -> None:
        number = payload.get("n")
        if self.based or not isinstance(number, int):
            raise ValueError("the end of the dump does not belong here")
        self.based = True
        self.number = number
        tree = self.tree
        if tree is None:
            return
        if payload.get("counts") != counts_of(tree) or (
            self.folding_proven and payload.get("digest") != digest_of(tree)
        ):
            raise ValueError("the dump is not what its end says")


def check_head(head: JsonObject) -> None:
    """Raise :class:`ValueError` for what is no head of a session, :class:`IncompatibleSessionError` for a later one."""
    schema = head.get("schema")
    if not isinstance(schema, str) or not isinstance(head.get("uuid"), str) or not isinstance(head.get("gen"), int):
        raise ValueError("the head lacks its schema, its uuid or its generation")
    name, _, version = schema.partition("/")
    if name != _SCHEMA_NAME:
        raise ValueError(f"{schema!r} is not the schema of a session")
    required = head.get("req") or []
    if version != _SCHEMA_VERSION or required:
        needs = f" and needs {', '.join(map(str, required))}" if required else ""
        raise IncompatibleSessionError(
            f"the session was written as {schema}{needs} by {head.get('by', 'another program')}; this is {SCHEMA}",
            hint="open it with the version that wrote it",
        )


def _good_line_after(data: bytes, start: int) -> bool:
    """Tell whether a line that verifies on its own starts at ``start`` or after any line feed from there on.

    Each is looked at up to its line feed and no further, so that a file full of headers takes no longer than another.
    """
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        try:
            decode_at(data[start:end], 0)
        except ValueError:
            start = end + 1
        else:
            return True
    return False


def _damaged(where: str, content: Content, offset: int, reason: str) -> CorruptedSessionError:
    seq = content.seq + 1
    return CorruptedSessionError(
        f"{where} is damaged at byte {offset} (record {seq}): {reason}", kind="damaged", offset=offset, seq=seq
    )


def scan(data: bytes, content: Content, where: str) -> None:
    """Read a whole generation into ``content``; ``where`` names the file in messages.

    :raises CorruptedSessionError: damage, or a record that makes no sense (``kind`` ``invalid``).
    :raises IncompatibleSessionError: the file was written by a version with another format.
    """
    offset = 0
    while offset < len(data):
        try:
            line, end = decode_at(data, offset)
        except ValueError as error:
            following = data.find(b"\n", offset) + 1
            if content.seq < 0 or not content.based or (following and _good_line_after(data, following)):
                raise _damaged(where, content, offset, str(error)) from None
            content.torn = True
            break
        if line.seq != content.seq + 1 or line.prev != content.sum:
            raise _damaged(where, content, offset, f"record {line.seq} does not follow the one before it")
        # The line feed may be another byte now, or be gone.
        if end < len(data) and data[end] != _LF and (_good_line_after(data, end) or _good_line_after(data, end + 1)):
            raise _damaged(where, content, end, "the record does not end with a line feed")
        try:
            content.take(line)
        except ValueError as error:
            raise CorruptedSessionError(
                f"{where} makes no sense at byte {offset} (record {line.seq}): {error}",
                kind="invalid",
                offset=offset,
                seq=line.seq,
            ) from None
        content.size_bytes = end
        if end == len(data) or data[end] != _LF:
            content.unterminated = True
            content.torn = end < len(data)
            break
        offset = content.size_bytes = end + 1
    if content.seq < 0 or not content.based:
        raise _damaged(where, content, offset, "the file ends before the state is complete")
