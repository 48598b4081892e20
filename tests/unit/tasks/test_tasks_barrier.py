# SPDX-License-Identifier: Apache-2.0
"""The barrier: a command runs after ``started`` has returned, or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from plainbox.processes import read_stat
from plainbox.tasks.identity import ProcessIdentity

HOLDER = """
import os, sys, time
from pathlib import Path
from plainbox.tasks import CancelToken, MemorySink
from plainbox.tasks.process import supervise
def started(identity):
    print(identity.pid, flush=True)
    time.sleep(600)
supervise(("bash", "-c", "touch ran"), environment=dict(os.environ), working_directory=Path.cwd(),
          output=MemorySink(), started=started, cancel=CancelToken())
"""


def test_command_waits_for_started(run):
    """While ``started`` runs the process exists and its command has not begun."""
    seen: list[ProcessIdentity] = []

    def started(identity: ProcessIdentity) -> None:
        stat = read_stat(identity.pid)
        assert stat is not None
        assert (stat.session, stat.process_group) == (identity.pid, identity.pid)
        assert stat.start_ticks == identity.start_ticks
        seen.append(identity)
        (run.directory / "journal").write_text("written")

    run.started = started
    ending = run("cat journal")
    assert run.sink.stdout == b"written"
    assert seen == [ending.process]


@pytest.mark.parametrize("error", [OSError("the disk is full"), KeyboardInterrupt()])
def test_command_does_not_run_when_started_raises(run, is_over, error):
    """What ``started`` raises comes through, and the process ends without having run its command."""
    pids: list[int] = []

    def started(identity: ProcessIdentity) -> None:
        pids.append(identity.pid)
        raise error

    run.started = started
    with pytest.raises(type(error)):
        run("touch ran")
    assert is_over(pids[0])
    assert os.listdir(run.directory) == []
    assert run.sink.chunks == []


def test_command_does_not_run_when_it_is_cancelled_in_time(run):
    """A job that is cancelled while it is held ends without having run its command."""
    run.started = lambda identity: run.cancel.cancel("never mind")
    assert run("touch ran").ended_by == "cancel"
    assert os.listdir(run.directory) == []


def test_command_does_not_run_when_its_supervisor_is_killed(tmp_path: Path, is_over, wait_until):
    """A process whose supervisor is killed while it is held ends without having run its command."""
    with subprocess.Popen((sys.executable, "-c", HOLDER), cwd=tmp_path, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        held = int(holder.stdout.readline())
        assert not is_over(held)
        holder.send_signal(signal.SIGKILL)
    wait_until(lambda: is_over(held), "the held process ends")
    assert os.listdir(tmp_path) == []
