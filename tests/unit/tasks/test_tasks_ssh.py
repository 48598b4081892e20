# SPDX-License-Identifier: Apache-2.0
"""Jobs on another machine, over a real sshd on the loopback."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress

import psutil
import pytest
from ssh_rig import PYTHON, bench_of, processes_with

from plainbox.errors import (
    ChainError,
    RemoteSetupError,
    RemoteVersionError,
    SshAuthError,
    SshConnectError,
    SshHostKeyError,
    TransportLost,
)
from plainbox.tasks import Execution, Invocation, JobReport, MemorySink, Surroundings, Task
from plainbox.tasks.advices.retry import RetryAdvice
from plainbox.tasks.equipment import Equipment, ProviderFiles
from plainbox.tasks.ssh_place import _runs, close_connections
from plainbox.units import JobDefinition


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Return a bench that many tests use; each ends its connections."""
    with bench_of(tmp_path_factory.mktemp("ssh")) as bench:
        yield bench


@pytest.fixture
def bench(shared):
    """Return the shared bench with nothing on it, neither before nor afterwards."""
    yield shared
    assert shared.left == []


@pytest.fixture
def own(tmp_path):
    """Return a bench that the test may do anything to."""
    with bench_of(tmp_path) as bench:
        yield bench


def test_a_job_runs_there(bench):
    """A job runs as a child of the server, with its output and its return code coming here."""
    result = bench.run('echo out; echo err >&2; echo "$SSH_CONNECTION"; exit 3')
    report = result.value
    assert isinstance(report, JobReport), result.exception
    assert (report.outcome, report.return_code, report.host) == ("fail", 3, "bench")
    assert bench.sink.stdout.startswith(b"out\n127.0.0.1 ")
    assert bench.sink.stderr == b"err\n"
    assert bench.sink.notes == []


def test_return_code_255(bench):
    """A job that returns 255, as ssh does for its own trouble, has returned 255."""
    report = bench.run("exit 255").value
    assert (report.outcome, report.return_code) == ("fail", 255)


def test_a_signal(bench):
    """A job that is killed there has crashed with the signal's name."""
    report = bench.run("kill -9 $$").value
    assert (report.outcome, report.return_code) == ("crash", -9)
    assert "SIGKILL" in report.comments


def test_large_binary_output(bench):
    """Ten megabytes on each stream arrive byte for byte."""
    code = "import os; data = bytes(range(256)) * 4096; [os.write(n, data) for _ in range(10) for n in (1, 2)]"
    assert bench.run(f"{PYTHON} -c '{code}'").value.return_code == 0
    data = bytes(range(256)) * 40960
    assert bench.sink.stdout == data
    assert bench.sink.stderr == data


def test_output_is_live(bench, tmp_path):
    """What a job prints is here while it runs."""
    mark = tmp_path / "mark"

    class Watching(MemorySink):
        def write(self, stream, data):
            super().write(stream, data)
            mark.touch()

    sink = Watching()
    job = JobDefinition({"id": "sample", "plugin": "shell", "command": f"echo first; until test -e {mark}; do :; done"})
    result = bench.engine().execute(job, Surroundings(dict(os.environ), sink, lambda process: None))
    assert result.value.outcome == "pass"
    assert sink.stdout == b"first\n"


def test_one_connection_and_one_archive(bench):
    """Jobs share one connection, over which the archive goes once, and its socket is gone at the end."""
    engine = bench.engine()
    for _ in range(3):
        assert bench.run("true", engine=engine).value.outcome == "pass"
    ((_, run),) = list(_runs.items())
    socket = run.connection._socket.path
    (directory,) = bench.far.iterdir()
    assert os.stat(directory).st_mode & 0o777 == 0o700
    assert len(list(directory.glob("*.pyz"))) == 1
    assert run.connection.opened == 1
    assert bench.server.log.count("Accepted publickey") >= 1
    assert len(os.fsencode(socket)) < 88
    assert os.stat(socket).st_mode & 0o777 == 0o700
    assert len(processes_with(socket)) == 1
    close_connections()
    assert not os.path.exists(socket)
    assert not list(processes_with(socket))


