# SPDX-License-Identifier: Apache-2.0
"""What lets a session go on after a job has taken the machine, or only its tester, down.

The executor arms before such a job begins; :class:`~plainbox.runner.SessionRun` disarms when nothing is to go on by
itself any more. Armed means, each durable before the next: the variables with which the session goes on, in its
directory; the command that does so, in the session share, where the job finds it; and the restart strategy, primed.
"""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Mapping
from contextlib import suppress

from plainbox.config import load_settings
from plainbox.errors import JobStartError, StorageFullError, UsageError
from plainbox.runner.watchdog import take_watchdog_mark
from plainbox.session.atomic import open_share, remove_file, write_file
from plainbox.session.dirs import WellKnownDirsHelper
from plainbox.session.files import FULL_ERRORS
from plainbox.session.restart import INSTALL_COMMAND, choose_strategy, diffuse_everywhere
from plainbox.session.storage import SessionStorage
from plainbox.session.systemd import RESUME_ENVIRONMENT, environment_file, own_command
from plainbox.units import JobDefinition

__all__ = ["RESPAWN_NAMES", "AutoResume", "resume_variables"]

_log = logging.getLogger(__name__)

#: Files of the session share with the command that goes on with the session; the second is for existing providers.
RESPAWN_NAMES = ("__respawn_plainbox", "__respawn_checkbox")
_FLAGS = frozenset({"noreturn", "autorestart"})
_NAMES = frozenset(
    {
        *("HOME", "LANG", "LANGUAGE", "PATH", "PROVIDERPATH", "PYTHONPATH", "TMPDIR"),
        *("XDG_CACHE_HOME", "XDG_CONFIG_DIRS", "XDG_CONFIG_HOME", "XDG_DATA_DIRS", "XDG_DATA_HOME", "XDG_STATE_HOME"),
    }
)
_PREFIXES = ("LC_", "PLAINBOX_")
#: Set for the jobs of another session, when this one runs in a job.
_OF_A_JOB = frozenset(
    {
        "PLAINBOX_SESSION_SHARE",
        "PLAINBOX_PROVIDER_DATA",
        "PLAINBOX_PROVIDER_GETTEXT_DOMAIN",
        "PLAINBOX_PROVIDER_LOCALE_DIR",
        "PLAINBOX_PROVIDER_UNITS",
    }
)
_SOURCE = 'set -a; . "$0"; exec "$@"'


class AutoResume:
    """Arms and disarms one session."""

    def __init__(self, storage: SessionStorage, app_id: str) -> None:
        self._storage = storage
        self._app_id = app_id
        self._location = os.path.abspath(storage.location)
        self._warned = False

    def arm_for(self, job: JobDefinition) -> None:
        """Arm the session when the job may end its tester.

        :class:`JobStartError` says why that is not possible: then the job must not run. Without space it is
        :class:`StorageFullError`, and can be tried again.
        """
        if not _FLAGS.intersection(job.flags):
            return
        try:
            self._arm()
        except OSError as error:
            if error.errno in FULL_ERRORS:
                raise StorageFullError("what goes on with the session cannot be stored", errno=error.errno) from error
            raise _not_armed(f"{error.filename or self._location}: {error.strerror or error}") from error
        except UsageError as error:
            raise _not_armed(f"{error}" + (f" ({error.hint})" if error.hint else "")) from error

    def disarm(self) -> None:
        """Leave nothing that goes on with the session; without anything to undo this does nothing."""
        files = self._storage.files
        diffuse_everywhere(self._storage.id, os.path.dirname(self._location), files, app_id=self._app_id)
        take_watchdog_mark(self._location)
        # What follows is of no use any more, and of no harm where it stays.
        with suppress(OSError):
            remove_file(files, self._environment_path)
        with suppress(OSError), open_share(files, WellKnownDirsHelper(self._storage).share_pathname) as share_fd:
            for name in RESPAWN_NAMES:
                with suppress(OSError):
                    remove_file(files, name, dir_fd=share_fd)

    @property
    def _environment_path(self) -> str:
        return os.path.join(self._location, RESUME_ENVIRONMENT)

    def _arm(self) -> None:
        # A session may be careless about power losses, but a restart is what this is for.
        self._storage.make_durable()
        files = self._storage.files
        repository = os.path.dirname(self._location)
        text = environment_file(resume_variables(os.environ, repository))
        files.reach("arm.environment")
        write_file(files, self._location, RESUME_ENVIRONMENT, os.fsencode(text))
        command = self._command()
        files.reach("arm.respawn")
        share_dir = WellKnownDirsHelper(self._storage).share_pathname
        for name in RESPAWN_NAMES:
            write_file(files, share_dir, name, os.fsencode(f"{command}\n"))
        strategy = choose_strategy(load_settings().auto_resume, repository, files)
        if strategy is not None:
            strategy.prime_application_restart(self._app_id, self._storage.id, command)
        elif not self._warned:
            self._warned = True
            _log.warning("After a restart nothing goes on with this session by itself; for that: %s", INSTALL_COMMAND)

    def _command(self) -> str:
        """Return the command for a shell that goes on with this very session, with its variables."""
        words = [*own_command(), "resume", "--auto", self._storage.id]
        return shlex.join(["/bin/sh", "-c", _SOURCE, self._environment_path, *words])


def _not_armed(reason: str) -> JobStartError:
    return JobStartError(f"the job was not run, since nothing would go on with the session after it: {reason}")


def resume_variables(environment: Mapping[str, str], repository: str) -> dict[str, str]:
    """Return the variables without which a session of ``repository`` would not go on as it was begun."""
    variables = {
        name: value
        for name, value in environment.items()
        if (name in _NAMES or name.startswith(_PREFIXES)) and name not in _OF_A_JOB
    }
    for name in ("PYTHONPATH", "PROVIDERPATH"):
        # Whoever goes on does so in another directory.
        if name in variables:
            parts = variables[name].split(os.pathsep)
            variables[name] = os.pathsep.join(os.path.abspath(part) if part else part for part in parts)
    return {**variables, "PLAINBOX_SESSION_REPO": os.path.abspath(repository)}
