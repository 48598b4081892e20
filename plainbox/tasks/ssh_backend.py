# SPDX-License-Identifier: Apache-2.0
"""The five things that an exchange of files with another machine needs, for machines where a connection is not enough.

:class:`~plainbox.tasks.advices.ssh.SshAdvice` uses one connection and none of this, unless it is given a backend of
another class.
"""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from pathlib import PurePath
from typing import TYPE_CHECKING

from plainbox.tasks.ssh import direct_words, ssh_environment

if TYPE_CHECKING:
    from plainbox.tasks.remote import Remote

__all__ = ["SshBackend", "SshCommandLineBackend"]


class SshBackend(ABC):
    """Exchanges files with a remote and runs programs there."""

    @abstractmethod
    def create_dir(self, remote: Remote, remote_path: PurePath) -> None:
        """Make a directory, with those above it."""

    @abstractmethod
    def copy_file_to_remote(self, remote: Remote, local_path: PurePath, remote_path: PurePath) -> None:
        """Copy a file there."""

    @abstractmethod
    def copy_file_from_remote(self, remote: Remote, remote_path: PurePath, local_path: PurePath) -> None:
        """Copy a file here."""

    @abstractmethod
    def execute_remote(self, remote: Remote, executable: str, *arguments: str) -> None:
        """Run a program; ``subprocess.CalledProcessError`` when its exit code is not 0."""

    @abstractmethod
    def delete_dir(self, remote: Remote, remote_path: PurePath) -> None:
        """Remove a directory and all that is in it."""


class SshCommandLineBackend(SshBackend):
    """Does it with the programs of a POSIX system, each over a connection of its own; names arrive as they are."""

    @staticmethod
    def login(remote: Remote) -> str:
        """Return who logs in where."""
        return f"{remote.user}@{remote.host}"

    def get_remote_path(self, remote: Remote, path: PurePath) -> str:
        """Return a path there with the login in front of it."""
        return f"{self.login(remote)}:{path}"

    def create_dir(self, remote: Remote, remote_path: PurePath) -> None:
        self.execute_remote(remote, "mkdir", "-p", "--", str(remote_path))

    def copy_file_to_remote(self, remote: Remote, local_path: PurePath, remote_path: PurePath) -> None:
        with open(local_path, "rb") as source:
            words = ("sh", "-c", 'umask 077; cat > "$0"', str(remote_path))
            subprocess.run(direct_words(remote, words), check=True, stdin=source, env=ssh_environment())

    def copy_file_from_remote(self, remote: Remote, remote_path: PurePath, local_path: PurePath) -> None:
        with open(local_path, "wb") as target:
            words = direct_words(remote, ("cat", "--", str(remote_path)))
            subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=target, env=ssh_environment())

    def execute_remote(self, remote: Remote, executable: str, *arguments: str) -> None:
        words = direct_words(remote, (executable, *arguments))
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, env=ssh_environment())

    def delete_dir(self, remote: Remote, remote_path: PurePath) -> None:
        self.execute_remote(remote, "rm", "-rf", "--", str(remote_path))
