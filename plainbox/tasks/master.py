# SPDX-License-Identifier: Apache-2.0
"""The process here that holds the connection to another machine: ``ssh`` as the master of those that share it.

An ordinary child of this process, in its session and in a process group of its own: no job is taken for its parent, and
an interrupt from the terminal does not reach it. It ends by itself when its input does, which no death of this process
can prevent; its socket is in a short private directory of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress

from plainbox.errors import SshConnectError
from plainbox.processes import read_stat
from plainbox.tasks.identity import ProcessIdentity, name_of_owner
from plainbox.tasks.link import Link

__all__ = ["Master", "SocketDirectory"]

#: The far end waits for its workers, and removes what is there.
LEAVE_S = 25.0
#: The kernel takes 108 bytes, and ssh puts 17 behind the name for a moment.
LONGEST_SOCKET = 88
PREFIX = "plainbox-ssh-"


class SocketDirectory:
    """A private directory for one socket."""

    def __init__(self) -> None:
        bases = (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp")  # noqa: S108 - made private
        prefix = name_of_owner(PREFIX)
        for base in bases:
            if not os.path.isdir(base) or not os.access(base, os.W_OK) or "%" in base:
                continue
            if len(os.fsencode(os.path.join(base, prefix))) + len("12345678/s") <= LONGEST_SOCKET:
                self.path = tempfile.mkdtemp(prefix=prefix, dir=base)
                return
        raise SshConnectError("there is no directory with a name short enough for the socket of ssh")

    @property
    def socket(self) -> str:
        return os.path.join(self.path, "s")

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


class Master(Link):
    """A started ssh with three pipes. Close it in any case."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        try:
            self.process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=dict(environment),
                process_group=0,
            )
        except OSError as error:
            raise SshConnectError(
                f"{argv[0]} could not be started: {error.strerror}", hint="install OpenSSH"
            ) from error
        stat = read_stat(self.process.pid)
        ticks = 0 if stat is None else stat.start_ticks
        self._identity = ProcessIdentity(self.process.pid, self.process.pid, ticks)

    @property
    def identity(self) -> ProcessIdentity:
        return self._identity

    def close(self, *, hurried: bool = False) -> None:
        """End the connection: the far end tidies up and is gone, and so is ssh; when that takes too long, it is ended."""
        with suppress(OSError):
            self.stdin.close()
        for end, wait_s in ((self.process.terminate, 1.0 if hurried else LEAVE_S), (self.process.kill, 2.0)):
            try:
                self.process.wait(wait_s)
                break
            except subprocess.TimeoutExpired:
                end()
        self.process.wait()
        self._close_pipes()
