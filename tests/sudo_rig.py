# SPDX-License-Identifier: Apache-2.0
"""An ordinary user of this machine with rules of sudo that nobody else has to live with.

The account ``daemon``, which every Debian has, in a mount namespace of its own: there, and only there, the rules and the
passwords are other files. Nothing of the machine is changed. Needs root, sudo and setpriv.
"""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

__all__ = ["ASKING", "PASSWORD", "SILENT", "USER", "OrdinaryUser", "missing", "ordinary_user"]

USER = "daemon"
PASSWORD = "sesame, open"
SILENT = f"{USER} ALL=(ALL:ALL) NOPASSWD: ALL\n"
ASKING = f"{USER} ALL=(ALL:ALL) ALL\n"

_ENTER = """\
mount --bind "$1" /etc/sudoers && mount --bind "$2" /etc/shadow && shift 2 &&
exec setpriv --reuid=daemon --regid=daemon --init-groups -- "$@"
"""


@attrs.frozen
class OrdinaryUser:
    """``directory`` is a place where this user can write."""

    directory: Path
    rules: Path
    passwords: Path

    def words(self, *argv: str) -> list[str]:
        """Return what runs ``argv`` as this user."""
        files = (str(self.rules), str(self.passwords))
        return ["unshare", "--mount", "sh", "-c", _ENTER, "sh", *files, *argv]


@functools.lru_cache(maxsize=1)
def missing() -> str | None:
    """Return why there can be no such user here."""
    if os.geteuid() != 0:
        return "only root can become another user without asking"
    for program in ("sudo", "setpriv", "unshare"):
        if shutil.which(program) is None:
            return f"there is no {program}"
    with ordinary_user(SILENT) as user:
        tried = [user.words("sudo", "-n", "true"), user.words(sys.executable, "-c", "import plainbox")]
        for words in tried:
            done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=user.directory)
            if done.returncode != 0:
                return f"an ordinary user cannot do that here: {done.stderr.strip()}"
    return None


@contextmanager
def ordinary_user(rules: str) -> Iterator[OrdinaryUser]:
    """Make the user; what is in the directory goes with it."""
    top = Path(tempfile.mkdtemp(prefix="plainbox-test-"))
    try:
        top.chmod(0o711)
        home = top / "home"
        home.mkdir(mode=0o711)
        account = pwd.getpwnam(USER)
        os.chown(home, account.pw_uid, account.pw_gid)
        sudoers, shadow = top / "sudoers", top / "shadow"
        sudoers.write_text(f"Defaults env_reset, use_pty\n{rules}")
        sudoers.chmod(0o440)
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True
        ).stdout.strip()
        shadow.write_text(f"root:*:19000:0:99999:7:::\n{USER}:{hashed}:19000:0:99999:7:::\n")
        shadow.chmod(0o600)
        yield OrdinaryUser(home, sudoers, shadow)
    finally:
        shutil.rmtree(top)
