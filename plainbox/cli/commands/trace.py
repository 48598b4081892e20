# SPDX-License-Identifier: Apache-2.0
"""``plainbox trace``.

Show where the time of a run went. Each line is a piece of work: when it began, how long it took, and what it was, below
the work that it was part of. It works while the session runs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Final

from plainbox.cli.arguments import add_json, add_session, find_session
from plainbox.cli.output import print_json, print_table, say, write
from plainbox.errors import UsageError
from plainbox.tracing.file import TRACE_NAME
from plainbox.tracing.stored import StoredSpan, last_run, read_spans

_BAR_WIDTH: Final = 30
#: What is nested deeper is not indented any further: the file is anybody's.
_DEEPEST: Final = 20
#: What tells one span from others of its name, the first of these that it has.
_DETAILS: Final = ("plainbox.session.id", "plainbox.job.id", "plainbox.command")
_NOT_SHOWN_TWICE: Final = "running command"


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = commands.add_parser(
        "show", help="show the last run of a session", description="Show the last run of a session."
    )
    add_session(show, "the newest")
    show.add_argument(
        "--over", metavar="SECONDS", type=_seconds, default=0.0, help="leave out what took less time than this"
    )
    add_json(show)


def run(arguments: argparse.Namespace) -> int:
    storage = find_session(arguments.session)
    path = os.path.join(storage.location, TRACE_NAME)
    try:
        rows = last_run(read_spans(path))
    except FileNotFoundError:
        rows = []
    if not rows:
        raise UsageError(
            f"session {storage.id} has no trace", hint="it was run with tracing switched off, or to another file"
        )
    end_ns = max(span.end_ns or span.start_ns for _, span in rows)
    shown = [(depth, span) for depth, span in rows if ((span.end_ns or end_ns) - span.start_ns) / 1e9 >= arguments.over]
    if arguments.json:
        spans = [_described(depth, span, rows[0][1].start_ns) for depth, span in shown]
        print_json("plainbox.trace/1", session=storage.id, trace_id=rows[0][1].trace_id, spans=spans)
        return 0
    _print_waterfall(shown, rows[0][1].start_ns, end_ns)
    if len(shown) < len(rows):
        say(f"{len(rows) - len(shown)} of {len(rows)} spans took less than {arguments.over:g} s.")
    return 0


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def _described(depth: int, span: StoredSpan, origin_ns: int) -> dict[str, object]:
    return {
        "name": span.name,
        "depth": depth,
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "at_s": (span.start_ns - origin_ns) / 1e9,
        "duration_s": None if span.end_ns is None else (span.end_ns - span.start_ns) / 1e9,
        "status": span.status,
        "attributes": span.attributes,
        "links": [{"trace_id": link.trace_id, "span_id": link.span_id} for link in span.links],
    }


def _print_waterfall(rows: Sequence[tuple[int, StoredSpan]], origin_ns: int, end_ns: int) -> None:
    if not rows:
        return
    write(f"trace {rows[0][1].trace_id}")
    whole_ns = max(end_ns - origin_ns, 1)
    print_table(
        (
            (
                f"{(span.start_ns - origin_ns) / 1e9:>9.3f} s",
                f"{((span.end_ns or end_ns) - span.start_ns) / 1e9:>9.3f} s",
                _bar(span.start_ns - origin_ns, (span.end_ns or end_ns) - span.start_ns, whole_ns),
                f"{'  ' * min(depth, _DEEPEST)}{_told(span)}",
            )
            for depth, span in rows
        ),
        ("began", "took", "", "what"),
    )


def _bar(start_ns: int, took_ns: int, whole_ns: int) -> str:
    """Return the place of a span in the whole run; one that is too short for it is a dot."""
    first = min(max(start_ns * _BAR_WIDTH // whole_ns, 0), _BAR_WIDTH - 1)
    length = min(max(round(took_ns * _BAR_WIDTH / whole_ns), 0), _BAR_WIDTH - first)
    return "|" + (" " * first + ("=" * length or ".")).ljust(_BAR_WIDTH) + "|"


def _told(span: StoredSpan) -> str:
    known = [span.attributes[key] for key in _DETAILS if key in span.attributes and span.name != _NOT_SHOWN_TWICE]
    outcome = span.attributes.get("plainbox.job.outcome")
    remarks = (
        str(outcome) if outcome is not None else "",
        "failed" if span.status == "error" and outcome is None else "",
        "not finished" if span.end_ns is None or "plainbox.unfinished" in span.attributes else "",
    )
    told = ", ".join(filter(None, remarks))
    return " ".join((span.name, *map(str, known[:1]), *([f"({told})"] if told else [])))
