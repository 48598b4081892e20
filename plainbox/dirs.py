# SPDX-License-Identifier: Apache-2.0
"""The places of Plainbox in the file system, by the XDG base directory rules."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = [
    "bundled_providers",
    "crash_files",
    "machine_manifest",
    "provider_paths",
    "session_repository",
    "task_cache",
    "unit_cache",
]

_PROVIDERS = "plainbox-providers-1"


def _state() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("plainbox"))


def session_repository() -> Path:
    """Where sessions are stored: ``PLAINBOX_SESSION_REPO`` or the user's state directory."""
    override = os.environ.get("PLAINBOX_SESSION_REPO")
    return Path(override).absolute() if override else _state() / "sessions"


def machine_manifest() -> Path:
    """The file with the answers to manifest questions, shared by all sessions of the user."""
    return _state() / "machine-manifest.json"


def crash_files() -> Path:
    """Where internal errors leave their tracebacks."""
    return _state() / "crashes"


def unit_cache() -> Path:
    """Where the records of unit files are kept, to be read faster the next time."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("plainbox")) / "units"


def task_cache() -> Path:
    """Where results are kept that are used again."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("plainbox")) / "tasks" / "cache"


def bundled_providers() -> Path:
    """The providers that come with Plainbox."""
    return (Path(__file__).parent / "bundled").resolve()


def configuration_directories() -> list[Path]:
    """The directories that hold configuration files, strongest first."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    others = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return [Path(item) for item in (home, *others.split(os.pathsep)) if os.path.isabs(item)]


def provider_paths() -> list[Path]:
    """The directories that hold definitions of installed providers, strongest first.

    ``PROVIDERPATH`` replaces all of them.
    """
    override = os.environ.get("PROVIDERPATH")
    if override is not None:
        return [Path(item) for item in override.split(os.pathsep) if item]
    import platformdirs

    data_dirs = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    homes = [Path(platformdirs.user_data_dir()), *(Path(item) for item in data_dirs.split(os.pathsep) if item)]
    return [home / _PROVIDERS for home in homes]
