# SPDX-License-Identifier: Apache-2.0
"""Resource records from the output of a resource job.

The session state calls it for every result of a resource job, whatever the outcome: a job that failed may have
found out something all the same. A job that printed no record has one empty record, so that every question about
the resource has the answer no instead of none at all.
"""

from __future__ import annotations

import logging
from typing import TypeAlias

from plainbox.errors import UnitSyntaxError
from plainbox.session import textual
from plainbox.session.result import JobResult
from plainbox.units import pxu

__all__ = ["ResourceRecord", "records_of"]

_log = logging.getLogger(__name__)

ResourceRecord: TypeAlias = dict[str, str]


def records_of(result: JobResult, job_id: str) -> list[ResourceRecord]:
    """Return the records that a resource job has printed on its standard output.

    Bad UTF-8 is replaced. What follows a line that is not part of any record is left out, with a warning. The list is
    empty when the job printed no record.
    """
    records: list[ResourceRecord] = []
    try:
        for record in pxu.parse(textual.lines(result.iter_output("stdout")), f"output of {job_id}"):
            records.append({key: str(value) for key, value in record.data.items()})
    except UnitSyntaxError as error:
        _log.warning("The resource job %s printed something else than records: %s", job_id, error)
    return records
