# SPDX-License-Identifier: Apache-2.0
"""The run: everything that one process executes, and what its child processes execute for it.

A configuration may have a run id of its own (:attr:`Configuration.run_id`); these functions are about the id of the
process, which all others have.
"""

from __future__ import annotations

import os
import threading

__all__ = ["get_run_id", "set_run_id"]

_lock = threading.Lock()
_run_id: str | None = None


def get_run_id() -> str:
    """Return the id of this process's run: random, made when it is first asked for."""
    global _run_id
    if _run_id is None:
        with _lock:
            if _run_id is None:
                _run_id = os.urandom(16).hex()
    return _run_id


def set_run_id(run_id: str) -> None:
    """Give this process the id of the run that it belongs to. RuntimeError when it has one."""
    global _run_id
    with _lock:
        if _run_id is not None:
            raise RuntimeError(f"this process has the run id {_run_id} already: set it before the first use")
        _run_id = run_id
