# SPDX-License-Identifier: Apache-2.0
"""What tests of executions over ssh share: a server, a remote that means it, and jobs that go there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
from sshd_rig import SshServer, serving

from plainbox.tasks import CancelToken, Configuration, ExecutionEngine, MemorySink, Result, Surroundings
from plainbox.tasks.advice import Advice
from plainbox.tasks.advices.ssh import RemoteAdvice
from plainbox.tasks.advices.timeout import TimeoutAdvice
from plainbox.tasks.equipment import Equipment
from plainbox.tasks.remote import Remote
from plainbox.tasks.ssh_place import close_connections
from plainbox.units import JobDefinition

__all__ = ["Bench", "bench_of", "processes_with"]

#: Not the one of the path: that may be a script that looks for one first.
PYTHON = os.path.realpath(sys.executable)


@attrs.define
class Bench:
    """A machine to run jobs on; ``far`` is the directory there below which everything of ours has to be."""

    server: SshServer
    far: Path
    sink: MemorySink = attrs.field(factory=MemorySink)
    cancel: CancelToken = attrs.field(factory=CancelToken)

    def remote(self, **other: object) -> Remote:
        given: dict = {
            "host": self.server.host,
            "port": self.server.port,
            "user": self.server.user,
            "key_file": self.server.key_file,
            "interpreter": PYTHON,
            "directory": self.far,
            "known_hosts": self.server.known_hosts,
            "ssh_config": "none",
            "name": "bench",
            **other,
        }
        return Remote(**given)

    def engine(self, *outer: Advice, **other: object) -> ExecutionEngine:
        chain = (*outer, RemoteAdvice(self.remote(**other)))
        return ExecutionEngine(Configuration().add_advice_chain(*chain))

    def run(
        self,
        command: str,
        *outer: Advice,
        engine: ExecutionEngine | None = None,
        started: Callable[[object], None] = lambda process: None,
        equipment: Equipment | None = None,
        limit_s: float | None = None,
        fields: dict | None = None,
        surroundings: dict | None = None,
        **other: object,
    ) -> Result:
        """Run a command there and return what came of it; ``other`` is about the remote."""
        if limit_s is not None:
            outer = (TimeoutAdvice(limit=limit_s), *outer)
        self.sink = MemorySink()
        job = JobDefinition({"id": "sample", "plugin": "shell", "command": command, **(fields or {})})
        return (engine or self.engine(*outer, **other)).execute(
            job,
            Surroundings(
                dict(os.environ), self.sink, started, cancel=self.cancel, equipment=equipment, **(surroundings or {})
            ),
        )

    @property
    def left(self) -> list[str]:
        """What is left there once the run is over."""
        close_connections()
        return sorted(os.listdir(self.far))


@contextmanager
def bench_of(tmp_path: Path, more: str = "") -> Iterator[Bench]:
    """Run a server whose logins have an empty home, and end every connection to it afterwards."""
    (tmp_path / "far-home").mkdir(exist_ok=True)
    far = tmp_path / "far"
    far.mkdir(mode=0o700, exist_ok=True)
    with serving(tmp_path / "sshd", f"SetEnv HOME={tmp_path}/far-home {more}") as server:
        try:
            yield Bench(server, far)
        finally:
            close_connections()


def processes_with(word: str) -> list[str]:
    """Return the command lines of processes that have a word in them."""
    found = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in found if word in line and not line.startswith("ps ")]
