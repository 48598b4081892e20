# SPDX-License-Identifier: Apache-2.0
"""``plainbox session list``: the stored sessions, newest first. Looking needs no lock and changes nothing."""

from __future__ import annotations

import argparse

from plainbox.cli.arguments import add_json
from plainbox.cli.output import print_json, print_table, say
from plainbox.cli.sessions.facts import describe
from plainbox.session.outcome import OUTCOME_METADATA_MAP
from plainbox.session.storage import SessionStorageRepository


def configure(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    sessions = [describe(storage) for storage in SessionStorageRepository().get_storage_list()]
    if arguments.json:
        print_json("plainbox.session-list/1", sessions=sessions)
        return 0
    if not sessions:
        say("There are no stored sessions.")
    print_table(
        (
            (str(item["id"]), str(item["state"]), _counts(item["outcomes"]), str(item["title"] or item["reason"] or ""))
            for item in sessions
        ),
        ("session", "state", "outcomes", "title"),
    )
    return 0


def _counts(outcomes: object) -> str:
    if not isinstance(outcomes, dict):
        return ""
    return ", ".join(f"{outcomes[name]} {name}" for name in OUTCOME_METADATA_MAP if name in outcomes)
