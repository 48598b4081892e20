# SPDX-License-Identifier: Apache-2.0
"""Whether the files that results refer to as attachments are what was recorded. Takes no lock and writes nothing."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator

import attrs

from plainbox.errors import CorruptedSessionError
from plainbox.session.codec import JsonObject
from plainbox.session.files import open_regular
from plainbox.session.iolog_reader import resolve_log_path
from plainbox.session.tree import Tree

__all__ = ["AttachmentProblem", "attachment_problems"]

_CHUNK_BYTES = 1024 * 1024


@attrs.frozen
class AttachmentProblem:
    """A file that is not what its result says. ``kind``: ``missing``, ``differs`` or ``invalid``."""

    job_id: str
    attempt: int
    path: str
    kind: str
    message: str


def attachment_problems(location: str, tree: Tree, *, deep: bool) -> Iterator[AttachmentProblem]:
    """Look at every attachment of every result; with ``deep`` at every byte of them."""
    for job_id, attempts in sorted(tree.results.items()):
        for attempt, result in sorted(attempts.items()):
            recorded = result.get("attachments")
            for item in recorded if isinstance(recorded, list) else ():
                if isinstance(item, dict):
                    trouble = _trouble(location, item, deep=deep)
                    if trouble is not None:
                        yield AttachmentProblem(job_id, attempt, str(item.get("path")), *trouble)


def _trouble(location: str, item: JsonObject, *, deep: bool) -> tuple[str, str] | None:
    try:
        path = resolve_log_path(location, item.get("path"))
        status = os.stat(path, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            return "invalid", "it is not a regular file"
        if status.st_size != item.get("size"):
            return "differs", f"it has {status.st_size} bytes, {item.get('size')} were recorded"
        if deep and _digest(os.fspath(path)) != item.get("sha256"):
            return "differs", "its content is not what was recorded"
    except (FileNotFoundError, NotADirectoryError):
        return "missing", "it does not exist"
    except CorruptedSessionError as error:
        return "invalid", str(error)
    except OSError as error:
        return "invalid", f"it cannot be read: {error.strerror}"
    return None


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(open_regular(path), "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
