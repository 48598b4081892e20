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

from plainbox.tasks.identity import name_of_owner
from plainbox.units import JobDefinition, UnitProvider

__all__ = ["JobEnvironment"]

_log = logging.getLogger(__name__)


class JobEnvironment:
    """Makes the environment of each job of one session.

    The programs of all providers of a namespace are linked into one directory, made when a job of the namespace first
    runs; use as a context manager, or :meth:`close`, to have the directories removed.
    """

    def __init__(
        self, providers: Iterable[UnitProvider], share_dir: str, base: Mapping[str, str] | None = None
    ) -> None:
        self._providers = list(providers)
        self._share_dir = share_dir
        self._base = dict(os.environ if base is None else base)
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
        environment = dict(self._base)
        reset_locale = "reset-locale" in job.flags
        if reset_locale:
            for name in [name for name in environment if name == "LANGUAGE" or name.startswith("LC_")]:
                del environment[name]
            environment["LANG"] = "C.UTF-8"
        environment.setdefault("PYTHONUNBUFFERED", "1")
        environment["SYSTEMD_IGNORE_CHROOT"] = "1"
        environment["PLAINBOX_SESSION_SHARE"] = self._share_dir
        provider = job.provider
        if provider is not None:
            environment |= _of_provider(provider, reset_locale)
            nest = self._nest(provider.namespace)
            path = environment.get("PATH", os.defpath)
            environment["PATH"] = f"{nest}{os.pathsep}{path}" if path else nest
        return environment

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
    if provider.units_dir is not None:
        variables["PLAINBOX_PROVIDER_UNITS"] = str(provider.units_dir)
    variables["CHECKBOX_SHARE"] = str(provider.base_dir)
    return variables
