# SPDX-License-Identifier: Apache-2.0
"""What an invocation has beside its way through the chain: files, a temporary directory, and listeners.

All of it is made when somebody asks for it: most invocations need none.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainbox.tasks.attachments import Attachments
    from plainbox.tasks.scratch import Scratch

    Listener = Callable[[Mapping[str, object]], None]

__all__ = ["Belongings"]

_log = logging.getLogger(__name__)


class Belongings:
    """The part of an invocation that advices, tasks and extensions put things into."""

    _attachments: Attachments | None = None
    _scratch: Scratch | None = None
    _listeners: tuple[Listener, ...] = ()

    @property
    def attachments(self) -> Attachments:
        """The files that belong to this invocation; they can be added to."""
        if self._attachments is None:
            from plainbox.tasks.attachments import Attachments

            self._attachments = Attachments(self.new_directory)
        return self._attachments

    @property
    def temp_dir(self) -> Path:
        """A private directory, made when it is first asked for and removed when the invocation is over."""
        return self._own_scratch().path

    def new_directory(self) -> Path:
        """Return a new, empty directory inside of ``temp_dir``."""
        return self._own_scratch().new_directory()

    def close(self) -> None:
        """Remove the temporary directory. ``initiate`` does it; who restores an invocation does it in the end."""
        if self._scratch is not None:
            self._scratch.close()

    def subscribe(self, listener: Listener) -> None:
        """Have ``listener`` called with every event. What it raises is logged and changes nothing."""
        self._listeners += (listener,)

    def emit(self, event: Mapping[str, object]) -> None:
        """Tell all listeners of something that happens now: a JSON object whose ``t`` says what it is."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - who watches cannot stop what is watched
                _log.exception("A listener of an invocation failed")

    def progress(self, current: float, total: float | None = None, text: str = "", group: Sequence[str] = ()) -> None:
        """Tell how far the work is: ``current`` of ``total``, None when nobody knows; ``group`` names a part of it."""
        self.emit({"t": "progress", "group": list(group), "current": current, "total": total, "text": text})

    def _own_scratch(self) -> Scratch:
        if self._scratch is None:
            from plainbox.tasks.scratch import Scratch

            self._scratch = Scratch()
        return self._scratch
