# SPDX-License-Identifier: Apache-2.0
r"""One item of the cache and its file.

::

    PBC1 8f2a...                                  the SHA-256 of all that follows
    {"about":{...},"created":...,"key":...}       what the item is of, and how long its parts are
    <the result><the log>

The whole is one file, so it is there or it is not. What must stay true: nothing in a file is executed or chooses what
is, and a file that is not exactly what was written is a :class:`ValueError`, whatever is wrong with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["MAX_ITEM_BYTES", "CacheItem", "read_about", "read_item"]

#: Larger results are not kept.
MAX_ITEM_BYTES = 64 * 1024 * 1024

_MAGIC = b"PBC1 "
_HEAD_BYTES = len(_MAGIC) + 64 + 1
_MAX_ABOUT_BYTES = 1024 * 1024
#: No clock shows more seconds.
_LATEST = 1e11


@dataclass(frozen=True)
class CacheItem:
    """What was kept of one execution.

    ``created`` is when, in seconds of the wall clock; ``about`` tells people what it is of. How ``result`` and ``log``
    are to be read is known to who looks the item up.
    """

    key: str
    result: bytes
    log: bytes = b""
    created: float = 0.0
    about: Mapping[str, object] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the content of the file; :class:`ValueError` when it is too large."""
        about = {
            "about": dict(self.about),
            "created": self.created,
            "key": self.key,
            "log_bytes": len(self.log),
            "result_bytes": len(self.result),
        }
        text = json.dumps(about, sort_keys=True, separators=(",", ":")).encode("ascii")
        rest = b"".join((text, b"\n", self.result, self.log))
        if len(rest) > MAX_ITEM_BYTES or len(text) > _MAX_ABOUT_BYTES:
            raise ValueError(f"it has {len(rest)} bytes, and {MAX_ITEM_BYTES} can be kept")
        return b"%b%b\n%b" % (_MAGIC, hashlib.sha256(rest).hexdigest().encode("ascii"), rest)


def read_item(path: str, key: str) -> CacheItem:
    """Read the item ``key`` from its file; anything else in there is a :class:`ValueError`."""
    fd = _open(path)
    with open(fd, "rb") as file:
        content = file.read(_HEAD_BYTES + MAX_ITEM_BYTES + 1)
    head, rest = content[:_HEAD_BYTES], memoryview(content)[_HEAD_BYTES:]
    if len(rest) > MAX_ITEM_BYTES:
        raise ValueError("it is too large")
    if head != b"%b%b\n" % (_MAGIC, hashlib.sha256(rest).hexdigest().encode("ascii")):
        raise ValueError("its checksum is wrong")
    end = content.find(b"\n", _HEAD_BYTES)
    item, sizes = _parsed(content[_HEAD_BYTES:end])
    body = content[end + 1 :]
    if sum(sizes) != len(body) or item.key != key:
        raise ValueError("it is not the item that its name says")
    return CacheItem(item.key, body[: sizes[0]], body[sizes[0] :], item.created, item.about)


def read_about(path: str) -> CacheItem:
    """Read what an item is of, without its result and log and without looking at its checksum."""
    with open(_open(path), "rb") as file:
        head = file.read(_HEAD_BYTES)
        line = file.readline(_MAX_ABOUT_BYTES + 1)
    if not head.startswith(_MAGIC):
        raise ValueError("it is no item of a cache")
    return _parsed(line)[0]


def _parsed(line: bytes) -> tuple[CacheItem, tuple[int, int]]:
    try:
        values = json.loads(line)
        about, created, key = values["about"], values["created"], values["key"]
        sizes = values["result_bytes"], values["log_bytes"]
    except (ValueError, TypeError, LookupError, RecursionError):
        raise ValueError("what it says of itself makes no sense") from None
    sound = isinstance(about, dict) and isinstance(created, (int, float)) and isinstance(key, str)
    if not sound or not 0 <= created < _LATEST or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError("what it says of itself makes no sense")
    return CacheItem(key, b"", created=created, about=about), sizes


def _open(path: str) -> int:
    """Open a file that is ours; no link is followed, and nothing makes the reader wait."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022:
        return fd
    os.close(fd)
    raise ValueError("it is no regular file of this user")
