# SPDX-License-Identifier: Apache-2.0
"""Has executions done on another machine, over ssh; nothing but OpenSSH here and Python there is needed.

Of a job only its program goes there, with the files of its providers: the advices around it stay here. A function goes
there with the advices inside of this one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from plainbox.errors import ChainError, PlaceError
from plainbox.tasks.advice import Advice
from plainbox.tasks.distribution import DistributionArchive, get_distribution_archive
from plainbox.tasks.remote import Remote
from plainbox.tasks.result import Result
from plainbox.tasks.ssh_backend import SshBackend, SshCommandLineBackend

if TYPE_CHECKING:
    from plainbox.tasks.invocation import Invocation

__all__ = ["Remote", "RemoteAdvice", "SshAdvice", "SshBackend", "SshCommandLineBackend"]


class SshAdvice(Advice):
    """Moves executions to a remote, one of those that were added under their names.

    Which one it is a function says with its parameter ``ssh``, as in ``@task(ssh={"remote": "bench"})``; else it is the
    one called ``default``. ``directory`` keeps the archives of what goes there.
    """

    placement = "inner"
    excludes = ("subprocess", "ssh")
    operator_only = ("directory",)
    leaves_machine = True

    def __init__(self, directory: Path | None = None, backend: SshBackend | None = None) -> None:
        self.directory = None if directory is None else Path(directory)
        self.backend = backend if backend is not None else SshCommandLineBackend()
        self._remotes: dict[str, Remote] = {}
        self._jobs_archive = DistributionArchive(self.directory)

    def add_remote(self, remote: Remote, name: str = "default") -> SshAdvice:
        """Set the remote of a name. Returns ``self``."""
        self._remotes[name] = remote
        return self

    def remote_of(self, invocation: Invocation) -> Remote:
        """Return where an execution goes; :class:`ChainError` names the remotes there are when it is none of them."""
        wanted = invocation.task.kwargs.get("ssh") if invocation.job is None else None
        name = wanted.get("remote", "default") if isinstance(wanted, Mapping) else "default"
        remote = self._remotes.get(name)
        if remote is None:
            raise ChainError(f"no remote {name!r}; known: {', '.join(sorted(self._remotes)) or 'none'}")
        return remote

    def target(self, invocation: Invocation) -> str | None:
        return f"ssh {self.remote_of(invocation).url}"

    def before(self, invocation: Invocation) -> None:
        from plainbox.tasks.ssh_place import SshPlace

        remote = self.remote_of(invocation)
        if invocation.job is None and type(self.backend) is not SshCommandLineBackend:
            try:
                self._exchange(invocation, remote)
            except PlaceError as error:
                invocation.conclude(Result(exception=error))
                return
        elif invocation.job is not None and remote.mode == "shell":
            from plainbox.tasks.shell_place import ShellPlace

            invocation.place = ShellPlace(remote, self._jobs_archive)
        elif invocation.job is not None:
            invocation.place = SshPlace(remote, self._jobs_archive)
        elif remote.mode == "shell":
            raise ChainError(f"a function needs Python on {remote.name}, which is used by its shell alone")
        else:
            SshPlace(remote, get_distribution_archive(invocation.configuration, self.directory)).move(invocation)
            return
        invocation.proceed()

    def _exchange(self, invocation: Invocation, remote: Remote) -> None:
        """Have the inner part done there by means of the backend: with files, and without a word in between."""
        from plainbox.tasks.worker_place import refuse_code
        from plainbox.tasks.workplace import Workplace

        refuse_code(invocation.serializer)
        archive = get_distribution_archive(invocation.configuration, self.directory).path
        there = remote.directory / f"plainbox-{invocation.execution.execution_id}-{os.urandom(8).hex()}"
        here = Workplace()
        try:
            with open(here.path / "sent", "wb") as file:
                invocation.save(file)
            self.backend.create_dir(remote, there)
            try:
                self.backend.copy_file_to_remote(remote, archive, there / archive.name)
                self.backend.copy_file_to_remote(remote, here.path / "sent", there / "sent")
                words = [str(there / archive.name), "--input", str(there / "sent"), "--output", str(there / "done")]
                words += ["--run-id", invocation.run_id]
                self.backend.execute_remote(remote, remote.interpreter.executable, *words)
                self.backend.copy_file_from_remote(remote, there / "done", here.path / "done")
            finally:
                self.backend.delete_dir(remote, there)
            with open(here.path / "done", "rb") as file:
                invocation.restore(file)
        finally:
            here.clear()

    def after(self, invocation: Invocation) -> None:
        if invocation.job is not None:
            invocation.proceed()
        else:
            # This is the machine that the invocation was moved to.
            invocation.suspend()


class RemoteAdvice(SshAdvice):
    """The same with one remote, as chains of jobs name it: ``ssh(bench)``."""

    def __init__(self, remote: Remote, directory: Path | None = None) -> None:
        super().__init__(directory)
        self.add_remote(remote)
