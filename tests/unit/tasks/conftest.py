# SPDX-License-Identifier: Apache-2.0
"""What the tests of this room share: real jobs in real processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs
import pytest

from plainbox.processes import read_stat
from plainbox.tasks import CancelToken, Deadline, MemorySink, ProcessIdentity
from plainbox.tasks.process import Ending, supervise


@attrs.define
class Supervised:
    """Runs commands under supervision and remembers what came out."""

    directory: Path
    sink: MemorySink = attrs.field(factory=MemorySink)
    cancel: CancelToken = attrs.field(factory=CancelToken)
    started: Callable[[ProcessIdentity], None] = lambda identity: None
    grace_s: float = 0.3
    give_up_s: float = 10.0

    def __call__(
        self,
        command: str | Sequence[str],
        *,
        limit_s: float | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ending:
        return supervise(
            ("bash", "-c", command) if isinstance(command, str) else command,
            environment=os.environ if environment is None else environment,
            working_directory=self.directory,
            output=self.sink,
            started=self.started,
            cancel=self.cancel,
            deadline=None if limit_s is None else Deadline.after(limit_s),
            grace_s=self.grace_s,
            give_up_s=self.give_up_s,
        )


@pytest.fixture
def run(tmp_path: Path) -> Supervised:
    return Supervised(tmp_path)


def is_over(pid: int) -> bool:
    """Tell whether nothing runs under this number any more."""
    stat = read_stat(pid)
    return stat is None or stat.ended


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, not for a time."""
    give_up_at_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up_at_s, what
        time.sleep(0.005)


@pytest.fixture(name="is_over")
def _is_over() -> Callable[[int], bool]:
    return is_over


@pytest.fixture(name="wait_until")
def _wait_until() -> Callable[[Callable[[], bool], str], None]:
    return wait_until


@pytest.fixture
def children() -> Callable[[], list[str]]:
    """Return what lists the children that this process has got since, dead ones too."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    before = set(listed.read_text().split())
    return lambda: [pid for pid in listed.read_text().split() if pid not in before]
