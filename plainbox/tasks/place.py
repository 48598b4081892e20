# SPDX-License-Identifier: Apache-2.0
"""Where the program of a job runs: here, or wherever an advice has moved the execution.

A task says *what* runs, as a :class:`Program`; the place of the invocation runs it and says how it ended. An advice that
moves executions sets ``invocation.place`` in its ``before``; that counts for everything inside of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from plainbox.errors import JobStartError

if TYPE_CHECKING:
    from plainbox.tasks.deadline import Deadline
    from plainbox.tasks.process import Ending
    from plainbox.tasks.surroundings import Surroundings

__all__ = ["HERE", "LocalPlace", "Place", "Program"]


@dataclass(frozen=True)
class Program:
    """What a job runs: ``argv``, whose first item names a program as in a shell.

    ``user`` is the account that it runs as, None for whoever runs the place.
    """

    argv: tuple[str, ...]
    user: str | None = None


class Place(Protocol):
    """Runs programs. One place serves many executions, at the same time too."""

    def run(self, program: Program, surroundings: Surroundings, deadline: Deadline | None) -> Ending:
        """Run ``program`` to its end, however it ends.

        ``surroundings.started`` is called once the program could run and does not yet; it runs when that has returned.
        :class:`~plainbox.errors.TaskError` means that it did not run, or that nobody knows what became of it.
        """


class LocalPlace:
    """This machine: a supervised child of this process."""

    def run(self, program: Program, surroundings: Surroundings, deadline: Deadline | None) -> Ending:
        _check_user(program)
        _check_found(program.argv[0], surroundings.environment)
        if surroundings.working_directory is not None:
            return _supervise(program.argv, surroundings, surroundings.working_directory, deadline)
        from plainbox.tasks.workplace import Workplace

        try:
            workplace = Workplace()
        except OSError as error:
            raise JobStartError(f"no temporary working directory could be made: {error}") from error
        leftovers: tuple[str, ...] = ()
        try:
            ending = _supervise(program.argv, surroundings, workplace.path, deadline)
        finally:
            leftovers = workplace.clear()
        return replace(ending, leftovers=leftovers)


#: The place of every invocation that no advice has moved.
HERE: Place = LocalPlace()


def _check_user(program: Program) -> None:
    if program.user is None:
        return
    import pwd

    try:
        wanted = pwd.getpwnam(program.user).pw_uid
    except KeyError:
        raise JobStartError(f"the job runs as {program.user!r}, who is not known here") from None
    if wanted != os.geteuid():
        raise JobStartError(
            f"the job runs as {program.user!r}, and this is user {os.geteuid()}",
            hint=f"run plainbox as {program.user}",
        )


def _check_found(name: str, environment: Mapping[str, str]) -> None:
    """Look for a program where the process will: without it, there would be a return code instead of an error."""
    import shutil

    path = environment.get("PATH", os.defpath)
    if shutil.which(name, path=path) is None:
        raise JobStartError(f"there is no program {name!r}" + ("" if "/" in name else f" in {path}"))


def _supervise(
    argv: tuple[str, ...], surroundings: Surroundings, working_directory: Path, deadline: Deadline | None
) -> Ending:
    from plainbox.tasks.process import supervise

    return supervise(
        argv,
        environment=surroundings.environment,
        working_directory=working_directory,
        output=surroundings.output,
        started=surroundings.started,
        cancel=surroundings.cancel,
        deadline=deadline,
        tick=surroundings.tick,
    )
