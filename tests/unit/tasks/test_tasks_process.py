# SPDX-License-Identifier: Apache-2.0
"""Processes under supervision: how they end, what they print, how long they may take."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from plainbox.errors import JobStartError
from plainbox.processes import scan
from plainbox.tasks import MemorySink
from plainbox.tasks.process import READ_SIZE

IGNORES_TERM = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


class CancelWhenReady(MemorySink):
    """Cancels, from another thread, as soon as there is output."""

    def __init__(self, cancel) -> None:
        super().__init__()
        self.thread = threading.Thread(target=cancel, args=("the operator said so",))

    def write(self, stream, data) -> None:
        super().write(stream, data)
        if not self.thread.ident:
            self.thread.start()


@pytest.mark.parametrize("code", [0, 1, 7, 127, 255])
def test_return_code(run, code):
    """The return code of the command is that of the process."""
    ending = run(f"exit {code}")
    assert (ending.return_code, ending.ended_by, ending.left) == (code, None, ())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGRTMIN])
def test_signal(run, number):
    """A death by a signal is a negative return code."""
    assert run(f"kill -{int(number)} $$").return_code == -number


def test_streams_are_exact(run):
    """Every byte that can be printed arrives on its stream, unchanged and in order."""
    every = bytes(range(256)) * 300
    (run.directory / "every").write_bytes(every)
    run("cat every; cat every >&2; cat every")
    assert run.sink.stdout == every * 2
    assert run.sink.stderr == every


def test_both_streams_at_once(run):
    """Large outputs on both streams at once do not block each other."""
    run("head -c 5000000 /dev/zero & head -c 5000000 /dev/zero >&2; wait")
    assert len(run.sink.stdout) == len(run.sink.stderr) == 5_000_000


def test_output_comes_in_pieces(run):
    """Output is passed on in pieces of bounded size."""
    sizes = []

    class Sizes(MemorySink):
        def write(self, stream, data) -> None:
            sizes.append(len(data))

    run.sink = Sizes()
    run("head -c 30000000 /dev/zero")
    assert sum(sizes) == 30_000_000
    assert max(sizes) <= READ_SIZE


def test_text_of_the_command_is_not_parsed_again(run):
    """The command reaches its shell unchanged: quotes, new lines, and bytes that are no text."""
    odd = "".join(chr(i) for i in range(1, 128)) + "é€" + bytes(range(128, 256)).decode("utf-8", "surrogateescape")
    run(("bash", "-c", 'printf %s "$1"', "it's $0 `x` \"", odd))
    assert run.sink.stdout == odd.encode("utf-8", "surrogateescape")


def test_environment_is_exact(run):
    """The job sees the environment that it is given, as if its shell had been started directly."""
    environment = {
        "PATH": os.environ["PATH"],
        "NEW\x0aLINE": "x",
        "LINES": "one\ntwo\n",
        "with-dash": "a=b c",
        "BASH_FUNC_greet%%": "() {  echo hello\n}",
        "BYTES": b"\xff\xfe".decode("utf-8", "surrogateescape"),
        "plainbox_gate": "mine",
        "EMPTY": "",
        "-x": "dash",
    }
    command = "greet; cat /proc/self/environ"
    expected = subprocess.run(("bash", "-c", command), env=environment, cwd=run.directory, capture_output=True).stdout
    run(command, environment=environment)
    assert sorted(run.sink.stdout.split(b"\0")) == sorted(expected.split(b"\0"))
    assert run.sink.stdout.startswith(b"hello\n")


def test_empty_environment(run):
    """Nothing of this process's environment reaches a job that is given none."""
    run(("/bin/sh", "-c", "cat /proc/self/environ"), environment={})
    names = {entry.partition(b"=")[0] for entry in run.sink.stdout.split(b"\0") if entry}
    assert names <= {b"PWD", b"OLDPWD", b"SHLVL", b"_"}


def test_standard_input_and_descriptors(run):
    """A job has the null device as its input and no other descriptor than its three: no trace of the barrier."""
    run("readlink /proc/self/fd/0; cat; ls /proc/$$/fd | tr '\\n' ' '")
    assert run.sink.stdout == b"/dev/null\n0 1 2 "


