# SPDX-License-Identifier: Apache-2.0
"""A damaged session as far as it can be read, to be looked at and never written to.

What it shows is what a salvage would keep; used by ``plainbox session show --partial``.
"""

from __future__ import annotations

import copy

from plainbox.errors import StorageClosedError
from plainbox.session.codec import JsonObject
from plainbox.session.journal import JournalWriter
from plainbox.session.repair.inspection import inspect
from plainbox.session.repair.plan import Loss, Plan
from plainbox.session.storage import SessionStorage
from plainbox.session.tree import Tree

__all__ = ["PartialStorage", "partial_storage"]


class PartialStorage(SessionStorage):
    """Loads what can be read; every save raises :class:`StorageClosedError`. ``losses`` are what is missing."""

    def __init__(self, storage: SessionStorage, tree: Tree, losses: tuple[Loss, ...]) -> None:
        super().__init__(storage.location, files=storage.files)
        self._tree = tree
        self.losses = losses

    def records(self) -> list[JsonObject]:
        """Return none: between the good ones there may be others."""
        return []

    def _load(self, *, keep: bool = False) -> Tree:
        return copy.deepcopy(self._tree)

    def _writing(self) -> JournalWriter:
        raise StorageClosedError(f"the session {self.id} is damaged and was opened to be looked at only")


def partial_storage(storage: SessionStorage) -> SessionStorage:
    """Return the session itself when it loads, else as far as it can be read; when nothing can be, raise why."""
    found = inspect(storage)
    if found.error is None:
        return storage
    if found.tree is None:
        raise found.error
    plan = Plan(found)
    return PartialStorage(storage, plan.tree, tuple(plan.losses))
