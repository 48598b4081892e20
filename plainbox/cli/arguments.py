# SPDX-License-Identifier: Apache-2.0
"""Arguments that several sub-commands share, and what they stand for."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from plainbox.cli.output import warn
from plainbox.errors import UsageError

if TYPE_CHECKING:
    from plainbox.providers import Catalogue
    from plainbox.session.storage import SessionStorage

__all__ = ["add_json", "add_no_cache", "add_providers", "add_session", "find_session", "load_catalogue"]


def add_providers(parser: argparse.ArgumentParser) -> None:
    """Declare ``--provider DIR``, which may be given several times, and ``--no-cache``."""
    parser.add_argument(
        "--provider",
        dest="providers",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="also use the provider in this directory (may be given again)",
    )
    add_no_cache(parser)


def add_no_cache(parser: argparse.ArgumentParser) -> None:
    """Declare ``--no-cache``, for the commands that load providers and have no ``--provider``."""
    parser.add_argument(
        "--no-cache", action=_NoCache, nargs=0, help="read all unit files anew (as PLAINBOX_NO_CACHE=1 does)"
    )


class _NoCache(argparse.Action):
    """Sets the variable, so that whatever is loaded from here on keeps away from the cache, also in child processes."""

    def __call__(self, parser: argparse.ArgumentParser, *others: object) -> None:
        os.environ["PLAINBOX_NO_CACHE"] = "1"


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")


def add_session(parser: argparse.ArgumentParser, which: str) -> None:
    """Declare the optional positional argument SESSION; ``which`` says what is meant without it."""
    parser.add_argument(
        "session", metavar="SESSION", nargs="?", help=f"id of the session, or the beginning or a part of it ({which})"
    )


def load_catalogue(named: list[Path], *, quiet: bool = False) -> Catalogue:
    """Return the catalogue; what is wrong with providers is told on standard error and does not stop anything."""
    from plainbox.config import load_settings
    from plainbox.providers import Catalogue

    catalogue = Catalogue.load(named, environment=load_settings().environment)
    if not quiet:
        for problem in catalogue.problems:
            warn(str(problem), problem.hint)
    return catalogue


def find_session(text: str | None) -> SessionStorage:
    """Return the stored session that is meant; without a text the newest."""
    from plainbox.session.repository import SessionStorageRepository
    from plainbox.session.storage import SessionStorage

    if text is not None and "/" in text and Path(text).is_dir():
        if not (Path(text, "lock").is_file() or any(Path(text).glob("journal-*.pbj"))):
            raise UsageError(f"{text!r} holds no session")
        return SessionStorage(Path(text))
    stored = SessionStorageRepository().get_storage_list()
    if text is None:
        if not stored:
            raise UsageError("there is no stored session", hint="plainbox run makes one")
        return stored[0]
    for fits in (str.__eq__, str.startswith, str.__contains__):
        matches = [storage for storage in stored if fits(storage.id, text.removesuffix(".session"))]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UsageError(f"{text!r} means several sessions: {', '.join(storage.id for storage in matches)}")
    raise UsageError(f"no session {text!r}", hint="plainbox session list shows those there are")
