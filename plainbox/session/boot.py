# SPDX-License-Identifier: Apache-2.0
"""Which start of the machine is this?

Used when a session is opened (who owns the lock), when a job starts (what to record about it) and on resume (did the
machine restart). The wall clock is never consulted where the kernel tells the boot.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import attrs

from plainbox.processes import process_start_ticks

__all__ = ["BootIdentity", "boot_id", "boot_identity"]

_KERNEL_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_PROC: Final = Path("/proc")


@attrs.frozen
class BootIdentity:
    """``id`` is equal exactly as long as the machine, or the container, has not been started again.

    A ``weak`` identity comes from the boot time alone: two different values may still mean the same boot when the
    clock was set in between.
    """

    id: str
    weak: bool = False


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def _boot_time_s() -> int:
    for line in (_PROC / "stat").read_bytes().splitlines():
        if line.startswith(b"btime "):
            return int(line.split()[1])
    return 0


def boot_identity() -> BootIdentity:
    """Return the identity of this boot.

    The kernel's boot id alone is the same for every start of a container on one machine, so the start time of process
    1 belongs to the identity. ``PLAINBOX_BOOT_ID_FILE`` names a file whose content replaces both.
    """
    override = os.environ.get("PLAINBOX_BOOT_ID_FILE")
    if override:
        return BootIdentity(_digest(Path(override).read_text(encoding="utf-8", errors="replace").strip()))
    try:
        kernel = _KERNEL_BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        kernel = ""
    if kernel:
        return BootIdentity(_digest(f"{kernel} {process_start_ticks(1)}"))
    try:
        boot_time_s = _boot_time_s()
    except (OSError, ValueError):
        boot_time_s = 0
    # The kernel derives this figure from the wall clock, so it wanders by a second or so.
    return BootIdentity(_digest(f"btime {round(boot_time_s, -1)}"), weak=True)


def boot_id() -> str:
    """Return the 16 hex digits of :func:`boot_identity`."""
    return boot_identity().id
