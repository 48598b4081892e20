# SPDX-License-Identifier: Apache-2.0
"""The command ``plainbox``: finds the sub-command, and turns every error into a message and an exit code.

Only the module of the sub-command that was asked for is imported.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from plainbox import __version__
from plainbox.cli.output import warn
from plainbox.errors import UsageError
from plainbox.streams import Streams, carry_out

__all__ = ["main"]

#: Sub-command -> what it does, in the order in which help shows them.
COMMANDS = {
    "run": "run a test plan or jobs, and report",
    "resume": "go on with an interrupted session",
    "list": "list jobs, plans, templates, categories, providers, exporters",
    "show": "show units as they are written",
    "expand": "show what a test plan contains",
    "list-bootstrapped": "show what a test plan contains on this machine",
    "why": "explain why a job ran, or did not",
    "session": "list and show stored sessions",
    "export": "make a report of a stored session",
    "manifest": "show and set what only a person knows of this machine",
    "chain": "look at the advice around jobs",
    "cache": "show and clear away kept results of jobs",
    "remote": "look at and trust the machines that jobs can run on",
    "trace": "show where the time of a run went",
    "doctor": "check this machine for what sessions need, and set it up",
    "provider": "make, check, build and install providers",
    "lint": "check the units of providers",
    "translate": "rewrite PXU unit files as YAML",
    "schema": "print the JSON Schema of YAML unit files",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    _open_standard_streams()
    return carry_out(Streams("plainbox"), lambda: _dispatch(words))


def _dispatch(words: list[str]) -> int:
    name = next((word for word in words if not word.startswith("-")), None)
    if not words:
        _overview().print_help(sys.stderr)
        return 2
    if name is None or words[0].startswith("-"):
        _overview().parse_args(words)  # help, version, or an error that names the commands
        return 2
    if name not in COMMANDS:
        raise _unknown(name)
    module = _module(name)
    parser = argparse.ArgumentParser(
        prog=f"plainbox {name}", description=module.__doc__.split("\n\n", 1)[-1].strip() if module.__doc__ else None
    )
    _formatter(parser)
    module.configure(parser)
    if "logging" in sys.modules:
        _listen_to_log()
    code: int = module.run(parser.parse_args(words[1:]))
    return code


def _unknown(name: str) -> UsageError:
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, n=1)
    return UsageError(
        f"no command {name!r}", hint=f"did you mean {near[0]!r}?" if near else f"known are {', '.join(COMMANDS)}"
    )


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"plainbox.cli.commands.{name.replace('-', '_')}")


def _overview() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="plainbox",
        description="Run test plans on real machines and never lose a result.",
        epilog="'plainbox COMMAND --help' tells more about a command. "
        "Exit codes: 0 all passed, 1 some job failed or crashed, 2 usage, 3 session unusable, 4 infrastructure, "
        "5 nothing selected, 6 stopped but resumable, 70 internal error, 129 hung up, 130 interrupted, 143 terminated.",
    )
    _formatter(parser)
    parser.add_argument("--version", action="version", version=f"plainbox {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary, add_help=False)
    return parser


def _open_standard_streams() -> None:
    """Put the null device where the caller has closed a standard stream: no file of ours must get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _listen_to_log() -> None:
    """Show what the rooms below log as warnings, in the form of all others."""
    import logging

    class Talk(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warn(record.getMessage())

    logger = logging.getLogger("plainbox")
    if not logger.handlers:
        logger.addHandler(Talk(logging.WARNING))


def _formatter(parser: argparse.ArgumentParser) -> None:
    """Colour the help on a terminal; elsewhere the import would only cost time."""
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb":
        from rich_argparse import RichHelpFormatter

        parser.formatter_class = RichHelpFormatter


if __name__ == "__main__":
    sys.exit(main())
