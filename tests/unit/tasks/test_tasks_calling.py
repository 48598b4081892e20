# SPDX-License-Identifier: Apache-2.0
"""Function jobs: real functions of real modules, each called in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from plainbox.tasks import (
    AttachedFile,
    CancelToken,
    ExecutionEngine,
    FunctionJobTask,
    JobReport,
    Measurement,
    MemorySink,
    Subtest,
    Surroundings,
)
from plainbox.tasks.calling import __file__ as calling_file
from plainbox.units import JobDefinition

MODULE = """
import asyncio, json, os, sys, time
from plainbox.tasks.reporting import SkipJob, attach, measure, progress, subtest

def nothing(): pass

def value(): return {"a": object()}

def false(): return False

def arguments(*args, **kwargs):
    print(json.dumps([args, kwargs], sort_keys=True))

def two(left, right=None): pass

def asserts():
    level = 3
    assert level > 5, "the level is too low"

def bare():
    level = 3
    assert level > 5

def skips(): raise SkipJob("no battery")

class OwnSkip(SkipJob): pass
def skips_by_its_own(): raise OwnSkip("because")

class Strange(Exception):
    def __init__(self, one, two):
        super().__init__(one)
        self.two = two

def raises():
    try:
        os.open("/nonexistent", 0)
    except OSError as error:
        problem = Strange("cannot begin", 2)
        if hasattr(problem, "add_note"):
            problem.add_note("look at the fuse")
        raise problem from error

class Base(BaseException): pass
def raises_at_the_base(): raise Base("below")

def removes_and_skips():
    os.unlink(os.environ["PLAINBOX_RESULT"])
    raise SkipJob("no lamp")

class Wordless(Exception):
    def __str__(self): raise RuntimeError

def wordless(): raise Wordless

def exits(code): sys.exit(code)

def dies(): os.kill(os.getpid(), 11)

async def waits():
    await asyncio.sleep(0)
    measure("slept", 1)

async def waits_badly():
    await asyncio.sleep(0)
    raise KeyError("x")

def yields(): yield 1

def hangs():
    print("hanging")
    time.sleep(600)

def interrupts(): raise KeyboardInterrupt

def tells():
    subtest("left")
    subtest("right", "skip", "no cable")
    assert measure("volume", 12, "dB", lower=10)
    progress(1, 2)
    with open("log.txt", "w") as file:
        file.write("x")
    attach("log.txt")
    attach(os.path.abspath("log.txt"), "again.txt")

def measures_badly(): return measure("volume", 2, "dB", lower=10)

def not_a_number(): measure("volume", float("nan"))

def attaches_elsewhere(): attach("/etc/passwd")

def prints():
    print("out \\u00e4 \\udcff")
    print("err", file=sys.stderr)

class Fan:
    @staticmethod
    def turns(): pass

