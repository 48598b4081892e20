# SPDX-License-Identifier: Apache-2.0
"""The private directory in which a job runs that was given none, and what the job leaves there."""

from __future__ import annotations

import logging
import os
import re
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from plainbox.tasks.identity import name_of_owner

if TYPE_CHECKING:
    from plainbox.tasks.users import Way

__all__ = ["MOST_LEFTOVERS", "Workplace", "has_mounts", "remove"]

_log = logging.getLogger(__name__)

MOST_LEFTOVERS = 20
REMOVAL_LIMIT_S = 60


class Workplace:
    """A new directory that nobody else can look into, but for the user that a program becomes by ``way``.

    Its maker clears it.
    """

    def __init__(self, way: Way | None = None) -> None:
        from plainbox.tasks.sweeping import sweep_once

        sweep_once()
        self._way = way
        self._top = Path(tempfile.mkdtemp(prefix=name_of_owner("plainbox-job-")))
        self.path = self._top
        if way is not None:
            # Whoever sees the outer directory does not know the name of the one in it.
            try:
                way.let_through(str(self._top))
                self.path = Path(tempfile.mkdtemp(prefix="", dir=self._top))
                way.hand_over(str(self.path))
            except BaseException:
                shutil.rmtree(self._top, ignore_errors=True)
                raise

    def clear(self) -> tuple[str, ...]:
        """Remove the directory and return the relative names of what was left in it, at most ``MOST_LEFTOVERS``.

        An empty directory is named with a slash at its end; bytes that are no UTF-8 are shown as escapes. Where a job
        has left something mounted nothing is removed: it could be anything, the whole machine included.
        """
        try:
            return self._clear()
        finally:
            if self._top != self.path:
                with suppress(OSError):
                    os.rmdir(self._top)

    def _clear(self) -> tuple[str, ...]:
        with suppress(OSError):
            # What nearly every job leaves: an empty directory, or none.
            os.rmdir(self.path)
        try:
            is_directory = stat.S_ISDIR(os.lstat(self.path).st_mode)
        except FileNotFoundError:
            return ()
        if not is_directory:
            # The job has put something else in its place, perhaps a link to where nothing must be touched.
            with suppress(OSError):
                self.path.unlink()
            return ()
        with suppress(OSError):
            self.path.chmod(stat.S_IRWXU)
        left = _names(self.path)
        if has_mounts(self.path):
            _log.warning("A job has left something mounted in its working directory; not removed: %s", self.path)
        else:
            remove(self.path, self._way)
        return left


def has_mounts(path: Path) -> bool:
    """Tell whether something is mounted on or below ``path``; where that cannot be known, the answer is yes."""
    base = os.fsencode(os.path.realpath(path))
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            # The kernel writes the mount point in the fifth field, with blanks and the like as octal escapes.
            points = [line.split(b" ", 5)[4] for line in file]
    except (OSError, IndexError):
        return True
    escaped = re.sub(rb"[ \t\n\\]", lambda found: b"\\%03o" % found[0][0], base)
    return any(point == escaped or point.startswith(escaped + b"/") for point in points)


def _names(base: Path) -> tuple[str, ...]:
    """Return names of what is below ``base``.

    Of each directory only the first ``MOST_LEFTOVERS`` entries are looked at: each stands for one name at least.
    """
    found: list[str] = []
    todo = [""]
    while todo and len(found) < MOST_LEFTOVERS:
        directory = todo.pop()
        try:
            with os.scandir(os.path.join(base, directory)) as entries:
                content = list(islice(entries, MOST_LEFTOVERS))
        except OSError:
            content = []
        if not content and directory:
            found.append(f"{directory}/")
        for entry in content:
            name = os.path.join(directory, entry.name)
            if entry.is_dir(follow_symlinks=False):
                todo.append(name)
            else:
                found.append(name)
    return tuple(sorted(map(_printable, found))[:MOST_LEFTOVERS])


def _printable(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def remove(path: Path, way: Way | None = None) -> None:
    """Remove a directory of ours with all that a job has put into it, as far as that can be done."""
    try:
        shutil.rmtree(path)
    except (OSError, RecursionError):
        if way is not None:
            with suppress(OSError):
                way.hand_over(str(path))
                way.remove(str(path))
        # Directories without write permission, or nested deeper than Python recurses. Neither tool follows links.
        for tool in (("chmod", "-R", "u+rwX"), ("rm", "-rf")):
            if path.exists():
                _run(*tool, "--", str(path))
        if path.exists():
            _log.warning("The working directory of a job could not be removed: %s", path)


def _run(*argv: str) -> None:
    try:
        subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=REMOVAL_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.warning("%s did not work: %s", argv[0], error)
