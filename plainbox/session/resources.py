# SPDX-License-Identifier: Apache-2.0
"""Resource records from the output of a resource job.

The session state calls it for every result of a resource job, whatever the outcome: a job that failed may have
found out something all the same. A job that printed no record has one empty record, so that every question about
the resource has the answer no instead of none at all. What a job prints is read within bounds: no output, however
long, makes the session grow beyond them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from plainbox.errors import UnitSyntaxError
from plainbox.session import textual
from plainbox.session.result import JobResult
from plainbox.units import pxu

__all__ = ["ResourceRecord", "records_of"]

_log = logging.getLogger(__name__)

ResourceRecord: TypeAlias = dict[str, str]


_MAX_BYTES: Final = 8 * 1024 * 1024
_MAX_RECORDS: Final = 20_000
_MAX_LINE_CHARS: Final = 64 * 1024
_PIECE_BYTES: Final = 64 * 1024


class _TooMuch(Exception):
    """The output goes on beyond what is read of it."""


def records_of(result: JobResult, job_id: str) -> list[ResourceRecord]:
    """Return the records that a resource job has printed on its standard output.

    Bad UTF-8 is replaced. What follows a line that is not part of any record is left out, with a warning; so is what
    follows 8 MiB, 20 000 records or the beginning of a line of more than 64 KiB. A record that is cut like this is left
    out too. The list is empty when the job printed no record.
    """
    records: list[ResourceRecord] = []
    output = textual.lines(_bounded(result.iter_output("stdout")), limit_chars=_MAX_LINE_CHARS)
    try:
        for record in pxu.parse(_limited(output), f"output of {job_id}"):
            if len(records) == _MAX_RECORDS:
                raise _TooMuch(f"more than {_MAX_RECORDS} records")
            records.append({key: str(value) for key, value in record.data.items()})
    except UnitSyntaxError as error:
        _log.warning("The resource job %s printed something else than records: %s", job_id, error)
    except _TooMuch as error:
        _log.warning("The resource job %s printed %s; %d records of it count", job_id, error, len(records))
    return records


def _bounded(output: Iterable[bytes]) -> Iterator[bytes]:
    left = _MAX_BYTES
    for data in output:
        for start in range(0, len(data), _PIECE_BYTES):
            piece = data[start : start + _PIECE_BYTES]
            yield piece[:left]
            left -= len(piece)
            if left < 0:
                raise _TooMuch(f"more than {_MAX_BYTES} bytes")


def _limited(lines: Iterator[str]) -> Iterator[str]:
    try:
        yield from lines
    except ValueError as error:
        raise _TooMuch(str(error)) from None
