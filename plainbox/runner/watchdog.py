# SPDX-License-Identifier: Apache-2.0
"""Tells systemd that a session which it goes on with is alive, and learns from it that the last tester had hung.

``plainbox resume --auto`` makes one; the loops that run jobs and that wait call :meth:`Watchdog.tick`. There is no
thread: one would go on to say that all is well when the loop hangs.
"""

from __future__ import annotations

import os
import time
from collections.abc import MutableMapping
from typing import Self

from plainbox.session.systemd import MARK_NAME

__all__ = ["Watchdog", "has_watchdog_mark", "take_watchdog_mark"]

_MAX_PAUSE_S = 10.0


class Watchdog:
    """Sends to the socket at ``address``; without one, and without a ``limit_s``, there is nobody to tell."""

    def __init__(self, address: str | None = None, limit_s: float | None = None) -> None:
        self._address = address
        self._pause_s = None if limit_s is None else min(limit_s / 4, _MAX_PAUSE_S)
        self._next_at_s = 0.0

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> Self:
        """Return what systemd has asked for, and remove it from the environment: it is not meant for jobs."""
        address = environment.pop("NOTIFY_SOCKET", None)
        limit_us, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        wanted = limit_us.isdecimal() and int(limit_us) > 0 and pid in ("", str(os.getpid()))
        return cls(address or None, int(limit_us) / 1e6 if wanted else None)

    def ready(self) -> None:
        """Tell that the start is over."""
        self._send(b"READY=1")

    def tick(self) -> None:
        """Tell that the caller is alive; cheap, so it may be called at every turn of a loop."""
        if self._pause_s is None or time.monotonic() < self._next_at_s:
            return
        self._next_at_s = time.monotonic() + self._pause_s
        self._send(b"WATCHDOG=1")

    def _send(self, message: bytes) -> None:
        if self._address is None:
            return
        import socket

        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.setblocking(False)
                channel.sendto(message, address)
        except OSError:
            # Nobody listens: no reason for a session to fail.
            return


def has_watchdog_mark(session_dir: str) -> bool:
    """Tell whether systemd has ended the last tester of the session because it had hung."""
    return os.path.lexists(os.path.join(session_dir, MARK_NAME))


def take_watchdog_mark(session_dir: str) -> bool:
    """Tell whether there was such a mark, and forget it."""
    try:
        os.unlink(os.path.join(session_dir, MARK_NAME))
    except OSError:
        return False
    return True
