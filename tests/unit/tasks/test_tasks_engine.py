# SPDX-License-Identifier: Apache-2.0
"""The engine: a job of a provider in, a report out."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from plainbox.errors import ChainError, JobStartError
from plainbox.tasks import (
    Advice,
    CancelToken,
    Configuration,
    ExecutionEngine,
    Invocation,
    JobReport,
    MemorySink,
    Result,
    ShellJobTask,
    Surroundings,
)
from plainbox.units import JobDefinition


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch):
    """Let the temporary working directories be made in a directory of the test."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


class World:
    """Executes jobs and keeps what came out."""

    def __init__(self) -> None:
        self.sink = MemorySink()
        self.started = []
        self.engine = ExecutionEngine()

    def execute(self, command="true", *, chain=None, given=None, **fields) -> Result:
        fields.setdefault("plugin", "shell")
        job = JobDefinition({"id": "job", "command": command, **fields} if command else {"id": "job", **fields})
        surroundings = {"environment": os.environ, "output": self.sink, "started": self.started.append}
        return self.engine.execute(job, Surroundings(**{**surroundings, **(given or {})}), advice_chain=chain)

    def report(self, *args, **kwargs) -> JobReport:
        report = self.execute(*args, **kwargs).get()
        assert isinstance(report, JobReport)
        return report


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("plugin", ["shell", "resource", "attachment"])
def test_pass(world, plugin):
    """A job that returns 0 passes; its output has gone to the sink."""
    report = world.report("echo out; echo err >&2", plugin=plugin)
    assert (report.outcome, report.return_code, report.signal, report.comments) == ("pass", 0, None, None)
    assert (world.sink.stdout, world.sink.stderr) == (b"out\n", b"err\n")
    assert world.started == [report.process]
    assert report.duration > 0
    assert report.start_time > 1e9


def test_fail(world):
    """A positive return code is a failure, and no exception."""
    report = world.report("exit 3")
    assert (report.outcome, report.return_code, report.comments) == ("fail", 3, None)


def test_crash(world):
    """A job that dies by a signal crashes, and the comment names the signal."""
    report = world.report("kill -SEGV $$")
    assert (report.outcome, report.return_code, report.signal) == ("crash", -11, 11)
    assert report.comments == "killed by SIGSEGV (11)"


@pytest.mark.parametrize(
    ("shell", "expected"), [("bash", b"bash\n"), ("/bin/bash", b"/bin/bash\n"), ("/bin/sh", b"/bin/sh\n")]
)
def test_shell(world, shell, expected):
    """A job is run by its own shell."""
    world.report("echo $0", shell=shell)
    assert world.sink.stdout == expected


def test_no_shell(world, tmp_path: Path):
    """A shell that does not exist is an error that says where it was looked for; nothing was started."""
    result = world.execute(given={"environment": {"PATH": str(tmp_path)}})
    assert isinstance(result.exception, JobStartError)
    assert str(result.exception) == f"there is no program 'bash' in {tmp_path}"
    assert world.started == []


def test_no_command(world):
    """A job without a command cannot be executed."""
    result = world.execute(None, plugin="manual", description="x")
    assert isinstance(result.exception, JobStartError)


def test_limit_of_the_job(world):
    """A job that runs longer than its own limit crashes; the limit of the surroundings is for jobs without one."""
    report = world.report("sleep 60", timeout="0.2", given={"timeout_s": 50})
    assert (report.outcome, report.timed_out, report.return_code) == ("crash", True, -15)
    assert report.comments == "ended after its limit of 0.2 s"


def test_limit_of_the_surroundings(world):
    """Without a limit of its own a job has that of its surroundings."""
    report = world.report("sleep 60", given={"timeout_s": 0.1})
    assert (report.timed_out, report.comments) == (True, "ended after its limit of 0.1 s")


def test_cancelled(world):
    """A cancelled job crashes with the reason."""
    cancel = CancelToken()
    report = world.report("sleep 60", given={"cancel": cancel, "started": lambda identity: cancel.cancel("no power")})
    assert (report.outcome, report.cancelled, report.timed_out) == ("crash", True, False)
    assert report.comments == "cancelled: no power"


def test_cancelled_before(world):
    """A job that is cancelled before its start does not start."""
    cancel = CancelToken()
    cancel.cancel("no power")
    report = world.report("echo no", given={"cancel": cancel})
    assert (report.outcome, report.cancelled, report.process) == ("crash", True, None)
    assert report.comments == "cancelled before its start: no power"
    assert (world.started, world.sink.chunks) == ([], [])


def test_left_processes(world):
    """Processes that a job leaves are counted, and do not change its outcome."""
    report = world.report("sleep 60 & sleep 60 & true")
    assert (report.outcome, report.leaked_processes) == ("pass", 2)
    assert report.comments == "left 2 processes running"


def test_private_directory(world, temporary: Path):
    """A job that is given no directory has a private one, which is gone afterwards."""
    report = world.report("pwd; stat -c %a .; echo x > file")
    place, mode = world.sink.stdout.decode().split()
    assert Path(place).parent == temporary.resolve()
    assert Path(place).name.startswith("plainbox-job-")
    assert int(mode, 8) == stat.S_IRWXU
    assert report.leftovers == ("file",)
    assert list(temporary.iterdir()) == []


def test_given_directory(world, tmp_path: Path):
    """A directory that is given stays, with everything in it."""
    report = world.report("echo x > file", given={"working_directory": tmp_path})
    assert report.leftovers == ()
    assert (tmp_path / "file").exists()


