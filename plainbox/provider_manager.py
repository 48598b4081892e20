# SPDX-License-Identifier: Apache-2.0
"""The door through which the ``manage.py`` of a provider comes in: ``setup()`` and the commands that it may extend.

Programs written for Checkbox import it; what they use of it stays: the names below, and of commands what
:class:`ManageCommand` and :class:`Definition` have. ``plainbox provider`` does the same without running a ``manage.py``.
"""

from __future__ import annotations

import argparse
import gettext
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import attrs

from plainbox import __version__
from plainbox.providers.authoring.command import Command as ManageCommand
from plainbox.providers.authoring.command import SourceTree
from plainbox.providers.authoring.commands import COMMANDS, load
from plainbox.providers.definition import ProviderDefinition
from plainbox.providers.manage_py import ManagePy
from plainbox.streams import Streams, carry_out
from plainbox.units.fields import closest
from plainbox.units.origin import Origin

if TYPE_CHECKING:
    from plainbox.providers.authoring.build import BuildCommand
    from plainbox.providers.authoring.clean import CleanCommand
    from plainbox.providers.authoring.develop import DevelopCommand
    from plainbox.providers.authoring.i18n import I18NCommand
    from plainbox.providers.authoring.info import InfoCommand
    from plainbox.providers.authoring.install import InstallCommand
    from plainbox.providers.authoring.packaging import PackagingCommand
    from plainbox.providers.authoring.sdist import SourceDistributionCommand
    from plainbox.providers.authoring.test import TestCommand
    from plainbox.providers.authoring.validate import ValidateCommand

__all__ = [
    "setup",
    "manage_py_extension",
    "N_",
    "ManageCommand",
    "Definition",
    "InfoCommand",
    "ValidateCommand",
    "DevelopCommand",
    "InstallCommand",
    "SourceDistributionCommand",
    "I18NCommand",
    "BuildCommand",
    "CleanCommand",
    "PackagingCommand",
    "TestCommand",
]

_logger = logging.getLogger("plainbox.provider_manager")

_KEYWORDS = (
    *("name", "namespace", "version", "description", "gettext_domain"),
    *("build_cmd", "clean_cmd", "strict", "deprecated"),
)

#: Command -> the class that a manage.py has put in its place, or added.
_extensions: dict[str, type[ManageCommand]] = {}

C = TypeVar("C", bound=type[ManageCommand])


def __getattr__(name: str) -> type[ManageCommand]:
    """Import a command when it is asked for; most programs extend none."""
    for command, class_name in COMMANDS.items():
        if class_name == name:
            return load(command)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def N_(message: str) -> str:  # noqa: N802 - the name that tools look for which collect texts
    """Return the message itself: it is only marked for translation."""
    return message


def _(message: str) -> str:
    return gettext.dgettext("plainbox", message)


@attrs.frozen
class Definition(ProviderDefinition):
    """A provider's definition, with the names that programs written for Checkbox use."""

    @property
    def location(self) -> str:
        return str(self.base_dir)

    @property
    def name_without_colon(self) -> str:
        return self.name.replace(":", ".")


def manage_py_extension(command: C) -> C:
    """Let a class take the place of the command whose name it has, or be a new command; return the class."""
    _extensions[command.command_name()] = command
    return command


def setup(**keywords: str | bool | None) -> NoReturn:
    """Do what the command line of a ``manage.py`` says about the provider that the keywords describe, and exit.

    ``name``, ``version``, ``description``, ``gettext_domain`` and ``namespace`` are what a definition says; ``strict`` and
    ``deprecated`` say what ``validate`` looks at; ``build_cmd`` and ``clean_cmd`` are shell commands.
    """
    caller = sys._getframe(1)
    path = Path(caller.f_globals.get("__file__") or sys.argv[0])
    streams = Streams(path.name)
    origin = Origin(str(path), caller.f_lineno)
    sys.exit(carry_out(streams, lambda: _run(keywords, path, origin, streams, sys.argv[1:])))


def _run(
    keywords: dict[str, str | bool | None], path: Path, origin: Origin, streams: Streams, words: Sequence[str]
) -> int:
    tree = _tree(keywords, path, origin, streams)
    arguments = _parser(tree, streams, words).parse_args(words)
    _listen_to_log(streams, arguments)
    command: ManageCommand = arguments.command
    return command.invoked(arguments) or 0


def _tree(keywords: dict[str, str | bool | None], path: Path, origin: Origin, streams: Streams) -> SourceTree:
    for name in keywords:
        if name not in _KEYWORDS:
            # Checkbox takes any keyword; extensions may be what it is for.
            hint = closest(name, _KEYWORDS) or f"known are {', '.join(_KEYWORDS)}"
            streams.warn(f"{origin}: setup() has no keyword {name!r}", hint)
    # What is run follows the same rules as what is only read.
    said = ManagePy(origin, {name: value for name, value in keywords.items() if value is not None})
    # The file may be a link to one that several providers share; the directory is what counts.
    tree = SourceTree.told(said, path.absolute().parent)
    return attrs.evolve(tree, definition=Definition(**attrs.asdict(tree.definition, recurse=False)))


def _parser(tree: SourceTree, streams: Streams, words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=streams.program,
        description=f"Work on the provider {tree.name}.",
        epilog=f"'{streams.program} COMMAND --help' tells more about a command.",
    )
    parser.add_argument("--version", action="version", version=f"{tree.name} {tree.version} (plainbox {__version__})")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell more")
    parser.add_argument("-D", "--debug", action="store_true", help="tell everything")
    parser.add_argument("-C", "--debug-console", dest="debug", action="store_true", help="the same as --debug")
    parser.add_argument("-T", "--trace", metavar="LOGGER", action="append", default=[], help="tell all of one logger")
    for letter, word in (("-P", "--pdb"), ("-I", "--debug-interrupt")):
        parser.add_argument(letter, word, action="store_true", help="accepted, without effect")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    names = [*COMMANDS, *(name for name in _extensions if name not in COMMANDS)]
    # A module takes its time to import: one is enough when the command is clear.
    for name in [name for name in names if name in words] or names:
        (_extensions.get(name) or load(name))(tree, streams).register_parser(commands)
    return parser


def _listen_to_log(streams: Streams, arguments: argparse.Namespace) -> None:
    """Say what is logged: warnings, or as much as the options ask for."""

    class Talk(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                streams.warn(record.getMessage())
            else:
                streams.say(record.getMessage())

    root = logging.getLogger()
    root.addHandler(Talk())
    root.setLevel(logging.WARNING)
    level = logging.DEBUG if arguments.debug else logging.INFO if arguments.verbose else logging.WARNING
    logging.getLogger("plainbox").setLevel(level)
    for name in arguments.trace:
        logging.getLogger(name).setLevel(logging.DEBUG)