def test_what_the_job_is_given(bench, tmp_path, monkeypatch):
    """A job has the login's environment and what Plainbox sets, with paths of there; nothing of this machine's."""
    monkeypatch.setenv("ONLY_HERE", "yes")
    data = tmp_path / "provider" / "data"
    data.mkdir(parents=True)
    (data / "it's a $(file)").write_text("content")
    (data / "link").symlink_to("/etc/passwd")
    programs = tmp_path / "provider" / "bin"
    programs.mkdir()
    (programs / "tool").write_text("#!/bin/sh\necho tool\n")
    (programs / "tool").chmod(0o755)
    provider = ProviderFiles(str(tmp_path / "provider"), {"data": str(data), "bin": str(programs)})
    variables = {"PLAINBOX_PROVIDER_DATA": str(data), "ODD": "a 'b'\n$(c);"}
    report = bench.run(
        'tool; cat "$PLAINBOX_PROVIDER_DATA"/it*; ls "$PLAINBOX_PROVIDER_DATA"; echo "$ODD"; echo "[$ONLY_HERE]$HOME"',
        equipment=Equipment(variables, (provider,)),
        surroundings={},
    ).value
    lines = bench.sink.stdout.decode().splitlines()
    assert report.return_code == 0, bench.sink.stderr
    assert lines[0] == "tool", lines
    assert lines[1] == "contentit's a $(file)", lines
    assert lines[2:4] == ["a 'b'", "$(c);"]
    assert lines[4].startswith("[]")
    assert lines[4].endswith("far-home")


def test_the_share_goes_there_and_back(bench, tmp_path):
    """Files of the session share are there before a job, and what it changes, makes or removes is so here."""
    share = tmp_path / "share"
    (share / "deep").mkdir(parents=True)
    (share / "deep" / "old").write_text("old")
    (share / "gone").write_text("")
    equipment = Equipment({"PLAINBOX_SESSION_SHARE": str(share)}, (), str(share))
    engine = bench.engine()
    first = (
        'cd "$PLAINBOX_SESSION_SHARE" && cat deep/old && rm gone && echo new > deep/old && mkdir a && echo x > "a/b c" '
    )
    assert bench.run(first + "&& ln -s /etc/passwd evil", engine=engine, equipment=equipment).value.outcome == "pass"
    assert bench.sink.stdout == b"old"
    assert (share / "deep" / "old").read_text() == "new\n"
    assert (share / "a" / "b c").read_text() == "x\n"
    assert sorted(os.listdir(share)) == ["a", "deep"]
    (share / "deep" / "old").unlink()
    (share / "more").write_text("from here")
    again = 'cd "$PLAINBOX_SESSION_SHARE" && test ! -e deep/old && cat more'
    assert bench.run(again, engine=engine, equipment=equipment).value.outcome == "pass"
    assert bench.sink.stdout == b"from here"


def test_attached_files(bench, tmp_path):
    """Files that a job attaches come here."""
    line = '{"t": "attachment", "name": "kept.txt", "path": "kept.txt"}'
    job = f"set -e; echo text > kept.txt; echo '{line}' >> $PLAINBOX_RESULT"
    lines = []
    result = bench.run(job, surroundings={"attachments_dir": tmp_path / "kept", "on_line": lines.append})
    assert result.value.outcome == "pass"
    assert len(lines) == 1
    assert [path.read_text() for path in (tmp_path / "kept").rglob("*.txt")] == ["text\n"], bench.sink.notes


# -- whom we talk to


def test_unknown_host_key(own):
    """A host whose key is not known gets nothing to run, is not tried again, and is not added to those known."""
    own.server.known_hosts.write_text("")
    tries = []
    retry = RetryAdvice(attempts=3, delay=0.0, on=("transport",))
    result = own.run("touch canary", retry, started=tries.append)
    assert isinstance(result.exception, SshHostKeyError), result.exception
    assert "bench" in str(result.exception)
    assert "plainbox remote trust bench" in result.exception.hint
    assert own.server.known_hosts.read_text() == ""
    assert tries == []
    assert os.listdir(own.far) == []
    assert own.server.log.count("[preauth]") == 1


