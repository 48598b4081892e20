# SPDX-License-Identifier: Apache-2.0
"""The subprocess advice: a job's program, or a whole function with its inner advices, in another interpreter."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import tempfile
import threading
import time

import pytest
from far_rig import interpreter

from plainbox.errors import (
    ChainError,
    DeadlineError,
    RemoteError,
    RemoteSetupError,
    RemoteVersionError,
    TaskError,
    TransportLost,
)
from plainbox.processes import read_stat
from plainbox.tasks import CancelToken, Configuration, Execution, ExecutionEngine, MemorySink, Surroundings
from plainbox.tasks.advice import Advice
from plainbox.tasks.advices.attach import AttachAdvice
from plainbox.tasks.advices.subprocess import SubprocessAdvice, kept_variables
from plainbox.tasks.deadline import Deadline
from plainbox.tasks.invocation import Invocation, InvocationState
from plainbox.tasks.tasks import Task
from plainbox.tasks.user import get_current_username
from plainbox.units import JobDefinition

MODULE = """
import os, subprocess, sys, time
from plainbox.tasks import Advice, Configuration
from plainbox.tasks.advices.attach import AttachAdvice
from plainbox.tasks.advices.subprocess import SubprocessAdvice
from plainbox.tasks.deadline import Deadline

class Trail(Advice):
    def __init__(self, name): self.name = name
    def note(self, invocation, hook):
        invocation.context["trail"] = [*invocation.context.get("trail", []), [self.name + hook, os.getpid()]]
    def before(self, invocation): self.note(invocation, "+"); invocation.proceed()
    def after(self, invocation): self.note(invocation, "-"); invocation.proceed()

class Failing(Advice):
    def before(self, invocation): raise LookupError("inner advice")

class InTime(Advice):
    def before(self, invocation):
        invocation.deadline = Deadline.after(1.0, 0.3)
        invocation.proceed()

configuration = Configuration()
configuration.add_advice_chain(Trail("a"), SubprocessAdvice(interpreter={interpreter!r}), Trail("b"))
configuration.add_advice_chain(SubprocessAdvice(), Trail("m"), SubprocessAdvice(), Trail("n"), name="nested")
configuration.add_advice_chain(SubprocessAdvice(), Failing(), name="failing")
configuration.add_advice_chain(InTime(), SubprocessAdvice(), name="in-time")
configuration.add_advice_chain(
    SubprocessAdvice(env="clean", variables=("LISTED",), limits=("nofile=99",), nice=3), name="clean"
)

class Custom(Exception):
    def __init__(self, code, *, why):
        super().__init__("custom " + why)

def who(*values): return [os.getpid(), list(sys.version_info[:2]), list(values)]
def kill(): os.kill(os.getpid(), 9)
def leave():
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    return process.pid
def talk(size):
    print("text"); os.write(1, bytes(range(256)) * size); os.write(2, b"err"); os.system("echo child")
def fail():
    try:
        {{}}["missing"]
    except KeyError as error:
        problem = Custom(1, why="reasons")
        if hasattr(problem, "add_note"): problem.add_note("a note")
        raise problem from error
def value_error(): raise ValueError("plain", 7)
def limits():
    import resource
    return [os.environ.get("LISTED"), os.environ.get("HIDDEN"), "PATH" in os.environ, "HOME" in os.environ,
        resource.getrlimit(resource.RLIMIT_NOFILE)[0], os.nice(0)]
def nap(mark):
    open(mark, "w").write(str(os.getpid()))
    time.sleep(60)
def stubborn(mark):
    open(mark, "w").write(str(os.getpid()))
    while True:
        try: time.sleep(60)
        except KeyboardInterrupt: pass
