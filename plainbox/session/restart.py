# SPDX-License-Identifier: Apache-2.0
"""Who goes on with a session when the machine has been started again: the strategies, and which one is in force.

The runner primes one before it runs a job that may take the machine down, and diffuses it when nothing is to go on by
itself any more. What must stay true: both may be done twice; what they did is durable when they return, so that a job
which resets the machine at once finds it there afterwards; diffusing one session leaves alone those of others, of other
repositories too.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from pathlib import Path
from typing import Protocol

from plainbox import dirs
from plainbox.errors import UsageError
from plainbox.session.atomic import remove_file, write_file
from plainbox.session.directory import make_private_directories, sync_names
from plainbox.session.files import FileOps
from plainbox.session.systemd import ResumeUnit, Scope

__all__ = [
    "INSTALL_COMMAND",
    "DesktopAutostart",
    "NoRestart",
    "RestartStrategy",
    "SystemdRestart",
    "armed_sessions",
    "choose_strategy",
    "diffuse_everywhere",
]

_log = logging.getLogger(__name__)

INSTALL_COMMAND = "plainbox doctor --install-resume"
_SESSION_KEY = "X-Plainbox-Session"
_REPOSITORY_KEY = "X-Plainbox-Repository"


class RestartStrategy(Protocol):
    """A way to have a session gone on with after a restart. Errors are those of the system, and :class:`UsageError`."""

    def prime_application_restart(self, app_id: str, session_id: str, cmd: str) -> None:
        """Have the session gone on with when the machine has started; ``cmd`` is the command for a shell that does so."""

    def diffuse_application_restart(self, app_id: str, session_id: str | None = None) -> None:
        """Undo that, for one session or for all of the application in the repository."""

    def armed(self, app_id: str) -> list[str]:
        """Return the ids of the sessions of its repository that will be gone on with."""


class SystemdRestart:
    """Enables an instance of the unit ``plainbox-resume@.service``: the session's id, escaped for systemd.

    It makes the link in the ``.wants`` directory itself, so that no manager need be running. The unit starts the session
    with a command of its own; ``plainbox doctor --install-resume`` has put it in its place, for one repository.
    """

    def __init__(
        self, scope: Scope = "system", *, repository: str | None = None, root: str = "/", files: FileOps | None = None
    ) -> None:
        self.unit = ResumeUnit(scope, root)
        self._repository = str(dirs.session_repository()) if repository is None else repository
        self._files = files if files is not None else FileOps()

    @property
    def usable(self) -> bool:
        """Whether the unit is there, is for these sessions, and this user may enable it."""
        return self.unit.serves(self._repository) and os.access(self.unit.directory, os.W_OK)

    def prime_application_restart(self, app_id: str, session_id: str, cmd: str) -> None:
        if not self.unit.serves(self._repository):
            reason = (
                "is not installed" if self.unit.installed() is None else "is for the sessions of another repository"
            )
            raise UsageError(f"the unit {self.unit.path} {reason}", hint=f"{INSTALL_COMMAND} installs it")
        _make_directories(self._files, self.unit.wants)
        link = self.unit.link(session_id)
        if not (os.path.islink(link) and os.readlink(link) == self.unit.link_target):
            remove_file(self._files, link)
            self._files.reach("arm.link")
            self._files.symlink(self.unit.link_target, link)
        self._files.reach("arm.sync")
        self._files.sync_directory(self.unit.wants)

    def diffuse_application_restart(self, app_id: str, session_id: str | None = None) -> None:
        for armed in self.armed(app_id):
            if session_id in (None, armed):
                self._files.reach("disarm.link")
                remove_file(self._files, self.unit.link(armed))

    def armed(self, app_id: str) -> list[str]:
        # The links of a unit for another repository are about sessions that are none of these, whatever their names.
        return self.unit.armed() if self.unit.serves(self._repository) else []


class DesktopAutostart:
    """Puts one desktop entry for each session into the autostart directory of the user.

    It is started when the user logs in, in a terminal. Only what says of itself that it is for a session is replaced or
    removed: an entry of the same name may be the user's own.
    """

    def __init__(
        self, directory: str | None = None, *, repository: str | None = None, files: FileOps | None = None
    ) -> None:
        self.directory = directory or str(dirs.configuration_directories()[0] / "autostart")
        self._repository = os.path.abspath(dirs.session_repository() if repository is None else repository)
        self._files = files if files is not None else FileOps()

    def entry(self, app_id: str, session_id: str) -> str:
        """Return the path of the desktop entry of a session."""
        return os.path.join(self.directory, re.sub(r"[^A-Za-z0-9._-]", "_", f"{app_id}-{session_id}") + ".desktop")

    def prime_application_restart(self, app_id: str, session_id: str, cmd: str) -> None:
        text = (
            "[Desktop Entry]\n"
            "Type=Application\n"
            "Name=Test session\n"
            f"Exec=/bin/sh -c {_in_desktop_quotes(cmd)}\n"
            "Terminal=true\n"
            f"{_SESSION_KEY}={_in_key_file(session_id)}\n"
            f"{_REPOSITORY_KEY}={_in_key_file(self._repository)}\n"
        )
        _make_directories(self._files, self.directory)
        self._files.reach("arm.entry")
        path = self.entry(app_id, session_id)
        if os.path.lexists(path) and _SESSION_KEY not in _keys(path):
            raise FileExistsError(errno.EEXIST, "an entry that is for no session is in the way", path)
        write_file(self._files, os.path.realpath(self.directory), os.path.basename(path), os.fsencode(text))

    def diffuse_application_restart(self, app_id: str, session_id: str | None = None) -> None:
        for armed in self.armed(app_id):
            if session_id in (None, armed):
                self._files.reach("disarm.entry")
                remove_file(self._files, self.entry(app_id, armed))

    def armed(self, app_id: str) -> list[str]:
        try:
            paths = [os.path.join(self.directory, name) for name in sorted(os.listdir(self.directory))]
        except OSError:
            return []
        entries = [(path, _keys(path)) for path in paths if path.endswith(".desktop")]
        return [
            keys[_SESSION_KEY]
            for path, keys in entries
            if keys.get(_REPOSITORY_KEY) == self._repository
            and _SESSION_KEY in keys
            and path == self.entry(app_id, keys[_SESSION_KEY])
        ]


class NoRestart:
    """Leaves it to a person to go on."""

    def prime_application_restart(self, app_id: str, session_id: str, cmd: str) -> None:
        """Do nothing."""

    def diffuse_application_restart(self, app_id: str, session_id: str | None = None) -> None:
        """Do nothing."""

    def armed(self, app_id: str) -> list[str]:
        return []


def choose_strategy(setting: str, repository: str, files: FileOps) -> RestartStrategy | None:
    """Return the strategy for the sessions of a repository, ``None`` when ``auto`` finds nothing installed."""
    if setting == "none":
        return NoRestart()
    if setting == "desktop":
        return DesktopAutostart(repository=repository, files=files)
    scopes = _systemd(repository, files)
    usable = next((strategy for strategy in scopes if strategy.usable), None)
    return usable if usable is not None or setting == "auto" else scopes[0]


def diffuse_everywhere(session_id: str, repository: str, files: FileOps, *, app_id: str = "plainbox") -> None:
    """Have no strategy go on with the session of this repository, whichever was in force when it was primed.

    What cannot be undone is logged: it does no harm, since a session that is over is not gone on with.
    """
    for strategy in _all_strategies(repository, files):
        if session_id in strategy.armed(app_id):
            try:
                strategy.diffuse_application_restart(app_id, session_id)
            except OSError as error:
                _log.warning("%s will be looked at again after a restart: %s", session_id, error)


def armed_sessions(repository: str, *, app_id: str = "plainbox") -> list[str]:
    """Return the ids of all sessions of the repository that some strategy will go on with."""
    strategies = _all_strategies(repository, FileOps())
    return sorted({session_id for strategy in strategies for session_id in strategy.armed(app_id)})


def _all_strategies(repository: str, files: FileOps) -> list[RestartStrategy]:
    return [*_systemd(repository, files), DesktopAutostart(repository=repository, files=files)]


def _systemd(repository: str, files: FileOps) -> list[SystemdRestart]:
    """Return the strategies of the scopes that are this user's, the preferred one first."""
    scopes: tuple[Scope, ...] = ("system", "user") if os.geteuid() == 0 else ("user",)
    return [SystemdRestart(scope, repository=repository, files=files) for scope in scopes]


def _make_directories(files: FileOps, path: str) -> None:
    """Make a directory that is durable, also where it is there already: who made it may have died before he synced it."""
    make_private_directories(files, path)
    sync_names(files, path)


def _keys(path: str) -> dict[str, str]:
    """Return the keys of a desktop entry; what cannot be read has none."""
    try:
        lines = os.fsdecode(Path(path).read_bytes()).split("\n") if os.path.isfile(path) else []
    except OSError:
        return {}
    return {key: _from_key_file(value) for key, equals, value in (line.partition("=") for line in lines) if equals}


def _in_desktop_quotes(text: str) -> str:
    """Return a text as one argument in the ``Exec`` key of a desktop entry."""
    return _in_key_file('"' + re.sub(r'([\\"`$])', r"\\\1", text).replace("%", "%%") + '"')


def _in_key_file(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


def _from_key_file(text: str) -> str:
    meanings = {"n": "\n", "t": "\t", "r": "\r", "s": " "}
    return re.sub(r"\\(.)", lambda match: meanings.get(match[1], match[1]), text)