def test_accept_new(own):
    """With accept_new an unknown key is stored and told, once."""
    own.server.known_hosts.write_text("")
    assert own.run("true", accept_new=True).value.outcome == "pass"
    assert "ssh-ed25519" in own.server.known_hosts.read_text()
    assert any("SHA256:" in note for note in own.sink.notes), own.sink.notes


def test_changed_host_key(own):
    """A host with another key than the known one is refused even with accept_new; the message has the new fingerprint."""
    own.server.stop()
    own.server.change_host_key()
    own.server.start()
    key = subprocess.run(
        ["ssh-keygen", "-lf", own.server.base / "host_key.pub"], capture_output=True, text=True, check=True
    )
    error = own.run("true", accept_new=True).exception
    assert isinstance(error, SshHostKeyError), error
    assert key.stdout.split()[1] in str(error), error


def test_no_right_to_log_in(own, tmp_path):
    """Without a key that the host lets in, the error says so, and there is no second try."""
    key = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    retry = RetryAdvice(attempts=3, delay=0.0, on=("transport",))
    error = own.run("true", retry, key_file=key).exception
    assert isinstance(error, SshAuthError)
    assert own.server.user in str(error)
    assert error.hint
    assert own.server.log.count("[preauth]") == 1


def test_nobody_listens(own):
    """A refused connection is one that may be tried again."""
    own.server.stop()
    retry = RetryAdvice(attempts=2, delay=0.0, on=("transport",))
    result = own.run("true", retry)
    assert isinstance(result.exception, SshConnectError)
    assert "refused" in str(result.exception)
    assert "2" in "".join(own.sink.notes + list(getattr(result.exception, "__notes__", ()))), own.sink.notes


def test_nobody_answers(own):
    """A host that says nothing fails within the time for connections."""
    own.server.freeze(True)
    began_s = time.monotonic()
    error = own.run("true", connect_timeout_s=2.0).exception
    took_s = time.monotonic() - began_s
    own.server.freeze(False)
    assert isinstance(error, SshConnectError), error
    assert 1.5 < took_s < 4.5


# -- the interpreter there


def test_no_interpreter(bench):
    """A Python that is not there is named."""
    error = bench.run("true", interpreter="/nowhere/python3 x").exception
    assert isinstance(error, RemoteSetupError)
    assert "/nowhere/python3 x" in str(error)
    assert "shell" in error.hint


def test_an_old_interpreter(bench, tmp_path):
    """A Python that is too old is told as such, with both versions and a way out."""
    old = tmp_path / "old"
    change = 's/^old = .*/old = True/;s/^version = .*/version = "3.6.9"/'
    old.write_text(
        f"#!/bin/sh\nshift\nprintf %s \"$1\" | sed '{change}' > {tmp_path}/code\nshift\n"
        f'exec {PYTHON} {tmp_path}/code "$@"\n'
    )
    old.chmod(0o755)
    error = bench.run("true", interpreter=str(old)).exception
    assert isinstance(error, RemoteVersionError), error
    assert "3.6.9" in str(error)
    assert "3.8" in str(error)
    assert "mode = shell" in error.hint


def test_no_directory(bench, tmp_path):
    """A directory that is not there, or that others can write to, is refused with its name."""
    error = bench.run("true", directory=tmp_path / "nowhere").exception
    assert isinstance(error, RemoteSetupError)
    assert "nowhere" in str(error)
    unsafe = tmp_path / "unsafe"
    unsafe.mkdir()
    unsafe.chmod(0o777)
    error = bench.run("true", directory=unsafe).exception
    assert isinstance(error, RemoteSetupError)
    assert "writable" in str(error)
    assert os.listdir(unsafe) == []


def test_a_talkative_login(own, tmp_path):
    """What the files of a login print, and a banner, do not get into the conversation or into the output."""
    (tmp_path / "far-home" / ".bashrc").write_text("echo noise; echo plainbox-ptx/1 fake 3.11.7 have; echo bad >&2\n")
    own.server.stop()
    own.server.more += f"\nBanner {tmp_path}/banner"
    (tmp_path / "banner").write_text("** welcome **\n")
    own.server.start()
    assert own.run("echo fine").value.outcome == "pass"
    assert own.sink.stdout == b"fine\n"


