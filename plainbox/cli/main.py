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
from plainbox.cli.output import clean, say, warn
from plainbox.errors import PlainboxError, UsageError

__all__ = ["main"]

#: Sub-command -> what it does, in the order in which help shows them.
COMMANDS = {
    "run": "run a test plan or jobs, and report",
    "resume": "go on with an interrupted session",
    "list": "list jobs, plans, templates, categories, providers, exporters",
    "show": "show units as they are written",
    "expand": "show what a test plan contains",
    "session": "list and show stored sessions",
    "export": "make a report of a stored session",
}

EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    _open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows its code: output never fails for that.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except PlainboxError as error:
        _complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; nothing more can be said to it, not even at exit.
        _silence_output()
        return 0
    except OSError as error:
        # The disk, the rights, the paths of this machine: nothing that a traceback would explain.
        _silence_output()
        place = f"{error.filename}: " if error.filename else ""
        _complain(PlainboxError(f"{place}{error.strerror or error}"))
        return PlainboxError.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence: a file instead of a traceback
        return _crashed(error)
    return code


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
    return importlib.import_module(f"plainbox.cli.commands.{name}")


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


def _silence_output() -> None:
    """Let what is still to be written to standard output go nowhere."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)


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


def _complain(error: PlainboxError) -> None:
    say(clean(f"plainbox: {error}"))
    if error.hint:
        say(clean(f"  {error.hint}"))


def _crashed(error: Exception) -> int:
    """Keep the traceback in a file and tell where it is."""
    import tempfile
    import time
    import traceback

    text = f"plainbox {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n"
    text += "".join(traceback.format_exception(error))
    name = f"crash-{time.strftime('%Y%m%dT%H%M%S')}-"
    try:
        from plainbox import dirs

        directory = dirs.crash_files()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd, path = tempfile.mkstemp(prefix=name, suffix=".txt", dir=directory)
    except Exception:  # noqa: BLE001 - telling of one fault must not end in another
        fd, path = tempfile.mkstemp(prefix=f"plainbox-{name}", suffix=".txt")
    with open(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    summary = f"{type(error).__name__}: {error}".splitlines()[0]
    print(  # noqa: T201
        f"plainbox: internal error: {summary}\n  this is a fault of plainbox; the details are in {path}",
        file=sys.stderr,
    )
    return EXIT_INTERNAL


if __name__ == "__main__":
    sys.exit(main())
