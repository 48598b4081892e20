# SPDX-License-Identifier: Apache-2.0
"""Programs of other users: how a process becomes another account, and what that takes from beginning to end.

:func:`way_to` is called by the local place for every program that names a user. There are two ways: root becomes the
other account by itself, everybody else asks sudo. What must stay true:

* The password is known to this process and to sudo alone: it travels on the standard input of sudo, and appears in no
  argument, no variable, no file and no message.
* Variables of the job travel the same way, for everybody can read the arguments of sudo.
* No file of ours is opened to others by a name that they can guess.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import signal
import stat
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from plainbox.errors import JobStartError

__all__ = ["SUDO", "Account", "Sudo", "Way", "account_of", "is_own_user", "way_to"]

LIMIT_S = 30.0
TRIES = 3

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Of a directory: others find in it what they know the name of.
_PASSABLE = stat.S_IRWXU | stat.S_IXGRP | stat.S_IXOTH
_SILENT = ("--non-interactive",)
_TYPED = ("--stdin", "--reset-timestamp", "--prompt", "")
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What comes before the marker is a password that sudo did not ask for, after all. Then come the variables.
_BEGIN = (
    'while IFS= read -r REPLY && [ "$REPLY" != "$1" ]; do :; done; shift; unset REPLY; '
    'eval "$(cat)" || exit 125; exec "$@" </dev/null'
)


@dataclass(frozen=True)
class Account:
    """What the system knows about a user."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return what a program of this user gets of the variables that are meant for it."""
        own = {"HOME": self.home, "USER": self.name, "LOGNAME": self.name, "SHELL": self.shell or "/bin/sh"}
        if self.uid == 0:
            # Root's programs are where many users do not look.
            words = [word for word in environment.get("PATH", os.defpath).split(os.pathsep) if word]
            words += [word for word in _SYSTEM_PATH.split(":") if word not in words]
            own["PATH"] = os.pathsep.join(words)
        return {**environment, **own}


def account_of(user: str) -> Account:
    """Return the account of this name; :class:`JobStartError` when there is none."""
    import pwd

    try:
        found = pwd.getpwnam(user)
    except (KeyError, ValueError):
        raise JobStartError(f"the job runs as {user!r}, who is not known here") from None
    return Account(found.pw_name, found.pw_uid, found.pw_gid, found.pw_dir, found.pw_shell)


def is_own_user(user: str) -> bool:
    """Tell whether this process runs as ``user``."""
    try:
        return account_of(user).uid == os.geteuid()
    except JobStartError:
        return False