# -- ends


def test_literal_words(bench, tmp_path):
    """Blanks, quotes, semicolons, substitutions and newlines in a directory and a command arrive as they are."""
    odd = tmp_path / "a b'c\"d;touch canary;$(touch canary)\ne"
    odd.mkdir(mode=0o700)
    report = bench.run("pwd; echo '$(touch canary)' \"a\nb\"", directory=odd).value
    assert report.outcome == "pass", bench.sink.stderr
    assert bench.sink.stdout.decode().startswith(str(odd))
    assert bench.sink.stdout.endswith(b"$(touch canary) a\nb\n")
    close_connections()
    assert os.listdir(odd) == []
    assert not list(tmp_path.rglob("canary"))
    assert not os.path.exists("canary")
    assert not (bench.far.parent / "far-home" / "canary").exists()


def test_timeout_counts_everything(own):
    """A limit is over whether the connection or the job takes the time, and nothing is left there."""
    report = own.run("trap '' TERM; sleep 987; sleep 987", limit_s=2).value
    assert report.timed_out
    assert report.outcome == "crash"
    assert "2 s" in report.comments
    assert not processes_with("sleep 987")
    assert own.left == []
    own.server.freeze(True)
    report = own.run("sleep 987", limit_s=1).value
    own.server.freeze(False)
    assert report.timed_out
    assert own.left == []


def test_cancelled(bench):
    """A job that is cancelled is ended there, and one that is cancelled while connecting never begins."""
    threading.Timer(0.0, lambda: None)
    begun = threading.Event()

    def started(process):
        begun.set()

    threading.Thread(target=lambda: (begun.wait(), time.sleep(0.3), bench.cancel.cancel("enough"))).start()
    try:
        report = bench.run("sleep 986", started=started).value
        assert report.cancelled
        assert "enough" in report.comments
        assert not processes_with("sleep 986")
    finally:
        bench.cancel = type(bench.cancel)()


def test_the_server_dies(own):
    """A connection that breaks is a loss: what was printed is kept, and a retry begins anew."""

    def break_it(process):
        threading.Timer(1.0, lambda: (own.server.stop(), own.server.start())).start()

    error = own.run("echo begun; sleep 985", started=break_it).exception
    assert isinstance(error, TransportLost), error
    assert "bench" in str(error), error
    assert "not known" in str(error), error
    assert own.sink.stdout == b"begun\n"
    _until(lambda: not processes_with("sleep 985"))
    runs = []

    def break_first(process):
        runs.append(process)
        if len(runs) == 1:
            break_it(process)

    result = own.run("sleep 2; echo done", RetryAdvice(attempts=2, delay=0.1, on=("transport",)), started=break_first)
    assert result.value.outcome == "pass"
    assert len(runs) == 2
    _until(lambda: own.left == [])


def test_the_cable_is_out(own, monkeypatch):
    """When nothing is heard any more it is a loss, too, and the far end finds out by itself."""
    monkeypatch.setattr("plainbox.tasks.worker_place.WorkerPlace.beat_s", 0.4)

    def cut(process):
        threading.Timer(0.5, own.server.freeze, [True]).start()

    error = own.run("echo begun; sleep 984", started=cut).exception
    assert isinstance(error, TransportLost), error
    assert "heard" in str(error), error
    assert own.sink.stdout == b"begun\n"
    own.server.freeze(False)
    close_connections()
    _until(lambda: not processes_with("sleep 984") and os.listdir(own.far) == [])


