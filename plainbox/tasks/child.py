# SPDX-License-Identifier: Apache-2.0
"""A process that is started, held at a barrier, and then let go.

Until it is released the process is a small shell that waits for a line on its standard input. When this process dies
first, the shell reads the end of the file instead and is gone. With the line it *becomes* the command, whose standard
input is the null device then, so that nothing of the barrier can be seen by the command. Names, values and the command
travel as arguments and are never parsed.
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from plainbox.errors import JobStartError
from plainbox.tasks.family import become_subreaper, spawning

__all__ = ["Child"]

# $0 is the name of a variable that the environment does not have: the shell needs one to read into.
_BARRIER = 'read -r "$0" || exit 125; unset "$0"; exec "$@" </dev/null'
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Child:
    """A held process, the leader of its own session and process group. Close it in any case."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], working_directory: Path) -> None:
        """Start and hold ``argv``, whose first item names a program as in a shell.

        :class:`JobStartError` when that fails.
        """
        become_subreaper()
        gate = "plainbox_gate"
        while gate in environment:
            gate += "_"
        with spawning() as new_family:
            try:
                self.process = subprocess.Popen(
                    ["/bin/sh", "-c", _BARRIER, gate, *_smuggled(environment), *argv],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    cwd=working_directory,
                    env=environment,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                raise JobStartError(f"the job could not be started in {working_directory}: {reason}") from error
            try:
                self.family = new_family(self.process)
            except OSError as error:
                self.close_pipes()
                self.process.wait()
                raise JobStartError(f"the job could not be started: {error}") from error

    @property
    def stdout(self) -> IO[bytes]:
        return cast("IO[bytes]", self.process.stdout)

    @property
    def stderr(self) -> IO[bytes]:
        return cast("IO[bytes]", self.process.stderr)

    def release(self) -> None:
        """Let the process become its command."""
        gate = cast("IO[bytes]", self.process.stdin)
        with suppress(BrokenPipeError):
            gate.write(b"\n")
        gate.close()

    def abort(self, grace_s: float, give_up_after_s: float) -> None:
        """End the process and its family, whatever state they are in. A second interruption makes it quick."""
        self.close_pipes()
        try:
            if self.family.anybody_left():
                self.family.signal(signal.SIGTERM)
                self.family.await_end(time.monotonic() + grace_s, give_up_after_s)
        except BaseException:
            self.family.signal(signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(give_up_after_s)
            raise

    def close(self) -> None:
        """Close the pipes and give up the family."""
        self.close_pipes()
        self.family.forget()

    def close_pipes(self) -> None:
        """Stop to listen, whoever may still write."""
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def _smuggled(environment: Mapping[str, str]) -> list[str]:
    """Return the words that put back the variables which some shells drop: exported functions, names with a dash."""
    dropped = [f"{name}={value}" for name, value in environment.items() if not _SHELL_NAME.fullmatch(name)]
    return ["/usr/bin/env", "--", *dropped] if dropped else []
