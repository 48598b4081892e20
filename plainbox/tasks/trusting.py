# SPDX-License-Identifier: Apache-2.0
"""Looking at the key of a host before anybody relies on it, and writing down that somebody does.

Called by ``plainbox remote trust``. Nothing is run on the host, and nobody logs in there: the key is what it shows to
everyone.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from plainbox.errors import SshConnectError
from plainbox.tasks.remote import Remote
from plainbox.tasks.ssh import error_of, fingerprint, own_known_hosts, ssh_environment, trust_words

__all__ = ["HostKey", "shown_keys", "trust"]

LIMIT_S = 30.0


class HostKey:
    """A key as a line of known hosts says it."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.hosts, self.kind, self.data = line.split()[:3]

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.line)


def shown_keys(remote: Remote) -> list[HostKey]:
    """Return the keys that the host shows now; :class:`PlaceError` when it cannot be reached."""
    with tempfile.TemporaryDirectory(prefix="plainbox-keys-") as directory:
        file = Path(directory, "known_hosts")
        try:
            done = subprocess.run(
                trust_words(remote, file),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="backslashreplace",
                env=ssh_environment(),
                timeout=remote.connect_timeout_s + LIMIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SshConnectError(f"{remote.name}: ssh did not come to an end: {error}") from error
        try:
            lines = file.read_text("utf-8", "replace").splitlines()
        except OSError:
            raise error_of(remote, done.stderr, done.returncode) from None
    return [HostKey(line) for line in lines if len(line.split()) >= 3]


def trust(remote: Remote, keys: list[HostKey]) -> Path:
    """Write keys into the file of known hosts of the remote, in place of others of the host, and return the file."""
    path = remote.known_hosts or own_known_hosts()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        before = path.read_text("utf-8", "surrogateescape").splitlines()
    except FileNotFoundError:
        before = []
    hosts = {key.hosts for key in keys}
    lines = [line for line in before if line.split()[:1] == [] or line.split()[0] not in hosts]
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=".known_hosts-")
    try:
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write("".join(f"{line}\n" for line in [*lines, *(key.line for key in keys)]))
            file.flush()
            os.fsync(file.fileno())
        os.rename(aside, path)
    except BaseException:
        os.unlink(aside)
        raise
    return path
