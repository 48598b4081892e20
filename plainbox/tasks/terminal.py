# SPDX-License-Identifier: Apache-2.0
"""A terminal of its own for a program that shows nothing, or something else, when it writes to a pipe.

Made by the child that is started with one. The program gets it as standard output and error alone: its input stays the
null device and it has no controlling terminal, so nothing that it asks there waits for an answer that nobody gives. It
never gets at the terminal of whoever runs this process. Bytes come through as they are written.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from typing import IO

__all__ = ["COLUMNS", "LINES", "Terminal"]

LINES, COLUMNS = 24, 80


class Terminal:
    """A pair of ends; :class:`OSError` when there is none left. ``screen`` is what the program writes to."""

    def __init__(self) -> None:
        self._is_kept = False
        descriptor, self.screen = os.openpty()
        #: Reads what the program has written, and raises EIO when nobody can write any more.
        self.reader: IO[bytes] = open(descriptor, "rb", buffering=0)  # noqa: SIM115 - leave() closes it
        try:
            attributes = termios.tcgetattr(self.screen)
            attributes[1] &= ~termios.OPOST
            attributes[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
            termios.tcsetattr(self.screen, termios.TCSANOW, attributes)
            fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        except OSError:
            self.leave()
            raise

    def keep_reader(self) -> None:
        """Let the reader stay open when this is left: somebody else closes it."""
        self._is_kept = True

    def leave(self) -> None:
        """Close the screen, which is the program's by now, and a reader that nobody keeps."""
        os.close(self.screen)
        if not self._is_kept:
            self.reader.close()
