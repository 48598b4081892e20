# SPDX-License-Identifier: Apache-2.0
"""Whether this process can run a job as the user that the job names; the runner asks before the turn of the job.

The first job that needs sudo may be the reason to ask for a password: see :class:`plainbox.tasks.users.Sudo`.
"""

from __future__ import annotations

from plainbox.errors import JobStartError
from plainbox.tasks import Advice, Configuration
from plainbox.tasks.users import way_to
from plainbox.units import JobDefinition

__all__ = ["obstacle_to"]


def obstacle_to(job: JobDefinition, configuration: Configuration) -> str | None:
    """Return why a job cannot run as its user, ``None`` when it can.

    What an advice moves elsewhere is judged there.
    """
    if job.user is None or any(_moves(advice) for advice in configuration.chain_of(job).advices):
        return None
    try:
        way_to(job.user)
    except JobStartError as error:
        return f"{error}; {error.hint}" if error.hint else str(error)
    return None


def _moves(advice: Advice) -> bool:
    return type(advice).target is not Advice.target
