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
        return [self.io_log_pathname, self.share_pathname, self.blob_pathname]

    @property
    def io_log_pathname(self) -> str:
        """Where the output of jobs goes."""
        return os.path.join(self.storage.location, "io-logs")

    @property
    def share_pathname(self) -> str:
        """What jobs see as ``PLAINBOX_SESSION_SHARE``."""
        return os.path.join(self.storage.location, "session-share")

    @property
    def blob_pathname(self) -> str:
        """Values too large for a record of the journal."""
        return os.path.join(self.storage.location, "blobs")

    def populate(self) -> None:
        """Make each directory that is missing, for the owner alone, and make their names durable."""
        for pathname in self.all_directories:
            os.makedirs(pathname, mode=0o700, exist_ok=True)
        fd = os.open(self.storage.location, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
