# SPDX-License-Identifier: Apache-2.0
"""Has executions done by another interpreter on this machine.

Of a job only its program goes there: the advices around it stay here, whatever side of this one they are on. A function
goes there with the advices inside of this one; those outside of it stay.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from plainbox.errors import ChainError
from plainbox.tasks.advice import Advice
from plainbox.tasks.distribution import DistributionArchive, get_distribution_archive
from plainbox.tasks.interpreter import Interpreter
from plainbox.tasks.resource_limits import parse_limits
from plainbox.tasks.worker_place import Opening, WorkerPlace
from plainbox.tasks.workplace import Workplace

if TYPE_CHECKING:
    from typing import Literal

    from plainbox.tasks.documents import Hello, Load
    from plainbox.tasks.invocation import Invocation

__all__ = ["SubprocessAdvice", "kept_variables"]

_CLEAN = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR"}
#: What Plainbox itself sets for a job is no part of what it inherits.
_OURS = {"TEXTDOMAIN", "TEXTDOMAINDIR", "CHECKBOX_SHARE", "PYTHONUNBUFFERED", "SYSTEMD_IGNORE_CHROOT"}


class SubprocessAdvice(Advice):
    """Moves executions to a process of another interpreter, the one that runs now when none is named.

    ``directory`` keeps the archives of what goes there. ``env`` says what of the environment goes along: all of it
    (``inherit``), what every program needs (``clean``), or nothing (``listed``); the ``variables`` that are named here,
    and those that Plainbox or the job's unit sets or lists, always do. ``limits`` are words such as ``nofile=256``,
    and ``nice`` is the priority.
    """

    placement = "inner"
    excludes = ("subprocess", "ssh")
    operator_only = ("directory",)

    def __init__(
        self,
        directory: Path | None = None,
        interpreter: Interpreter | str | None = None,
        *,
        env: Literal["inherit", "clean", "listed"] = "inherit",
        variables: tuple[str, ...] = (),
        limits: tuple[str, ...] = (),
        nice: int = 0,
    ) -> None:
        """Raise :class:`ChainError` for a rule, a limit or a priority that does not exist."""
        if env not in ("inherit", "clean", "listed"):
            raise ChainError(f"{env!r} says nothing about an environment: inherit, clean and listed do")
        if not -20 <= nice <= 19:
            raise ChainError(f"nice={nice} is no priority: it goes from -20 to 19")
        self.directory = None if directory is None else Path(directory)
        self._interpreter = interpreter
        self.env = env
        self.variables = tuple(variables)
        self.limits = parse_limits(limits)
        self.nice = nice

    @property
    def interpreter(self) -> Interpreter:
        """The interpreter that executes."""
        if isinstance(self._interpreter, Interpreter):
            return self._interpreter
        return Interpreter(executable=self._interpreter)

    def target(self, invocation: Invocation) -> str | None:
        """The interpreter, when it is another one, and what a process is given there that it has not here."""
        executable = self.interpreter.executable
        differs = [] if executable == sys.executable else [executable]
        if self.env != "inherit":
            differs.append(f"env={self.env} {' '.join(self.variables)}")
        if self.limits:
            differs.append(f"limits={self.limits}")
        if self.nice:
            differs.append(f"nice={self.nice}")
        return " ".join(["subprocess", *differs]) if differs else None

    def before(self, invocation: Invocation) -> None:
        place = _Subprocess(self, invocation)
        if invocation.job is None:
            place.move(invocation)
        else:
            invocation.place = place
            invocation.proceed()

    def after(self, invocation: Invocation) -> None:
        if invocation.job is not None:
            invocation.proceed()
        else:
            # This is the process that the invocation was moved to.
            invocation.suspend()


class _Subprocess(WorkerPlace):
    """The place of one invocation."""

    # Nobody misses the end of a pipe; and a Plainbox that is stopped for a while keeps its jobs.
    watched = False
    trusted = True

    def __init__(self, advice: SubprocessAdvice, invocation: Invocation) -> None:
        self._advice = advice
        self._interpreter = advice.interpreter
        self._is_job = invocation.job is not None
        self._keeps = kept_variables(advice.env, (*advice.variables, *getattr(invocation.job, "environ", ())))
        self._archive = (
            DistributionArchive(advice.directory)
            if self._is_job
            else get_distribution_archive(invocation.configuration, advice.directory)
        )
        self.limits = advice.limits
        self.nice = advice.nice

    def archive(self) -> DistributionArchive:
        return self._archive

    @contextmanager
    def opening(self) -> Iterator[Opening]:
        workplace = Workplace()
        try:
            store = str(self._archive.path.parent)
        except OSError:
            # Where nothing can be kept, it is sent.
            store = ""
        try:
            yield Opening(self._interpreter.executable, self._environment(), store, str(workplace.path))
        finally:
            workplace.clear()

    def prepare(self, load: Load, hello: Hello) -> tuple[Load, Mapping[str, Callable[[], bytes]]]:
        if self._is_job:
            environment = {name: value for name, value in load.environment.items() if self._keeps(name)}
            return replace(load, environment={**environment, **self._interpreter.environment}), {}
        return replace(load, path=_importable(self._interpreter.path)), {}

    def _environment(self) -> dict[str, str]:
        """Return the variables of the worker: those of a function are those of its process."""
        if self._is_job:
            keeps = kept_variables("clean", ())
            return {name: value for name, value in os.environ.items() if keeps(name)}
        kept = {name: value for name, value in os.environ.items() if self._keeps(name)}
        return {**kept, **self._interpreter.environment}


def kept_variables(env: str, variables: tuple[str, ...]) -> Callable[[str], bool]:
    """Return what tells whether a variable of the environment goes along."""
    listed = {*variables, "PATH"}

    def keeps(name: str) -> bool:
        if env == "inherit" or name in listed or name in _OURS or name.startswith("PLAINBOX_"):
            return True
        return env == "clean" and (name in _CLEAN or name.startswith("LC_"))

    return keeps


def _importable(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the entries of a module path that mean the same to another interpreter: not the library of this one."""
    library = sysconfig.get_path("stdlib")
    absolute = (os.path.abspath(entry or os.curdir) for entry in path)
    return tuple(entry for entry in absolute if entry != library and not entry.startswith(library + os.sep))
