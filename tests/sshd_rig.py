# SPDX-License-Identifier: Apache-2.0
"""A real OpenSSH server on the loopback, for tests of executions on other machines.

It listens on a free port with keys of its own, lets in the user that runs the tests and nobody else, and knows nothing of
that user's files: neither ``~/.ssh`` nor the system's settings are read or written. Use it as a context manager; leaving
it ends the server and every connection that it has accepted.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

__all__ = ["SshServer", "serving"]

_SETTINGS = """
Port {port}
ListenAddress 127.0.0.1
HostKey {base}/host_key
PidFile {base}/sshd.pid
AuthorizedKeysFile {base}/authorized_keys
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
PrintMotd no
MaxStartups 100:30:200
MaxSessions 100
AllowUsers {user}
AcceptEnv none
Subsystem sftp internal-sftp
{more}
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _make_key(path: Path) -> None:
    path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path], check=True)


class SshServer:
    """One server. ``key_file`` is the key that it lets in, ``known_hosts`` a file with its own."""

    def __init__(self, base: Path, more: str = "") -> None:
        program = shutil.which(
            "sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
        )
        assert program is not None, "these tests need sshd: make debian-packages installs it (openssh-server)"
        self._program = program
        self.base = base
        self.more = more
        self.user = getpass.getuser()
        self.port = _free_port()
        self.key_file = base / "user_key"
        self.known_hosts = base / "known_hosts"
        self._process: subprocess.Popen[bytes] | None = None
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_key(self.key_file)
        shutil.copy(base / "user_key.pub", base / "authorized_keys")
        self.change_host_key()
        self.trust()

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def url(self) -> str:
        return f"ssh://{self.user}@{self.host}:{self.port}"

    @property
    def log(self) -> str:
        """What the server has said."""
        return (self.base / "log").read_text("utf-8", "replace")

    def change_host_key(self) -> None:
        """Give the server another identity; it counts from the next start on."""
        _make_key(self.base / "host_key")

    def trust(self) -> None:
        """Write the key that the server has now, and nothing else, into ``known_hosts``."""
        key = " ".join((self.base / "host_key.pub").read_text("ascii").split()[:2])
        self.known_hosts.write_text(f"[{self.host}]:{self.port} {key}\n", "ascii")

    def start(self) -> None:
        """Start to listen; returns when connections are accepted."""
        assert self._process is None
        if os.geteuid() == 0:
            # Where the server puts itself before anybody has logged in.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        settings = self.base / "sshd_config"
        settings.write_text(
            _SETTINGS.format(port=self.port, base=self.base, user=self.user, more=self.more), encoding="utf-8"
        )
        with (self.base / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-D", "-e", "-f", settings], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        for _ in range(500):
            with suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
                return
            assert self._process.poll() is None, self.log
            time.sleep(0.02)
        raise AssertionError(f"sshd does not listen: {self.log}")

    def stop(self) -> None:
        """End the server and its connections at once, as a machine that goes down would; jobs that have left stay."""
        process, self._process = self._process, None
        if process is None:
            return
        for part in self._parts(psutil.Process(process.pid)):
            with suppress(psutil.NoSuchProcess):
                part.send_signal(signal.SIGKILL)
        process.wait()

    def freeze(self, frozen: bool) -> None:
        """Let the server and its connections say nothing any more, or go on: a cable that is out, and in again."""
        assert self._process is not None
        for part in self._parts(psutil.Process(self._process.pid)):
            with suppress(psutil.NoSuchProcess):
                part.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def sessions(self) -> list[psutil.Process]:
        """Return the processes that the server has started for those who are logged in."""
        assert self._process is not None
        everybody = psutil.Process(self._process.pid).children(recursive=True)
        return [part for part in everybody if not _is_server(part)]

    @staticmethod
    def _parts(server: psutil.Process) -> list[psutil.Process]:
        return [server, *filter(_is_server, server.children(recursive=True))]


def _is_server(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("sshd")
    except psutil.NoSuchProcess:
        return False


@contextmanager
def serving(base: Path, more: str = "") -> Iterator[SshServer]:
    """Run a server until the block is left."""
    server = SshServer(base, more)
    server.start()
    try:
        yield server
    finally:
        server.stop()
