# SPDX-License-Identifier: Apache-2.0
"""Another machine as data: where it is, who we are there, and what we run there.

Made by a program, from a section ``[remote:NAME]`` or from a URL. What is in here ends up among the arguments of ``ssh``,
so every value is looked at first: nothing in it can be taken for an option or for a word of a shell. Files of this machine
are looked at when a connection is made, not before: the far end makes the same object, and has other files.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Union
from urllib.parse import unquote, urlsplit

from plainbox.errors import ChainError
from plainbox.tasks.interpreter import Interpreter

if TYPE_CHECKING:
    from plainbox.units.origin import Origin

__all__ = ["CONFIG_VARIABLE", "KEYS", "Remote"]

#: Names the configuration file that ssh reads instead of the user's own, for remotes that name none.
CONFIG_VARIABLE = "PLAINBOX_SSH_CONFIG"
#: What a section can say.
KEYS = (
    "host",
    "port",
    "user",
    "key_file",
    "interpreter",
    "directory",
    "known_hosts",
    "host_keys",
    "mode",
    "ssh_config",
    "connect_timeout",
    "reboot_timeout",
)

#: It outlives a restart of the machine; what we put into it is private.
DEFAULT_DIRECTORY = "/var/tmp"  # noqa: S108
DEFAULT_PORT = 22

_HOST = re.compile(r"(?!-)[A-Za-z0-9._:\[\]-]{1,255}")
_USER = re.compile(r"(?!-)[A-Za-z0-9._-]{1,64}\$?")
_DURATION = re.compile(r"(\d{1,6})\s*(s|m|h|)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
# ssh expands these in the names of files.
_UNFIT = re.compile(r"[\"%$\\\x00-\x1f]")

_Path = Union[str, "os.PathLike[str]"]


class Remote:
    """A machine that is reached by ssh.

    Without ``port`` or ``user`` it is what ssh itself would take, from the user's configuration maybe; the attributes are
    then the usual ones. ``directory`` is where everything of a run is kept there, ``interpreter`` the Python there.
    ``known_hosts`` is a file of keys that are trusted for this machine. In ``mode`` ``shell`` nothing but a shell is needed
    there. With ``accept_new`` the key of a host that is not known yet is trusted and stored.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        user: str | None = None,
        key_file: _Path | None = None,
        interpreter: Interpreter | str | None = None,
        directory: _Path | None = None,
        *,
        known_hosts: _Path | None = None,
        mode: str = "python",
        accept_new: bool = False,
        ssh_config: str | None = None,
        connect_timeout_s: float = 10.0,
        reboot_timeout_s: float = 600.0,
        name: str | None = None,
    ) -> None:
        """Raise :class:`ChainError`, which is a ValueError, for a value that cannot be."""
        if host is None:
            raise ChainError("a remote needs a host")
        if interpreter is None:
            raise ChainError("a remote needs an interpreter", hint="usually it is python3")
        if not _HOST.fullmatch(host):
            raise ChainError(f"{host!r} is no host: letters, digits and . _ - : [ ] make one, and no dash at the start")
        if user is not None and not _USER.fullmatch(user):
            raise ChainError(f"{user!r} is no user: letters, digits and . _ - make one, and no dash at the start")
        if port is not None and not (isinstance(port, int) and 1 <= port <= 65535):
            raise ChainError(f"{port!r} is no port: it goes from 1 to 65535")
        if mode not in ("python", "shell"):
            raise ChainError(f"{mode!r} is no mode: python and shell are")
        self.host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        self.given_port, self.given_user = port, user
        self.port = DEFAULT_PORT if port is None else port
        self.key_file = _own_path(key_file, "key file")
        self.known_hosts = _own_path(known_hosts, "file of known hosts")
        self.interpreter = Interpreter((), interpreter) if isinstance(interpreter, str) else interpreter
        self.directory = PurePosixPath(DEFAULT_DIRECTORY if directory is None else directory)
        if not self.directory.is_absolute() or ".." in self.directory.parts or "\0" in str(self.directory):
            raise ChainError(f"{str(self.directory)!r} is no absolute path of a directory")
        if not self.interpreter.executable or self.interpreter.executable.startswith("-"):
            raise ChainError(f"{self.interpreter.executable!r} is no interpreter")
        self.mode = mode
        self.accept_new = accept_new
        self.ssh_config = ssh_config
        self.connect_timeout_s = connect_timeout_s
        self.reboot_timeout_s = reboot_timeout_s
        self.name = name if name is not None else self.url

    @property
    def user(self) -> str:
        """Who we are there."""
        if self.given_user is not None:
            return self.given_user
        from plainbox.tasks.user import get_current_username

        return get_current_username()

    @property
    def destination(self) -> str:
        """What ssh calls it."""
        return self.host if self.given_user is None else f"{self.given_user}@{self.host}"

    @property
    def url(self) -> str:
        """The way to it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = "" if self.given_user is None else f"{self.given_user}@"
        return f"ssh://{user}{host}" + ("" if self.given_port is None else f":{self.given_port}")

    def __repr__(self) -> str:
        return f"Remote({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if isinstance(other, Remote) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.name, self.url))

    @classmethod
    def from_url(cls, url: str, *, name: str | None = None) -> Remote:
        """Return the remote that ``ssh://[USER@]HOST[:PORT][/DIRECTORY]`` means; :class:`ChainError` when it is none."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ChainError(f"{url!r} is no URL: {error}") from None
        if parts.scheme != "ssh" or not parts.hostname or parts.query or parts.fragment:
            raise ChainError(f"{url!r} is no machine", hint="write ssh://USER@HOST or ssh://USER@HOST:PORT")
        if parts.password is not None:
            raise ChainError("a URL with a password is refused: everybody could read it", hint="use a key")
        directory = unquote(parts.path) if parts.path not in ("", "/") else None
        # What urlsplit calls the host name is in lower case, and an alias of ssh need not be.
        host = parts.netloc.rpartition("@")[2]
        host = host[: host.index("]") + 1] if host.startswith("[") else host.partition(":")[0]
        user = None if parts.username is None else unquote(parts.username)
        return cls(host, port, user, interpreter="python3", directory=directory, name=name or url)

    @classmethod
    def from_section(cls, name: str, values: Mapping[str, str], origin: Origin | None = None) -> Remote:
        """Return the remote that a section describes; :class:`ChainError` with the place of it when it does not.

        Names of files are relative to the configuration file.
        """
        try:
            return _Section(name, values, origin).remote()
        except ChainError as error:
            raise ChainError(f"[remote:{name}] {error.message}", origin=origin, hint=error.hint) from None

    def check_files(self) -> None:
        """Raise :class:`ChainError` unless the key file, if one is named, is a private file of this user."""
        if self.key_file is None:
            return
        try:
            found = os.stat(self.key_file)
        except OSError as error:
            raise ChainError(f"{self.name}: the key file {self.key_file} cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(found.st_mode):
            raise ChainError(f"{self.name}: the key file {self.key_file} is no file")
        if found.st_uid != os.geteuid():
            raise ChainError(f"{self.name}: the key file {self.key_file} belongs to somebody else")
        if found.st_mode & 0o077:
            raise ChainError(
                f"{self.name}: others can use the key file {self.key_file}", hint=f"chmod 600 {self.key_file}"
            )


class _Section:
    """Reads the texts of one section."""

    def __init__(self, name: str, values: Mapping[str, str], origin: Origin | None) -> None:
        self._name = name
        self._base = Path(getattr(origin, "source", None) or ".").parent
        self._values = {}
        for key, value in values.items():
            known = key.lower().replace("-", "_")
            known = "host_keys" if known in ("stricthostkeychecking", "strict_host_key_checking") else known
            if known not in KEYS:
                from plainbox.tasks.registry import unknown

                raise unknown("setting", key, KEYS)
            self._values[known] = value.strip()

    def remote(self) -> Remote:
        values = self._values
        port = values.get("port")
        if port is not None and not re.fullmatch(r"[0-9]{1,5}", port):
            raise ChainError(f"{port!r} is no port: it goes from 1 to 65535")
        return Remote(
            host=values.get("host"),
            port=None if port is None else int(port),
            user=values.get("user"),
            key_file=self._path("key_file"),
            interpreter=values.get("interpreter", "python3"),
            directory=values.get("directory"),
            known_hosts=self._path("known_hosts"),
            mode=values.get("mode", "python"),
            accept_new=self._accepts_new(),
            ssh_config="none" if values.get("ssh_config") == "none" else _text(self._path("ssh_config")),
            connect_timeout_s=self._seconds("connect_timeout", 10.0),
            reboot_timeout_s=self._seconds("reboot_timeout", 600.0),
            name=self._name,
        )

    def _path(self, key: str) -> Path | None:
        value = self._values.get(key)
        return None if not value else self._base / os.path.expanduser(value)

    def _accepts_new(self) -> bool:
        value = self._values.get("host_keys", "strict").lower()
        if value not in ("strict", "yes", "accept-new"):
            raise ChainError(
                f"host_keys = {value}: whoever answers would be believed to be this machine",
                hint="write strict, and trust the key with: plainbox remote trust; or accept-new",
            )
        return value == "accept-new"

    def _seconds(self, key: str, default: float) -> float:
        value = self._values.get(key)
        if value is None:
            return default
        found = _DURATION.fullmatch(value)
        if found is None or int(found[1]) == 0:
            raise ChainError(f"{key} = {value!r} is no duration such as 30s or 10m")
        return float(found[1]) * _SECONDS[found[2]]


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _own_path(value: _Path | None, what: str) -> Path | None:
    if value is None:
        return None
    path = Path(os.path.abspath(os.path.expanduser(value)))
    if _UNFIT.search(str(path)):
        raise ChainError(f"the {what} {str(path)!r} has a name that ssh would change")
    return path
