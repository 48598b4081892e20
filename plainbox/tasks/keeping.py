# SPDX-License-Identifier: Apache-2.0
"""What becomes of the files that advices have attached to the execution of a job: they are kept with its report.

Called when everything around the execution is done, and before its temporary directory goes. What must stay true: no file
takes the place of one that the job itself has attached.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from plainbox.tasks.jobresult import AttachedFile
from plainbox.tasks.report import JobReport
from plainbox.tasks.result import Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plainbox.tasks.attachments import Attachment
    from plainbox.tasks.surroundings import Surroundings

__all__ = ["with_attachments"]


def with_attachments(result: Result, attachments: Mapping[str, Attachment], surroundings: Surroundings) -> Result:
    """Copy the attachments to where those of the job are, and return the result whose report tells of them.

    One that cannot be copied is told in a note.
    """
    report, target = result.value, surroundings.attachments_dir
    if target is None or not isinstance(report, JobReport):
        return result
    taken = {item.name for item in report.items if isinstance(item, AttachedFile)}
    kept = []
    for name, attachment in attachments.items():
        try:
            path = _copied(name, attachment.path, target)
        except OSError as error:
            surroundings.output.note(f"the attachment {name} could not be kept: {error.strerror}")
            continue
        item = AttachedFile(_free(name, taken), path.name, path.stat().st_size, attachment.media_type)
        taken.add(item.name)
        kept.append(item)
        surroundings.on_item(item)
    return Result(replace(report, items=(*report.items, *kept))) if kept else result


def _copied(name: str, source: Path, target: Path) -> Path:
    os.makedirs(target.parent, mode=0o700, exist_ok=True)
    with suppress(FileExistsError):
        os.mkdir(target, 0o700)
    names = set(os.listdir(target))
    path = target / _free(name, names)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(source, "rb") as content, open(os.open(path, flags, 0o600), "wb") as copy:
        shutil.copyfileobj(content, copy)
    return path


def _free(name: str, taken: set[str]) -> str:
    """Return a name that nothing has yet."""
    stem, suffix = os.path.splitext(name)
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{stem}-{number}{suffix}"
    return free