def test_own_session(run):
    """A job leads its own session and process group, which is what its identity says."""
    ending = run("cut -d' ' -f1,5,6,22 /proc/$$/stat")
    identity = ending.process
    expected = f"{identity.pid} {identity.pid} {identity.pid} {identity.start_ticks}\n"
    assert run.sink.stdout.decode() == expected
    assert identity.process_group == identity.pid != os.getpgrp()


def test_working_directory(run):
    """A job runs where it is told to."""
    run("pwd -P")
    assert run.sink.stdout.decode() == f"{run.directory.resolve()}\n"


def test_missing_working_directory(run):
    """A job that cannot be started is an error that says where and why."""
    run.directory = run.directory / "none"
    with pytest.raises(JobStartError, match="none: No such file or directory"):
        run("true")


@pytest.mark.parametrize("command", ["echo \0", "x" * 200_000])
def test_impossible_command(run, command):
    """A command that the system does not take is an error, not a crash."""
    with pytest.raises(JobStartError, match="could not be started"):
        run(command)


def test_deadline(run, is_over):
    """At the deadline the whole group is asked to end."""
    ending = run("sleep 60 & echo $!; sleep 60; echo no", limit_s=0.5)
    assert (ending.return_code, ending.ended_by, ending.survivors) == (-signal.SIGTERM, "deadline", ())
    assert is_over(int(run.sink.stdout))
    assert run.sink.notes == ["the limit of 0.5 s is over: sending SIGTERM"]


def test_deadline_lets_a_child_finish_its_last_words(run):
    """After the end of the leader the rest has its time of grace to write what it has to say."""
    run.grace_s = 20
    ending = run("bash -c 'trap \"sleep 0.4; echo bye; exit\" TERM; while :; do sleep 0.05; done'; true", limit_s=0.5)
    assert ending.ended_by == "deadline"
    assert run.sink.stdout == b"bye\n"


def test_deadline_of_a_family_that_ignores_sigterm(run, is_over):
    """Whoever ignores SIGTERM is killed after the time of grace, grandchildren in sessions of their own too."""
    (run.directory / "stubborn").write_text(f"echo $$ >> pids; {IGNORES_TERM}")
    ending = run("bash stubborn & bash stubborn & setsid bash stubborn & exec bash stubborn", limit_s=0.5)
    assert (ending.return_code, ending.ended_by, ending.survivors) == (-signal.SIGKILL, "deadline", ())
    pids = (run.directory / "pids").read_text().split()
    assert len(pids) == 4
    assert all(is_over(int(pid)) for pid in pids)
    assert run.sink.notes[-1] == "still running 0.3 s after SIGTERM: sending SIGKILL"


def test_job_that_ends_well_on_sigterm_was_still_ended(run):
    """What a job returns after its deadline does not hide that it had to be ended."""
    ending = run("trap 'exit 0' TERM; while :; do sleep 0.05; done", limit_s=0.5)
    assert (ending.return_code, ending.ended_by) == (0, "deadline")


def test_cancel_from_a_thread(run):
    """A token that is cancelled by another thread ends the job at once."""
    run.sink = CancelWhenReady(run.cancel.cancel)
    ending = run("echo ready; sleep 60")
    run.sink.thread.join()
    assert (ending.return_code, ending.ended_by) == (-signal.SIGTERM, "cancel")
    assert run.sink.notes == ["cancelled (the operator said so): sending SIGTERM"]


def test_cancel_of_a_job_that_ignores_sigterm(run):
    """A cancelled job that ignores SIGTERM is killed after the time of grace."""
    run.sink = CancelWhenReady(run.cancel.cancel)
    assert run(IGNORES_TERM).return_code == -signal.SIGKILL


@pytest.mark.parametrize(
    "command",
    [
        "trap '' TERM; echo ready; sleep 60",
        "trap '' TERM; echo ready; trap 'exit 0' USR1; sleep 60 & kill -USR1 $$",
    ],
)
def test_hurry(run, command):
    """A cancelled job is killed as soon as the token hurries, whatever its time of grace, and so is whom it has left."""
    run.grace_s = 1000

    def cancel(reason):
        run.cancel.cancel(reason)
        threading.Timer(0.2, run.cancel.hurry).start()

    run.sink = CancelWhenReady(cancel)
    ending = run(command)
    assert ending.survivors == ()
    assert ending.duration < 500


