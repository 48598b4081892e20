# SPDX-License-Identifier: Apache-2.0
"""``plainbox session list``: list the stored sessions, newest first, each with its state, what came of its jobs, when it
was created and what it takes up on the disk. One that cannot be read says why. Looking needs no lock and changes nothing.
"""

from __future__ import annotations

import argparse
from itertools import islice

from plainbox.cli.arguments import add_json
from plainbox.cli.output import print_json, print_table, say
from plainbox.cli.sessions.facts import outcome_counts, row_of, shown_size, shown_time, what_is_known
from plainbox.session.facts import SessionStanding, facts_of
from plainbox.session.repository import SessionStorageRepository


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state",
        metavar="STATE",
        action="append",
        choices=[state.value for state in SessionStanding],
        help=f"only those that are {', '.join(SessionStanding)} (may be given again)",
    )
    parser.add_argument("-n", "--newest", metavar="N", type=_count, help="only the newest N")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    repository = SessionStorageRepository()
    wanted = (
        facts
        for facts in map(facts_of, repository.get_storage_list())
        if arguments.state is None or facts.state in arguments.state
    )
    sessions = list(islice(wanted, arguments.newest))
    wanted.close()
    if arguments.json:
        print_json("plainbox.session-list/1", sessions=[row_of(facts) for facts in sessions])
        return 0
    if not sessions:
        say("There are no such sessions." if arguments.state else "There are no stored sessions.")
    print_table(
        (
            (
                facts.id,
                facts.state.value,
                outcome_counts(facts),
                shown_time(facts.created),
                shown_size(facts.disk_bytes),
                what_is_known(facts),
            )
            for facts in sessions
        ),
        ("session", "state", "outcomes", "created", "size", "title"),
    )
    return 0


def _count(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)
