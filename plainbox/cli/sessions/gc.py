# SPDX-License-Identifier: Apache-2.0
"""``plainbox session gc``: remove complete sessions that have been kept long enough, and what interrupted creations and
removals have left behind. The settings keep and keep_days of [sessions] say what is kept, or the options; without
any of them no session goes. With both, one goes only when neither keeps it.

Sessions that are running, not complete or unreadable stay, and are listed with the reason.
"""

from __future__ import annotations

import argparse
import math
import time

from plainbox.cli.arguments import add_json
from plainbox.cli.output import complain, print_json, print_table, say
from plainbox.cli.sessions.facts import shown_size
from plainbox.cli.sessions.remove import EXIT_REFUSED, removal_rows, sum_up
from plainbox.config import load_settings
from plainbox.errors import StorageError
from plainbox.session.directory import remove_tree
from plainbox.session.facts import SessionStanding, facts_of
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.retention import Removal, Retention, Verdict, carry_out, decide


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="change nothing, say what would go")
    parser.add_argument("--keep", metavar="N", type=_number, help="keep the newest N complete sessions")
    parser.add_argument("--keep-days", metavar="D", type=_days, help="keep complete sessions younger than D days")
    parser.add_argument(
        "--include-incomplete", action="store_true", help="the same for those that are incomplete, stuck or empty"
    )
    parser.add_argument("--include-unreadable", action="store_true", help="the same for those that cannot be read")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    rule = _rule(arguments)
    repository = SessionStorageRepository()
    leftovers = repository.leftovers()
    verdicts = decide(map(facts_of, repository.get_storage_list()), rule, time.time())
    removals: list[Removal] = []
    if not arguments.dry_run:
        for path in leftovers:
            remove_tree(path)
        removals = list(carry_out(verdicts))
    refused = [removal for removal in removals if removal.refused is not None]
    if arguments.json:
        kept = [{"id": item.facts.id, "reason": item.reason} for item in verdicts if not item.remove]
        would = [{"id": item.facts.id, "reason": item.reason} for item in verdicts if item.remove]
        changed = {"would_remove": would} if arguments.dry_run else removal_rows(removals)
        print_json("plainbox.session-gc/1", dry_run=arguments.dry_run, **changed, kept=kept, leftovers=len(leftovers))
        return EXIT_REFUSED if refused else 0
    _show(verdicts, removals, dry_run=arguments.dry_run)
    for removal in refused:
        complain(StorageError(removal.refused or ""))
    _conclude(verdicts, removals, len(leftovers), rule, dry_run=arguments.dry_run)
    return EXIT_REFUSED if refused else 0


def _rule(arguments: argparse.Namespace) -> Retention:
    """Return what the options say; without any of them what the settings say."""
    keep, keep_days = arguments.keep, arguments.keep_days
    if keep is None and keep_days is None:
        settings = load_settings()
        keep, keep_days = settings.keep, settings.keep_days
    return Retention(keep, keep_days, arguments.include_incomplete, arguments.include_unreadable)


def _show(verdicts: list[Verdict], removals: list[Removal], *, dry_run: bool) -> None:
    """List what goes, and what stays although its age would not keep it."""
    freed = {removal.id: removal.freed_bytes for removal in removals if removal.refused is None}
    rows = []
    for verdict in verdicts:
        facts = verdict.facts
        if verdict.remove and (dry_run or facts.id in freed):
            size = facts.disk_bytes if dry_run else freed[facts.id]
            rows.append(("would go" if dry_run else "removed", facts.id, shown_size(size), verdict.reason))
        elif not verdict.remove and facts.state is not SessionStanding.COMPLETE:
            rows.append(("stays", facts.id, shown_size(facts.disk_bytes), verdict.reason))
    print_table(rows)


def _conclude(
    verdicts: list[Verdict], removals: list[Removal], leftovers: int, rule: Retention, *, dry_run: bool
) -> None:
    if not rule.removes:
        say(
            "No rule says how long sessions are kept: set keep or keep_days in [sessions], or give --keep or --keep-days."
        )
    elif dry_run:
        going = [verdict.facts for verdict in verdicts if verdict.remove]
        size = shown_size(sum(facts.disk_bytes for facts in going))
        say(f"{len(going)} session{'' if len(going) == 1 else 's'} would go, {size}")
    else:
        say(sum_up(removals))
    if leftovers:
        verb = "would go" if dry_run else "removed"
        say(f"{leftovers} leftover{'' if leftovers == 1 else 's'} of interrupted creations and removals {verb}")


def _number(text: str) -> int:
    if not text.isdecimal() or not text.isascii():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not 0 <= days < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days from 0 on")
    return days
