# SPDX-License-Identifier: Apache-2.0
"""Work that another thread does for an action. A new thread, or one of a pool, has no open action of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from plainbox.tracing.action import Action

__all__ = ["run_in_thread_with"]

T = TypeVar("T")


def run_in_thread_with(action: Action, function: Callable[..., T], *arguments: object) -> T:
    """Call ``function`` with ``action`` as the root of this thread; afterwards no action is open in it.

    For threads that are started for this, and for the workers of a pool: ``submit(run_in_thread_with, action, ...)``.
    """
    Action.set_thread_root(action)
    try:
        return function(*arguments)
    finally:
        Action._action_stack().clear()
