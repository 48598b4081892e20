# SPDX-License-Identifier: Apache-2.0
"""From what a job has told of itself to what its result stores of it, the files that it attached included.

Called by the executor between the end of a job and its result. What must stay true: a file that a result refers to is
durable before the result is, and has the digest that is stored with it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from plainbox.session.directory import ATTACHMENTS
from plainbox.session.files import open_regular
from plainbox.session.result import JobResultBuilder
from plainbox.session.storage import SessionStorage
from plainbox.tasks.jobresult import AttachedFile, JobItem, Measurement, Subtest

__all__ = ["add_items", "attachments_of", "forget_attachments"]

_CHUNK_BYTES = 1024 * 1024


def attachments_of(storage: SessionStorage, log_path: str) -> Path:
    """Return where the files of an attempt are, which is known by its log. Nothing is made."""
    return Path(storage.location, ATTACHMENTS, os.path.basename(log_path).removesuffix(".iolog"))


def forget_attachments(directory: Path) -> None:
    """Remove the files of an attempt that has come to no result."""
    shutil.rmtree(directory, ignore_errors=True)


def add_items(builder: JobResultBuilder, items: tuple[JobItem, ...], storage: SessionStorage, directory: Path) -> None:
    """Put into a result what the job has told; files that are in ``directory`` are made durable first.

    One that cannot be kept is told in the comments.
    """
    if not items:
        return
    kinds = (("subtests", Subtest), ("measurements", Measurement))
    for key, kind in kinds:
        found = [_known(item) for item in items if isinstance(item, kind)]
        if found:
            setattr(builder, key, found)
    files = [item for item in items if isinstance(item, AttachedFile)]
    if files:
        builder.attachments = list(_kept(builder, files, storage, directory)) or None


def _known(item: JobItem) -> dict[str, object]:
    """Return the fields of an item that are known; a value may be known to be nothing."""
    return {key: value for key, value in asdict(item).items() if value is not None or key == "value"}


def _kept(
    builder: JobResultBuilder, files: list[AttachedFile], storage: SessionStorage, directory: Path
) -> Iterator[dict[str, object]]:
    try:
        _make_durable(storage, directory)
    except OSError as error:
        builder.add_comment(f"what it attached could not be kept: {error.strerror}")
        return
    for item in files:
        path = directory / item.path
        try:
            size, digest = _measured(path)
        except OSError as error:
            builder.add_comment(f"the attachment {item.name} could not be kept: {error.strerror}")
            continue
        yield {**_known(item), "path": os.path.relpath(path, storage.location), "size": size, "sha256": digest}


def _make_durable(storage: SessionStorage, directory: Path) -> None:
    files = storage.files
    files.reach("attachments.sync")
    for base, _, names in os.walk(directory, topdown=False):
        for name in names:
            fd = files.open(os.path.join(base, name), os.O_RDONLY)
            try:
                files.fdatasync(fd)
            finally:
                files.close(fd)
        files.sync_directory(base)
    files.sync_directory(directory.parent)
    files.sync_directory(storage.location)


def _measured(path: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    with open(open_regular(path), "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()
