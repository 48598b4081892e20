# SPDX-License-Identifier: Apache-2.0
"""What every tester of the rigs has in its hands: one open session, until its process ends."""

from __future__ import annotations

from invariants import let_go

from plainbox.session import SessionManager
from plainbox.session.state import SessionState

__all__ = ["OpenSession"]


class OpenSession:
    """The manager of a session; whoever derives from this sets ``_manager``."""

    _manager: SessionManager | None = None

    @property
    def manager(self) -> SessionManager:
        assert self._manager is not None
        return self._manager

    @property
    def state(self) -> SessionState:
        assert self.manager.state is not None
        return self.manager.state

    def end(self) -> None:
        """End the process, wherever it is; what it holds in memory is gone."""
        manager, self._manager = self._manager, None
        if manager is not None:
            let_go(manager.storage)
