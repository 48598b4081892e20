# SPDX-License-Identifier: Apache-2.0
"""Waiting for space on the disk: what is known now cannot be found out again, so it is not given up at once.

The runner stores results this way, and whoever opens a session again its verdicts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from plainbox.errors import StorageFullError
from plainbox.runner.stop import StopRequest

__all__ = ["SPACE_WAIT_S", "with_space"]

_log = logging.getLogger(__name__)

T = TypeVar("T")

SPACE_WAIT_S = 600.0
_PAUSE_S = 1.0


def with_space(action: Callable[[], T], stop: StopRequest, *, limit_s: float = SPACE_WAIT_S) -> T:
    """Do what needs space; on a full disk try it again and again.

    The :class:`StorageFullError` passes when there is no space after ``limit_s``, or when somebody asks to stop; at once
    when it is not the disk that is full but the session itself, which nobody can make room in.
    """
    waited_s = 0.0
    while True:
        try:
            return action()
        except StorageFullError as error:
            if error.errno is None:
                raise
            if waited_s == 0:
                _log.warning("%s: waiting for space before going on", error)
            if waited_s >= limit_s or stop.requested:
                raise
            stop.wait(_PAUSE_S)
            waited_s += _PAUSE_S
