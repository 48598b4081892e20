# SPDX-License-Identifier: Apache-2.0
"""``plainbox session``.

Look at the stored sessions, check and repair them, and clear them away. Looking changes nothing and needs no lock, so it
works while a session runs.
"""

from __future__ import annotations

import argparse
import importlib
from typing import Final

#: Action -> what it does, in the order in which help shows them; each is a module of plainbox.cli.sessions.
_ACTIONS: Final = {
    "list": "list the stored sessions, newest first",
    "show": "show one session: its jobs and what became of them",
    "verify": "check that a session is what was acknowledged",
    "salvage": "repair a damaged session and name what is lost",
    "compact": "make the journals of sessions shorter",
    "archive": "write a session into one file",
    "restore": "make a session of an archive",
    "remove": "delete sessions",
    "gc": "remove sessions that have been kept long enough",
}


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in _ACTIONS.items():
        module = importlib.import_module(f"plainbox.cli.sessions.{name}")
        action = commands.add_parser(name, help=summary, description=(module.__doc__ or "").partition(": ")[2])
        module.configure(action)
        action.set_defaults(carry_out=module.run)


def run(arguments: argparse.Namespace) -> int:
    code: int = arguments.carry_out(arguments)
    return code
