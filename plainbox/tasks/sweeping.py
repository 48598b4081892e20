# SPDX-License-Identifier: Apache-2.0
"""Clears what killed programs have left in the directory for temporary files: working directories and links of jobs.

Called when a test run begins, and once in each process that makes working directories. The name of such a directory says
which process made it. Nobody misses it when that process is gone, but a job of it may still run: what is young is left
alone, and the next one but one finds it again.
"""

from __future__ import annotations

import functools
import os
import stat
import tempfile
import time
from pathlib import Path

from plainbox.tasks.identity import owner_of_name
from plainbox.tasks.workplace import has_mounts, remove

__all__ = ["clear_dead_directories", "sweep_once"]

_PREFIXES = ("plainbox-job-", "plainbox-nest-", "plainbox-worker-", "plainbox-ssh-")
_MIN_AGE_S = 3600.0


@functools.lru_cache(maxsize=1)  # Python 3.8 has no shorter word
def sweep_once() -> None:
    """Do what :func:`clear_dead_directories` does, unless this process has done so already."""
    clear_dead_directories()


def clear_dead_directories(*, min_age_s: float = _MIN_AGE_S) -> None:
    """Remove the directories of this user whose makers are gone and that nothing was put into for ``min_age_s``.

    What cannot be looked at or removed is left: tidying up is no reason for anything to fail.
    """
    try:
        entries = [entry for entry in os.scandir(tempfile.gettempdir()) if entry.name.startswith(_PREFIXES)]
    except OSError:
        return
    for entry in entries:
        if _is_dead(entry, min_age_s):
            remove(Path(entry.path))


def _is_dead(entry: os.DirEntry[str], min_age_s: float) -> bool:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return False
    if time.time() - status.st_mtime < min_age_s or has_mounts(Path(entry.path)):
        return False
    owner = owner_of_name(entry.name)
    return owner is not None and not owner.alive
