# SPDX-License-Identifier: Apache-2.0
"""The edge between a program of ours and whoever started it: lines of talk, and errors as messages and exit codes.

Data goes to standard output, everything that is said about it to standard error. No traceback reaches anybody.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable

from plainbox.errors import PlainboxError

__all__ = ["EXIT_INTERNAL", "EXIT_INTERRUPTED", "Streams", "carry_out", "clean"]

EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130


def clean(text: str) -> str:
    """Return text that cannot do anything to a terminal: control characters are shown, not sent."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\n" else f"\\x{ord(character):02x}" for character in text
    )


class Streams:
    """The standard streams of a program; its name stands before what it complains about."""

    def __init__(self, program: str) -> None:
        self.program = program

    def write(self, text: str) -> None:
        """Write a line of data."""
        sys.stdout.write(text + "\n")

    def say(self, text: str, end: str = "\n") -> None:
        """Write a line of talk; when nobody listens any more, what is being done goes on without words."""
        with contextlib.suppress(OSError, ValueError):
            # Where both go to one place, what was written first stands first.
            sys.stdout.flush()
        try:
            sys.stderr.write(clean(text) + end)
            sys.stderr.flush()
        except OSError:
            _silence(sys.stderr.fileno())

    def warn(self, text: str, hint: str | None = None) -> None:
        """Write a warning, and what to do about it."""
        self.say(f"{self.program}: warning: {text}" + (f"\n  {hint}" if hint else ""))

    def complain(self, error: PlainboxError) -> None:
        """Write what went wrong, and what to do about it."""
        self.say(f"{self.program}: {error}" + (f"\n  {error.hint}" if error.hint else ""))


def carry_out(streams: Streams, work: Callable[[], int]) -> int:
    """Do the work of a program and return its exit code, whatever happens."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows its code: output never fails for that.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = work()
        sys.stdout.flush()
    except PlainboxError as error:
        streams.complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; nothing more can be said to it, not even at exit.
        _silence(1)
        return 0
    except OSError as error:
        # The disk, the rights, the paths of this machine: nothing that a traceback would explain.
        place = f"{error.filename}: " if error.filename else ""
        streams.complain(PlainboxError(f"{place}{error.strerror or error}"))
        _silence(1)
        return PlainboxError.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence: a file instead of a traceback
        path = _keep_traceback(error)
        summary = f"{type(error).__name__}: {error}".splitlines()[0]
        streams.say(f"{streams.program}: internal error: {summary}\n  the details are in {path}")
        return EXIT_INTERNAL
    return code


def _silence(descriptor: int) -> None:
    """Let what is still to be written there go nowhere."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)


def _keep_traceback(error: Exception) -> str:
    """Write the traceback to a file that only the user can read, and return its path."""
    import tempfile
    import time
    import traceback

    from plainbox import __version__, dirs

    text = f"plainbox {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n"
    text += "".join(traceback.format_exception(error))
    name = f"crash-{time.strftime('%Y%m%dT%H%M%S')}-"
    try:
        directory = dirs.crash_files()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, path = tempfile.mkstemp(prefix=name, suffix=".txt", dir=directory)
    except Exception:  # noqa: BLE001 - telling of one fault must not end in another
        descriptor, path = tempfile.mkstemp(prefix=f"plainbox-{name}", suffix=".txt")
    with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return path
