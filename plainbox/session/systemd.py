# SPDX-License-Identifier: Apache-2.0
"""The unit with which systemd goes on with a session: its text, its place, and how values are written for systemd.

The template comes with the package; :class:`ResumeUnit` fills it in for one repository and one user and puts it where the
system manager or that of the user finds it. Nothing here talks to a running manager: files are all that it needs.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Final, Literal, TypeAlias

import attrs

from plainbox import dirs
from plainbox.errors import UsageError
from plainbox.session.atomic import remove_file, write_file
from plainbox.session.directory import SUFFIX, make_private_directories
from plainbox.session.files import FileOps

__all__ = [
    "MARK_NAME",
    "RESUME_ENVIRONMENT",
    "ResumeUnit",
    "Scope",
    "environment_file",
    "escape_instance",
    "own_command",
    "unescape_instance",
    "user_name",
]

Scope: TypeAlias = Literal["system", "user"]

#: In the session directory: the variables with which the session goes on.
RESUME_ENVIRONMENT: Final = "resume.env"
#: In the session directory: says that the watchdog of systemd has ended the last tester, which had hung.
MARK_NAME: Final = "watchdog-mark"

_TEMPLATE = Path(__file__).parent.parent / "data" / "plainbox-resume@.service"
_PREFIX: Final = "plainbox-resume@"
_SERVICE: Final = ".service"
#: Scope -> the unit that wants the instances, and those that they come after when something else starts them.
_TARGETS: Final = {
    "system": ("multi-user.target", "local-fs.target network-online.target"),
    "user": ("default.target", "basic.target"),
}
_MARK_COMMAND = 'test "$SERVICE_RESULT" != watchdog || : > "$0"'


def own_command() -> list[str]:
    """Return the words that start this program again, wherever that happens."""
    return [os.path.abspath(sys.executable), "-P", "-m", "plainbox.cli.main"]


@attrs.frozen
class ResumeUnit:
    """The template unit of one scope. ``root`` is the directory that the system's files lie below."""

    scope: Scope
    root: str = "/"

    @property
    def directory(self) -> str:
        """Where the scope keeps its units."""
        home = "/etc" if self.scope == "system" else str(dirs.configuration_directories()[0])
        return os.path.join(self.root, home.lstrip("/"), "systemd", self.scope)

    @property
    def path(self) -> str:
        """The file of the template."""
        return os.path.join(self.directory, _PREFIX + _SERVICE)

    @property
    def wants(self) -> str:
        """The directory whose links say which instances start with the machine."""
        return os.path.join(self.directory, f"{_TARGETS[self.scope][0]}.wants")

    def link(self, session_id: str) -> str:
        """Return the path of the link that enables the instance of a session."""
        return os.path.join(self.wants, _PREFIX + escape_instance(session_id) + _SERVICE)

    @property
    def link_target(self) -> str:
        """What such a link holds: right also below another root."""
        return os.path.join("..", _PREFIX + _SERVICE)

    def armed(self) -> list[str]:
        """Return the ids of the sessions whose instances are enabled."""
        try:
            names = os.listdir(self.wants)
        except OSError:
            return []
        return sorted(
            unescape_instance(name.removeprefix(_PREFIX).removesuffix(_SERVICE))
            for name in names
            if name.startswith(_PREFIX) and name.endswith(_SERVICE) and name != _PREFIX + _SERVICE
        )

    def text(self, repository: str) -> str:
        """Return the unit for the sessions in ``repository``, run by this user with this program."""
        repository = _checked(os.path.abspath(repository))
        target, after = _TARGETS[self.scope]
        session = f"%I{SUFFIX}"
        values = {
            "AFTER": after,
            "MOUNTS": _mounts(repository),
            "SESSION": f"{_percent(repository)}/{session}",
            "USER": user_name(),
            "ENVIRONMENT": f"{_percent(_no_pattern(repository))}/{session}/{RESUME_ENVIRONMENT}",
            "COMMAND": _command([*own_command(), "resume", "--auto"], "%I"),
            "MARK": _command(["/bin/sh", "-c", _MARK_COMMAND], f"{_in_quotes(repository)}/{session}/{MARK_NAME}"),
            "TARGET": target,
        }
        text = _TEMPLATE.read_text(encoding="utf-8")
        if self.scope == "user":
            text = text.replace("User=@USER@\n", "")
        return re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], text)

    def installed(self) -> str | None:
        """Return the text of the installed unit, ``None`` when there is none that can be read."""
        try:
            return Path(self.path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def serves(self, repository: str) -> bool:
        """Tell whether the installed unit is for the sessions of this repository."""
        wanted = f"RequiresMountsFor={_mounts(os.path.abspath(repository))}"
        return wanted in (self.installed() or "").splitlines()

    def install(self, repository: str, files: FileOps) -> None:
        """Write the unit, durably; errors are those of the system."""
        text = self.text(repository)
        make_private_directories(files, self.directory)
        write_file(files, os.path.realpath(self.directory), os.path.basename(self.path), text.encode(), mode=0o644)

    def remove(self, files: FileOps) -> bool:
        """Remove the unit and disable all its instances; return whether there was anything."""
        links = [remove_file(files, self.link(session_id)) for session_id in self.armed()]
        # What is not there is not removed: a file system that is mounted read-only refuses even that.
        return (os.path.lexists(self.path) and remove_file(files, self.path)) or any(links)


def escape_instance(text: str) -> str:
    """Return a text as part of the name of a unit, as ``systemd-escape`` does."""
    escaped = []
    for number, byte in enumerate(os.fsencode(text)):
        character = chr(byte)
        if character == "/":
            escaped.append("-")
        elif character.isascii() and (character.isalnum() or character in ":_" or (character == "." and number)):
            escaped.append(character)
        else:
            escaped.append(f"\\x{byte:02x}")
    return "".join(escaped)


def unescape_instance(text: str) -> str:
    """Return what :func:`escape_instance` has escaped."""
    raw = re.sub(
        rb"\\x([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), os.fsencode(text.replace("-", "/"))
    )
    return os.fsdecode(raw)


def environment_file(variables: dict[str, str]) -> str:
    """Return the text of an ``EnvironmentFile=``, which a shell reads in the same way.

    What systemd would refuse is left out: names that no shell knows, values with control characters or that are no text.
    """
    lines = []
    for name, value in sorted(variables.items()):
        plain = value.replace("\n", "").replace("\t", "")
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and _is_text(plain):
            lines.append('{}="{}"\n'.format(name, re.sub(r'([\\"`$])', r"\\\1", value)))
    return "".join(lines)


def _is_text(text: str) -> bool:
    """Tell whether a text can be written as UTF-8 and has no control characters."""
    return not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", text)


def _checked(path: str) -> str:
    if not _is_text(path):
        raise UsageError(
            f"{path!r} cannot be named in a systemd unit", hint="PLAINBOX_SESSION_REPO names another place"
        )
    return path


def _percent(text: str) -> str:
    """Return a text in which systemd finds nothing to expand."""
    return text.replace("%", "%%")


def _mounts(path: str) -> str:
    # Quotes are understood here, and a backslash stands for itself: as in a shell.
    return shlex.quote(_percent(path))


def _no_pattern(path: str) -> str:
    """Return a path in which no character stands for others: the name of an environment file is a pattern to systemd."""
    return re.sub(r"([*?\[\\])", r"\\\1", path)


def _in_quotes(text: str) -> str:
    return _percent(re.sub(r'([\\"])', r"\\\1", text))


def _command(words: list[str], last: str) -> str:
    """Return a command line of a unit without variables; ``last`` is written as it is, in quotes."""
    quoted = [f'"{_in_quotes(_checked(word))}"' for word in words]
    return ":" + " ".join([*quoted, f'"{last}"'])


def user_name() -> str:
    """Return who runs this: a name, or the number when there is none."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
