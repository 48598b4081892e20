# SPDX-License-Identifier: Apache-2.0
"""The session share of this machine, kept in step with the one that jobs see on another.

Before a job what changed here goes there, after it what changed there comes here. The other machine is taken for hostile:
names are looked at, sizes bounded, and no link is followed in either direction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from plainbox.errors import TransportLost
from plainbox.tasks.connection import Attendance, Connection
from plainbox.tasks.share import LARGEST_FILE, MOST_BYTES, MOST_FILES, SharedFiles, ShareFile, checked_name

__all__ = ["Sharing"]

_CHUNK_BYTES = 32 * 1024 * 1024


class Sharing:
    """The share in ``directory`` and its twin at the other end of ``connection``."""

    def __init__(self, connection: Connection, directory: str) -> None:
        self._connection = connection
        self._files = SharedFiles(directory)
        self._known: dict[str, ShareFile] = {}
        self._opened = 0
        # Jobs that run at the same time share this: what one is fetching is no change for another to send.
        self._lock = threading.Lock()

    def send(self, attendance: Attendance, note: Callable[[str], None]) -> None:
        """Bring what changed here since the last time there."""
        with self._lock:
            self._send(attendance, note)

    def fetch(self, attendance: Attendance, note: Callable[[str], None]) -> None:
        """Bring what changed there since the last time here; OSError when it cannot be stored."""
        with self._lock:
            self._fetch(attendance, note)

    def _send(self, attendance: Attendance, note: Callable[[str], None]) -> None:
        self._begin()
        now = self._files.look()
        removed = [name for name in self._known if name not in now]
        changed = [name for name, seen in now.items() if self._known.get(name) != seen]
        batch: list[tuple[str, bytes, ShareFile]] = []
        size = total = 0
        for name in changed:
            found = self._files.read(name) if total + now[name].size <= MOST_BYTES else None
            if found is None:
                note(f"not brought to {self._connection.remote.name}, for it is too large: {name} of the session share")
                self._known[name] = now[name]
                continue
            batch.append((name, *found))
            size, total = size + len(found[0]), total + len(found[0])
            if size >= _CHUNK_BYTES:
                self._put(attendance, batch, removed)
                batch, removed, size = [], [], 0
        if batch or removed:
            self._put(attendance, batch, removed)

    def _fetch(self, attendance: Attendance, note: Callable[[str], None]) -> None:
        self._begin()
        header, body = self._connection.ask(attendance, {"do": "changes"})
        files, removed, left_out = (_items(header.get(name)) for name in ("files", "removed", "left_out"))
        start = 0
        for item in files:
            name, size, executable = item if isinstance(item, list) and len(item) == 3 else (None, None, None)
            if not isinstance(size, int) or not 0 <= size <= LARGEST_FILE or start + size > len(body):
                raise TransportLost("the far end says nothing sensible about its share")
            data = body[start : start + size]
            start += size
            checked = checked_name(name)
            self._known[checked] = self._files.write(checked, data, executable=executable is True)
        for name in removed:
            checked = checked_name(name)
            if checked in self._known:
                self._files.remove(checked)
                del self._known[checked]
        for name in left_out[:10]:
            note(f"not brought here, for it is too large: {checked_name(name)!r} of the session share")

    def _begin(self) -> None:
        if self._opened != self._connection.opened:
            self._opened = self._connection.opened
            self._known = {}

    def _put(self, attendance: Attendance, batch: list[tuple[str, bytes, ShareFile]], removed: list[str]) -> None:
        files = [[name, len(data), seen.executable] for name, data, seen in batch]
        request = {"do": "put", "files": files, "removed": removed}
        self._connection.ask(attendance, request, b"".join(data for _, data, _ in batch))
        self._known.update({name: seen for name, _, seen in batch})
        for name in removed:
            self._known.pop(name, None)


def _items(value: object) -> list[object]:
    if not isinstance(value, list) or len(value) > MOST_FILES:
        raise TransportLost("the far end says nothing sensible about its share")
    return value
