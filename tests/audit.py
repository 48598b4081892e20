# SPDX-License-Identifier: Apache-2.0
"""Whether what a session has stored is what it holds: the folded journal against a fresh full representation."""

from __future__ import annotations

import pytest

from plainbox.session import SessionManager, SessionSuspendHelper
from plainbox.session.tree import canonical_full

__all__ = ["audit", "audit_every_checkpoint", "checkpoint"]


def audit(manager: SessionManager) -> None:
    """Fail unless the journal of the session, folded, says exactly what its state says."""
    assert manager.state is not None
    fresh = SessionSuspendHelper().suspend(manager.state, manager.storage.location)
    assert manager.storage.load_checkpoint() == canonical_full(fresh)


def checkpoint(manager: SessionManager) -> None:
    """Make a checkpoint, and audit it."""
    manager.checkpoint()
    audit(manager)


def audit_every_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every checkpoint of the test be audited, whoever makes it."""
    plain = SessionManager.checkpoint

    def audited(manager: SessionManager) -> None:
        plain(manager)
        audit(manager)

    monkeypatch.setattr(SessionManager, "checkpoint", audited)
