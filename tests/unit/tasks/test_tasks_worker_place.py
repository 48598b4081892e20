# SPDX-License-Identifier: Apache-2.0
"""A program run by a worker is run like one here: output, return codes, limits, and nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from far_rig import Execution, Far, interpreter, of_session

from plainbox.errors import JobStartError, RemoteSetupError, RemoteVersionError, TransportLost
from plainbox.processes import read_stat
from plainbox.tasks import CancelToken, Deadline, MemorySink, Surroundings
from plainbox.tasks.place import HERE, Program
from plainbox.tasks.resource_limits import parse_limits


@pytest.fixture
def far(tmp_path):
    (tmp_path / "far").mkdir()
    place = Far(tmp_path / "far")
    yield place
    assert os.listdir(place.directory) == []


@pytest.fixture
def run(far, children):
    before = children()
    yield Execution(far)
    assert children() == before


@pytest.mark.parametrize("code", [0, 1, 127, 255])
def test_return_code(run, code):
    """The return code is that of the program, whatever the worker's own one."""
    ending = run(f"exit {code}")
    assert (ending.return_code, ending.ended_by, ending.left, ending.survivors) == (code, None, (), ())
    assert run.started == [ending.process]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGRTMAX])
def test_killed_program(run, number):
    """A program that a signal ends says so; what it printed before is here, and the next one runs."""
    assert run(f"echo partial; kill -{int(number)} $$").return_code == -number
    assert run.sink.stdout == b"partial\n"
    assert run("exit 3").return_code == 3


def test_program_runs_in_a_worker(run):
    """The program is the child of another process, and its leader is the one that is told of."""
    ending = run("ps -o ppid= -p $$; echo $$")
    parent, own = map(int, run.sink.stdout.split())
    assert own == ending.process.pid == ending.process.process_group
    assert parent != os.getpid()


def test_both_streams(run):
    """Much output on both streams at once neither blocks nor loses its order."""
    program = (
        "import os, threading\n"
        "def write(fd):\n"
        "    for n in range(10000): os.write(fd, b'%d:%07d' % (fd, n) + os.urandom(0) + bytes(range(256)) * 4)\n"
        "threads = [threading.Thread(target=write, args=(fd,)) for fd in (1, 2)]\n"
        "[thread.start() for thread in threads]"
    )
    run(f'{sys.executable} -c "{program}"')
    for fd, data in ((1, run.sink.stdout), (2, run.sink.stderr)):
        assert data == b"".join(b"%d:%07d" % (fd, n) + bytes(range(256)) * 4 for n in range(10000))


def test_same_as_here(run):
    """Output and ending are those of the same program here."""
    here = Execution(HERE)
    command = "printf 'a\\377\\0b'; printf 'e\\n' >&2; touch left; sleep 60 & exit 7"
    mine, other = here(command), run(command)
    assert run.sink.stdout == here.sink.stdout == b"a\xff\0b"
    assert run.sink.stderr == here.sink.stderr
    assert other.leftovers == mine.leftovers == ("left",)
    assert [stat.name for stat in other.left] == [stat.name for stat in mine.left] == ["sleep"]
    assert len(run.sink.notes) == len(here.sink.notes) == 1


def test_environment_is_exact(run):
    """The program sees the environment that it is given, and nothing of the worker's."""
    run.environment = {"PATH": os.environ["PATH"], "ODD\nNAME": "x\ny", "BYTES": "\udcff\udc80", "EMPTY": ""}
    run.place.environment = {**os.environ, "SECRET": "worker"}
    here = Execution(HERE, environment=run.environment)
    here("cat /proc/self/environ"), run("cat /proc/self/environ")
    assert _without_places(run.sink.stdout) == _without_places(here.sink.stdout)


def _without_places(data):
    places = (b"PWD=", b"OLDPWD=", b"PLAINBOX_RESULT=")
    return sorted(entry for entry in data.split(b"\0") if not entry.startswith(places))