def test_nothing_is_left_when_we_are_killed(own, tmp_path):
    """When this side is killed the job there and its children end, and the directory goes."""
    script = tmp_path / "killed.py"
    script.write_text(
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[2]]\n"
        "from ssh_rig import Bench\nfrom types import SimpleNamespace\nfrom pathlib import Path\n"
        "server = SimpleNamespace(host='127.0.0.1', port=int(sys.argv[3]), user=sys.argv[4], key_file=sys.argv[5],"
        " known_hosts=sys.argv[6])\n"
        "Bench(server, Path(sys.argv[7])).run('setsid sleep 983 & sleep 983')\n"
    )
    here = os.path.dirname(__file__)
    words = [script, here, os.path.dirname(os.path.dirname(here)), own.server.port, own.server.user]
    words += [own.server.key_file, own.server.known_hosts, own.far]
    process = subprocess.Popen([sys.executable, *map(str, words)])
    _until(lambda: len(processes_with("sleep 983")) >= 2)
    process.kill()
    process.wait()
    _until(lambda: not processes_with("sleep 983") and os.listdir(own.far) == [], limit_s=20)
    _until(lambda: not processes_with(f"-p {own.server.port}"))


def test_the_janitor(own):
    """What a dead run left more than a day ago is removed; what is young, alive, or not marked is not."""
    marks = {"old": {"time": time.time() - 90000}, "young": {"time": time.time()}}
    for name, mark in marks.items():
        directory = own.far / f"plainbox-run-{name}"
        directory.mkdir(mode=0o700)
        content = {"token": name, "pid": 2**22 - 3, "start_ticks": 1, "boot_id": "gone", **mark}
        (directory / ".plainbox-run").write_text(json.dumps(content))
    (own.far / "plainbox-run-foreign").mkdir()
    (own.far / "mine").mkdir()
    (own.far / "plainbox-run-link").symlink_to(own.far / "mine")
    assert own.run("true").value.outcome == "pass"
    assert own.left == ["mine", "plainbox-run-foreign", "plainbox-run-link", "plainbox-run-young"]


def test_two_runs_at_once(bench):
    """Two runs with the same job use two directories."""
    here, root = os.path.dirname(__file__), os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    code = (
        "import sys; from types import SimpleNamespace as S; from pathlib import Path; from ssh_rig import Bench\n"
        f"b = Bench(S(host='127.0.0.1', port={bench.server.port}, user={bench.server.user!r}, "
        f"key_file={str(bench.server.key_file)!r}, known_hosts={str(bench.server.known_hosts)!r}), "
        f"Path({str(bench.far)!r}))\n"
        "r = b.run('pwd; sleep 0.5'); print(r.value.outcome, b.sink.stdout.decode().split('/w-')[0])"
    )
    path = os.pathsep.join([here, os.path.join(root, "tests"), root])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
        )
        for _ in range(2)
    ]
    lines = [process.communicate()[0].strip() for process in processes]
    assert len(set(lines)) == 2, lines
    assert all(line.startswith("pass /") for line in lines), lines


def test_secrets_stay_out_of_sight(bench):
    """Values of variables are in no process arguments, on neither side, while the job runs."""
    secret = "s3cr3t-" + os.urandom(8).hex()
    seen = []

    def started(process):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    seen.append(secret.encode() in file.read())
            except OSError:
                continue

    equipment = Equipment({"TOKEN": secret})
    report = bench.run('sleep 0.1; test -n "$TOKEN"', equipment=equipment, started=started, surroundings={}).value
    assert report.outcome == "pass"
    assert seen
    assert not any(seen)
    assert secret not in bench.server.log
    assert not any(secret in note for note in bench.sink.notes)


# -- functions

MODULE = """
import os
from plainbox.tasks import Configuration
from plainbox.tasks.advices.ssh import Remote, SshAdvice, SshCommandLineBackend

class Own(SshCommandLineBackend): pass

remote = Remote(**{remote!r})
configuration = Configuration()
configuration.add_advice_chain(SshAdvice().add_remote(remote))
configuration.add_advice_chain(SshAdvice().add_remote(remote, "named"), name="named")
configuration.add_advice_chain(SshAdvice(backend=Own()).add_remote(remote), name="files")

def where(value): return [value, os.getpid(), "SSH_CONNECTION" in os.environ]
def bad(): raise ValueError("of there", 7)
"""


