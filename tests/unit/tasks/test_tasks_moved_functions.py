# SPDX-License-Identifier: Apache-2.0
"""A function of a program of one's own that was moved to another process: what that does to either of them."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from plainbox.errors import ChainError, DeadlineError, TransportLost
from plainbox.tasks import Advice, Configuration, Execution, Invocation, PickleSerializer, Result, Task
from plainbox.tasks.advices.retry import RetryAdvice
from plainbox.tasks.advices.ssh import Remote, SshAdvice
from plainbox.tasks.advices.subprocess import SubprocessAdvice
from plainbox.tasks.deadline import Deadline
from plainbox.tasks.invocation import InvocationState
from plainbox.tasks.link import Link
from plainbox.tasks.worker_place import WorkerPlace

MODULE = """
import os, signal, sys, time
from plainbox.tasks import Advice, Configuration, PickleSerializer, get_run_id
from plainbox.tasks.advices.retry import RetryAdvice
from plainbox.tasks.advices.subprocess import SubprocessAdvice
from plainbox.tasks.deadline import Deadline

class InTime(Advice):
    def before(self, invocation):
        invocation.deadline = Deadline.after(0.5, 0.1)
        invocation.proceed()

configuration = Configuration()
if "SAMPLE_PICKLES" in os.environ:
    configuration.set_serializer(PickleSerializer())
configuration.add_advice_chain(SubprocessAdvice())
configuration.add_advice_chain(RetryAdvice(attempts=3, delay=0.0), SubprocessAdvice(), name="lost")
configuration.add_advice_chain(
    RetryAdvice(attempts=2, delay=0.0, on=("timeout",)), InTime(), SubprocessAdvice(), name="late"
)

def die_twice(counter):
    with open(counter, "a") as file: file.write("x")
    if os.path.getsize(counter) < 3: os.kill(os.getpid(), 9)
    return "third"
def stubborn_once(counter):
    with open(counter, "a") as file: file.write("x")
    while os.path.getsize(counter) < 2:
        try: time.sleep(60)
        except KeyboardInterrupt: pass
    return "second"
def end_of_child():
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    os.kill(pid, signal.SIGTERM)
    return os.waitpid(pid, 0)[1]
def sleepless():
    import ctypes
    ctypes.PyDLL(None).usleep(600_000)  # without letting go of the interpreter
    return "awake"
def say_and_wait(go):
    print("said")
    while not os.path.exists(go): time.sleep(0.01)
def close_output():
    print("last words")
    sys.stdout.close()
    sys.stderr.close()
    return "done"
