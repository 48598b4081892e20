# SPDX-License-Identifier: Apache-2.0
"""Reads the journal of a session, beside a writer or without one.

Needs no lock, opens nothing for writing and makes no file, so it works on read-only media and for anybody who may
read the directory. What it returns was acknowledged or is in flight, never a mixture.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

import attrs

from plainbox.errors import CorruptedSessionError
from plainbox.session.codec import JsonObject, last_of_chain
from plainbox.session.collector import collector_at_rest
from plainbox.session.generation import (
    FileIdentity,
    generation_name,
    generations,
    is_current,
    read_generation,
)
from plainbox.session.hint import Hint, read_hint
from plainbox.session.scan import Content, scan
from plainbox.session.tree import Tree

__all__ = ["JournalReader", "Position"]

_ATTEMPTS: Final = 4
_PAUSE_S: Final = 0.010


@attrs.frozen
class Position:
    """Where the current generation ends, and how its file looked when that was proven."""

    generation: int
    head: JsonObject
    seq: int
    sum: str
    size_bytes: int
    number: int
    unterminated: bool
    torn: bool
    identity: FileIdentity
    remarks: tuple[JsonObject, ...]


class JournalReader:
    """Reads the current generation in the open ``directory``; ``location`` names it in messages.

    ``alone`` says that the caller holds the lock, so that nobody can be in the middle of a write.
    All methods raise :class:`CorruptedSessionError` for what cannot be trusted and
    :class:`~plainbox.errors.IncompatibleSessionError` for what a later version wrote.
    """

    def __init__(self, directory: int, location: str, *, alone: bool = False) -> None:
        self._directory = directory
        self._location = location
        self._attempts = 1 if alone else _ATTEMPTS

    def load(self) -> tuple[Position, Tree] | None:
        """Return the state of the session, or ``None`` when it never had a checkpoint."""
        # Whoever writes a state on, and whoever verifies one, compares the digest; it takes a tenth of the time of this.
        found = self._read(lambda: Content(tree=Tree(), folding_proven=False))
        if found is None:
            return None
        position, content = found
        assert content.tree is not None
        return position, content.tree

    def is_current(self, known: Position) -> bool:
        """Tell whether the journal is still as it was when ``known`` was proven."""
        return is_current(self._directory, known.generation, known.identity)

    def position(self) -> Position | None:
        """Return where the journal ends, every record verified, or ``None`` when there is no journal yet."""
        found = self._read(Content)
        return None if found is None else found[0]

    def records(self) -> list[JsonObject]:
        """Return the payloads of the current generation, the dump included; none when there is no journal yet."""
        found = self._read(lambda: Content(records=[]))
        return [] if found is None else found[1].records or []

    def summary(self) -> JsonObject | None:
        """Return the summary with which the journal was closed, ``None`` when it was not or something is odd.

        Every line is verified and only the last one decoded, which takes a fifth of the time of reading it all. It is
        believed when it is the record that was acknowledged last.
        """
        hint = read_hint(self._directory)
        if hint is None or generations(self._directory)[-1:] != [hint.generation]:
            return None
        data, _ = read_generation(self._directory, hint.generation)
        try:
            line = last_of_chain(data)
        except ValueError:
            return None
        if (line.seq, line.sum, len(data)) != (hint.seq, hint.sum, hint.size_bytes) or line.payload.get("t") != "close":
            return None
        summary = line.payload.get("summary")
        return summary if isinstance(summary, dict) else None

    def _read(self, make: Callable[[], Content]) -> tuple[Position, Content] | None:
        attempt = 0
        while True:
            attempt += 1
            # The hint first: whatever a writer appends afterwards can only be more than it claims.
            hint = read_hint(self._directory)
            known = generations(self._directory)
            if not known:
                self._explain_absence(hint)
                return None
            generation = known[-1]
            try:
                data, identity = read_generation(self._directory, generation)
            except FileNotFoundError:
                if attempt < self._attempts:
                    continue  # a newer generation took its place between the two calls
                raise CorruptedSessionError(f"the journal of {self._location} vanished while it was read") from None
            content = make()
            with collector_at_rest():
                scan(data, content, os.path.join(self._location, generation_name(generation)))
            self._check_head(content.head, generation, hint)
            if content.torn and attempt < self._attempts:
                time.sleep(_PAUSE_S)  # perhaps a record on its way
                continue
            self._check_hint(hint, generation, content)
            return _position(generation, content, identity), content

    def _check_head(self, head: JsonObject, generation: int, hint: Hint | None) -> None:
        """Raise when the file is whole and still not the one that belongs here."""
        name = os.path.join(self._location, generation_name(generation))
        if head["gen"] != generation:
            raise CorruptedSessionError(
                f"{name} was exchanged: it says that it is generation {head['gen']}", kind="damaged", offset=0, seq=0
            )
        if hint is not None and hint.uuid != head["uuid"] and head.get("id") != self._session_id():
            raise CorruptedSessionError(
                f"{name} was exchanged: it belongs to the session {head.get('id')}", kind="damaged", offset=0, seq=0
            )

    def _session_id(self) -> str:
        return os.path.basename(os.path.normpath(self._location)).removesuffix(".session")

    def _explain_absence(self, hint: Hint | None) -> None:
        if hint is not None:
            raise CorruptedSessionError(
                f"{self._location} has lost its journal: generation {hint.generation} was acknowledged",
                kind="lost-tail",
            )
        if "session" in os.listdir(self._directory):
            raise CorruptedSessionError(f"{self._location} is not a Plainbox session: another program wrote it")

    def _check_hint(self, hint: Hint | None, generation: int, content: Content) -> None:
        if hint is None or hint.uuid != content.head["uuid"]:
            return
        claimed, proven = (hint.generation, hint.seq), (generation, content.seq)
        if claimed > proven:
            raise CorruptedSessionError(
                f"{self._location} has lost its end: record {hint.seq} of generation {hint.generation} was "
                f"acknowledged, record {content.seq} of generation {generation} is the last one that is there",
                kind="lost-tail",
                offset=content.size_bytes,
                seq=content.seq + 1,
            )
        if claimed == proven and hint.sum != content.sum:
            raise CorruptedSessionError(
                f"{self._location} is damaged: record {hint.seq} is not the one that was acknowledged",
                kind="damaged",
                offset=content.size_bytes,
                seq=content.seq,
            )


def _position(generation: int, content: Content, identity: FileIdentity) -> Position:
    return Position(
        generation=generation,
        head=content.head,
        seq=content.seq,
        sum=content.sum,
        size_bytes=content.size_bytes,
        number=content.number,
        unterminated=content.unterminated,
        torn=content.torn,
        identity=identity,
        remarks=tuple(content.remarks),
    )
