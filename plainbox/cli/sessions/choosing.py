# SPDX-License-Identifier: Apache-2.0
"""Which stored sessions the words of a command mean. Names decide: nothing in a session is looked at."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from fnmatch import fnmatchcase

from plainbox.errors import UsageError
from plainbox.session.directory import SUFFIX
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.storage import SessionStorage

__all__ = ["add_sessions", "find_sessions"]


def add_sessions(parser: argparse.ArgumentParser, what: str) -> None:
    """Declare the positional arguments SESSION; ``what`` is done with them."""
    parser.add_argument(
        "sessions",
        metavar="SESSION",
        nargs="*",
        help=f"sessions to {what}: ids, beginnings or parts of ids that only one has, or patterns such as 'pbox-2025-*'",
    )


def find_sessions(words: Iterable[str]) -> list[SessionStorage]:
    """Return the sessions of the repository that the words mean, each once.

    A word that means none, or that is no pattern and means several, is a :class:`UsageError`.
    """
    repository = SessionStorageRepository()
    ids = sorted(name.removesuffix(SUFFIX) for name in repository.names())
    found: dict[str, None] = {}
    for word in words:
        found.update(dict.fromkeys(_meant(_id_of(word, repository), word, ids)))
    return [SessionStorage(os.path.join(repository.location, session_id + SUFFIX)) for session_id in found]


def _id_of(word: str, repository: SessionStorageRepository) -> str:
    """Return the word as part of an id: whoever completes the path of a session means the session."""
    path = os.path.abspath(word)
    if "/" in word and os.path.realpath(os.path.dirname(path)) == os.path.realpath(repository.location):
        word = os.path.basename(path)
    return word.removesuffix(SUFFIX)


def _meant(text: str, word: str, ids: list[str]) -> list[str]:
    if text in ids:
        return [text]
    matches = [session_id for session_id in ids if fnmatchcase(session_id, text)]
    if not matches and text:
        for fits in (str.startswith, str.__contains__):
            matches = matches or [session_id for session_id in ids if fits(session_id, text)]
        if len(matches) > 1:
            raise UsageError(
                f"{word!r} means several sessions: {', '.join(matches)}", hint=f"'*{text}*' as a pattern means them all"
            )
    if not matches:
        raise UsageError(f"no session {word!r}", hint="plainbox session list shows those there are")
    return matches
