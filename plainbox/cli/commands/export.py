# SPDX-License-Identifier: Apache-2.0
"""``plainbox export``.

Make a report of a stored session, complete or not.
"""

from __future__ import annotations

import argparse

from plainbox.cli.arguments import add_providers, add_session, find_session
from plainbox.cli.output import say
from plainbox.cli.reports import Report, check_formats, write_report
from plainbox.cli.stored import open_stored


def configure(parser: argparse.ArgumentParser) -> None:
    add_session(parser, "the newest")
    parser.add_argument(
        "-f", "--format", default="json", help="json, html, junit, xlsx, text, or the id of an exporter"
    )
    parser.add_argument("-o", "--output", metavar="FILE", default="-", help="the file; standard output by default")
    parser.add_argument(
        "-p",
        "--option",
        metavar="OPTION",
        action="append",
        default=[],
        help="option of the exporter (may be given again)",
    )
    add_providers(parser)


def run(arguments: argparse.Namespace) -> int:
    storage = find_session(arguments.session)
    with open_stored(storage, arguments.providers) as manager:
        report = Report(arguments.format, arguments.output, tuple(arguments.option))
        assert manager.state is not None
        check_formats(manager.state.unit_list, [report])
        write_report(manager, report)
    if report.path != "-":
        say(f"Report: {report.path}")
    return 0