def test_hurry_from_the_start(run):
    """A token that is cancelled and hurried in one gives a job no time either."""
    run.grace_s = 1000

    def cancel(reason):
        run.cancel.cancel(reason)
        run.cancel.hurry()

    run.sink = CancelWhenReady(cancel)
    ending = run("trap '' TERM; echo ready; sleep 60")
    assert (ending.return_code, ending.ended_by) == (-signal.SIGKILL, "cancel")
    assert run.sink.notes[-1] == "to be ended at once: sending SIGKILL"


def test_cancel_from_a_signal_handler(run):
    """A token may be cancelled by a signal handler of the thread that waits for the job."""
    before = signal.signal(signal.SIGUSR1, lambda *_: run.cancel.cancel("a signal"))
    try:
        ending = run(f"kill -USR1 {os.getpid()}; sleep 60")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ending.ended_by == "cancel"


def test_process_that_survives_sigkill(run, monkeypatch):
    """A process that cannot be killed is given up after a bounded time, with a note."""
    run.give_up_s = 0.1
    with monkeypatch.context() as patch:
        patch.setattr(os, "killpg", lambda group, number: None)
        patch.setattr(os, "kill", lambda pid, number: None)
        ending = run("exec sleep 60", limit_s=0.1)
    assert ending.return_code is None
    assert [stat.pid for stat in ending.survivors] == [ending.process.pid]
    assert run.sink.notes[-1] == f"could not be ended: 'sleep' ({ending.process.pid})"
    os.kill(ending.process.pid, signal.SIGKILL)
    os.waitpid(ending.process.pid, 0)


def test_without_pidfd(run, monkeypatch):
    """Where process descriptors are forbidden, the end of the job and its deadline are noticed all the same."""

    def forbidden(pid):
        raise OSError(errno.EPERM, "no")

    monkeypatch.setattr(os, "pidfd_open", forbidden)
    assert run("echo x; exit 3").return_code == 3
    assert run("sleep 60", limit_s=0.1).ended_by == "deadline"
    assert run.sink.stdout == b"x\n"


def test_error_of_the_sink_ends_the_job(run, is_over):
    """What the sink raises comes through, and the job with its children is ended before."""

    class Full(MemorySink):
        def write(self, stream, data) -> None:
            super().write(stream, data)
            raise OSError(errno.ENOSPC, "full")

    run.sink = Full()
    with pytest.raises(OSError, match="full"):
        run("sleep 60 & echo $$ $!; sleep 60")
    assert all(is_over(int(pid)) for pid in run.sink.stdout.split())


def test_nothing_stays_open(run, children):
    """Neither descriptors nor children are left by any way of ending."""

    def refuse(identity) -> None:
        raise ValueError

    run("true")
    left_by_others = children()
    before = sorted(os.listdir("/proc/self/fd"))
    run("exit 1")
    run("sleep 60", limit_s=0.05)
    run("sleep 60 & sleep 60 &")
    run.started = refuse
    with pytest.raises(ValueError):
        run("true")
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert children() == left_by_others


SUPERVISOR = """
import os, sys
from pathlib import Path
from plainbox.tasks import CancelToken
from plainbox.processes import scan
from plainbox.tasks.process import supervise
class Sink:
    def write(self, stream, data): print(data.decode(), end="", flush=True)
    def note(self, text): pass
supervise(("bash", "-c", sys.argv[1]), environment=dict(os.environ), working_directory=Path.cwd(), output=Sink(),
          started=lambda identity: print(identity.pid, flush=True), cancel=CancelToken())
"""


@pytest.mark.parametrize("command", ["echo ready; sleep 60", f"({IGNORES_TERM}) & sleep 60"])
def test_keyboard_interrupt(tmp_path: Path, is_over, wait_until, command):
    """CTRL+C ends the job, a second one without grace, and is raised again."""
    supervisor = subprocess.Popen(
        (sys.executable, "-c", SUPERVISOR, command),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert supervisor.stdout is not None
    leader = int(supervisor.stdout.readline())
    assert supervisor.stdout.readline() == "ready\n"
    supervisor.send_signal(signal.SIGINT)
    if "trap" in command:
        # The shell is gone at once, the one that ignores SIGTERM only when it is killed.
        wait_until(lambda: is_over(leader), "the leader ends")
        supervisor.send_signal(signal.SIGINT)
    _, errors = supervisor.communicate(timeout=60)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert supervisor.returncode == -signal.SIGINT
    assert [stat for stat in scan() if stat.session == leader and not stat.ended] == []