class Way:
    """Becomes another account without asking anybody, as root can. What root may do anyway takes nothing."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def words(self, argv: Sequence[str]) -> tuple[str, ...]:
        """Return what runs ``argv`` as the account, in the same process."""
        setpriv = shutil.which("setpriv", path=_SYSTEM_PATH)
        if setpriv is None:
            raise JobStartError(
                f"the job runs as {self.account.name!r}, and there is no setpriv to become that user",
                hint="install util-linux",
            )
        ids = (f"--reuid={self.account.uid}", f"--regid={self.account.gid}", "--init-groups")
        return (setpriv, *ids, "--", *argv)

    def first_input(self, environment: Mapping[str, str]) -> bytes | None:
        """Return what these words read before they become the program: nothing."""
        return None

    def hand_over(self, path: str) -> None:
        """Make a new file or directory usable by the account."""
        os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)

    def let_through(self, directory: str) -> None:
        """Let the account reach what is handed over in ``directory``, by its name.

        :class:`JobStartError` when a directory above keeps it out.
        """
        _check_passable(self.account, directory)
        os.chmod(directory, _PASSABLE)

    def hand_over_open(self, descriptor: int) -> None:
        """Let the account open an open pipe or terminal anew, as a program does that writes to /dev/stderr."""
        os.fchown(descriptor, self.account.uid, self.account.gid)

    def signal(self, number: int, pids: Sequence[int]) -> None:
        """Send a signal to processes (a negative number is a group) that are protected from us: nobody is."""

    def remove(self, path: str) -> None:
        """Remove what is below ``path`` and protected from us: nothing is."""


class _BySudo(Way):
    """Becomes another account by sudo, which has been found to work."""

    def __init__(self, account: Account, sudo: Sudo) -> None:
        super().__init__(account)
        self._sudo = sudo
        self._marker = secrets.token_hex(16)

    def words(self, argv: Sequence[str]) -> tuple[str, ...]:
        return (*self._sudo.words(self.account.name), "/bin/sh", "-c", _BEGIN, "plainbox", self._marker, *argv)

    def first_input(self, environment: Mapping[str, str]) -> bytes | None:
        lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items() if _plain(name)]
        text = "\n".join((self._marker, *lines, ""))
        return self._sudo.password_line(self.account.name) + text.encode("utf-8", "surrogateescape")

    def hand_over(self, path: str) -> None:
        if self.account.uid != 0:
            # It cannot be given away. Its name is the key to it.
            mode = os.lstat(path).st_mode
            os.chmod(path, mode | 0o077 if stat.S_ISDIR(mode) else mode | 0o066)

    def let_through(self, directory: str) -> None:
        if self.account.uid != 0:
            super().let_through(directory)

    def hand_over_open(self, descriptor: int) -> None:
        if self.account.uid != 0:
            os.fchmod(descriptor, 0o622)

    def signal(self, number: int, pids: Sequence[int]) -> None:
        self._sudo.signal(self.account.name, number, pids)

    def remove(self, path: str) -> None:
        self._sudo.run(self.account.name, ("rm", "-rf", "--", path))


def _check_passable(account: Account, directory: str) -> None:
    for above in reversed(Path(directory).absolute().parents):
        found = os.stat(above)
        mode = found.st_mode
        passable = (
            mode & stat.S_IXUSR
            if found.st_uid == account.uid
            else mode & stat.S_IXGRP
            if found.st_gid == account.gid
            else mode & stat.S_IXOTH
        )
        if not passable:
            raise JobStartError(
                f"the job runs as {account.name!r}, who cannot reach {above}, where the files of jobs are",
                hint="set TMPDIR to a directory that everybody can pass",
            )


def _plain(name: str) -> bool:
    return _SHELL_NAME.fullmatch(name) is not None


class Sudo:
    """What sudo lets this process do, found out once for each user; safe to use from several threads.

    ``ask`` is given the user that a program is to become, and what sudo has said to the last password that was typed; it
    returns a password, None when nobody gives one. Without it nobody is asked.
    """

    def __init__(self) -> None:
        self.ask: Callable[[str, str | None], str | None] | None = None
        self._password: bytes | None = None
        self._given_up = False
        self._answers: dict[str, str | None] = {}
        self._with_password: set[str] = set()
        self._lock = threading.RLock()

    def trouble(self, user: str) -> str | None:
        """Return why this process cannot run programs as ``user``, None when it can. May ask for the password, once."""
        with self._lock:
            if user not in self._answers:
                self._answers[user] = self._look(user)
            return self._answers[user]

    def works_silently(self, user: str) -> tuple[bool, str]:
        """Tell whether sudo lets this process become ``user`` without a password, and what it says if not."""
        if self._program() is None:
            return False, "sudo is not installed"
        # Without what is left of an earlier password: that would work now, and not in an hour.
        said = self._refusal(("--non-interactive", "--reset-timestamp", "--user", user, "--", "true"), b"")
        return said is None, said or ""

    def words(self, user: str) -> tuple[str, ...]:
        """Return the words that what runs as ``user`` comes behind."""
        return (self._program() or "sudo", *(_TYPED if user in self._with_password else _SILENT), "--user", user, "--")

    def password_line(self, user: str) -> bytes:
        """Return what these words must find on their standard input first."""
        return self._password + b"\n" if user in self._with_password and self._password is not None else b""

    def run(self, user: str, argv: Sequence[str]) -> None:
        """Run a small program as ``user``; whether it has worked shows in what it was to do."""
        self._refusal((*self.words(user)[1:], *argv), self.password_line(user))

    def signal(self, user: str, number: int, pids: Sequence[int]) -> None:
        """Send a signal as ``user``; a negative number is a process group."""
        # The kill of the shell: there is not everywhere another one.
        name = signal.Signals(number).name[3:]
        self.run(user, ("/bin/sh", "-c", 'kill -s "$@"', "sh", name, "--", *map(str, pids)))

    def _look(self, user: str) -> str | None:
        works, said = self.works_silently(user)
        if works:
            return None
        if self._program() is None:
            return said
        if self._password is not None and self._refuses(user, self._password) is None:
            return None
        if self._given_up:
            return "sudo was given no password that it takes"
        if self.ask is None:
            return f"sudo does not do that without a password, and nobody is asked for one ({said})"
        refused = None
        for _ in range(TRIES):
            typed = self.ask(user, refused)
            if typed is None:
                break
            password = typed.encode("utf-8", "surrogateescape")
            refused = self._refuses(user, password)
            if refused is None:
                self._password = password
                return None
        # Nobody wants to be asked again by each of a hundred jobs.
        self._given_up = True
        return "sudo was given no password that it takes" + (f" ({refused})" if refused else "")

    def _refuses(self, user: str, password: bytes) -> str | None:
        """Return why sudo does not take a password, None when it does; then it is the one for this user."""
        said = self._refusal((*_TYPED, "--user", user, "--", "true"), password + b"\n")
        if said is None:
            self._with_password.add(user)
        return said

    def _refusal(self, words: Sequence[str], given: bytes) -> str | None:
        """Run sudo, and return None when it has ended well, else what it says."""
        program = self._program()
        if program is None:
            return "sudo is not installed"
        try:
            process = subprocess.Popen(
                (program, *words),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C"},
            )
            _, said = process.communicate(given, timeout=LIMIT_S)
        except OSError as error:
            return f"sudo could not be started: {error.strerror}"
        except subprocess.TimeoutExpired:
            # It belongs to root: it cannot be ended from here, only be left alone.
            return f"sudo has not ended after {LIMIT_S:g} s"
        if process.returncode == 0:
            return None
        lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
        return lines[-1] if lines else f"sudo has ended with code {process.returncode}"

    @staticmethod
    def _program() -> str | None:
        return shutil.which("sudo")


#: The sudo of this process.
SUDO = Sudo()


def way_to(user: str | None) -> Way | None:
    """Return how a program becomes ``user``, None when this process runs as that user, or when no user is named.

    :class:`JobStartError` when there is no way.
    """
    if user is None:
        return None
    account = account_of(user)
    if account.uid == os.geteuid():
        return None
    if os.geteuid() == 0:
        return Way(account)
    trouble = SUDO.trouble(account.name)
    if trouble is not None:
        raise JobStartError(
            f"the job runs as {user!r}, and {trouble}",
            hint=f"run plainbox as {user}, or let sudo work without a password",
        )
    return _BySudo(account, SUDO)
