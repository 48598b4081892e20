# SPDX-License-Identifier: Apache-2.0
"""``plainbox remote``.

Look at other machines that jobs can run on: whether everything is there that a run needs, and the keys that they show. A
machine is the name of a section [remote:NAME] or ssh://USER@HOST[:PORT].
"""

from __future__ import annotations

import argparse
import time

from plainbox.cli.arguments import add_json
from plainbox.cli.chains import remote_named
from plainbox.cli.console.choose import can_ask, confirm
from plainbox.cli.output import clean, print_json, print_table, say, write
from plainbox.config import load_advice_settings
from plainbox.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="log in there and look whether a run would work",
        description="Log in there, look at what a run needs, and leave nothing behind.",
    )
    trust = actions.add_parser(
        "trust",
        help="show the key of a machine and rely on it from now on",
        description="Show the fingerprint of the key that a machine shows now, and store it as the one to rely on.",
    )
    for action, carry_out in ((check, _check), (trust, _trust)):
        action.add_argument("remote", metavar="NAME|ssh://USER@HOST[:PORT]", help="the machine")
        action.set_defaults(carry_out=carry_out)
    add_json(check)
    trust.add_argument("--yes", action="store_true", help="do not ask")
    trust.add_argument("--fingerprint", metavar="SHA256:...", help="rely on the key only if this is its fingerprint")


def run(arguments: argparse.Namespace) -> int:
    code: int = arguments.carry_out(arguments)
    return code


def _check(arguments: argparse.Namespace) -> int:
    from plainbox.tasks.looking import look_at

    remote = remote_named(arguments.remote, load_advice_settings())
    began_s = time.monotonic()
    found = look_at(remote)
    found["connecting_s"] = round(time.monotonic() - began_s, 2)
    if arguments.json:
        print_json("plainbox.remote/1", remote=remote.name, url=remote.url, mode=remote.mode, **found)
        return 0
    print_table([(name.replace("_", " "), clean(str(value))) for name, value in found.items()])
    say(f"{remote.name} can run jobs.")
    return 0


def _trust(arguments: argparse.Namespace) -> int:
    from plainbox.tasks.trusting import shown_keys, trust

    remote = remote_named(arguments.remote, load_advice_settings())
    keys = shown_keys(remote)
    for key in keys:
        write(clean(f"{remote.name}: {key.kind} {key.fingerprint}"))
    wanted = arguments.fingerprint
    if wanted is not None and wanted not in [key.fingerprint for key in keys]:
        raise UsageError(f"{remote.name} shows another key than {wanted}", hint="somebody else may be answering")
    if wanted is None and not arguments.yes:
        if not can_ask():
            raise UsageError("nobody is there to look at the fingerprint", hint="give it with --fingerprint, or --yes")
        if not confirm("Is this the key of that machine?", default=False):
            say("Nothing was stored.")
            return 1
    say(f"Stored in {trust(remote, keys)}")
    return 0
