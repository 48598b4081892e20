# SPDX-License-Identifier: Apache-2.0
"""How reports for people say things: durations, moments, the verdict."""

from __future__ import annotations

import re
import time

from plainbox.exporters.report import Report
from plainbox.exporters.times import instant

__all__ = ["duration", "moment", "plural", "reflowed", "verdict"]

#: A shorter line was ended on purpose.
_FULL_LINE_CHARS = 60
_OWN_LINE = re.compile(r"\s|[-*#>|\N{BULLET}]|\d+[.)]|$")


def duration(seconds: float | None) -> str:
    """Return a duration as people say it; empty when it is not known."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms" if seconds else "0 s"
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 9.95 else f"{seconds:.1f} s" if seconds < 59.95 else "1 min"
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {whole % 60:02} s"


def moment(seconds: float | None) -> str:
    """Return a point in time in UTC; empty when it is not known or is none."""
    when = instant(seconds)
    return "" if when is None else time.strftime("%Y-%m-%d %H:%M:%S UTC", when)


def plural(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def reflowed(text: str) -> str:
    """Return a text with the lines of its paragraphs joined, so that it fits any width.

    Lists, indented lines and lines that were ended early stay as they are.
    """
    lines: list[str] = []
    before = ""
    for line in text.split("\n"):
        if len(before) >= _FULL_LINE_CHARS and not _OWN_LINE.match(line):
            lines[-1] = f"{lines[-1].rstrip()} {line}"
        else:
            lines.append(line)
        before = line
    return "\n".join(lines)


def verdict(report: Report) -> str:
    """Return what the session came to, in one sentence without a full stop."""
    outcomes = [record.outcome for record in report.jobs]
    failed = outcomes.count("fail")
    crashed = outcomes.count("crash")
    open_ = outcomes.count(None) + outcomes.count("undecided")
    match report.verdict:
        case "failed":
            parts = [f"{plural(failed, 'job')} failed"] if failed else []
            parts += [f"{plural(crashed, 'job')} crashed"] if crashed else []
            return "Failed: " + ", ".join(parts)
        case "incomplete":
            return f"Incomplete: {plural(open_, 'job')} without a verdict"
        case "passed":
            return "Passed"
        case _:
            return "Nothing ran"