def test_leftovers(world, temporary: Path):
    """Leftovers are named relative to the directory, whatever their names are; links are not followed."""
    (temporary / "outside").mkdir()
    (temporary / "outside" / "precious").touch()
    report = world.report("mkdir -p a/b empty; touch a/b/c $'odd\\nname\\xff'; ln -s ../outside link")
    assert report.leftovers == ("a/b/c", "empty/", "link", "odd\nname\\xff")
    assert (temporary / "outside" / "precious").exists()
    assert [path.name for path in temporary.iterdir()] == ["outside"]


def test_many_leftovers(world, temporary: Path):
    """At most 20 leftovers are named."""
    assert len(world.report("mkdir d; cd d; touch {1..1000}").leftovers) == 20
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        "mkdir -p a/b; touch a/b/c; chmod 0 a/b; chmod 555 a; chmod 0 .",
        "mkdir -p $(printf 'd/%.0s' {1..1500})",
        "rmdir $PWD",
        "rmdir $PWD; echo x > $PWD",
        "long=$(printf '%0250d/' {1..12}); for i in 1 2 3; do mkdir -p $long; cd $long; done; touch x",
    ],
)
def test_directory_that_resists(world, temporary: Path, command):
    """Directories without permissions, very deep ones and removed ones are no trouble."""
    assert world.report(command).outcome == "pass"
    assert list(temporary.iterdir()) == []


def test_directory_that_is_replaced_by_a_link(world, temporary: Path):
    """A link in the place of the directory goes; what it points to is not touched."""
    (temporary / "outside").mkdir(mode=0o500)
    (temporary / "outside" / "precious").touch()
    assert world.report("rmdir $PWD; ln -s ../temporary/outside $PWD").leftovers == ()
    assert [path.name for path in temporary.iterdir()] == ["outside"]
    assert (temporary / "outside" / "precious").exists()
    assert stat.S_IMODE((temporary / "outside").stat().st_mode) == 0o500


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_directory_with_a_mount(world, temporary: Path, tmp_path: Path, caplog):
    """What a job has left mounted in its directory is not removed with it."""
    outside = tmp_path / "out side"
    outside.mkdir()
    (outside / "precious").touch()
    command = "mkdir 'a b' && mount --bind \"$OUTSIDE\" 'a b'"
    report = world.report(command, given={"environment": {**os.environ, "OUTSIDE": str(outside)}})
    try:
        if report.outcome != "pass":
            pytest.skip("mounting is not allowed here")
        assert report.leftovers == ("a b/precious",)
        assert (outside / "precious").exists()
        assert "left something mounted" in caplog.text
    finally:
        for place in temporary.glob("plainbox-job-*/a b"):
            subprocess.run(("umount", place), check=False)


def test_directory_is_removed_after_an_error(world, temporary: Path):
    """When the execution cannot be carried out its directory goes all the same."""

    def refuse(identity) -> None:
        raise OSError("the disk is full")

    result = world.execute("touch ran", given={"started": refuse})
    assert result == Result(exception=OSError("the disk is full"))
    assert list(temporary.iterdir()) == []


def test_no_place_for_a_directory(world, monkeypatch):
    """A job whose directory cannot be made does not start."""
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    result = world.execute()
    assert isinstance(result.exception, JobStartError)
    assert "no temporary working directory" in str(result.exception)


def test_advice_that_goes_wrong(world):
    """The error of an advice is the exception of the result, and the engine goes on."""

    class Wrong(Advice):
        def before(self, invocation) -> None:
            raise KeyError("wrong")

    world.engine.configuration.add_advice_chain(Wrong(), name="wrong")
    assert world.execute(chain="wrong") == Result(exception=KeyError("wrong"))
    assert world.execute().get().outcome == "pass"


def test_unknown_chain(world):
    """An unknown chain is raised at once."""
    with pytest.raises(ChainError):
        world.execute(chain="none")


def test_keyboard_interrupt(world):
    """CTRL+C is not a result."""

    class Interrupted(MemorySink):
        def write(self, stream, data) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.execute("echo x; sleep 60", given={"output": Interrupted()})


def test_log(world, caplog):
    """There is one record before an execution and one after it."""
    with caplog.at_level(logging.INFO, "plainbox"):
        world.report("exit 1")
        world.execute(given={"environment": {"PATH": "/nowhere"}})
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 4
    assert texts[0].startswith("job: started, invocation ")
    assert texts[1].startswith("job: fail after 0.")
    assert texts[3].startswith("job: not carried out (JobStartError: there is no program 'bash' in /nowhere) after")


def test_unknown_user():
    """A job for a user that there is not is refused rather than run as another one."""
    other = "nobody-of-this-name"
    task = ShellJobTask(job_id="job", checksum="", command="touch ran", user=other)
    configuration = Configuration()
    surroundings = Surroundings(environment=os.environ, output=MemorySink(), started=lambda identity: None)
    result = Invocation(task, task.execution(), configuration, surroundings=surroundings).initiate()
    assert isinstance(result.exception, JobStartError)
    assert f"runs as '{other}'" in str(result.exception)


def test_identifiers_of_a_job():
    """The identifier of a task stays when its command changes, that of its execution does not."""
    one = ShellJobTask.from_unit(JobDefinition({"id": "job", "plugin": "shell", "command": "true"}))
    other = ShellJobTask.from_unit(JobDefinition({"id": "job", "plugin": "shell", "command": "false"}))
    assert one.task_id == other.task_id
    assert one.execution().execution_id != other.execution().execution_id


def test_import_is_light():
    """Importing the room loads nothing that only a running job needs."""
    heavy = {
        "asyncio",
        "psutil",
        "ctypes",
        "difflib",
        "secrets",
        "shutil",
        "subprocess",
        "tempfile",
        "importlib.metadata",
        "plainbox.units",
    }
    program = "import sys, plainbox.tasks; print(*sys.modules)"
    loaded = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True).stdout.split()
    assert heavy.isdisjoint(loaded)
