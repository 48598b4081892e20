# SPDX-License-Identifier: Apache-2.0
"""How many files this process may have open, which limits how many jobs it can run at the same time.

The command line makes room before it runs several jobs; whoever starts a program of a job gives it the limit that this
process was started with, so that no job sees how many run.
"""

from __future__ import annotations

import resource
from contextlib import suppress

__all__ = ["give_back", "make_room", "most_jobs"]

#: A job has the pipes of its program, its log, its directory and what tells of its end; all have the session.
_PER_JOB = 8
_FOR_ALL = 64

_inherited: tuple[int, int] | None = None


def most_jobs() -> int:
    """Return how many jobs can run at the same time when room is made for them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if hard == resource.RLIM_INFINITY else max(1, (hard - _FOR_ALL) // _PER_JOB)


def make_room(jobs: int) -> None:
    """Raise the soft limit as far as so many jobs need it, and the hard one allows it."""
    global _inherited
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _FOR_ALL + jobs * _PER_JOB
    if jobs == 1 or soft == resource.RLIM_INFINITY or soft >= needed:
        return
    _inherited = _inherited or (soft, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else min(needed, hard), hard))


def give_back(pid: int) -> None:
    """Have a process that was just started the limit that this one was started with."""
    if _inherited is not None:
        with suppress(OSError, ValueError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, _inherited)
