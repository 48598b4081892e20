# SPDX-License-Identifier: Apache-2.0
"""``plainbox session verify``: check that a session is what was acknowledged. Nothing is changed and no lock is needed."""

from __future__ import annotations

import argparse
from collections import Counter

from plainbox.cli.arguments import add_json, add_session, find_session
from plainbox.cli.output import clean, print_json, say, write
from plainbox.errors import SessionError, UsageError
from plainbox.session.repository import SessionStorageRepository, argument_of
from plainbox.session.storage import SessionStorage
from plainbox.session.verification import Finding, Verification, verify

#: So many findings of one kind are told one by one; of the others their number.
_TOLD = 20


def configure(parser: argparse.ArgumentParser) -> None:
    add_session(parser, "the newest")
    parser.add_argument("--deep", action="store_true", help="read all logs, too, and compare their digests")
    parser.add_argument("--all", action="store_true", help="check all stored sessions")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.all and arguments.session is not None:
        raise UsageError("--all checks every session; it goes with no SESSION")
    storages = SessionStorageRepository().get_storage_list() if arguments.all else [find_session(arguments.session)]
    found = [_verified(storage, deep=arguments.deep, alone=not arguments.all) for storage in storages]
    if arguments.json:
        print_json("plainbox.session-verification/1", sessions=[item.as_dict() for item in found])
    else:
        if not found:
            say("There are no stored sessions.")
        for item in found:
            _show(item)
    return 0 if all(item.is_sound for item in found) else 3


def _verified(storage: SessionStorage, *, deep: bool, alone: bool) -> Verification:
    try:
        return verify(storage, deep=deep)
    except (SessionError, OSError) as error:
        if alone:
            raise
        finding = Finding(".", "unreadable", str(error))
        return Verification(storage.id, storage.location, "unreadable", deep, (finding,), 0, 0, 0, 0)


def _show(item: Verification) -> None:
    write(f"{clean(item.session)}: {item.state}")
    if item.state != "unreadable":
        what = "that can be read: " if item.state == "damaged" else ""
        write(f"  {what}{count(item.jobs, 'job')}, {count(item.results, 'result')}, checkpoint {item.checkpoint}")
    told: Counter[str] = Counter()
    for finding in item.findings:
        told[finding.kind] += 1
        if told[finding.kind] <= _TOLD:
            write(clean(f"  {_place(finding)}: {finding.message}"))
    for kind, number in told.items():
        if number > _TOLD:
            write(f"  and {number - _TOLD} more of the kind {kind}")
    remedies = [finding for finding in item.findings if finding.remedy is not None]
    for finding in remedies:
        say(clean(f"{item.directory}/{finding.file}: {finding.remedy}; then verify the session again."))
    if remedies:
        return
    if item.state == "damaged":
        name = clean(argument_of(item.directory))
        say(f"plainbox session salvage --dry-run {name} tells what a repair would keep and what is lost.")
    elif item.state == "unreadable":
        say("Nothing of this session can be used.")


def _place(finding: Finding) -> str:
    words = [finding.file]
    if finding.offset is not None:
        words.append(f"byte {finding.offset}")
    if finding.seq is not None:
        words.append(f"record {finding.seq}")
    return ", ".join(words)


def count(number: int, noun: str) -> str:
    """Return a number of things for people."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
