# SPDX-License-Identifier: Apache-2.0
"""A directory with everything in it, however deep jobs have nested it and whatever rights they have left it.

Whoever looks at, copies or removes what jobs may have made goes this way. What must stay true: no link is followed, no
name is longer than one name, and neither the stack nor the descriptors of this process limit the depth. A directory that
somebody moves away in the meantime ends the walk: the way back could lead anywhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from plainbox.session.files import PathLike

__all__ = ["Step", "give_back_rights", "open_directory", "remove_everything", "walk"]

_DIRECTORY: Final = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Step(NamedTuple):
    """What a walk has come to: ``name`` in the open ``directory``, which lies ``depth`` directories below the top.

    A directory comes twice: before what is in it, and ``done`` after that.
    """

    directory: int
    name: str
    depth: int
    is_directory: bool
    done: bool = False


def walk(top: int, *, refused: Callable[[str, OSError], None] | None = None, give_back: bool = False) -> Iterator[Step]:
    """Yield everything below the open directory ``top``, each directory in the order of its names.

    A directory that cannot be listed raises :class:`OSError` with its name, or is told to ``refused`` and passed over. With
    ``give_back`` its owner gets the right to it back first.
    """
    here = os.dup(top)
    above: list[tuple[tuple[int, int], str, list[tuple[str, bool]]]] = []
    try:
        waiting = _content(here)
        while waiting or above:
            if not waiting:
                identity, name, waiting = above.pop()
                here = _moved(here, os.open("..", os.O_RDONLY | _DIRECTORY, dir_fd=here))
                if _identity(here) != identity:
                    raise OSError(errno.ESTALE, "it was moved away meanwhile", name)
                yield Step(here, name, len(above), is_directory=True, done=True)
                continue
            name, is_directory = waiting.pop()
            yield Step(here, name, len(above), is_directory)
            if not is_directory:
                continue
            try:
                child, content = _entered(name, here, give_back)
            except OSError as error:
                if refused is None:
                    raise
                refused(name, error)
                yield Step(here, name, len(above), is_directory=True, done=True)
                continue
            above.append((_identity(here), name, waiting))
            here, waiting = _moved(here, child), content
    finally:
        os.close(here)


def open_directory(path: PathLike, *, dir_fd: int | None = None) -> int:
    """Open a directory, and no link to one, for reading."""
    return os.open(path, os.O_RDONLY | _DIRECTORY, dir_fd=dir_fd)


def give_back_rights(path: PathLike, *, dir_fd: int | None = None) -> None:
    """Let the owner into a directory, and no link to one, whatever a job has made of its rights."""
    fd = os.open(path, os.O_PATH | _DIRECTORY, dir_fd=dir_fd)
    try:
        if os.fstat(fd).st_mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{fd}", 0o700)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None
    finally:
        os.close(fd)


def remove_everything(path: PathLike, *, dir_fd: int | None = None) -> str | None:
    """Delete a directory with all that is in it, as far as that can be done; return why something is left of it.

    Jobs leave directories without the right to change them: the owner gives the right back. A missing one is no trouble.
    """
    reasons: list[str] = []

    def keep(name: str, error: OSError) -> None:
        # That a directory is not empty tells nothing when the reason for what is in it was told.
        if error.errno != errno.ENOENT and not (reasons and error.errno == errno.ENOTEMPTY):
            reasons.append(f"{name[:100]}: {error.strerror}")

    try:
        with contextlib.suppress(OSError):
            give_back_rights(path, dir_fd=dir_fd)
        top = open_directory(path, dir_fd=dir_fd)
        try:
            for step in walk(top, refused=keep, give_back=True):
                _remove(step, keep)
        finally:
            os.close(top)
        os.rmdir(path, dir_fd=dir_fd)
    except OSError as error:
        keep(os.path.basename(path), error)
    return reasons[0] + (f", and {len(reasons) - 1} more" if len(reasons) > 1 else "") if reasons else None


def _remove(step: Step, keep: Callable[[str, OSError], None]) -> None:
    try:
        if not step.is_directory:
            os.unlink(step.name, dir_fd=step.directory)
        elif step.done:
            os.rmdir(step.name, dir_fd=step.directory)
    except OSError as error:
        keep(step.name, error)


def _entered(name: str, parent: int, give_back: bool) -> tuple[int, list[tuple[str, bool]]]:
    if give_back:
        with contextlib.suppress(OSError):  # it may be of use without
            give_back_rights(name, dir_fd=parent)
    child = open_directory(name, dir_fd=parent)
    try:
        return child, _content(child)
    except OSError as error:
        os.close(child)
        raise OSError(error.errno, error.strerror, name) from None


def _content(directory: int) -> list[tuple[str, bool]]:
    """Return the names in a directory and whether they are directories, the first at the end."""
    with os.scandir(directory) as entries:
        return sorted(((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries), reverse=True)


def _moved(here: int, there: int) -> int:
    os.close(here)
    return there


def _identity(directory: int) -> tuple[int, int]:
    status = os.fstat(directory)
    return status.st_dev, status.st_ino
