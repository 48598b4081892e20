# SPDX-License-Identifier: Apache-2.0
"""Whether this machine is fit for sessions: where they are stored, who goes on with them, what is the matter with them.

``plainbox doctor`` shows it. Nothing is changed, and no session is locked.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import attrs

from plainbox.config import load_settings
from plainbox.errors import SessionError
from plainbox.runner.phases import APP_ID
from plainbox.session.directory import SUFFIX, removable_leftovers
from plainbox.session.files import FileOps
from plainbox.session.metadata import SessionMetaData
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.restart import INSTALL_COMMAND, armed_sessions, choose_strategy
from plainbox.session.storage import SessionStorage
from plainbox.session.systemd import ResumeUnit, Scope, user_name
from plainbox.tasks.users import SUDO

__all__ = ["Check", "Grade", "check_file_system", "check_machine", "check_systemd"]

_MOUNTS: Final = "/proc/self/mountinfo"
_LINGER: Final = "var/lib/systemd/linger"
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "fuse.sshfs", "glusterfs", "fuse.glusterfs"})
_MIB = 1024 * 1024
_LITTLE_SPACE_BYTES = 256 * _MIB
_NO_SPACE_BYTES = 16 * _MIB
_LEFTOVER_AGE_S = 3600.0
_SCOPES: tuple[Scope, ...] = ("system", "user")


class Grade(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@attrs.frozen
class Check:
    """What was looked at, what was found in one line, and what to do about it if anything."""

    name: str
    grade: Grade
    message: str
    advice: str | None = None


def check_machine() -> Iterator[Check]:
    """Yield all checks, in the order in which they matter."""
    repository = SessionStorageRepository().location
    place = _existing(repository)
    yield _check_repository(repository)
    with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
        yield check_file_system(place, file.read())
    yield _check_space(place)
    yield _check_sudo()
    yield from _check_units(repository)
    if os.path.isdir(repository) and os.access(repository, os.R_OK | os.X_OK):
        yield from _check_sessions(repository)
        yield _check_leftovers(repository)


def _existing(path: str) -> str:
    """Return the path, or the nearest directory above it that exists."""
    while not os.path.exists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def _check_repository(repository: str) -> Check:
    name = "repository"
    place = _existing(repository)
    elsewhere = "PLAINBOX_SESSION_REPO names another place"
    if not os.path.isdir(place):
        return Check(name, Grade.PROBLEM, f"{place} is not a directory", elsewhere)
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return Check(name, Grade.PROBLEM, f"{place} cannot be written by {user_name()}", elsewhere)
    if place != repository:
        return Check(name, Grade.OK, f"{repository} is made with the first session")
    status = os.stat(repository)
    if status.st_uid != os.geteuid():
        return Check(name, Grade.WARNING, f"{repository} belongs to somebody else", elsewhere)
    if stat.S_IMODE(status.st_mode) & 0o077:
        return Check(name, Grade.WARNING, f"{repository} is open to other users", f"chmod 700 {repository}")
    return Check(name, Grade.OK, f"{repository} is usable, by {user_name()} alone")


def check_file_system(path: str, mounts: str) -> Check:
    """Judge the file system that ``path`` lies on; ``mounts`` is what ``/proc/self/mountinfo`` says."""
    name = "file system"
    point, kind, options = _mount_of(os.path.realpath(path), mounts)
    if "ro" in options:
        return Check(name, Grade.PROBLEM, f"{point} is mounted read-only ({kind})", "mount it for writing")
    if kind in _IN_MEMORY:
        advice = "PLAINBOX_SESSION_REPO names a place on a disk"
        return Check(name, Grade.WARNING, f"{point} is in memory ({kind}): sessions do not survive a restart", advice)
    if kind in _REMOTE:
        advice = "use one machine at a time for a session, or a place on a disk of this machine"
        return Check(name, Grade.WARNING, f"{point} is remote ({kind}): locks work as well as the server does", advice)
    return Check(name, Grade.OK, f"{point} is {kind}")


def _mount_of(path: str, mounts: str) -> tuple[str, str, list[str]]:
    """Return the mount point of a path, the type of its file system and the options; a later mount hides an earlier."""
    best, kind, options = "", "unknown", list[str]()
    for line in mounts.splitlines():
        left, separator, right = line.partition(" - ")
        fields, end = left.split(" "), right.split(" ")
        if not separator or len(fields) < 6:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
        above = point.rstrip("/") + "/"
        if (path + "/").startswith(above) and len(point) >= len(best):
            best, kind, options = point, end[0], [*fields[5].split(","), *(end[2].split(",") if len(end) > 2 else [])]
    return best or "/", kind, options


def _check_space(place: str) -> Check:
    name = "space"
    try:
        status = os.statvfs(place)
    except OSError as error:
        return Check(name, Grade.PROBLEM, f"{place}: {error.strerror}")
    free_bytes = status.f_bavail * status.f_frsize
    free = f"{free_bytes / _MIB / 1024:.1f} GiB" if free_bytes >= 1024 * _MIB else f"{free_bytes // _MIB} MiB"
    advice = "plainbox session list shows what there is to remove"
    if status.f_files and not status.f_favail:
        return Check(name, Grade.PROBLEM, f"no further file can be made in {place}", advice)
    if free_bytes < _LITTLE_SPACE_BYTES:
        grade = Grade.PROBLEM if free_bytes < _NO_SPACE_BYTES else Grade.WARNING
        return Check(name, grade, f"{free} are free in {place}", advice)
    return Check(name, Grade.OK, f"{free} are free")


def _check_sudo() -> Check:
    name = "other users"
    if os.geteuid() == 0:
        return Check(name, Grade.OK, "jobs run as any user, for this is root")
    works, said = SUDO.works_silently("root")
    if works:
        return Check(name, Grade.OK, "jobs run as root by sudo, without a password")
    if "password" in said:
        return Check(name, Grade.OK, "sudo wants a password for jobs that run as root: a run on a terminal asks for it")
    return Check(name, Grade.WARNING, f"jobs that run as root are skipped: {said}", "install and configure sudo")


def _check_units(repository: str) -> Iterator[Check]:
    name = "auto-resume"
    setting = load_settings().auto_resume
    installed = [unit for unit in map(ResumeUnit, _SCOPES) if unit.installed() is not None]
    if setting in ("none", "desktop"):
        by_whom = "nobody" if setting == "none" else "an entry of the desktop"
        yield Check(name, Grade.OK, f"sessions are gone on with by {by_whom} ([sessions] auto_resume = {setting})")
    elif choose_strategy("auto", repository, FileOps()) is None:
        grade = Grade.PROBLEM if setting == "systemd" else Grade.WARNING
        yield Check(name, grade, "after a restart nothing goes on with a session by itself", INSTALL_COMMAND)
    for unit in installed:
        yield _check_unit(unit, repository)
    if installed or setting in ("auto", "systemd"):
        by_user = any(unit.scope == "user" and unit.serves(repository) for unit in installed)
        yield from check_systemd(by_user=by_user)


def _check_unit(unit: ResumeUnit, repository: str) -> Check:
    name = f"{unit.scope} unit"
    install = f"{INSTALL_COMMAND} --{unit.scope}"
    if not unit.serves(repository):
        return Check(name, Grade.WARNING, f"{unit.path} is for the sessions of another repository", install)
    if unit.installed() != unit.text(repository):
        return Check(name, Grade.WARNING, f"{unit.path} is not as this program and this user need it", install)
    return Check(name, Grade.OK, f"{unit.path} is installed and current")


def check_systemd(*, by_user: bool, root: str = "/") -> Iterator[Check]:
    """Yield whether systemd is there to start units; with ``by_user`` also whether those of this user need no login."""
    runs = os.path.isdir(os.path.join(root, "run/systemd/system"))
    if not runs:
        advice = "have 'plainbox resume --auto SESSION' started by something else, or use auto_resume = desktop"
        yield Check("systemd", Grade.WARNING, "systemd does not run here: its units go on with nothing", advice)
    if not by_user:
        return
    user, number = user_name(), os.geteuid()
    if not os.path.exists(os.path.join(root, _LINGER, user)):
        message = f"the services of {user} start when {user} logs in, not with the machine"
        yield Check("linger", Grade.WARNING, message, "loginctl enable-linger")
    elif runs and not os.path.isdir(os.path.join(root, f"run/user/{number}/systemd")):
        message = f"the services of {user} should have started with the machine, and do not run"
        yield Check("linger", Grade.WARNING, message, f"systemctl status user@{number}.service")
    else:
        yield Check("linger", Grade.OK, f"the services of {user} start with the machine")


def _check_sessions(repository: str) -> Iterator[Check]:
    name = "sessions"
    armed = armed_sessions(repository, app_id=APP_ID)
    found = list(_matters(repository, set(armed)))
    for session_id in armed:
        if not os.path.isdir(os.path.join(repository, session_id + SUFFIX)):
            found.append(_needless(session_id, "is gone"))
    yield from found
    if not found:
        waiting = f", {len(armed)} of them go on after a restart" if armed else ""
        yield Check(name, Grade.OK, f"{len(SessionStorageRepository(repository).get_storage_list())} stored{waiting}")


def _matters(repository: str, armed: set[str]) -> Iterator[Check]:
    for storage in SessionStorageRepository(repository).get_storage_list():
        try:
            flags = _flags(storage)
        except (SessionError, OSError) as error:
            advice = f"plainbox session show {storage.id}"
            yield Check("sessions", Grade.WARNING, f"{storage.id} cannot be read: {error}", advice)
            continue
        if "stuck" in flags:
            advice = f"plainbox resume --insist {storage.id}"
            yield Check("sessions", Grade.WARNING, f"{storage.id} was given up: it ended again and again", advice)
        elif storage.id in armed and not flags & {"incomplete", "setting_up"} and not storage.is_locked():
            yield _needless(storage.id, "is complete")


def _needless(session_id: str, reason: str) -> Check:
    advice = f"plainbox resume --auto {session_id}"
    return Check("sessions", Grade.WARNING, f"{session_id} {reason}, and is looked at after a restart", advice)


def _flags(storage: SessionStorage) -> set[str]:
    return SessionMetaData.of_stored(storage.peek_metadata()["meta"]).flags


def _check_leftovers(repository: str) -> Check:
    left = list(removable_leftovers(repository, _LEFTOVER_AGE_S))
    if left:
        return Check("leftovers", Grade.OK, f"{len(left)} of interrupted work, which the next run removes")
    return Check("leftovers", Grade.OK, "none")