def run_id(): return get_run_id()
def plain(): return "plain"
"""


@pytest.fixture
def sample(tmp_path, monkeypatch):
    (tmp_path / "src").mkdir()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "src" / "moved_sample.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "src")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    importlib.invalidate_caches()
    yield importlib.import_module("moved_sample")
    del sys.modules["moved_sample"]
    assert os.listdir(tmp_path / "tmp") == []


@pytest.fixture
def call(sample):
    def run(name: str, *args: object, chain: str = "default") -> Invocation:
        task = Task.create_task(getattr(sample, name))
        invocation = Invocation(task, Execution("id", args), sample.configuration, chain)
        invocation.initiate()
        return invocation

    return run


# -- the processes of the program itself


def test_processes_of_the_program_are_left_alone(is_over):
    """A worker that dies takes no process of the program along, and nobody else asks how one of those has ended."""
    link = Link([sys.executable, "-c", "input()"], os.environ)
    ended = subprocess.Popen(["sh", "-c", "exit 7"], start_new_session=True)
    running = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        link.process.kill()
        link.close()
        assert ended.wait() == 7
        assert running.poll() is None
    finally:
        running.kill()
        running.wait()
    assert is_over(link.process.pid)


def test_daemon_of_a_dead_worker(is_over, children):
    """Who has left the session of a worker that dies is known by its environment, and ended."""
    before = children()
    link = Link(["sh", "-c", "setsid sleep 60 & echo $!; read end"], os.environ)
    daemon = int(link.stdout.readline())
    link.process.kill()
    link.process.wait()
    assert not is_over(daemon)
    link.close(hurried=True)
    assert is_over(daemon)
    assert children() == before


def test_program_becomes_no_parent_of_orphans(sample, tmp_path):
    """A program that moves a function is no subreaper afterwards."""
    script = (
        "import ctypes\n"
        "import moved_sample\n"
        "from plainbox.tasks import Execution, Invocation, Task\n"
        "task = Task.create_task(moved_sample.plain)\n"
        "result = Invocation(task, Execution('id'), moved_sample.configuration).initiate()\n"
        "found = ctypes.c_int(5)\n"
        "assert ctypes.CDLL(None).prctl(37, ctypes.byref(found), 0, 0, 0) == 0\n"
        "print(result.get(), found.value)\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path / 'src'}:{Path(__file__).parents[3]}"}
    environment["TMPDIR"] = str(tmp_path / "tmp")
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("plain 0\n", "")


# -- what comes of it


def test_lost_transport_is_retried(call, tmp_path):
    """A worker that dies is a result, which an advice outside repeats."""
    invocation = call("die_twice", str(tmp_path / "counter"), chain="lost")
    assert invocation.result.get() == "third"


def test_lost_transport(call, tmp_path):
    """When nobody knows what became of a function, the result and the state say so."""
    invocation = call("die_twice", str(tmp_path / "counter"))
    assert isinstance(invocation.result.exception, TransportLost)
    assert invocation.state is InvocationState.LOST


def test_deadline_is_retried(call, tmp_path):
    """A function that was ended at its deadline, however stubborn, is repeated as one that took too long."""
    assert call("stubborn_once", str(tmp_path / "counter"), chain="late").result.get() == "second"


def test_deadline_before_it_began(sample):
    """A deadline that is over before the function could begin is the same error."""

    class Late(Advice):
        def before(self, invocation):
            invocation.deadline = Deadline.after(0.0)
            invocation.proceed()

    sample.configuration.add_advice_chain(Late(), SubprocessAdvice(), name="over")
    invocation = Invocation(Task.create_task(sample.plain), Execution("id"), sample.configuration, "over")
    assert isinstance(invocation.initiate().exception, DeadlineError)


def test_timeout_is_told_of_functions(sample):
    """The error of a deadline is a reason to repeat a function, and a loss is none then."""

    class Scripted(Advice):
        count = 0

        def before(self, invocation):
            self.count += 1
            error = DeadlineError("late") if self.count == 1 else TransportLost("gone")
            invocation.conclude(Result(exception=error))

    scripted = Scripted()
    configuration = Configuration().add_advice_chain(RetryAdvice(attempts=5, delay=0, on=("timeout",)), scripted)
    Invocation(Task.create_task(sample.plain), Execution("id"), configuration).initiate()
    assert scripted.count == 2


# -- what the function may do there


def test_signals_of_forked_children(call):
    """A child that the function forks ends when it is told to."""
    assert call("end_of_child").result.get() == 15


def test_busy_interpreter(call, monkeypatch):
    """A function that keeps the interpreter to itself for longer than silence is allowed is not lost."""
    monkeypatch.setattr(WorkerPlace, "beat_s", 0.05)
    assert call("sleepless").result.get() == "awake"


def test_live_output(sample, tmp_path):
    """A line is here as soon as it was printed there, not when the function is done."""
    go = tmp_path / "go"

    class Screen:
        def write(self, text):
            go.touch()

        def flush(self):
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", Screen())
        invocation = Invocation(
            Task.create_task(sample.say_and_wait), Execution("id", (str(go),)), sample.configuration
        )
        invocation.deadline = Deadline.after(30)
        assert invocation.initiate().get() is None


def test_closed_output(call, capfd):
    """A function that closes the standard streams has a result all the same, and what it has printed is here."""
    assert call("close_output").result.get() == "done"
    assert capfd.readouterr().out == "last words\n"


def test_run_id_there(call, sample):
    """The process that a function was moved to belongs to the run."""
    assert call("run_id").result.get() == sample.configuration.run_id


# -- whom one trusts


@pytest.mark.parametrize("backend", [None, object()], ids=["ssh", "another"])
def test_code_of_another_machine(sample, backend):
    """A serializer by which another machine could run code here is refused before that machine is asked for anything."""
    advice = SshAdvice(backend=backend).add_remote(Remote("nowhere.invalid", interpreter="python3"))
    sample.configuration.set_serializer(PickleSerializer()).add_advice_chain(advice, name="far")
    invocation = Invocation(Task.create_task(sample.plain), Execution("id"), sample.configuration, "far")
    with pytest.raises(ChainError, match="PickleSerializer would let another machine run code"):
        invocation.initiate()


def test_pickle_on_this_machine(call, sample, monkeypatch):
    """Between processes of one user any serializer will do."""
    monkeypatch.setenv("SAMPLE_PICKLES", "yes")
    sample.configuration.set_serializer(PickleSerializer())
    assert call("plain").result.get() == "plain"


def test_archive_of_an_invocation(call):
    """An invocation knows what another interpreter needs for it."""
    assert "moved_sample" in call("plain").distribution_archive.modules
