# SPDX-License-Identifier: Apache-2.0
"""``head.json``: how far the journal was when it was last acknowledged.

A journal that lost its last lines whole still verifies; this hint is what tells. It is written after the record that
it names is durable and never synced, so it may lag behind and may be absent, and then it means nothing; it never
promises more than was acknowledged.

It is one line of fixed width that is overwritten in place, not a new file renamed over the old one: on ext4 the
rename costs 0.2 ms, as much as the sync of the record itself, the overwrite 0.004 ms. A line within one sector
reaches the disk whole or not at all, and ``check`` covers it against any other mixture.
"""

from __future__ import annotations

import hashlib
import os
from typing import Final

import attrs

from plainbox.session.codec import encode_body, parse_object
from plainbox.session.files import FileOps, open_regular

__all__ = ["HINT_NAME", "Hint", "read_hint", "write_hint"]

HINT_NAME: Final = "head.json"
_WIDTH: Final = 256


@attrs.frozen
class Hint:
    """The last acknowledged record: its generation, number and sum, and where the file ended."""

    uuid: str
    generation: int
    seq: int
    sum: str
    size_bytes: int


def _check_of(hint: Hint) -> str:
    text = f"{hint.uuid} {hint.generation} {hint.seq} {hint.sum} {hint.size_bytes}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def write_hint(files: FileOps, fd: int, hint: Hint) -> None:
    """Overwrite the hint in the open file."""
    body = encode_body(
        {
            "check": _check_of(hint),
            "generation": hint.generation,
            "seq": hint.seq,
            "size": hint.size_bytes,
            "sum": hint.sum,
            "uuid": hint.uuid,
        }
    )
    files.pwrite(fd, body.ljust(_WIDTH - 1) + b"\n", 0)


def read_hint(directory: int) -> Hint | None:
    """Return the hint of the session in the open ``directory``; ``None`` when there is none that can be trusted.

    What is no regular file raises :class:`CorruptedSessionError`: somebody has interfered.
    """
    try:
        fd = open_regular(HINT_NAME, dir_fd=directory)
    except OSError:
        return None
    try:
        value = parse_object(os.pread(fd, 2 * _WIDTH, 0))
        hint = Hint(
            uuid=value["uuid"],
            generation=value["generation"],
            seq=value["seq"],
            sum=value["sum"],
            size_bytes=value["size"],
        )
        if not isinstance(hint.generation, int) or not isinstance(hint.seq, int) or value["check"] != _check_of(hint):
            return None
        return hint
    except (OSError, ValueError, KeyError, TypeError):
        return None
    finally:
        os.close(fd)
