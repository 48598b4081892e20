# SPDX-License-Identifier: Apache-2.0
"""Opening stored sessions to look at them: nothing in them is changed, and their providers need not be there."""

from __future__ import annotations

from pathlib import Path

from plainbox.cli.arguments import load_catalogue
from plainbox.cli.output import warn
from plainbox.errors import ProviderError
from plainbox.providers.discovery import named_providers
from plainbox.runner.selection import Selection
from plainbox.session.manager import SessionManager
from plainbox.session.metadata import SessionMetaData
from plainbox.session.resume import ResumeFlag
from plainbox.session.storage import SessionStorage

__all__ = ["open_stored", "readable_part", "stored_metadata", "stored_providers"]


def stored_metadata(storage: SessionStorage) -> SessionMetaData:
    """Return what a stored session says about itself, without reading the rest of it."""
    return SessionMetaData.of_stored(storage.peek_metadata()["meta"])


def stored_providers(metadata: SessionMetaData, named: list[Path]) -> list[Path]:
    """Return the provider directories that a session was begun with, less those that are named now.

    One that holds no provider any more is told, and left out.
    """
    found = []
    for directory in map(Path, Selection.from_blob(metadata.app_blob).providers):
        if directory in named or directory in found:
            continue
        try:
            named_providers(directory)
        except ProviderError as error:
            warn(f"a provider of the session cannot be used: {error}", "--provider DIR names the place where it is now")
        else:
            found.append(directory)
    return found


def open_stored(storage: SessionStorage, named: list[Path]) -> SessionManager:
    """Return a manager of a stored session; jobs whose definition is gone or changed show what the session stored.

    The test plans of the session are in effect as far as they are known; of the others a warning tells.
    """
    metadata = stored_metadata(storage)
    catalogue = load_catalogue([*named, *stored_providers(metadata, named)], quiet=True)
    manager = SessionManager.load_session(list(catalogue.units), storage, flags=[ResumeFlag.READ_ONLY])
    try:
        _take_test_plans(manager, metadata.test_plan_ids)
    except BaseException:
        manager.close()
        raise
    return manager


def readable_part(storage: SessionStorage) -> SessionStorage:
    """Return the session, or when it is damaged what can be read of it, with a banner that says so."""
    from plainbox.session.repair.partial import PartialStorage, partial_storage

    part = partial_storage(storage)
    if isinstance(part, PartialStorage):
        warn(f"session {part.id} is damaged; this is what can be read of it", f"plainbox session verify {part.id}")
        for loss in part.losses:
            warn(f"lost: {loss.message}")
    return part


def _take_test_plans(manager: SessionManager, plan_ids: list[str]) -> None:
    """Let the test plans say what they said when the session ran: their overrides are not stored with it."""
    context = manager.default_device_context
    assert context is not None
    context.fixed_selection = True
    known = context.plans_by_id()
    ids = dict.fromkeys(plan_ids)
    manager.test_plans = tuple(known[plan_id] for plan_id in ids if plan_id in known)
    gone = [f"the test plan {plan_id} is not known any more" for plan_id in ids if plan_id not in known]
    for problem in [*gone, *(str(problem) for problem in context.flat_plan().problems)]:
        warn(
            f"{problem}: categories and certification statuses that it gave to jobs cannot be told",
            "--provider DIR names the provider that has it",
        )
