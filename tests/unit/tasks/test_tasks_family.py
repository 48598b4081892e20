# SPDX-License-Identifier: Apache-2.0
"""What a command leaves running is found, ended and counted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

from plainbox.processes import read_stat
from plainbox.tasks import MemorySink, ProcessIdentity, family, process

# Leaves its session, says its number, and lives on.
DAEMON = "setsid bash -c 'echo $$ > daemon; exec sleep 60' > /dev/null 2>&1 & until [ -s daemon ]; do sleep 0.01; done"


def test_background_child_that_holds_the_output(run, is_over):
    """A job is over when its command is, whatever background child still holds its output."""
    ending = run("sleep 60 & echo $!")
    assert ending.return_code == 0
    assert [stat.name for stat in ending.left] == ["sleep"]
    assert is_over(int(run.sink.stdout))
    assert run.sink.notes == [
        f"still running after the command had ended, and ended now: 'sleep' ({int(run.sink.stdout)})"
    ]


def test_background_child_that_never_stops_writing(run):
    """Output of a background child does not keep a job from being over."""
    sizes = {"stdout": 0, "stderr": 0}

    class Count(MemorySink):
        def write(self, stream, data) -> None:
            sizes[stream] += len(data)

    run.sink = Count()
    ending = run("yes & echo over >&2")
    assert [stat.name for stat in ending.left] == ["yes"]
    assert sizes["stderr"] == len("over\n")


def test_last_output_of_a_filter_is_not_lost(run):
    """A filter in the background of the command has its moment to pass on what it has read."""
    ending = run("exec > >(sleep 0.05; tee copy); echo all of it")
    assert run.sink.stdout == b"all of it\n"
    assert ending.left == ()


def test_daemon(run, is_over):
    """A process that left the session of its job is ended with it and counted."""
    ending = run(DAEMON)
    daemon = int((run.directory / "daemon").read_text())
    assert [stat.pid for stat in ending.left] == [daemon]
    assert is_over(daemon)


def test_family_of_a_daemon(run):
    """The children of a daemon are found through it, in whatever session they are."""
    ending = run(
        "setsid bash -c 'setsid sleep 60 & sleep 60 & echo $$ > daemon; wait' > /dev/null 2>&1 &"
        "until [ -s daemon ]; do sleep 0.01; done"
    )
    assert sorted(stat.name for stat in ending.left) == ["bash", "sleep", "sleep"]


def test_daemon_that_ignores_sigterm(run, is_over):
    """A daemon that ignores SIGTERM is killed after the time of grace."""
    run.grace_s = 0.1
    ending = run(
        "setsid bash -c 'trap \"\" TERM; echo $$ > daemon; while :; do sleep 0.1; done' > /dev/null 2>&1 &"
        "until [ -s daemon ]; do sleep 0.01; done"
    )
    assert is_over(int((run.directory / "daemon").read_text()))
    assert ending.survivors == ()


def test_job_control_of_the_shell(run):
    """Process groups that the shell of the job makes are found as well."""
    ending = run("set -m; sleep 60 & disown; sleep 60 &")
    assert [stat.name for stat in ending.left] == ["sleep", "sleep"]


def test_dead_orphans_are_collected(run, children):
    """Children that a daemon or the command left to us and that are dead do not stay behind as zombies."""
    before = children()
    ending = run("(setsid true &) ; (true &); sleep 0.1")
    assert ending.left == ()
    assert children() == before


def test_our_own_children_are_left_alone(run):
    """Neither a child of this process that runs nor one that is dead is touched."""
    with (
        subprocess.Popen(("sleep", "60")) as alive,
        subprocess.Popen(("sleep", "60"), start_new_session=True) as older,
        subprocess.Popen(("sh", "-c", "exit 7")) as dead,
    ):
        os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
        assert run(DAEMON).left != ()
        assert alive.poll() is None
        assert older.poll() is None
        assert dead.wait() == 7
        for process in (alive, older):
            process.kill()
            assert process.wait() == -signal.SIGKILL


def test_two_jobs_at_once(run, is_over):
    """A daemon that two running jobs may have started is left to the one that ends last; neither ends the other."""
    other_pid: list[int] = []
    running = threading.Event()
    endings = []
    other = type(run)(run.directory)

    def started(identity: ProcessIdentity) -> None:
        other_pid.append(identity.pid)
        running.set()

    other.started = started
    thread = threading.Thread(target=lambda: endings.append(other("until [ -e stop ]; do sleep 0.01; done")))
    thread.start()
    running.wait()
    ending = run(DAEMON)
    daemon = int((run.directory / "daemon").read_text())
    assert ending.left == ()
    assert not is_over(daemon)
    assert not is_over(other_pid[0])
    (run.directory / "stop").touch()
    thread.join()
    assert [stat.pid for stat in endings[0].left] == [daemon]
    assert endings[0].return_code == 0
    assert is_over(daemon)


def test_number_that_belongs_to_somebody_else_by_now(run):
    """A signal goes to the process that was seen, never to a later one of the same number."""
    with subprocess.Popen(("sleep", "60")) as process:
        stat = read_stat(process.pid)
        assert stat is not None
        family._send(replace(stat, start_ticks=stat.start_ticks - 1), signal.SIGKILL)
        assert read_stat(process.pid).state in "SRD"
        process.kill()


def test_orphans_are_collected_while_the_job_runs(run, monkeypatch, children, wait_until):
    """A long job that makes orphans all the time does not fill the process table with dead ones."""
    monkeypatch.setattr(process, "COLLECT_EVERY_S", 0.02)
    before = children()
    seen: list[int] = []

    def watch() -> None:
        wait_until(lambda: len(children()) > len(before) + 1, "an orphan appears")
        wait_until(lambda: len(children()) == len(before) + 1, "only the leader is left")
        seen.append(1)
        (run.directory / "stop").touch()

    thread = threading.Thread(target=watch)
    thread.start()
    run("(setsid sleep 0.2 &); until [ -e stop ]; do sleep 0.02; done")
    thread.join()
    assert seen == [1]


FORKER = """
import os
from pathlib import Path
from plainbox.tasks import CancelToken, MemorySink
from plainbox.tasks.process import supervise
def job(command, started=lambda identity: None):
    return supervise(("bash", "-c", command), environment=dict(os.environ), working_directory=Path.cwd(),
                     output=MemorySink(), started=started, cancel=CancelToken())
def fork(identity):
    if os.fork() == 0:
        left = job("setsid sleep 60 > /dev/null 2>&1 & sleep 0.1").left
        os._exit(len(left))
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 1
job("true", fork)
"""


def test_forked_process(tmp_path: Path):
    """A process that was forked while a job ran has jobs of its own, and finds what they leave."""
    subprocess.run((sys.executable, "-c", FORKER), cwd=tmp_path, check=True)
