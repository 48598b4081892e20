# SPDX-License-Identifier: Apache-2.0
"""The process on this side through which a far end is reached: the worker itself, or the client of a connection.

It has a session of its own, so that an interrupt from the terminal does not hit it, and counts as the leader of a family
like the command of a job does: nobody takes it for the orphan of another job, and when it dies too early, whom it leaves
here is found and ended: by its session, and by a variable of the environment that all who come from it carry. The other
children of this process belong to the program that this is, so none is ever adopted or waited for, unless jobs of a
test run are executed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO, cast

from plainbox.errors import RemoteSetupError
from plainbox.tasks.family import become_subreaper, spawning
from plainbox.tasks.identity import ProcessIdentity
from plainbox.tasks.process import GIVE_UP_S, GRACE_S

__all__ = ["LEAVE_S", "LINK_VARIABLE", "Link"]

#: The variable by which those who come from a link are known.
LINK_VARIABLE = "PLAINBOX_LINK"

#: The time that the far end has for ending a job and tidying up once it is left: longer than it gives the job.
LEAVE_S = 2 * GRACE_S


class Link:
    """A started process with three pipes. Close it in any case."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], leave_s: float = LEAVE_S, *, adopts: bool = False
    ) -> None:
        """``adopts`` is for the jobs of a test run: what loses its parent is this link's, when it can be nobody else's.

        Raise :class:`RemoteSetupError` when the process cannot be started.
        """
        self._leave_s = leave_s
        nonce = os.urandom(16).hex()
        if adopts:
            become_subreaper()
        with spawning() as new_family:
            try:
                self.process = subprocess.Popen(
                    list(argv),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    env={**environment, LINK_VARIABLE: nonce},
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                raise RemoteSetupError(f"{argv[0]} could not be started: {reason}") from error
            try:
                self._family = new_family(self.process, mark=f"{LINK_VARIABLE}={nonce}", adopts=adopts)
            except OSError as error:
                self._close_pipes()
                self.process.wait()
                raise RemoteSetupError(f"{argv[0]} could not be started: {error}") from error

    @property
    def identity(self) -> ProcessIdentity:
        return self._family.leader

    @property
    def stdin(self) -> IO[bytes]:
        return cast("IO[bytes]", self.process.stdin)

    @property
    def stdout(self) -> IO[bytes]:
        return cast("IO[bytes]", self.process.stdout)

    @property
    def stderr(self) -> IO[bytes]:
        return cast("IO[bytes]", self.process.stderr)

    def close(self, *, hurried: bool = False) -> None:
        """Leave the far end, and see that nothing of it is left on this side.

        It reads the end of its input, ends what it runs, tidies up and is gone. Whoever is still here then is killed.
        """
        self._close_pipes()
        try:
            if self.process.poll() is not None and self._family.anybody_left():
                # Nobody is there any more who would end them.
                self._family.signal(signal.SIGTERM)
            self._family.await_end(time.monotonic() + (0 if hurried else self._leave_s), GIVE_UP_S)
        except BaseException:
            self._family.signal(signal.SIGKILL)
            self.process.wait(GIVE_UP_S)
            raise
        finally:
            self._family.forget()

    def _close_pipes(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
