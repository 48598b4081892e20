# SPDX-License-Identifier: Apache-2.0
"""``plainbox provider``.

Make a provider, or do to the one in this directory what its own manage.py does. Its manage.py is read and never run: what
it gives to setup() counts as far as it is written out.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from plainbox.errors import UsageError
from plainbox.providers.authoring.command import Command, SourceTree
from plainbox.providers.authoring.commands import COMMANDS, load
from plainbox.streams import Streams

_STREAMS = Streams("plainbox")
#: Keyword of setup() -> the command that it is for.
_USERS = {"build_cmd": "build", "clean_cmd": "clean", "strict": "validate", "deprecated": "validate"}


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _configure_new(commands.add_parser("new", help="make a new provider", description=_NEW))
    for name in COMMANDS:
        load(name)(SourceTree.unread(), _STREAMS).register_parser(commands)
        commands.choices[name].add_argument(
            "--provider", metavar="DIR", type=Path, default=Path(), help="the provider, instead of the one here"
        )


def run(arguments: argparse.Namespace) -> int:
    if arguments.action == "new":
        return _new(arguments)
    tree = SourceTree.read(arguments.provider.absolute())
    if tree.extensions:
        _STREAMS.warn(
            f"{tree.definition.origin} extends commands ({', '.join(tree.extensions)}); that does not count here",
            f"./manage.py {arguments.action} runs it with them",
        )
    for keyword in tree.calculated:
        if _USERS.get(keyword) == arguments.action:
            _STREAMS.warn(
                f"{tree.definition.origin}: {keyword} of setup() is calculated; that does not count here",
                f"./manage.py {arguments.action} knows it",
            )
    command: Command = load(arguments.action)(tree, _STREAMS)
    return command.invoked(arguments) or 0


_NEW = (
    "Make a directory with a provider that runs as it is: jobs, a resource with a template, a manual job, a test plan. "
    "NAME is like org.example:demo, and the directory is then demo; a simple name gets a namespace local.NAME."
)


def _configure_new(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the provider: demo, or org.example:demo")
    parser.add_argument("--directory", metavar="DIR", type=Path, help="the directory to make, instead of the name")
    parser.add_argument("--empty", action="store_true", help="no examples")
    parser.add_argument("--pxu", action="store_true", help="examples in PXU instead of YAML")


def _new(arguments: argparse.Namespace) -> int:
    from plainbox.providers.authoring.new import create, full_name

    if arguments.empty and arguments.pxu:
        raise UsageError("--pxu is about examples, and --empty has none", hint="leave one of them out")
    name = full_name(arguments.name)
    directory = arguments.directory or Path(name.partition(":")[2])
    create(directory, name, empty=arguments.empty, pxu=arguments.pxu)
    _STREAMS.say(f"made {name} in {directory}")
    if not arguments.empty:
        _STREAMS.say(f"  plainbox run --provider {shlex.quote(str(directory))}")
    return 0
