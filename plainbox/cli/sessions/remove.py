# SPDX-License-Identifier: Apache-2.0
"""``plainbox session remove``: delete stored sessions with all their logs, also damaged ones and those of other versions.
One that is in use stays, and the others go.

On a terminal you are asked first. Elsewhere nothing is asked: complete sessions that are named by their full ids are
removed; for anything else (patterns, parts of ids, --all-complete, sessions that are not complete or cannot be read)
--yes is needed.
"""

from __future__ import annotations

import argparse

from plainbox.cli.arguments import add_json
from plainbox.cli.console.choose import can_ask, confirm
from plainbox.cli.output import complain, print_json, say, write
from plainbox.cli.sessions.choosing import add_sessions, find_sessions
from plainbox.cli.sessions.facts import outcome_counts, shown_size
from plainbox.errors import StorageError, UsageError
from plainbox.session.facts import SessionFacts, SessionStanding, facts_of
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.retention import Removal, remove_session
from plainbox.session.storage import SessionStorage

EXIT_REFUSED = 3


def configure(parser: argparse.ArgumentParser) -> None:
    add_sessions(parser, "remove")
    parser.add_argument("--all-complete", action="store_true", help="also all complete sessions that nobody uses")
    parser.add_argument("-y", "--yes", action="store_true", help="remove them without a question")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    if not arguments.sessions and not arguments.all_complete:
        raise UsageError("no session is named", hint="plainbox session list shows those there are")
    chosen = find_sessions(arguments.sessions)
    if arguments.all_complete:
        chosen += _complete_ones(leave_out={storage.id for storage in chosen})
    if not chosen:
        say("There is no complete session.")
    elif not arguments.yes and not _may_remove(chosen, arguments):
        say("Nothing was removed.")
        return 0
    removals = []
    for storage in chosen:
        removals.append(remove_session(storage))
        _tell(removals[-1], in_lines=not arguments.json)
    if arguments.json:
        print_json("plainbox.session-removal/1", **removal_rows(removals))
    elif len(removals) > 1:
        say(sum_up(removals))
    return EXIT_REFUSED if any(removal.refused is not None for removal in removals) else 0


def _complete_ones(leave_out: set[str]) -> list[SessionStorage]:
    stored = [storage for storage in SessionStorageRepository().get_storage_list() if storage.id not in leave_out]
    return [facts.storage for facts in map(facts_of, stored) if facts.state is SessionStanding.COMPLETE]


def _may_remove(chosen: list[SessionStorage], arguments: argparse.Namespace) -> bool:
    """Ask, where there is somebody to ask; elsewhere raise unless all was said that there is to say."""
    known = list(map(facts_of, chosen))
    unfinished = [facts for facts in known if facts.state is not SessionStanding.COMPLETE]
    if can_ask():
        _show(known)
        size = shown_size(sum(facts.disk_bytes for facts in known))
        what = "this session" if len(known) == 1 else f"these {len(known)} sessions"
        warning = f" {_count(unfinished, len(known))} not complete." if unfinished else ""
        return confirm(f"Remove {what} ({size})?{warning}", default=False)
    if unfinished:
        facts = unfinished[0]
        why = f"unreadable: {facts.reason}" if facts.state is SessionStanding.UNREADABLE else str(facts.state)
        raise UsageError(f"the session {facts.id} is not complete ({why})", hint="--yes removes it nevertheless")
    if arguments.all_complete or [storage.id for storage in chosen] != list(dict.fromkeys(arguments.sessions)):
        raise UsageError(
            f"{len(known)} session{'s are' if len(known) != 1 else ' is'} meant, and not all are named by their full ids",
            hint="--yes removes them; plainbox session list shows them",
        )
    return True


def _count(unfinished: list[SessionFacts], number: int) -> str:
    if number == 1:
        return "It is"
    return "1 of them is" if len(unfinished) == 1 else f"{len(unfinished)} of them are"


def _show(known: list[SessionFacts]) -> None:
    """Show what is to go to the person who is asked."""
    for facts in known:
        what = facts.reason if facts.state is SessionStanding.UNREADABLE else outcome_counts(facts)
        told = ", ".join(filter(None, (facts.title, what)))
        say(f"  {facts.id}  {facts.state}: {told}  ({shown_size(facts.disk_bytes)})")


def _tell(removal: Removal, *, in_lines: bool) -> None:
    if removal.refused is not None:
        complain(StorageError(removal.refused))
    elif in_lines:
        write(f"removed {removal.id}  {shown_size(removal.freed_bytes)}")


def removal_rows(removals: list[Removal]) -> dict[str, object]:
    """Return what became of sessions that were to be removed, for programs."""
    return {
        "removed": [{"id": item.id, "freed_bytes": item.freed_bytes} for item in removals if item.refused is None],
        "refused": [{"id": item.id, "reason": item.refused} for item in removals if item.refused is not None],
    }


def sum_up(removals: list[Removal]) -> str:
    """Return how many sessions were removed and how much space they gave back."""
    gone = [removal for removal in removals if removal.refused is None]
    stay = len(removals) - len(gone)
    told = f"{len(gone)} session{'' if len(gone) == 1 else 's'} removed, "
    told += f"{shown_size(sum(removal.freed_bytes for removal in gone))} free again"
    return told + (f"; {stay} refused" if stay else "")
