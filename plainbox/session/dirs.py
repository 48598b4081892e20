# SPDX-License-Identifier: Apache-2.0
"""The well-known directories inside a session."""

from __future__ import annotations

import os

import attrs

from plainbox.session.fields import const, typed
from plainbox.session.storage import SessionStorage

__all__ = ["WellKnownDirsHelper"]


@attrs.define
class WellKnownDirsHelper:
    """Knows and makes the directories of one storage."""

    storage: SessionStorage = attrs.field(validator=typed(SessionStorage), on_setattr=[attrs.setters.validate, const])

    @property
    def all_directories(self) -> list[str]:
        """Absolute paths of all of them, that of the logs first."""
        return [self.io_log_pathname, self.share_pathname]

    @property
    def io_log_pathname(self) -> str:
        """Where the output of jobs goes."""
        return self._below("io-logs")

    @property
    def share_pathname(self) -> str:
        """What jobs see as ``PLAINBOX_SESSION_SHARE``."""
        return self._below("session-share")

    def populate(self) -> None:
        """Make each directory that is missing, for the owner alone, and make their names durable.

        Something else of that name raises :class:`FileExistsError`.
        """
        for pathname in self.all_directories:
            os.makedirs(pathname, mode=0o700, exist_ok=True)
        self.storage.files.sync_directory(self.storage.location)

    def _below(self, name: str) -> str:
        # Jobs work in other directories: what they are told must not depend on ours.
        return os.path.join(os.path.abspath(self.storage.location), name)
