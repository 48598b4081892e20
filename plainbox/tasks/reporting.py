# SPDX-License-Identifier: Apache-2.0
"""What a job in Python says about itself, while it runs: parts, measurements, files, progress.

For the functions of function jobs and for any program that a job starts; it travels with what is executed elsewhere.
Each call appends one line to the file that ``$PLAINBOX_RESULT`` names, at once and whole, so several processes and threads
can do it at the same time. Without that variable, which is outside of any job, the calls check their arguments and do
nothing else.
"""

from __future__ import annotations

import json
import os

from plainbox.tasks.jobresult import LONGEST_COMMENT, is_within, parse_line

__all__ = ["SkipJob", "attach", "measure", "progress", "report_outcome", "subtest"]


class SkipJob(Exception):
    """Raise it, with the reason, in a function that cannot be carried out here: the job is skipped."""


def subtest(name: str, outcome: str = "pass", comment: str | None = None) -> None:
    """Report a part of the job: it came to ``pass``, ``fail``, ``skip`` or ``crash``."""
    _tell({"t": "subtest", "name": name, "outcome": outcome, "comment": comment})


def measure(
    name: str,
    value: object,
    unit: str | None = None,
    *,
    lower: float | None = None,
    upper: float | None = None,
    verdict: str | None = None,
) -> bool:
    """Report a value, any that JSON has; return whether it is good.

    It is unless it leaves the limits, which are included, or ``verdict`` is ``fail``. A number that is not finite is a
    :class:`ValueError`.
    """
    content = {"t": "measurement", "name": name, "value": value, "unit": unit, "lower": lower, "upper": upper}
    _tell({**content, "verdict": verdict})
    return is_within(value, lower, upper) if verdict is None else verdict == "pass"


def attach(path: str | os.PathLike[str], name: str | None = None, media_type: str | None = None) -> None:
    """Have a file of the working directory kept, as it is when the job has ended.

    :class:`ValueError` for a file elsewhere.
    """
    directory = os.path.realpath(os.getcwd())
    relative = os.path.relpath(os.path.join(directory, os.fspath(path)), directory)
    if os.path.isabs(os.fspath(path)):
        relative = os.path.relpath(os.path.realpath(os.fspath(path)), directory)
    if relative.split(os.sep)[0] in (os.pardir, os.curdir):
        raise ValueError(f"{os.fspath(path)} is not in the working directory of the job; copy it there")
    _tell({"t": "attachment", "path": relative, "name": name, "media_type": media_type})


def progress(current: float, total: float | None = None, text: str | None = None, *, group: str | None = None) -> None:
    """Report how far the job is; whoever watches sees it ten times a second at most."""
    _tell({"t": "progress", "current": current, "total": total, "text": text, "group": group})


def report_outcome(outcome: str, comment: str | None = None) -> None:
    """Report what the whole came to; of several calls the last one counts, and a worse exit code counts more."""
    _tell({"t": "outcome", "outcome": outcome, "comment": comment})


def _tell(content: dict[str, object]) -> None:
    given = {
        key: value[: LONGEST_COMMENT + 1] if isinstance(value, str) and key not in ("value", "path") else value
        for key, value in content.items()
        if value is not None or key == "value"
    }
    try:
        line = json.dumps(given, allow_nan=False).encode("ascii")
    except TypeError as error:
        raise TypeError(f"{given.get('name')!r}: {error}") from None
    parse_line(line)  # says what is wrong to who can mend it
    path = os.environ.get("PLAINBOX_RESULT")
    if path:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            os.write(descriptor, line + b"\n")
        finally:
            os.close(descriptor)
