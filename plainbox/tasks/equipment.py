# SPDX-License-Identifier: Apache-2.0
"""What a job is given beside its command, told in such a way that another machine can be given the same.

Made by the runner; only places that are no part of this machine look at it. The environment of a job there is that of a
login, and the variables that Plainbox sets: what this machine passes on to its own jobs means nothing there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Equipment", "ProviderFiles"]


@dataclass(frozen=True)
class ProviderFiles:
    """The files of a provider.

    ``directories`` are the paths here of those parts of it that jobs use: bin, data, units, locale, python. ``programs``
    are the paths of what jobs call by a bare name.
    """

    base: str
    directories: Mapping[str, str]
    programs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Equipment:
    """What one job is given.

    ``variables`` are those that Plainbox sets; in their values stand paths of this machine. ``providers`` are those whose
    programs the job can call, the first before the others. ``share`` is the path of a directory that is kept in step.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    providers: tuple[ProviderFiles, ...] = ()
    share: str | None = None
    #: A job that ends its tester, or the machine that it runs on: it may come back.
    ends_machine: bool = False
