# SPDX-License-Identifier: Apache-2.0
"""What one execution leaves open for the next ones: closed when the run is over, at the end of the process otherwise."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable

__all__ = ["close_all", "close_later"]

_lock = threading.Lock()
_closers: list[Callable[[], None]] = []
_registered = False


def close_later(close: Callable[[], None]) -> None:
    """Have ``close`` called at the end, once."""
    global _registered
    with _lock:
        if close not in _closers:
            _closers.append(close)
        if not _registered:
            _registered = True
            atexit.register(close_all)


def close_all() -> None:
    """Close everything that is open now."""
    with _lock:
        closers, _closers[:] = _closers[:], []
    for close in closers:
        close()
