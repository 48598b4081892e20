# SPDX-License-Identifier: Apache-2.0
"""The records that a generation of a journal begins with: its head, the whole state, and the remarks of the past.

Called by the :class:`~plainbox.session.journal.JournalWriter` for each new generation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from plainbox.session.codec import JsonObject
from plainbox.session.scan import counts_of, digest_of
from plainbox.session.tree import Tree, slices

__all__ = ["dump", "trimmed"]

#: So many openings and notes go over into a new generation.
_MAX_REMARKS: Final = 1000


def dump(
    head: JsonObject, tree: Tree, number: int, past: Iterable[JsonObject], clock: JsonObject
) -> Iterator[JsonObject]:
    """Yield the records of a state that is the checkpoint ``number``; ``clock`` says when."""
    yield head
    yield from slices(tree)
    yield {"t": "full-end", "n": number, "counts": counts_of(tree), "digest": digest_of(tree), **clock}
    yield from past


def trimmed(past: list[JsonObject]) -> list[JsonObject]:
    """Leave out the oldest, openings before notes, while there are too many.

    The last opening stays, and what a salvage has noted.
    """
    surplus = len(past) - _MAX_REMARKS
    last = next((remark for remark in reversed(past) if remark["t"] == "open"), None)
    for kind in ("open", "note"):
        kept = []
        for remark in past:
            if surplus > 0 and remark["t"] == kind and remark is not last and remark.get("kind") != "salvage":
                surplus -= 1
            else:
                kept.append(remark)
        past = kept
    return past