def test_working_directory(run, tmp_path):
    """A program runs where it is told to, and nothing is removed there."""
    run.working_directory = tmp_path / "given"
    run.working_directory.mkdir()
    run("pwd; touch kept")
    assert run.sink.stdout.decode() == f"{run.working_directory}\n"
    assert os.listdir(run.working_directory) == ["kept"]


def test_standard_input_and_descriptors(run):
    """A program has no descriptor of the channel."""
    run("readlink /proc/self/fd/0; ls /proc/$$/fd | tr '\\n' ' '")
    assert run.sink.stdout == b"/dev/null\n0 1 2 "


def test_held_until_started_has_returned(far, tmp_path):
    """The program has not run while ``started`` is at it, and never does when that raises."""
    mark = tmp_path / "mark"

    class Refused(Exception):
        pass

    def refuse(process):
        assert of_session(process.pid)
        time.sleep(0.1)
        assert not mark.exists()
        raise Refused

    surroundings = Surroundings(dict(os.environ), MemorySink(), refuse)
    with pytest.raises(Refused):
        far.run(Program(("touch", str(mark))), surroundings, None)
    assert not mark.exists()


def test_slow_start(run):
    """A side that takes long to note the start, longer than silence is allowed, is still there for the far end."""
    run.place.beat_s = 0.05
    run.started = _Slow(0.6)
    assert run("echo ran").return_code == 0
    assert run.sink.stdout == b"ran\n"


class _Slow(list):
    def __init__(self, seconds):
        self.seconds = seconds

    def append(self, process):
        super().append(process)
        time.sleep(self.seconds)


def test_quiet_program(run):
    """A program that says nothing for longer than silence is allowed is no lost one: its worker says that it is there."""
    run.place.beat_s = 0.05
    assert run("sleep 0.6; echo done").return_code == 0


def test_deadline(run, is_over):
    """At the deadline the program is ended with everything that it started, also what ignores to be asked."""
    ending = run("trap '' TERM; (trap '' TERM; sleep 60) & echo $!; sleep 60; sleep 60", limit_s=1)
    assert ending.ended_by == "deadline"
    assert is_over(int(run.sink.stdout))
    assert is_over(ending.process.pid)


def test_deadline_before_the_start(run):
    """Time that the connection takes counts; then nothing has run and nothing was told to have started."""
    run.place.script = "begin(); hello(); wait()"
    ending = run("true", limit_s=0.3)
    assert (ending.ended_by, ending.return_code, run.started) == ("deadline", None, [])


def test_cancel(run, wait_until):
    """A cancelled program is ended, and its last words come home."""

    def stop():
        wait_until(lambda: run.sink.stdout, "no output")
        run.cancel.cancel("enough")

    thread = threading.Thread(target=stop)
    thread.start()
    ending = run("trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.05; done")
    thread.join()
    assert (ending.ended_by, ending.return_code) == ("cancel", 4)
    assert run.sink.stdout == b"ready\nbye\n"
    assert any("enough" in note for note in run.sink.notes)


