# SPDX-License-Identifier: Apache-2.0
"""``plainbox session restore``: make the session of an archive a stored session again, which can be shown, exported and
resumed. Every byte is checked before the session becomes visible; a session that exists is never replaced.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from plainbox.cli.output import say, write
from plainbox.errors import UsageError
from plainbox.session.repository import SessionStorageRepository


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", metavar="FILE", type=Path, help="what plainbox session archive has written")
    parser.add_argument("--as", dest="as_id", metavar="ID", help="give the session another id")


def run(arguments: argparse.Namespace) -> int:
    from plainbox.session.archive import restore_archive

    try:
        storage = restore_archive(arguments.archive, SessionStorageRepository(), as_id=arguments.as_id)
    except FileNotFoundError:
        raise UsageError(f"no file {str(arguments.archive)!r}") from None
    write(storage.id)
    say(f"Session {storage.id} restored. plainbox session show {storage.id} shows it.")
    return 0
