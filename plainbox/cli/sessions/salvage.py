# SPDX-License-Identifier: Apache-2.0
"""``plainbox session salvage``: repair a damaged session and name what is lost. The damaged files are kept."""

from __future__ import annotations

import argparse

from plainbox.cli.arguments import add_json, add_session, find_session
from plainbox.cli.output import clean, print_json, say, write
from plainbox.cli.sessions.verify import count
from plainbox.errors import UsageError
from plainbox.session.directory import SUFFIX
from plainbox.session.repository import argument_of
from plainbox.session.salvage import Salvage, salvage


def configure(parser: argparse.ArgumentParser) -> None:
    add_session(parser, "the newest")
    parser.add_argument("--dry-run", action="store_true", help="tell what would be done, and change nothing")
    parser.add_argument(
        "--into", metavar="ID", help="leave the session alone and make another one of what is good, in your repository"
    )
    parser.add_argument("--deep", action="store_true", help="read all logs, too, so that damage inside of one is found")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    storage = find_session(arguments.session)
    into = arguments.into.removesuffix(SUFFIX) if arguments.into is not None else None
    try:
        done = salvage(storage, dry_run=arguments.dry_run, into=into, deep=arguments.deep)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if arguments.json:
        print_json("plainbox.session-salvage/1", **done.as_dict())
    else:
        _show(done)
    return done.exit_code


def _show(done: Salvage) -> None:
    name = clean(done.session)
    if done.state == "sound":
        write(f"{name}: nothing to do")
        return
    if done.state == "unusable":
        write(f"{name}: nothing can be used")
        write(clean(f"  {done.reason}"))
        say("Nothing was changed. What jobs have printed may still be read in its directory, io-logs.")
        return
    would = "can be repaired" if done.dry_run else "repaired"
    write(f"{name}: {would}{f' as {done.into}' if done.into else ''}{'' if done.losses else '; nothing is lost'}")
    for loss in done.losses:
        write(clean(f"  lost: {loss.message}"))
    undecided = f", and {done.undecided} undecided" if done.undecided else ""
    write(f"  kept: {count(done.results, 'result')}{undecided}, of {count(done.jobs, 'job')}")
    if done.quarantine is not None:
        write(clean(f"  the files as they were: {done.directory}/{done.quarantine}"))
    if done.dry_run:
        say("Nothing was changed.")
    else:
        next_step = "plainbox resume" if done.resumable else "plainbox session show"
        say(f"Go on with: {next_step} {done.into or clean(argument_of(done.directory))}")
