# SPDX-License-Identifier: Apache-2.0
"""What a program may use up: limits of the kernel and its priority, set while it is held and has not begun."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterable, Mapping

from plainbox.errors import ChainError, RemoteSetupError

__all__ = ["parse_limits", "restrict"]

_KNOWN = {name[7:].lower(): getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}
_WORD = re.compile(r"([a-z]+)=(\d{1,18}|unlimited)")


def parse_limits(words: Iterable[str]) -> dict[str, int]:
    """Return the limits that words such as ``nofile=256`` name; :class:`ChainError` names the known ones."""
    limits: dict[str, int] = {}
    for word in words:
        found = _WORD.fullmatch(word)
        if found is None or found[1] not in _KNOWN:
            raise ChainError(
                f"{word!r} is no limit: NAME=NUMBER or NAME=unlimited",
                hint=f"known limits: {', '.join(sorted(_KNOWN))}",
            )
        limits[found[1]] = resource.RLIM_INFINITY if found[2] == "unlimited" else int(found[2])
    return limits


def restrict(pid: int, limits: Mapping[str, int], nice: int) -> None:
    """Set limits, and the priority unless ``nice`` is 0, of a process of ours.

    :class:`RemoteSetupError` when the system knows one of them not, or does not allow it.
    """
    for name, value in limits.items():
        if name not in _KNOWN:
            raise RemoteSetupError(f"the limit {name!r} is not known there")
        try:
            resource.prlimit(pid, _KNOWN[name], (value, value))
        except (OSError, ValueError) as error:
            raise RemoteSetupError(f"the limit {name}={value} could not be set: {error}") from error
    if nice:
        try:
            os.setpriority(os.PRIO_PROCESS, pid, nice)
        except OSError as error:
            raise RemoteSetupError(f"the priority nice={nice} could not be set: {error}") from error