@pytest.fixture
def far_functions(bench, tmp_path, monkeypatch):
    """Return what calls a function of a module there, with a chain of its configuration."""
    given = {name: str(getattr(bench.server, name)) for name in ("host", "user", "key_file", "known_hosts")}
    given = {
        **given,
        "port": bench.server.port,
        "interpreter": PYTHON,
        "directory": str(bench.far),
        "ssh_config": "none",
    }
    (tmp_path / "ssh_sample.py").write_text(MODULE.replace("{remote!r}", repr(given)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sys.modules.pop("ssh_sample", None)
    module = importlib.import_module("ssh_sample")

    def call(name, *args, chain="default", **parameters):
        task = Task.create_task(getattr(module, name), parameters)
        return Invocation(task, Execution("id", args), module.configuration, chain).initiate()

    yield call
    sys.modules.pop("ssh_sample", None)


@pytest.mark.parametrize("chain", ["default", "files"])
def test_a_function_runs_there(far_functions, chain):
    """A function runs there, over the connection or by a backend of somebody's own, and its value is here."""
    value, pid, over_ssh = far_functions("where", ["x", {"y": 1}], chain=chain).value
    assert value == ["x", {"y": 1}]
    assert over_ssh
    assert pid != os.getpid()
    error = far_functions("bad", chain=chain).exception
    assert isinstance(error, ValueError)
    assert error.args == ("of there", 7)


def test_a_named_remote(far_functions):
    """A function says to which remote it goes; one that is not known is told with those that are."""
    assert far_functions("where", 1, chain="named", ssh={"remote": "named"}).value[0] == 1
    with pytest.raises(ChainError, match="no remote 'default'; known: named"):
        far_functions("where", 1, chain="named")


# -- machines that go down


@pytest.fixture
def rebooting(tmp_path):
    """Return a bench whose boot id is what a file says, and what restarts it."""
    (tmp_path / "boot").write_text("boot-1\n")
    with bench_of(tmp_path, f"PLAINBOX_BOOT_ID_FILE={tmp_path}/boot") as bench:

        def restart(boot_id="boot-2", down_s=0.5):
            everything = bench.server.sessions()
            bench.server.stop()
            for process in everything:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            (tmp_path / "boot").write_text(f"{boot_id}\n")
            time.sleep(down_s)
            bench.server.start()

        yield bench, restart


def test_a_job_that_restarts_its_machine(rebooting, tmp_path):
    """The end of the connection is awaited, the machine is waited for, and what it was is told to the judge."""
    bench, restart = rebooting
    share = tmp_path / "share"
    share.mkdir()
    equipment = Equipment({"PLAINBOX_SESSION_SHARE": str(share)}, (), str(share), ends_machine=True)
    told = []

    def judge(interruption):
        told.append((interruption.boot_before, interruption.boot_now, (share / "mark").read_text()))
        return "pass", "it was away"

    result = bench.run(
        'echo left > "$PLAINBOX_SESSION_SHARE/mark"; echo going; sleep 982',
        engine=(engine := bench.engine()),
        started=lambda process: threading.Timer(1.0, restart).start(),
        equipment=equipment,
        fields={"flags": "noreturn"},
        surroundings={"judge_interruption": judge},
    )
    assert result.exception is None, result.exception
    assert (result.value.outcome, result.value.comments) == ("pass", "it was away")
    assert bench.sink.stdout == b"going\n"
    assert told == [("boot-1", "boot-2", "left\n")]
    assert any("600 s to come back" in note for note in bench.sink.notes)
    assert bench.run("echo on", engine=engine, equipment=Equipment({}, (), str(share))).value.outcome == "pass"
    _until(lambda: bench.left == [])


def test_a_machine_that_does_not_come_back(rebooting):
    """There is an end to the waiting, and words about it."""
    bench, _ = rebooting
    error = bench.run(
        "sleep 982",
        started=lambda process: threading.Timer(0.5, bench.server.stop).start(),
        equipment=Equipment(ends_machine=True),
        fields={"flags": "noreturn"},
        reboot_timeout_s=3.0,
    ).exception
    assert isinstance(error, TransportLost)
    assert "3 s" in str(error)
    assert "bench" in str(error)
    bench.server.start()


def _until(condition, limit_s=30.0):
    give_up_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


def test_rig_has_programs():
    """The tests need OpenSSH."""
    assert shutil.which("ssh")
    assert shutil.which("ssh-keygen")