NUMBER = 3
"""


class World:
    def __init__(self, directory: Path) -> None:
        self.sink = MemorySink()
        self.directory = directory
        self.cancel = CancelToken()
        self.timeout_s = None
        (directory / "python").mkdir()
        self.add("fan_checks", MODULE)

    def add(self, name: str, text: str) -> None:
        (self.directory / "python" / f"{name}.py").write_text(text)

    def __call__(self, function: str, **fields) -> JobReport:
        job = JobDefinition({"id": "job", "plugin": "function", "function": function, **fields})
        environment = {
            **os.environ,
            "PLAINBOX_PROVIDER_PYTHON": str(self.directory / "python"),
            "PYTHONUNBUFFERED": "1",
        }
        surroundings = Surroundings(
            environment=environment,
            output=self.sink,
            started=lambda process: None,
            cancel=self.cancel,
            timeout_s=self.timeout_s,
            attachments_dir=self.directory / "attachments",
        )
        report = ExecutionEngine().execute(job, surroundings).get()
        assert isinstance(report, JobReport)
        return report


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("name", ["nothing", "value", "false", "Fan.turns"])
def test_returns(world, name):
    """A function that returns has passed, whatever it returns."""
    report = world(f"fan_checks:{name}")
    assert (report.outcome, report.return_code, report.comments) == ("pass", 0, None)
    assert world.sink.chunks == []
    assert not (world.directory / "python" / "__pycache__").exists()


def test_arguments(world):
    """Arguments are the JSON values that the job names, each of its own type."""
    world(
        "fan_checks:arguments",
        args='[1, 2.5, "3", true, null, [1], {"a": {}}, "ä\\n"]',
        kwargs='{"name": "fan", "count": 4, "none": null}',
    )
    assert world.sink.stdout == (
        b'[[1, 2.5, "3", true, null, [1], {"a": {}}, "\\u00e4\\n"], {"count": 4, "name": "fan", "none": null}]\n'
    )


def test_assertions(world):
    """An assertion that does not hold is a failure with its message, or its text."""
    report = world("fan_checks:asserts")
    assert (report.outcome, report.return_code) == ("fail", 1)
    assert (report.comments or "").splitlines()[0] == "the level is too low"
    assert b"fan_checks.py" in world.sink.stderr
    assert Path(calling_file).name.encode() not in world.sink.stderr
    assert (world("fan_checks:bare").comments or "").startswith("it does not hold: assert level > 5")


def test_skips(world):
    """SkipJob skips the job, with the reason; classes made of it do too."""
    report = world("fan_checks:skips")
    assert (report.outcome, report.return_code, report.comments) == ("skip", 0, "no battery")
    assert world.sink.chunks == []
    assert world("fan_checks:skips_by_its_own").outcome == "skip"


def test_crashes(world):
    """Anything else is a crash: message, notes, place and cause are in the comment, the traceback is in the log."""
    report = world("fan_checks:raises")
    assert (report.outcome, report.return_code) == ("crash", 1)
    lines = (report.comments or "").splitlines()
    assert lines[0] == "Strange: cannot begin"
    assert lines.pop(1) == "  look at the fuse"
    assert lines[1].startswith("  at raises (fan_checks.py:")
    assert lines[2] == "caused by FileNotFoundError: [Errno 2] No such file or directory: '/nonexistent'"
    assert str(world.directory) not in "".join(lines)
    assert b"The above exception was the direct cause" in world.sink.stderr
    assert (world("fan_checks:wordless").comments or "").startswith("Wordless: (its text")
    assert world("fan_checks:interrupts").outcome == "crash"


@pytest.mark.parametrize(
    ("code", "outcome", "return_code"),
    [("null", "pass", 0), ("0", "pass", 0), ("3", "fail", 3), ('"no fan"', "fail", 1)],
)
def test_exits(world, code, outcome, return_code):
    """sys.exit ends the job with its code; a text is a failure with that reason."""
    report = world("fan_checks:exits", args=f"[{code}]")
    assert (report.outcome, report.return_code) == (outcome, return_code)
    if code == '"no fan"':
        assert (report.comments, world.sink.stderr) == ("no fan", b"no fan\n")


def test_an_exception_of_any_kind(world):
    """What is raised need not be an Exception to be a crash."""
    report = world("fan_checks:raises_at_the_base")
    assert report.outcome == "crash"
    assert "Base: below" in (report.comments or "")


def test_nowhere_to_tell(world):
    """A function that takes its result file away has failed, and the log says what it would have told."""
    assert world("fan_checks:removes_and_skips").outcome == "fail"
    assert b"skip: no lamp" in world.sink.stderr


def test_death(world):
    """A process that dies is a crash like that of any job, and the log shows where it was."""
    report = world("fan_checks:dies")
    assert (report.outcome, report.signal) == ("crash", 11)
    assert b"in dies" in world.sink.stderr


def test_coroutines(world):
    """A coroutine function is run to its end; one that fails is a crash."""
    assert world("fan_checks:waits").items == (Measurement("slept", 1),)
    assert (world("fan_checks:waits_badly").comments or "").startswith("KeyError: 'x'")


def test_a_hung_function(world):
    """A function that hangs ends at the limit, and the log shows where it hung."""
    report = world("fan_checks:hangs", timeout="1")
    assert report.timed_out
    assert report.outcome == "crash"
    assert world.sink.stdout == b"hanging\n"
    assert b"in hangs" in world.sink.stderr


def test_it_tells(world):
    """Functions tell of parts, measurements, progress and files by plain calls."""
    report = world("fan_checks:tells")
    assert (report.outcome, report.comments, report.leftovers) == ("pass", None, ())
    assert report.items == (
        Subtest("left", "pass"),
        Subtest("right", "skip", "no cable"),
        Measurement("volume", 12, "dB", 10, None, "pass"),
        AttachedFile("log.txt", "log.txt", 1),
        AttachedFile("again.txt", "log.txt", 1),
    )
    assert world("fan_checks:measures_badly").outcome == "fail"


def test_told_wrongly(world):
    """What cannot be told is an error of the function, which says why."""
    assert "ValueError" in (world("fan_checks:not_a_number").comments or "")
    assert "/etc/passwd is not in the working directory" in (world("fan_checks:attaches_elsewhere").comments or "")


def test_output(world):
    """What is printed comes home, also what is no text."""
    world("fan_checks:prints")
    assert world.sink.stdout == "out ä \\udcff\n".encode()
    assert world.sink.stderr == b"err\n"


@pytest.mark.parametrize(
    ("function", "fields", "why"),
    [
        ("no_such:check", {}, "there is no module 'no_such' for the function 'no_such:check'"),
        ("os.nosuch:check", {}, "there is no module 'os.nosuch'"),
        ("fan_checks:nothin", {}, "there is no 'nothin' in 'fan_checks' (did you mean 'nothing'?)"),
        ("fan_checks:NUMBER", {}, "is int, which cannot be called"),
        ("fan_checks:yields", {}, "is a generator function"),
        ("fan_checks:two", {}, "fan_checks:two(left, right=None) does not take these arguments: missing"),
        ("fan_checks:two", {"args": "[1]", "kwargs": '{"wrong": 1}'}, "unexpected keyword argument 'wrong'"),
        ("broken:check", {}, "broken:check cannot be imported: ZeroDivisionError"),
        ("imports:check", {}, "imports:check cannot be imported: ModuleNotFoundError: No module named 'not_there'"),
        ("syntax:check", {}, "syntax:check cannot be imported: SyntaxError"),
    ],
)
def test_nothing_to_call(world, function, fields, why):
    """A call that cannot be is a crash that says what is wrong with it."""
    world.add("broken", "1/0")
    world.add("imports", "import not_there")
    world.add("syntax", "def (")
    report = world(function, **fields)
    assert report.outcome == "crash"
    assert why in (report.comments or "").splitlines()[0]


def test_other_modules_stay_in_their_place(world):
    """The directory of Plainbox hides no module that the Python has; that of the provider comes first."""
    world.add("show", "import sys\ndef path(): print('\\n'.join(sys.path))")
    world("show:path")
    path = world.sink.stdout.decode().splitlines()
    assert path[0] == str(world.directory / "python")
    assert "" not in path
    assert path.index(str(Path(calling_file).parents[2])) > path.index(os.path.dirname(os.__file__))


def test_reporting_outside_of_a_job():
    """Without a job the calls check what they are given, and do nothing."""
    code = (
        "from plainbox.tasks.reporting import *\n"
        "assert measure('a', 3, lower=1) and not measure('a', 3, upper=1) and measure('a', 3, upper=1, verdict='pass')\n"
        "subtest('a'); progress(1)\n"
        "try: subtest('a', 'good')\n"
        "except ValueError as error: print(error)\n"
        "try: measure('a', object())\n"
        "except TypeError as error: print(error)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PLAINBOX_RESULT"}
    shown = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    ).stdout.splitlines()
    assert shown == [
        "'outcome' is 'good'; possible are pass, fail, skip, crash",
        "'a': Object of type object is not JSON serializable",
    ]


def test_identity():
    """Equal calls are equal executions; another argument makes another one, and the task stays the same."""
    tasks = [FunctionJobTask("job", "sum", "a:b", (1,), {"x": value}) for value in (1, 1, "1")]
    first, same, other = (task.execution().execution_id for task in tasks)
    assert first == same != other
    assert len({task.task_id for task in tasks}) == 1


#: Calls a function by the modules that travel, in whatever Python runs this.
ELSEWHERE = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from plainbox.tasks import MemorySink, Surroundings
from plainbox.tasks.jobresult import Collector
from plainbox.tasks.place import HERE, PYTHON, Program

def run(function, *args):
    sink, told = MemorySink(), Collector(lambda item: None, lambda text: None)
    environment = dict(os.environ, PLAINBOX_PROVIDER_PYTHON=sys.argv[2])
    call = json.dumps({"function": function, "args": args, "kwargs": {}})
    surroundings = Surroundings(environment, sink, lambda process: None, on_line=told.take)
    ending = HERE.run(Program((PYTHON, "plainbox.tasks.calling", call)), surroundings, None)
    return ending.return_code, told.judged("pass"), sink

code, (outcome, comments), sink = run("fan_checks:arguments", 1, "2", None)
assert (code, outcome, sink.stdout) == (0, "pass", b'[[1, "2", null], {}]\\n'), (code, comments, sink.chunks)
code, (outcome, comments), sink = run("fan_checks:raises")
assert (code, outcome) == (1, "crash") and comments[0].startswith("Strange: cannot begin"), (code, comments)
code, (outcome, comments), sink = run("fan_checks:skips")
assert (code, outcome, comments) == (0, "skip", ["no battery"]), (code, comments, sink.chunks)
code, (outcome, comments), sink = run("fan_checks:waits")
assert (code, outcome) == (0, "pass"), (code, comments, sink.chunks)
code, (outcome, comments), sink = run("fan_checks:tells")
assert (code, outcome, comments) == (0, "pass", []), (code, comments, sink.chunks)
"""


def _pythons() -> list[str]:
    found = [sys.executable]
    for minor in (8, 13):
        places = sorted((Path.home() / ".pyenv/versions").glob(f"3.{minor}.*/bin/python3"))
        found += [str(place) for place in places[:1]]
    return found


@pytest.mark.parametrize("python", _pythons())
@pytest.mark.parametrize("packed", [False, True])
def test_elsewhere(world, python, packed, tmp_path):
    """A function is called by any Python, also where our modules are in an archive."""
    root = Path(calling_file).parents[2]
    if packed:
        with zipfile.ZipFile(tmp_path / "modules.pyz", "w") as archive:
            for path in (root / "plainbox").rglob("*.py"):
                archive.write(path, path.relative_to(root))
        root = tmp_path / "modules.pyz"
    command = [python, "-I", "-S", "-c", ELSEWHERE, str(root), str(world.directory / "python")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
