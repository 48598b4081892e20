# SPDX-License-Identifier: Apache-2.0
"""Telling the world about a change: every signal of it fires, even when a listener fails on the way.

Used where one change of the state fires several signals. The change itself is made before the first signal, so a
listener that raises can neither undo it nor keep the rest of the world from hearing of it; its error still reaches
whoever made the change.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec

from plainbox.errors import PlainboxError

__all__ = ["Announcement", "fire"]

_log = logging.getLogger(__name__)

P = ParamSpec("P")


class Announcement:
    """The steps of one change; the first error of any of them is raised when all of them have been taken."""

    __slots__ = ("_first",)

    def __init__(self) -> None:
        self._first: Exception | None = None

    def step(self, action: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Take one step; its error waits for the end."""
        try:
            action(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the change goes on, the error is raised at its end
            if self._first is None:
                self._first = error
            else:
                known = isinstance(error, PlainboxError)
                _log.error("Another error in the same change: %s", error, exc_info=not known)

    def __enter__(self) -> Announcement:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None and self._first is not None:
            raise self._first


def fire(instance: object, signal_name: str, *args: object) -> None:
    """Fire a signal whose first responder does nothing, at no cost where nobody has ever asked for it.

    The signal of an instance comes into being when it is first asked for. Of ten thousand job states hardly one is
    listened to: making their signals only to find no listeners would cost more than the change itself.
    """
    signals = instance.__dict__.get("__signals__")
    if signals:
        signal = signals.get(_key_of(type(instance), signal_name))
        if signal is not None:
            signal(*args)


_keys: dict[tuple[type, str], str] = {}


def _key_of(owner: type, signal_name: str) -> str:
    """Return the key of a signal among the signals of an instance: it names the class that defines it."""
    key = _keys.get((owner, signal_name))
    if key is None:
        definer = next((klass for klass in owner.__mro__ if signal_name in klass.__dict__), None)
        if definer is None:
            raise AttributeError(f"{owner.__name__} has no signal {signal_name!r}")
        key = _keys[owner, signal_name] = f"{definer.__qualname__}.{signal_name}"
    return key
