# SPDX-License-Identifier: Apache-2.0
"""The cache of the user, as the settings have it."""

from __future__ import annotations

from plainbox import dirs
from plainbox.config import load_settings
from plainbox.tasks.cache.store import DEFAULT_MAX_SIZE_BYTES, CacheStore

__all__ = ["user_mode", "user_store"]


def user_store() -> CacheStore:
    """Return the store that jobs use."""
    return CacheStore(dirs.task_cache(), max_size_bytes=load_settings().cache_max_size or DEFAULT_MAX_SIZE_BYTES)


def user_mode() -> str:
    """Return the mode that the settings name."""
    return load_settings().cache_mode
