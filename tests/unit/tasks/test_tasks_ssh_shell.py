# SPDX-License-Identifier: Apache-2.0
"""Jobs on a machine whose login finds no Python, over a real sshd on the loopback."""

from __future__ import annotations

import os
import shutil
import threading
import time

import pytest
from ssh_rig import bench_of, processes_with

from plainbox.errors import RemoteSetupError, TransportLost
from plainbox.tasks.equipment import Equipment, ProviderFiles
from plainbox.tasks.ssh_place import close_connections

#: All that there is on the path of the login.
TOOLS = (
    "sh",
    "bash",
    "mktemp",
    "rm",
    "tar",
    "ls",
    "cat",
    "mkdir",
    "mv",
    "id",
    "sleep",
    "rmdir",
    "setsid",
    "head",
    "mkfifo",
    "ln",
)


@pytest.fixture
def bench(tmp_path):
    """Return a machine without Python."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name))
    with bench_of(tmp_path, f"PATH={tools} PLAINBOX_BOOT_ID_FILE={tmp_path}/boot") as bench:
        (tmp_path / "boot").write_text("boot-1\n")
        yield bench
        assert bench.left == []


def test_python_mode_says_so(bench):
    """Whoever asks for Python there is told of the way without it."""
    error = bench.run("true", interpreter="python3").exception
    assert isinstance(error, RemoteSetupError)
    assert "python3" in str(error)
    assert "mode = shell" in error.hint


def test_a_job_runs_there(bench):
    """Output, return code and result lines come here, whatever is in them."""
    lines = []
    odd = "a 'b' \"c\";$(touch canary)\nd"
    result = bench.run(
        'echo out; echo err >&2; echo "$ODD"; echo \'{"t": "progress"}\' >> "$PLAINBOX_RESULT"; '
        "printf no-newline >&2; exit 255",
        mode="shell",
        equipment=Equipment({"ODD": odd}),
        surroundings={"on_line": lines.append},
    )
    assert result.exception is None, result.exception
    assert (result.value.return_code, result.value.outcome, result.value.host) == (255, "fail", "bench")
    assert bench.sink.stdout.decode() == f"out\n{odd}\n"
    assert bench.sink.stderr == b"err\nno-newline"
    assert lines == [b'{"t": "progress"}']
    assert not list(bench.far.parent.rglob("canary"))


@pytest.mark.parametrize("trick", ["mkfifo {}", "ln -s {}.other {}", "mkdir {}", "true"])
def test_the_result_file_is_replaced(bench, trick):
    """What a job puts in the place of its result file is not read, and nobody waits for it."""
    line = '{"t": "subtest", "name": "elsewhere", "outcome": "fail"}'
    file = '"$PLAINBOX_RESULT"'
    command = f"rm {file}; echo '{line}' > {file}.other; {trick.replace('{}', file)}; echo done"
    result = bench.run(command, mode="shell")
    assert result.exception is None, result.exception
    assert (result.value.outcome, result.value.items) == ("pass", ())


def test_files_and_share(bench, tmp_path):
    """The programs of providers are there, and the share is kept in step."""
    share, programs = tmp_path / "share", tmp_path / "provider" / "bin"
    share.mkdir()
    programs.mkdir(parents=True)
    (programs / "tool").write_text("#!/bin/sh\necho tool\n")
    (programs / "tool").chmod(0o755)
    (share / "here").write_text("from here")
    equipment = Equipment(
        {"PLAINBOX_SESSION_SHARE": str(share)},
        (ProviderFiles(str(tmp_path / "provider"), {"bin": str(programs)}),),
        str(share),
    )
    engine = bench.engine(mode="shell")
    job = 'tool; cd "$PLAINBOX_SESSION_SHARE" && cat here && rm here && mkdir "a b" && echo there > "a b/c"'
    assert bench.run(job, engine=engine, equipment=equipment).value.outcome == "pass", bench.sink.stderr
    assert bench.sink.stdout == b"tool\nfrom here"
    assert os.listdir(share) == ["a b"]
    assert (share / "a b" / "c").read_text() == "there\n"
    (share / "a b" / "c").unlink()
    again = 'test ! -e "$PLAINBOX_SESSION_SHARE/a b/c"'
    assert bench.run(again, engine=engine, equipment=equipment).value.outcome == "pass"


def test_ends(bench):
    """A limit ends the job and what it has started; so does a cancellation."""
    report = bench.run("echo begun; sleep 961 & sleep 961", mode="shell", limit_s=2).value
    assert report.timed_out
    assert bench.sink.stdout == b"begun\n"
    assert not processes_with("sleep 961")
    threading.Timer(1.5, bench.cancel.cancel, ["enough"]).start()
    report = bench.run("sleep 962", mode="shell").value
    bench.cancel = type(bench.cancel)()
    assert report.cancelled
    assert not processes_with("sleep 962")


def test_the_connection_breaks(bench):
    """A connection that breaks is a loss, and what was printed is kept; the far end tidies up by itself."""

    def started(process):
        threading.Timer(0.7, bench.server.stop).start()

    error = bench.run("echo begun; echo err >&2; sleep 963", mode="shell", started=started).exception
    assert isinstance(error, TransportLost), error
    assert (bench.sink.stdout, bench.sink.stderr) == (b"begun\n", b"err\n")
    close_connections()
    give_up_s = time.monotonic() + 30
    while processes_with("sleep 963") or os.listdir(bench.far):
        assert time.monotonic() < give_up_s
        time.sleep(0.05)
    bench.server.start()
