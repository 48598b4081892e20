# SPDX-License-Identifier: Apache-2.0
"""What a reason is: why a job has not run, or would not, as values that can be shown or reported.

:mod:`plainbox.session.reasoning` makes them from the state of a session.
"""

from __future__ import annotations

import enum

import attrs

from plainbox.units.explanation import Explanation

__all__ = ["JobReasons", "ManifestAnswer", "Reason", "ReasonKind"]


class ReasonKind(enum.StrEnum):
    """What a reason is about: a fault of the definition, the phase that the session is in, the order of the jobs, an edge
    to another job, a requirement, the manifest, or only what the session has noted."""

    DEFINITION = "definition"
    PHASE = "phase"
    ORDER = "order"
    DEPENDS = "depends"
    AFTER = "after"
    SALVAGES = "salvages"
    REQUIRES = "requires"
    MANIFEST = "manifest"


@attrs.frozen
class ManifestAnswer:
    """What is known of a manifest entry that a job asks for.

    ``answer`` is the one that is stored now, ``None`` until somebody has given one; ``prompt`` the question, ``None`` when
    no provider defines the entry; ``wanted`` the value that a setup job wants; ``hidden_reason`` says why nobody is asked.
    """

    id: str
    answer: bool | int | None
    prompt: str | None = None
    wanted: bool | int | None = None
    hidden_reason: str | None = None


@attrs.frozen
class Reason:
    """One reason: a sentence about the job without a full stop, and what stands behind it.

    ``jobs`` are the jobs that it is about, with their own reasons.
    """

    kind: ReasonKind
    message: str
    explanation: Explanation | None = None
    manifest: tuple[ManifestAnswer, ...] = ()
    jobs: tuple[JobReasons, ...] = ()


@attrs.frozen
class JobReasons:
    """A job, what became of it, and why.

    ``became`` is the rest of a sentence about it; ``comment`` what the session noted with the result; ``origin`` where the
    job is defined. ``cut`` says that there are reasons, told elsewhere or too far away.
    """

    id: str
    outcome: str | None
    became: str
    comment: str | None = None
    return_code: int | None = None
    origin: str | None = None
    reasons: tuple[Reason, ...] = ()
    cut: bool = False

    def as_dict(self) -> dict[str, object]:
        """Return everything as plain JSON values."""
        return attrs.asdict(self)