def test_hurried_cancel(run, wait_until):
    """One who is in a hurry does not wait for a program that ignores to be asked."""

    def stop():
        wait_until(lambda: run.sink.stdout, "no output")
        run.cancel.cancel("enough")
        run.cancel.hurry()

    thread = threading.Thread(target=stop)
    thread.start()
    ending = run("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    thread.join()
    assert (ending.ended_by, ending.return_code) == ("cancel", -signal.SIGKILL)


def test_cancelled_before(run):
    """A program that is cancelled by then does not run."""
    run.cancel.cancel("no")
    ending = run("echo ran")
    assert (ending.ended_by, run.sink.stdout) == ("cancel", b"")


def test_sink_that_raises(far, children):
    """What the sink raises comes through, once nobody is left."""

    class Full(MemorySink):
        def write(self, stream, data):
            super().write(stream, data)
            raise OSError("no space left")

    execution = Execution(far, sink=Full())
    with pytest.raises(OSError, match="no space left"):
        execution("echo $$; sleep 60 & sleep 60")
    assert not of_session(execution.started[0].pid)
    assert not children()


def test_interrupted(far, children):
    """An interrupt from the terminal ends everything."""

    class Interrupted(MemorySink):
        def write(self, stream, data):
            raise KeyboardInterrupt

    execution = Execution(far, sink=Interrupted())
    with pytest.raises(KeyboardInterrupt):
        execution("echo $$; sleep 60")
    assert not of_session(execution.started[0].pid)
    assert not children()


def test_worker_is_killed(run, wait_until):
    """When the worker dies, its program is ended here, and the loss says how."""

    def kill():
        wait_until(lambda: run.sink.stdout, "no output")
        os.kill(int(run.sink.stdout), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(TransportLost, match="ended with code -9"):
        run("ps -o ppid= -p $$; sleep 60 & sleep 60")
    thread.join()
    assert not of_session(run.started[0].pid)
    for left in list(run.place.directory.iterdir()):  # the worker could not tidy up; whoever made the directory does
        raise AssertionError(left)


def test_this_process_is_killed(tmp_path, wait_until, is_over, children):
    """When this side dies without a word, the program, its children and the directories of the worker are gone."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path; from far_rig import *\n"
        "class Print(MemorySink):\n"
        "    def write(self, stream, data): print(data.decode(), end='', flush=True)\n"
        "place = Far(Path(sys.argv[1]))\n"
        'Execution(place, sink=Print())("sleep 60 & echo $$ $!; sleep 60")\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parents[2])], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    pids = list(map(int, process.stdout.readline().split()))
    process.kill()
    process.wait()
    process.stdout.close()
    for pid in pids:
        wait_until(lambda pid=pid: is_over(pid), "still running")
    wait_until(lambda: not any(tmp_path.glob("*/*")), "the worker has left its directory")
    for orphan in children():  # the worker, which this process has inherited
        os.waitpid(int(orphan), 0)


def test_program_that_cannot_run(run):
    """What the far end cannot start is the same error as here, and nothing was told to have started."""
    with pytest.raises(JobStartError, match="not known"):
        run("true", user="no-one-of-this-name")
    assert run.started == []


def test_missing_program(run):
    """A program that is not there is an error that names it."""
    surroundings = Surroundings({"PATH": "/nowhere"}, MemorySink(), run.started.append)
    with pytest.raises(JobStartError, match="no program 'frob'"):
        run.place.run(Program(("frob",)), surroundings, None)


def test_missing_interpreter(run):
    """An interpreter that is not there is an error that names it."""
    run.place.interpreter = "/nowhere/python3"
    with pytest.raises(RemoteSetupError, match="/nowhere/python3 could not be started: No such file"):
        run("true")


def test_no_interpreter_at_all(run):
    """A program that is no Python is an error that has its last words."""
    run.place.interpreter = "ls"
    with pytest.raises(RemoteSetupError, match="ls did not start"):
        run("true")


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7"])
def test_too_old(run, version):
    """A Python that is too old is named with its version and the one that is needed; it leaves no traceback."""
    found = interpreter(version)
    if found is None:
        run.place.script = f'begin("{version}.1"); sys.stderr.write("plainbox needs another"); sys.exit(78)'
    else:
        run.place.interpreter = found
    with pytest.raises(RemoteVersionError, match=rf"Python 3\.8 or newer is needed, and this is {version}") as caught:
        run("true")
    assert run.place.interpreter in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.12", "3.13"])
def test_other_versions(run, version):
    """Every Python from 3.8 on that this machine has runs programs."""
    run.place.interpreter = interpreter(version) or sys.executable
    assert run("echo out; exit 5").return_code == 5
    assert run.sink.stdout == b"out\n"


def test_archive_is_sent_once(run, tmp_path):
    """Where a directory keeps archives, the second execution sends none; a damaged one is replaced."""
    store = tmp_path / "store"
    store.mkdir()
    run.place.store = str(store)
    sent = []
    archive = run.place.archive()

    class Counted:
        digest = archive.digest

        @property
        def data(self):
            sent.append(1)
            return archive.data

    run.place.archive = Counted
    for _ in range(2):
        assert run("true").return_code == 0
    assert sent == [1]
    (kept,) = store.iterdir()
    assert kept.read_bytes() == archive.data
    kept.chmod(0o600)
    kept.write_bytes(b"damaged")
    assert run("true").return_code == 0
    assert sent == [1, 1]


def test_attached_files(run, tmp_path):
    """Files that match come home as they are; links, other files, and what is too large do not."""
    run.attachments_dir = tmp_path / "attached"
    run.attachments_dir.mkdir()
    (tmp_path / "outside.log").write_text("secret")
    run.attach, run.attach_bytes = ("*.log",), 100_000
    run(
        f"printf 'a\\0b' > one.log; mkdir -p sub/deep; echo two > sub/deep/two.log; echo no > no.txt; mkfifo pipe.log;"
        f"ln -s {tmp_path}/outside.log link.log; ln -s {tmp_path} way; head -c 200000 /dev/zero > large.log"
    )
    found = {str(path.relative_to(run.attachments_dir)): path.read_bytes() for path in run.attachments_dir.rglob("*.*")}
    assert found == {"one.log": b"a\0b", "sub/deep/two.log": b"two\n"}
    assert (run.attachments_dir / "one.log").stat().st_mode & 0o777 == 0o600
    assert [note for note in run.sink.notes if "large.log" in note]


def test_limits_and_priority(run):
    """Limits and the priority hold for the program."""
    run.place.limits, run.place.nice = parse_limits(["nofile=64", "core=0"]), 7
    run("ulimit -n; ulimit -c; nice")
    assert run.sink.stdout.split() == [b"64", b"0", b"7"]


def test_impossible_limit(run):
    """A limit that the system refuses is an error before anything runs."""
    run.place.limits = {"frobs": 1}
    with pytest.raises(RemoteSetupError, match="'frobs'"):
        run("echo ran")
    assert run.started == []


def test_memory_is_flat(far):
    """Neither side keeps output: a hundred megabytes cost neither of them ten."""

    class Forgetful(MemorySink):
        size = before = after = 0

        def write(self, stream, data):
            self.size += len(data)
            stat = read_stat(execution.started[0].pid)
            if stat is not None:
                self.after = _memory(stat.parent)
                self.before = self.before or self.after

    sink = Forgetful()
    execution = Execution(far, sink=sink)
    own = _memory("self")
    execution("head -c 100000000 /dev/zero; sleep 0.2")
    assert sink.size == 100_000_000
    assert sink.before > 0
    assert sink.after - sink.before < 10_000
    assert _memory("self") - own < 10_000


def _memory(pid):
    """Return the most memory that a process has had, in kB."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM")), 0)


def test_several_at_once(far, children):
    """One place serves several executions at once, each with its own output."""
    executions = [Execution(far, cancel=CancelToken()) for _ in range(3)]
    codes = {}

    def run_one(number):
        codes[number] = executions[number](
            f"for i in 1 2 3; do echo {number}; sleep 0.05; done; exit {number}"
        ).return_code

    threads = [threading.Thread(target=run_one, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {0: 0, 1: 1, 2: 2}
    assert [execution.sink.stdout for execution in executions] == [b"0\n" * 3, b"1\n" * 3, b"2\n" * 3]
    assert not children()


def test_deadline_in_the_past(run):
    """A deadline that is over by the start runs nothing."""
    surroundings = Surroundings(dict(os.environ), run.sink, run.started.append)
    ending = run.place.run(Program(("echo", "ran")), surroundings, Deadline(time.monotonic() - 1, 1.0))
    assert (ending.ended_by, run.sink.stdout) == ("deadline", b"")
