# SPDX-License-Identifier: Apache-2.0
"""``plainbox session archive``: write a session, with all its logs, into one .tar.gz file that plainbox session restore
makes a session again. The file is checked by reading it back. A damaged session can be archived too, a running one not.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from plainbox.cli.arguments import add_session, find_session
from plainbox.cli.output import say, warn, write
from plainbox.cli.sessions.facts import shown_size


def configure(parser: argparse.ArgumentParser) -> None:
    add_session(parser, "the newest")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help="the file, or a directory for it (SESSION.tar.gz here by default)",
    )
    parser.add_argument("--remove", action="store_true", help="remove the session when the archive has been checked")
    parser.add_argument("--force", action="store_true", help="replace a file that exists")


def run(arguments: argparse.Namespace) -> int:
    from plainbox.session.archive import write_archive

    storage = find_session(arguments.session)
    target = _target(arguments.output, storage.id)
    written = write_archive(storage, target, replace=arguments.force, remove=arguments.remove)
    archive = written.archive
    write(str(target))
    size, packed = shown_size(archive.size_bytes), shown_size(written.packed_bytes)
    say(f"{len(archive.files)} files, {size}, packed {packed}; read back and found good")
    if archive.left_out:
        warn(f"not in the archive, which cannot hold them: {', '.join(archive.left_out)}")
    if arguments.remove and archive.left_out:
        say(f"So the session {storage.id} was not removed.")
        return 3
    if arguments.remove:
        say(f"Session {storage.id} removed.")
    return 0


def _target(output: Path | None, session_id: str) -> Path:
    name = f"{session_id}.tar.gz"
    if output is None:
        return Path(name)
    return output / name if output.is_dir() else output
