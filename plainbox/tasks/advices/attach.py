# SPDX-License-Identifier: Apache-2.0
"""Keeps files that a job leaves in its working directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from plainbox.tasks.advice import Advice

if TYPE_CHECKING:
    from plainbox.tasks.invocation import Invocation
    from plainbox.tasks.parameters import Bytes, Words

__all__ = ["AttachAdvice"]


class AttachAdvice(Advice):
    """Attaches the regular files whose names match one of ``patterns``, ``max_bytes`` of each execution at the most.

    A pattern is one of a shell for names below the working directory; ``*`` means a slash, too. No link is followed. Only
    a job that has a working directory of its own has such files.
    """

    def __init__(self, patterns: Words, max_bytes: Bytes = 64 * 1024 * 1024) -> None:
        """Raise ValueError for a pattern that leads out of the directory."""
        self.patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        self.max_bytes = max_bytes
        for pattern in self.patterns:
            path = PurePosixPath(pattern)
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"the pattern {pattern!r} leads out of the working directory")

    def before(self, invocation: Invocation) -> None:
        outer = invocation.surroundings
        if outer is None:
            invocation.proceed()
            return
        attach = (*outer.attach, *self.patterns)
        invocation.surroundings = replace(
            outer, attach=attach, attach_bytes=self.max_bytes + (outer.attach_bytes if outer.attach else 0)
        )
        try:
            invocation.proceed()
        finally:
            invocation.surroundings = outer
