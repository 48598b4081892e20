# SPDX-License-Identifier: Apache-2.0
"""What a job sees: its environment variables and the programs it can call by their bare names.

The variables are those that existing Checkbox providers use. Everything else of the caller's environment is passed on.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from plainbox.tasks.equipment import Equipment, ProviderFiles
from plainbox.tasks.identity import name_of_owner
from plainbox.tasks.user import get_current_username
from plainbox.tasks.users import is_own_user
from plainbox.units import JobDefinition, UnitProvider

__all__ = ["JobEnvironment"]

_log = logging.getLogger(__name__)

#: What is said about this machine, or about who runs this.
_OF_THIS_MACHINE = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "DISPLAY"}
    | {"WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "SSH_AUTH_SOCK"}
)
#: What a job of another user gets as well: how to talk, and where programs are.
_FOR_EVERYBODY = frozenset({"PATH", "LANG", "LANGUAGE", "TERM", "TZ"})


class JobEnvironment:
    """Makes the environment of each job of one session.

    The programs of all providers of a namespace are linked into one directory, made when a job of the namespace first
    runs; use as a context manager, or :meth:`close`, to have the directories removed.
    """

    def __init__(
        self,
        providers: Iterable[UnitProvider],
        share_dir: str,
        base: Mapping[str, str] | None = None,
        *,
        given: Iterable[str] = (),
    ) -> None:
        """``given`` are the names in ``base`` that are meant for jobs, wherever they run."""
        self._providers = list(providers)
        self._share_dir = share_dir
        self._base = dict(os.environ if base is None else base)
        self._given = frozenset(given)
        self._nests: dict[str, str] = {}
        self._top: str | None = None

    def __enter__(self) -> JobEnvironment:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the directories of links."""
        if self._top is not None:
            shutil.rmtree(self._top, ignore_errors=True)
            self._top = None
            self._nests.clear()

    def of(self, job: JobDefinition) -> dict[str, str]:
        """Return the complete environment of a job."""
        environment = dict(self._base) if job.user is None or is_own_user(job.user) else self._meant_for(job)
        if "reset-locale" in job.flags:
            for name in [name for name in environment if name == "LANGUAGE" or name.startswith("LC_")]:
                del environment[name]
        environment |= self._set(job)
        if job.provider is not None:
            nest = self._nest(job.provider.namespace)
            path = environment.get("PATH", os.defpath)
            environment["PATH"] = f"{nest}{os.pathsep}{path}" if path else nest
        if job.user is not None and self._top is not None:
            # Another user has to get at the programs, which are no secret.
            os.chmod(self._top, 0o755)  # noqa: S103
        return environment

    def _meant_for(self, job: JobDefinition) -> dict[str, str]:
        """Return what a job of another user gets: what is no secret of this one, and what is meant for it."""
        names = _FOR_EVERYBODY | self._given | set(job.environ)
        found = {name: value for name, value in self._base.items() if name in names or name.startswith("LC_")}
        user = self._base.get("SUDO_USER") if os.geteuid() == 0 else get_current_username()
        return found if user is None else {"NORMAL_USER": user, **found}

    def equipment(self, job: JobDefinition) -> Equipment:
        """Return what a job is given on another machine: what is set here for it, and nothing that is passed on.

        What the unit lists as ``environ`` is meant for the job, unless it describes this machine.
        """
        names = (self._given | set(job.environ)) - _OF_THIS_MACHINE
        given = {name: self._base[name] for name in names if name in self._base and not name.startswith("XDG_")}
        namespace = job.provider.namespace if job.provider is not None else None
        return Equipment(
            variables={**given, **self._set(job)},
            providers=tuple(_files_of(each) for each in self._providers if each.namespace == namespace),
            share=self._share_dir,
            ends_machine=not {"noreturn", "expect-reboot"}.isdisjoint(job.flags),
        )

    def _set(self, job: JobDefinition) -> dict[str, str]:
        """Return what is set for a job, whatever its environment is otherwise."""
        variables = {
            "PYTHONUNBUFFERED": self._base.get("PYTHONUNBUFFERED", "1"),
            "SYSTEMD_IGNORE_CHROOT": "1",
            "PLAINBOX_SESSION_SHARE": self._share_dir,
        }
        reset_locale = "reset-locale" in job.flags
        if reset_locale:
            variables["LANG"] = "C.UTF-8"
        return variables if job.provider is None else variables | _of_provider(job.provider, reset_locale)

    def _nest(self, namespace: str) -> str:
        nest = self._nests.get(namespace)
        if nest is None:
            if self._top is None:
                self._top = tempfile.mkdtemp(prefix=name_of_owner("plainbox-nest-"))
            nest = self._nests[namespace] = os.path.join(self._top, str(len(self._nests)))
            os.mkdir(nest, mode=0o755)
            for provider in self._providers:
                if provider.namespace == namespace:
                    _link_programs(provider, nest)
        return nest


def _files_of(provider: UnitProvider) -> ProviderFiles:
    parts = {
        "units": provider.units_dir,
        "data": provider.data_dir,
        "bin": provider.bin_dir,
        "locale": provider.locale_dir,
        "python": provider.base_dir / "python",
    }
    executables: list[Path] = getattr(provider, "executable_list", [])
    return ProviderFiles(
        base=str(provider.base_dir),
        directories={name: str(path) for name, path in parts.items() if path is not None},
        programs=tuple(map(str, executables)),
    )


def _link_programs(provider: UnitProvider, nest: str) -> None:
    executables: list[Path] = getattr(provider, "executable_list", [])
    for executable in executables:
        try:
            os.symlink(executable.resolve(), os.path.join(nest, executable.name))
        except FileExistsError:
            _log.warning("%s is hidden by another program of this name in its namespace", executable)


def _of_provider(provider: UnitProvider, reset_locale: bool) -> dict[str, str]:
    variables: dict[str, str] = {}
    if provider.gettext_domain and not reset_locale:
        variables["TEXTDOMAIN"] = variables["PLAINBOX_PROVIDER_GETTEXT_DOMAIN"] = provider.gettext_domain
    if provider.locale_dir is not None:
        variables["TEXTDOMAINDIR"] = variables["PLAINBOX_PROVIDER_LOCALE_DIR"] = str(provider.locale_dir)
    if provider.data_dir is not None:
        variables["PLAINBOX_PROVIDER_DATA"] = str(provider.data_dir)
    python_dir: Path | None = getattr(provider, "python_dir", None)
    if python_dir is not None:
        variables["PLAINBOX_PROVIDER_PYTHON"] = str(python_dir)
    if provider.units_dir is not None:
        variables["PLAINBOX_PROVIDER_UNITS"] = str(provider.units_dir)
    variables["CHECKBOX_SHARE"] = str(provider.base_dir)
    return variables
