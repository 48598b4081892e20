# SPDX-License-Identifier: Apache-2.0
"""A look at another machine before a run relies on it; for ``plainbox remote check``."""

from __future__ import annotations

import time

from plainbox.tasks.connection import Attendance, Connection
from plainbox.tasks.distribution import DistributionArchive
from plainbox.tasks.remote import Remote

__all__ = ["look_at"]


def look_at(remote: Remote) -> dict[str, object]:
    """Connect, and return what there is to know; :class:`PlaceError` when a run would not work. Nothing is left there."""
    connection = Connection(remote, DistributionArchive(None))
    if remote.mode == "shell":
        from plainbox.tasks.shell_connection import ShellConnection

        connection = ShellConnection(remote, DistributionArchive(None))
    try:
        machine = connection.ensure(Attendance())
        began_s = time.monotonic()
        if remote.mode != "shell":
            connection.ask(Attendance(), {"do": "changes"})
        answer_s = time.monotonic() - began_s
    finally:
        connection.close()
    hello = machine.hello
    if remote.mode == "shell":
        return {"user": machine.user, "directory": str(remote.directory), "boot_id": hello.boot_id}
    return {
        "host": hello.host,
        "user": machine.user,
        "python": f"{'.'.join(map(str, hello.python))} ({hello.implementation}, {hello.executable})",
        "directory": str(remote.directory),
        "free_bytes": machine.free_bytes,
        "machine_id": hello.machine_id,
        "boot_id": hello.boot_id,
        "clock_ahead_s": round(hello.clock - time.time() + answer_s, 1),
        "answer_s": round(answer_s, 4),
    }