def odd(): return object()
"""


@pytest.fixture
def sample(tmp_path, monkeypatch):
    """Return the module of a program that has functions, a configuration, and an interpreter for its advice."""
    (tmp_path / "src").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "src")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))

    def load(interpreter=None):
        (tmp_path / "src" / "far_sample.py").write_text(MODULE.format(interpreter=interpreter))
        sys.modules.pop("far_sample", None)
        importlib.invalidate_caches()
        return importlib.import_module("far_sample")

    yield load
    sys.modules.pop("far_sample", None)
    assert os.listdir(tmp_path / "tmp") == []


@pytest.fixture
def call(sample, children):
    """Call a function of the sample with a chain around it, and return the invocation."""

    def run(name, *args, chain="default", python=None, prepare=lambda invocation: None):
        module = sample(python)
        task = Task.create_task(getattr(module, name))
        invocation = Invocation(task, Execution("id", args), module.configuration, chain)
        prepare(invocation)
        invocation.initiate()
        return invocation

    before = children()
    yield run
    assert children() == before


def test_function(call):
    """A function runs in another process, and its value comes home."""
    pid, version, values = call("who", 1, "two", None).result.get()
    assert pid != os.getpid()
    assert (version, values) == (list(sys.version_info[:2]), [1, "two", None])


def test_advices_inside_and_outside(call):
    """Advices inside run in the other process, those outside here, in the order of any chain."""
    invocation = call("who")
    pid = invocation.result.get()[0]
    assert invocation.context["trail"] == [["a+", os.getpid()], ["b+", pid], ["b-", pid], ["a-", os.getpid()]]
    assert invocation.state is InvocationState.FINISHED


def test_nested(call):
    """A process that an invocation was moved to can move it on."""
    invocation = call("who", chain="nested")
    (_, middle), (_, inner), *back = invocation.context["trail"]
    assert [name for name, _ in invocation.context["trail"]] == ["m+", "n+", "n-", "m-"]
    assert [pid for _, pid in back] == [inner, middle]
    assert len({os.getpid(), middle, inner}) == 3
    assert inner == invocation.result.get()[0]


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_other_interpreter(call, version):
    """Another Python runs the function."""
    python = interpreter(version) or sys.executable
    expected = [int(part) for part in version.split(".")] if interpreter(version) else list(sys.version_info[:2])
    assert call("who", 5, python=python).result.get()[1:] == [expected, [5]]


def test_too_old_interpreter(call):
    """A Python that is too old is an error that says what is needed."""
    python = interpreter("3.7") or interpreter("2.7")
    if python is None:
        pytest.skip("there is no old Python here")
    with pytest.raises(RemoteVersionError, match="newer is needed, and this is"):
        call("who", python=python).result.get()


def test_missing_interpreter(call):
    """An interpreter that is not there is an error of the call."""
    with pytest.raises(RemoteSetupError, match="/nowhere/python"):
        call("who", python="/nowhere/python").result.get()


def test_output(call, capfdbinary):
    """What the function and its children print is printed here, byte for byte."""
    call("talk", 1000)
    out, err = capfdbinary.readouterr()
    assert out.replace(b"text\n", b"").replace(b"child\n", b"") == bytes(range(256)) * 1000
    assert b"text\n" in out
    assert b"child\n" in out
    assert err == b"err"


def test_exception(call):
    """An exception comes with its message, type, cause, notes and traceback, whatever its constructor wants."""
    error = call("fail").result.exception
    assert isinstance(error, RemoteError)
    assert str(error) == "far_sample.Custom: custom reasons"
    assert isinstance(error.__cause__, KeyError)
    notes = "\n".join(error.__notes__)
    assert "a note" in notes
    assert "in fail" in notes


def test_builtin_exception(call):
    """A builtin exception is the same one here."""
    error = call("value_error").result.exception
    assert (type(error), error.args) == (ValueError, ("plain", 7))


def test_value_that_cannot_travel(call):
    """A value that cannot come home is an error that says so."""
    with pytest.raises(TaskError, match="object"):
        call("odd").result.get()


def test_failing_inner_advice(call):
    """What an inner advice raises there is raised here."""
    with pytest.raises(LookupError, match="inner advice"):
        call("who", chain="failing")


def test_killed(call):
    """A process that dies is a lost transport that says by what."""
    with pytest.raises(TransportLost, match="code -9"):
        call("kill").result.get()


def test_left_process(call, is_over):
    """What the function leaves running is ended."""
    assert is_over(call("leave").result.get())


def test_environment_and_limits(call, monkeypatch):
    """A clean environment has what every program needs and what is listed; limits and the priority hold."""
    monkeypatch.setenv("LISTED", "yes")
    monkeypatch.setenv("HIDDEN", "no")
    assert call("limits", chain="clean").result.get() == ["yes", None, True, True, 99, 3]


def test_deadline(call, tmp_path, is_over):
    """At the deadline the function is interrupted and the error tells of the limit."""
    with pytest.raises(DeadlineError, match="ended after its limit of 1 s"):
        call("nap", str(tmp_path / "mark"), chain="in-time").result.get()
    assert is_over(int((tmp_path / "mark").read_text()))


def test_stubborn_function(call, tmp_path, is_over):
    """A function that ignores the interruption is ended with its process, and the error tells of the limit as well."""
    with pytest.raises(DeadlineError, match="ended after its limit of 1 s"):
        call("stubborn", str(tmp_path / "mark"), chain="in-time").result.get()
    assert is_over(int((tmp_path / "mark").read_text()))


def test_cancel(call, tmp_path, wait_until):
    """A cancelled function is interrupted."""
    mark = tmp_path / "mark"
    threads = []

    def prepare(invocation):
        def cancel():
            wait_until(lambda: mark.exists() and mark.read_text(), "the function has not begun")
            invocation.cancel("enough")

        threads.append(threading.Thread(target=cancel))
        threads[0].start()

    with pytest.raises(TaskError, match="cancelled: enough"):
        call("nap", str(mark), prepare=prepare).result.get()
    threads[0].join()


def test_progress(tmp_path, call, monkeypatch):
    """Progress is told while the function runs, not more than ten times a second, and the last always."""
    module = tmp_path / "src" / "far_progress.py"
    module.write_text(
        "import time\n"
        "from plainbox.tasks import Advice\n"
        "class Progress(Advice):\n"
        "    def before(self, invocation):\n"
        "        for n in range(500): invocation.progress(n, 499); time.sleep(0.001)\n"
        "        invocation.emit({'t': 'measurement', 'name': 'x'})\n"
        "        invocation.proceed()\n"
    )
    events = []

    monkeypatch.setattr(
        sys.modules[__name__],
        "MODULE",
        MODULE + "\nimport far_progress\n"
        "configuration.add_advice_chain(SubprocessAdvice(), far_progress.Progress(), name='progress')\n",
    )

    def listen(event):
        events.append((time.monotonic(), event))

    call("who", chain="progress", prepare=lambda invocation: invocation.subscribe(listen))
    del sys.modules["far_progress"]
    steps = [(at_s, event["current"]) for at_s, event in events if event["t"] == "progress"]
    assert steps[-1][1] == 499
    assert 2 <= len(steps) <= 10 * (steps[-1][0] - steps[0][0]) + 3
    assert [event["t"] for _, event in events].count("measurement") == 1


# Jobs.


def job(command, **fields):
    return JobDefinition({"id": "sample", "plugin": "shell", "command": command, **fields})


@pytest.fixture
def execute(tmp_path, monkeypatch, children):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    sink = MemorySink()

    def run(unit, advice=None, *outer, environment=None, started=lambda process: None, cancel=None, limit_s=None):
        configuration = Configuration().add_advice_chain(*outer, advice or SubprocessAdvice(), name="far")
        surroundings = Surroundings(
            environment=dict(os.environ) if environment is None else environment,
            output=sink,
            started=started,
            cancel=cancel or CancelToken(),
            attachments_dir=tmp_path,
        )
        return ExecutionEngine(configuration).execute(unit, surroundings, advice_chain="far")

    run.sink = sink
    yield run
    assert not children()
    assert os.listdir(tmp_path / "tmp") == []


def test_job(execute):
    """The program of a job runs below a worker; its report is that of any job."""
    result = execute(job("echo out; ps -o ppid= -p $$; exit 3"))
    report = result.get()
    assert (report.outcome, report.return_code) == ("fail", 3)
    out, parent = execute.sink.stdout.split()
    assert out == b"out"
    assert int(parent) != os.getpid()


def test_job_killed(execute):
    """A job that a signal ends is a crash with the signal, what it printed is kept, and the next one runs."""
    report = execute(job("echo partial; kill -9 $$")).get()
    assert (report.outcome, report.signal, execute.sink.stdout) == ("crash", signal.SIGKILL, b"partial\n")
    assert execute(job("true")).get().outcome == "pass"


def test_advices_of_a_job_stay_here(execute):
    """Every advice of a job runs in this process, on either side of the one that moves its program."""

    class Here(Advice):
        pids = []

        def before(self, invocation):
            self.pids.append(os.getpid())
            invocation.proceed()

    assert execute(job("true"), SubprocessAdvice(), Here()).get().outcome == "pass"
    assert Here.pids == [os.getpid()]


def test_job_whose_worker_dies(execute):
    """A job whose worker dies could not be carried out; nothing of it is left."""

    def started(process):
        os.kill(read_stat(process.pid).parent, signal.SIGKILL)

    result = execute(job("sleep 60"), started=started)
    assert isinstance(result.exception, TransportLost)


ENVIRONMENT = {
    **{name: os.environ.get(name, "x") for name in ("PATH", "HOME")},
    "HIDDEN": "h",
    "LISTED": "l",
    "LC_ALL": "C",
    "PLAINBOX_SESSION_SHARE": "/share",
    "KEPT": "k",
}


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ("inherit", {"HIDDEN", "LISTED", "KEPT", "HOME", "PATH", "LC_ALL", "PLAINBOX_SESSION_SHARE"}),
        ("clean", {"LISTED", "KEPT", "HOME", "PATH", "LC_ALL", "PLAINBOX_SESSION_SHARE"}),
        ("listed", {"LISTED", "KEPT", "PATH", "PLAINBOX_SESSION_SHARE"}),
    ],
)
def test_environment_of_a_job(execute, env, expected):
    """What of the environment goes along is as the rule says; what Plainbox, the unit or the advice names always does."""
    advice = SubprocessAdvice(env=env, variables=("LISTED",))
    execute(job("cat /proc/self/environ", environ="KEPT"), advice, environment=ENVIRONMENT)
    names = {entry.partition(b"=")[0].decode() for entry in execute.sink.stdout.split(b"\0") if entry}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_", "PLAINBOX_RESULT"} == expected


def test_limits_of_a_job(execute):
    """Limits and the priority hold for the job."""
    execute(job("ulimit -n; nice"), SubprocessAdvice(limits=("nofile=77",), nice=5))
    assert execute.sink.stdout.split() == [b"77", b"5"]


def test_attached_by_a_job(execute, tmp_path):
    """Files of a job that an advice or the job itself attaches are kept."""
    line = '{"t": "attachment", "name": "named", "path": "other.bin"}'
    result = execute(
        job(f"echo data > result.txt; echo x > other.bin; echo '{line}' >> $PLAINBOX_RESULT"),
        SubprocessAdvice(),
        AttachAdvice(("*.txt",)),
    )
    assert result.get().leftovers == ()
    assert (tmp_path / "result.txt").read_text() == "data\n"
    assert (tmp_path / "other.bin").read_text() == "x\n"


def test_results_from_inside_a_job(execute):
    """What a job says of itself while it runs comes home like that of a job here."""
    line = '{"t": "measurement", "name": "speed", "value": 3}'
    items = execute(job(f"echo '{line}' >> $PLAINBOX_RESULT")).get().items
    assert [item.name for item in items] == ["speed"]


def test_cancelled_job(execute):
    """A cancelled job is ended, and its report says so."""
    cancel = CancelToken()
    timer = threading.Timer(0.5, cancel.cancel, args=("enough",))
    timer.start()
    report = execute(job("sleep 60"), cancel=cancel).get()
    assert (report.outcome, report.cancelled, report.comments) == ("crash", True, "cancelled: enough")


def test_deadline_of_a_job(execute):
    """A job that takes too long is ended, and its report says so."""

    class InTime(Advice):
        def before(self, invocation):
            invocation.deadline = Deadline.after(1.0)
            invocation.proceed()

    report = execute(job("sleep 60"), SubprocessAdvice(), InTime()).get()
    assert (report.outcome, report.timed_out) == ("crash", True)


def test_no_cache_directory(execute, tmp_path, monkeypatch):
    """Where no archive can be kept it is sent, and the job runs."""
    (tmp_path / "file").write_text("")
    assert execute(job("echo ran"), SubprocessAdvice(directory=tmp_path / "file" / "x")).get().outcome == "pass"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"env": "all"}, "'all' says nothing about an environment"),
        ({"limits": ("frobs=1",)}, "'frobs=1' is no limit"),
        ({"limits": ("nofile",)}, "'nofile' is no limit"),
        ({"limits": ("nofile=-1",)}, "'nofile=-1' is no limit"),
        ({"nice": 20}, "nice=20 is no priority"),
    ],
)
def test_bad_parameters(parameters, message):
    """A parameter that means nothing is an error when the advice is made."""
    with pytest.raises(ChainError, match=message):
        SubprocessAdvice(**parameters)


def test_target():
    """Only another interpreter is another place."""
    invocation = Invocation(Task.create_task(get_current_username), Execution("id"))
    assert SubprocessAdvice().target(invocation) is None
    assert SubprocessAdvice(interpreter="/usr/bin/other").target(invocation) == "subprocess /usr/bin/other"


def test_kept_variables():
    """Names of locale categories are kept by their beginning, and nothing else."""
    keeps = kept_variables("clean", ())
    assert [keeps(name) for name in ("LC_TIME", "LCX", "LD_PRELOAD", "PYTHONPATH")] == [True, False, False, False]
