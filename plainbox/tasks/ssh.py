# SPDX-License-Identifier: Apache-2.0
"""The words that start ``ssh``, and what the words that it leaves behind mean.

The user's configuration of ssh (keys, aliases, jump hosts) counts; what is fixed here stands in front of it and wins. The
destination comes after ``--``, and what runs there is one text in which every word is quoted for a shell.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plainbox.errors import PlaceError, SshAuthError, SshConnectError, SshHostKeyError
from plainbox.tasks.remote import CONFIG_VARIABLE

if TYPE_CHECKING:
    from plainbox.tasks.remote import Remote

__all__ = [
    "client_words",
    "direct_words",
    "error_of",
    "fingerprint",
    "master_words",
    "own_known_hosts",
    "remote_text",
    "ssh_environment",
    "trust_words",
    "trusted_keys",
]

_FIXED = {
    "BatchMode": "yes",
    "ConnectionAttempts": "1",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "3",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "ClearAllForwardings": "yes",
    "PermitLocalCommand": "no",
    "RequestTTY": "no",
    "UpdateHostKeys": "no",
    "LogLevel": "ERROR",
}
_SYSTEM_FILES = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_HOST_KEY = re.compile(
    r"Host key verification failed|IDENTIFICATION HAS CHANGED|host key .* has changed|No .*host key is known"
)
_AUTH = re.compile(
    r"Permission denied|Too many authentication failures|No supported authentication|not allowed at this time"
)


def master_words(remote: Remote, socket: str, words: Sequence[str]) -> list[str]:
    """Return what starts the connection that all executions of a run share; it runs ``words`` and lasts as long."""
    return _words(remote, {"ControlMaster": "yes", "ControlPersist": "no"}, socket, remote_text(words))


def client_words(remote: Remote, socket: str, words: Sequence[str]) -> list[str]:
    """Return what runs ``words`` over the shared connection, and over nothing else when that is gone."""
    return _words(remote, {"ControlMaster": "no", "ProxyCommand": "exit 255"}, socket, remote_text(words))


def direct_words(remote: Remote, words: Sequence[str]) -> list[str]:
    """Return what runs ``words`` over a connection of their own."""
    return _words(remote, {"ControlMaster": "no"}, "none", remote_text(words))


def trust_words(remote: Remote, known_hosts: Path) -> list[str]:
    """Return what writes the key of the host into a file and does nothing else there."""
    options = {
        "ControlMaster": "no",
        "StrictHostKeyChecking": "accept-new",
        "UserKnownHostsFile": f'"{known_hosts}"',
        "GlobalKnownHostsFile": "none",
        "PreferredAuthentications": "none",
        "HashKnownHosts": "no",
    }
    return _words(remote, options, "none", "exit 0")


def remote_text(words: Sequence[str]) -> str:
    """Return the one text that a shell there takes apart into exactly these words."""
    return "exec " + " ".join(map(shlex.quote, words))


def own_known_hosts() -> Path:
    """Return the file of keys that Plainbox was told to trust."""
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".local" / "share") / "plainbox" / "known_hosts"


def trusted_keys(remote: Remote) -> set[str]:
    """Return the fingerprints of the keys that a host which is not known yet would be added to."""
    if not remote.accept_new:
        return set()
    try:
        lines = (remote.known_hosts or own_known_hosts()).read_text("utf-8", "replace").splitlines()
    except OSError:
        return set()
    return {fingerprint(line) for line in lines if len(line.split()) >= 3}


def fingerprint(line: str) -> str:
    """Return the fingerprint of the key in a line of known hosts, as ssh writes it."""
    try:
        digest = hashlib.sha256(base64.b64decode(line.split()[2])).digest()
    except (ValueError, IndexError):
        return ""
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def ssh_environment() -> dict[str, str]:
    """Return the environment of ssh here: without the words about our language, which it might send along."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("LANG", "LANGUAGE") and not name.startswith("LC_")
    }


def error_of(remote: Remote, words: str, exit_code: int | None) -> PlaceError:
    """Return the error that tells why there is no connection, by the last words of ssh."""
    where = f"{remote.name} ({remote.destination}, port {remote.given_port})" if remote.given_port else remote.name
    said = _last_line(words)
    if _HOST_KEY.search(words):
        changed = "HAS CHANGED" in words or "has changed" in words
        fingerprint = _FINGERPRINT.search(words)
        which = f": {fingerprint[0]}" if fingerprint is not None else ""
        if changed:
            return SshHostKeyError(
                f"{where}: another host key than the one that is known{which}",
                hint="somebody else may be answering; if the machine has a new key, remove the old one from "
                f"{remote.known_hosts or own_known_hosts()} and run: plainbox remote trust {remote.name}",
            )
        return SshHostKeyError(
            f"{where}: the host key is not known{which}",
            hint=f"look at it and trust it: plainbox remote trust {remote.name}",
        )
    if _AUTH.search(words):
        return SshAuthError(
            f"{where}: it does not let us in as {remote.user}: {said}",
            hint="name a key with key_file, or load it into the agent; nobody is asked for a password here",
        )
    code = "" if exit_code is None else f" (ssh ended with code {exit_code})"
    return SshConnectError(
        f"{where}: no connection: {said or 'ssh said nothing'}{'' if said else code}",
        hint="check that the machine is on, and its name and port",
    )


def _words(remote: Remote, options: dict[str, str], socket: str, text: str) -> list[str]:
    strict = "accept-new" if remote.accept_new else "yes"
    every = {**_FIXED, "ConnectTimeout": str(max(1, int(remote.connect_timeout_s))), **options}
    every.setdefault("StrictHostKeyChecking", strict)
    for key, value in _files(remote).items():
        every.setdefault(key, value)
    if remote.key_file is not None:
        every["IdentitiesOnly"] = "yes"
    words = ["ssh", "-T"]
    config = remote.ssh_config or os.environ.get(CONFIG_VARIABLE)
    if config:
        words += ["-F", config]
    words += [f"-o{key}={value}" for key, value in sorted(every.items())]
    if remote.given_port is not None:
        words += ["-p", str(remote.given_port)]
    if remote.key_file is not None:
        words += ["-i", str(remote.key_file)]
    return [*words, "-S", socket, "--", remote.destination, text]


def _files(remote: Remote) -> dict[str, str]:
    if remote.known_hosts is not None:
        return {"UserKnownHostsFile": f'"{remote.known_hosts}"', "GlobalKnownHostsFile": "none"}
    own = str(own_known_hosts())
    if re.search(r'["\\\n]', own):
        return {}
    # Beside the files of the user: naming those here would take the place of what the user's configuration names.
    system = {"GlobalKnownHostsFile": " ".join([*_SYSTEM_FILES, f'"{own}"'])}
    return {**system, "UserKnownHostsFile": f'"{own}"'} if remote.accept_new and "%" not in own else system


def _last_line(words: str) -> str:
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return lines[-1] if lines else ""
