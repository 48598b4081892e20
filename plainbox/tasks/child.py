# SPDX-License-Identifier: Apache-2.0
"""A process that is started, held at a barrier, and then let go.

Until it is released the process is a small shell that waits for a line on its standard input. When this process dies
first, the shell reads the end of the file instead and is gone. With the line it *becomes* the command, whose standard
input is the null device then, so that nothing of the barrier can be seen by the command. Names, values and the command
travel as arguments and are never parsed.

A program of another user may have to be asked for: then it is sudo that the shell becomes, and what sudo and the program
must know follows the line on the standard input.
"""

from __future__ import annotations

import fcntl
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from plainbox.errors import JobStartError
from plainbox.tasks.descriptors import give_back
from plainbox.tasks.family import become_subreaper, spawning
from plainbox.tasks.resultfile import RESULT_VARIABLE

if TYPE_CHECKING:
    from plainbox.tasks.output import StreamName
    from plainbox.tasks.terminal import Terminal
    from plainbox.tasks.users import Way

__all__ = ["Child"]

# $0 is the name of a variable that the environment does not have: the shell needs one to read into.
_BARRIER = 'read -r "$0" || exit 125; unset "$0"; exec "$@" </dev/null'
_READING_BARRIER = 'read -r "$0" || exit 125; unset "$0"; exec "$@"'
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PIPE_BYTES = 60 * 1024
_F_SETPIPE_SZ = 1031  # the module has a name for it since Python 3.10


class Child:
    """A held process, the leader of its own session and process group. Close it in any case."""

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        working_directory: Path,
        way: Way | None = None,
        *,
        pty: bool = False,
    ) -> None:
        """Start and hold ``argv``, whose first item names a program as in a shell.

        It becomes another user by ``way``, and writes to a terminal of its own with ``pty``. :class:`JobStartError` when
        that fails.
        """
        become_subreaper()
        self._first_input = None if way is None else way.first_input(environment)
        words: Sequence[str] = argv if self._first_input is not None else [*_smuggled(environment), *argv]
        words = words if way is None else way.words(words)
        barrier = _BARRIER if self._first_input is None else _READING_BARRIER
        gate = "plainbox_gate"
        while gate in environment:
            gate += "_"
        with ExitStack() as resources, spawning() as new_family:
            terminal = _new_terminal(resources) if pty else None
            target = subprocess.PIPE if terminal is None else terminal.screen
            try:
                self.process = subprocess.Popen(
                    ["/bin/sh", "-c", barrier, gate, *words],
                    stdin=subprocess.PIPE,
                    stdout=target,
                    stderr=target,
                    bufsize=0,
                    cwd=working_directory,
                    env=environment,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                raise JobStartError(f"the job could not be started in {working_directory}: {reason}") from error
            give_back(self.process.pid)
            #: What the program writes to.
            self.outputs = _outputs(self.process) if terminal is None else ((terminal.reader, "stdout"),)
            try:
                self.family = new_family(self.process, None if way is None else way.signal)
            except OSError as error:
                self.close_pipes()
                self.process.wait()
                raise JobStartError(f"the job could not be started: {error}") from error
            if RESULT_VARIABLE in environment:
                self.family.mark = f"{RESULT_VARIABLE}={environment[RESULT_VARIABLE]}"
            if way is not None:
                # The two ends of a pipe are one file, those of a terminal are not.
                for descriptor in self._output_descriptors() if terminal is None else (terminal.screen,):
                    way.hand_over_open(descriptor)
            if terminal is not None:
                terminal.keep_reader()

    def _output_descriptors(self) -> list[int]:
        return [stream.fileno() for stream, _ in self.outputs]

    def release(self) -> None:
        """Let the process become its command."""
        gate = cast("IO[bytes]", self.process.stdin)
        text = b"\n" + (self._first_input or b"")
        self._first_input = None
        try:
            if len(text) > _PIPE_BYTES:
                fcntl.fcntl(gate, _F_SETPIPE_SZ, len(text))
            gate.write(text)
        except BrokenPipeError:
            pass
        except OSError as error:
            raise JobStartError(f"the variables of the job are too long: {error.strerror}") from error
        finally:
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
        if self.process.stdin is not None:
            self.process.stdin.close()
        for pipe, _ in self.outputs:
            pipe.close()


def _outputs(process: subprocess.Popen[bytes]) -> tuple[tuple[IO[bytes], StreamName], ...]:
    return (cast("IO[bytes]", process.stdout), "stdout"), (cast("IO[bytes]", process.stderr), "stderr")


def _new_terminal(resources: ExitStack) -> Terminal:
    from plainbox.tasks.terminal import Terminal

    try:
        terminal = Terminal()
    except OSError as error:
        raise JobStartError(f"no terminal could be made for the job: {error.strerror}") from error
    resources.callback(terminal.leave)
    return terminal


def _smuggled(environment: Mapping[str, str]) -> list[str]:
    """Return the words that put back the variables which some shells drop: exported functions, names with a dash."""
    dropped = [f"{name}={value}" for name, value in environment.items() if not _SHELL_NAME.fullmatch(name)]
    return ["/usr/bin/env", "--", *dropped] if dropped else []
