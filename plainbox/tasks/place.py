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
    from plainbox.tasks.users import Way

__all__ = ["HERE", "LARGEST_ATTACHED", "PYTHON", "LocalPlace", "Place", "Program"]

#: As the first word of a program: the Python of the place, which runs the module of Plainbox that comes next.
PYTHON = "plainbox:python"
#: How many bytes the files may have together that one execution attaches.
LARGEST_ATTACHED = 64 * 1024 * 1024

_RUN_MODULE = """\
import sys
if sys.path[:1] == [""]:
    del sys.path[0]
sys.path.insert(0, sys.argv[1])
import importlib
module = importlib.import_module(sys.argv[2])
sys.path.append(sys.path.pop(0))
sys.exit(module.main(sys.argv[3:]))
"""


@dataclass(frozen=True)
class Program:
    """What a job runs: ``argv``, whose first item names a program as in a shell.

    ``user`` is the account that it runs as, None for whoever runs the place. With ``pty`` its output goes to a terminal
    of its own.
    """

    argv: tuple[str, ...]
    user: str | None = None
    pty: bool = False


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
        way = None if program.user is None else _way_to(program.user)
        if way is not None:
            surroundings = replace(surroundings, environment=way.account.environment(surroundings.environment))
        program = replace(program, argv=_words(program.argv))
        _check_found(program.argv[0], surroundings.environment)
        if surroundings.working_directory is not None:
            ending, _ = _run_in(surroundings.working_directory, program, way, surroundings, deadline)
            return ending
        from plainbox.tasks.workplace import Workplace

        try:
            workplace = Workplace(way)
        except OSError as error:
            raise JobStartError(f"no temporary working directory could be made: {error}") from error
        leftovers: tuple[str, ...] = ()
        try:
            ending, attached = _run_in(workplace.path, program, way, surroundings, deadline)
        finally:
            leftovers = workplace.clear()
        return replace(ending, leftovers=tuple(name for name in leftovers if name not in attached))


#: The place of every invocation that no advice has moved.
HERE: Place = LocalPlace()


def _way_to(user: str) -> Way | None:
    from plainbox.tasks.users import way_to

    return way_to(user)


#: Program -> search path -> where it was the last time: nearly all jobs run the same shell.
_found: dict[str, dict[str, str]] = {}


def _check_found(name: str, environment: Mapping[str, str]) -> None:
    """Look for a program where the process will: without it, there would be a return code instead of an error."""
    path = environment.get("PATH", os.defpath)
    known = _found.get(name, {}).get(path)
    if known is not None and os.access(known, os.X_OK):
        return
    import shutil

    found = shutil.which(name, path=path)
    if found is not None:
        _found[name] = {path: found}
    else:
        raise JobStartError(f"there is no program {name!r}" + ("" if "/" in name else f" in {path}"))


def _words(argv: tuple[str, ...]) -> tuple[str, ...]:
    if argv[0] != PYTHON:
        return argv
    import sys

    # The far end of a connection has these modules in an archive, which no other interpreter would find.
    root = __file__
    for _ in __name__.split("."):
        root = os.path.dirname(root)
    return (sys.executable, "-c", _RUN_MODULE, root, *argv[1:])


def _run_in(
    directory: Path, program: Program, way: Way | None, surroundings: Surroundings, deadline: Deadline | None
) -> tuple[Ending, frozenset[str]]:
    """Return how it ended, and the names of the files in ``directory`` that were attached."""
    from plainbox.tasks.attaching import WantedFiles
    from plainbox.tasks.process import GRACE_S, supervise
    from plainbox.tasks.resultfile import RESULT_VARIABLE, ResultFile

    wanted = WantedFiles(surroundings.on_line)
    note = surroundings.output.note
    try:
        results = ResultFile(wanted.take, note, way)
    except OSError as error:
        raise JobStartError(f"no result file could be made for the job: {error.strerror}") from error
    try:
        ending = supervise(
            program.argv,
            environment={**surroundings.environment, RESULT_VARIABLE: results.path},
            working_directory=directory,
            output=surroundings.output,
            started=surroundings.started,
            cancel=surroundings.cancel,
            deadline=deadline,
            tick=surroundings.tick,
            poll=results.poll,
            grace_s=GRACE_S if deadline is None or deadline.grace_s is None else deadline.grace_s,
            way=way,
            pty=program.pty,
        )
        results.finish()
    finally:
        results.close()
    # What somebody else has put into a directory that is not the job's own is not of the job.
    patterns = surroundings.attach if surroundings.working_directory is None else ()
    if surroundings.attachments_dir is None or not (wanted.paths or patterns):
        return ending, frozenset()
    limit = surroundings.attach_bytes if patterns else LARGEST_ATTACHED
    return ending, wanted.store(directory, surroundings.attachments_dir, limit, note, patterns)
