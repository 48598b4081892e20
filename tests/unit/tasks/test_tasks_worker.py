# SPDX-License-Identifier: Apache-2.0
"""The worker, spoken to frame by frame: who it is, what it waits for, and how it ends when nobody is there any more."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import zipfile

import pytest
from far_rig import RawWorker, interpreter, of_session

from plainbox.tasks.bootstrap import archive_header, bootstrap_words
from plainbox.tasks.distribution import DistributionArchive
from plainbox.tasks.documents import FarFile, Load, hello_from, machine_identity
from plainbox.tasks.far_files import place_of
from plainbox.tasks.frames import Kind, document_frames, frame_of, json_frame, parse_json
from plainbox.tasks.place import Program


@pytest.fixture
def worker(tmp_path):
    with RawWorker(tmp_path) as worker:
        yield worker
    assert sorted(os.listdir(tmp_path)) == ["archives"]


def a_load(command, **others):
    return Load(Program(("bash", "-c", command)), environment={"PATH": os.environ["PATH"]}, **others).content()


def test_greeting(worker, tmp_path):
    """The start marker tells the version; the greeting who and where the worker is."""
    version = ".".join(map(str, sys.version_info[:3]))
    assert worker.greeting() == f"\nplainbox-ptx/1 n0nce {version} have\n".encode()
    hello = hello_from(parse_json(worker.next(Kind.HELLO).payload))
    assert (hello.process.pid, hello.python) == (worker.process.pid, sys.version_info[:3])
    assert (hello.machine_id, hello.boot_id) == machine_identity()
    assert hello.directory.startswith(f"{tmp_path}/")
    assert os.stat(hello.directory).st_mode & 0o777 == 0o700


def test_one_program(worker):
    """A program is held until it may go; its result comes last, with a farewell, and the code is 0."""
    worker.greeting()
    worker.load(**a_load("echo out; exit 3"))
    process = parse_json(worker.next(Kind.READY).payload)
    assert len(of_session(process["pid"])) == 1
    worker.go()
    assert worker.next(Kind.OUT).payload[16:] == b"out\n"
    ending = json.loads(worker.document(Kind.RESULT))["ending"]
    assert (ending["return_code"], ending["process"]) == (3, process)
    assert worker.next(Kind.BYE).payload == b""
    assert worker.process.wait(30) == 0


def test_end_of_input_before_it_runs(worker):
    """A program that is held when our side goes never runs."""
    worker.greeting()
    worker.load(**a_load("sleep 60"))
    process = parse_json(worker.next(Kind.READY).payload)
    worker.process.stdin.close()
    assert worker.process.wait(30) == 75
    assert not of_session(process["pid"])


def test_end_of_input(worker, is_over):
    """When our side goes, the program is asked to end, with everything that it started."""
    worker.greeting()
    worker.load(**a_load("setsid sleep 60 & echo $!; trap 'touch asked; exit' TERM; while :; do sleep 0.05; done"))
    process = parse_json(worker.next(Kind.READY).payload)
    worker.go()
    other = int(worker.next(Kind.OUT).payload[16:])
    worker.process.stdin.close()
    assert worker.process.wait(30) == 75
    assert not of_session(process["pid"])
    assert is_over(other)


def test_nobody_reads(tmp_path):
    """A connection that takes nothing more and is silent is lost too, though the worker waits to write."""
    with RawWorker(tmp_path) as worker:
        worker.greeting()
        worker.load(**a_load("yes", beat_s=0.05, silence_s=0.4))
        process = parse_json(worker.next(Kind.READY).payload)
        worker.go()
        assert worker.process.wait(30) == 75
        assert not of_session(process["pid"])


def test_silence(worker):
    """Three beats of silence are the end as well."""
    worker.greeting()
    worker.load(**a_load("sleep 60", beat_s=0.1, silence_s=0.3))
    process = parse_json(worker.next(Kind.READY).payload)
    worker.go()
    assert worker.process.wait(30) == 75
    assert not of_session(process["pid"])


def test_beats(worker):
    """The worker says that it is there, and hears that we are."""
    worker.greeting()
    worker.load(**a_load("sleep 60", beat_s=0.05, silence_s=5))
    worker.next(Kind.READY)
    worker.go()
    for _ in range(5):
        worker.next(Kind.BEAT)
        worker.send(frame_of(Kind.BEAT))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals(worker, number):
    """Signals that a shutdown or a terminal sends to everybody do not end the worker: the program's end counts."""
    worker.greeting()
    worker.load(**a_load("kill -0 $PPID; sleep 0.2; exit 4"))
    worker.next(Kind.READY)
    os.kill(worker.process.pid, number)
    worker.go()
    assert json.loads(worker.document(Kind.RESULT))["ending"]["return_code"] == 4


def test_signals_reach_the_program_as_ever(worker):
    """A program has the ordinary reaction to those signals."""
    worker.greeting()
    worker.load(**a_load("kill -TERM $$"))
    worker.next(Kind.READY)
    worker.go()
    assert json.loads(worker.document(Kind.RESULT))["ending"]["return_code"] == -signal.SIGTERM


@pytest.mark.parametrize("document", [b"{}", b'{"program": {"argv": ["x"]}}', b'{"frob": 1}'])
def test_bad_load(worker, document):
    """A load that cannot be understood ends the worker with code 65."""
    worker.greeting()
    worker.send(*document_frames(Kind.LOAD, document))
    assert worker.process.wait(30) == 65
    assert b"cannot be understood" in worker.process.stderr.read()


@pytest.mark.parametrize("frames", [frame_of(Kind.GO), b"\xff" * 100, frame_of(Kind.LOAD, b"\7")])
def test_nonsense(worker, frames):
    """What is out of turn or no frame at all ends the worker, without a traceback."""
    worker.greeting()
    worker.send(frames)
    assert worker.process.wait(30) == 75
    assert b"Traceback" not in worker.process.stderr.read()


def test_cancel(worker):
    """A request to cancel ends the program; the result says so."""
    worker.greeting()
    worker.load(**a_load("echo ready; sleep 60"))
    worker.next(Kind.READY)
    worker.go()
    worker.next(Kind.OUT)
    worker.send(json_frame(Kind.CANCEL, {"reason": "enough"}))
    ending = json.loads(worker.document(Kind.RESULT))["ending"]
    assert (ending["ended_by"], ending["return_code"]) == ("cancel", -signal.SIGTERM)


def test_offsets_rise(worker):
    """Output is numbered without a gap, and its times do not go back."""
    worker.greeting()
    worker.load(**a_load("for n in 1 2 3 4 5; do echo $n; echo $n >&2; sleep 0.01; done"))
    worker.next(Kind.READY)
    worker.go()
    seen = []
    while len(b"".join(data for _, _, data in seen)) < 20:
        from plainbox.tasks.frames import parse_output

        data = worker.process.stdout.read(65536)
        worker.frames += worker._reader.feed(data)
        seen += [parse_output(frame.payload) for frame in worker.frames if frame.kind in (Kind.OUT, Kind.ERR)]
        worker.frames = [frame for frame in worker.frames if frame.kind not in (Kind.OUT, Kind.ERR)]
    assert [number for number, _, _ in seen] == list(range(len(seen)))
    assert [offset for _, offset, _ in seen] == sorted(offset for _, offset, _ in seen)


def a_zip(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, (content, mode) in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def far_file(data, **others):
    return FarFile(hashlib.sha256(data).hexdigest(), len(data), **others)


def test_files(tmp_path):
    """Files of a load are asked for once, kept under their digests, and taken apart when they are archives."""
    archives = str(tmp_path / "archives")
    plain, packed = b"data", a_zip(**{"bin/tool": ("#!/bin/sh\necho tool", 0o100755), "data/x": ("x", 0o100644)})
    files = (far_file(plain), far_file(packed, unpack=True))
    tool = os.path.join(place_of(archives, files[1]), "bin/tool")
    contents = {files[0].digest: plain, files[1].digest: packed}
    for round_number in range(2):
        with RawWorker(tmp_path) as worker:
            worker.greeting()
            worker.load(**a_load(f"{tool}; cat {place_of(archives, files[0])}", files=files))
            if round_number == 0:
                for digest in parse_json(worker.next(Kind.NEED).payload)["digests"]:
                    worker.send(*document_frames(Kind.FILE, contents[digest]))
            worker.next(Kind.READY)
            worker.go()
            assert json.loads(worker.document(Kind.RESULT))["ending"]["return_code"] == 0
    assert not [name for name in os.listdir(archives) if name.startswith(".new")]


@pytest.mark.parametrize(
    "data",
    [
        b"no zip",
        a_zip(**{"../x": ("x", 0o100644)}),
        a_zip(**{"/tmp/x": ("x", 0o100644)}),
        a_zip(link=("/etc/passwd", 0o120777)),
    ],
    ids=["garbage", "parent", "absolute", "link"],
)
def test_bad_archive(worker, tmp_path, data):
    """An archive that leads out of its directory, or is none, is an error; nothing of it is left."""
    worker.greeting()
    worker.load(**a_load("true", files=(far_file(data, unpack=True),)))
    worker.next(Kind.NEED)
    worker.send(*document_frames(Kind.FILE, data))
    failure = json.loads(worker.document(Kind.RESULT))["failure"]
    assert failure["type"] == "RemoteSetupError"
    assert [name for name in os.listdir(tmp_path / "archives") if not name.endswith(".pyz")] == []


def test_file_that_is_another(worker):
    """A file with another content than was announced is refused."""
    worker.greeting()
    worker.load(**a_load("true", files=(far_file(b"abc"),)))
    worker.next(Kind.NEED)
    worker.send(*document_frames(Kind.FILE, b"abd"))
    assert "not what was announced" in json.loads(worker.document(Kind.RESULT))["failure"]["message"]


def test_what_a_program_prints_is_no_frame(worker):
    """A program that writes to the descriptors of its worker cannot be heard as the worker."""
    worker.greeting()
    worker.load(**a_load("printf 'x' > /proc/$PPID/fd/1; printf x > /proc/$PPID/fd/2; exit 0"))
    worker.next(Kind.READY)
    worker.go()
    assert json.loads(worker.document(Kind.RESULT))["ending"]["return_code"] == 0
    worker.next(Kind.BYE)


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7"])
def test_too_old(version, tmp_path):
    """A Python that is too old says so in one line, with code 78, and leaves nothing."""
    found = interpreter(version)
    if found is None:
        pytest.skip(f"there is no Python {version} here; its acted twin is tested with the place")
    words = bootstrap_words(found, "n0nce", "0" * 64, str(tmp_path), str(tmp_path))
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 78
    assert done.stdout.startswith(f"\nplainbox-ptx/1 n0nce {version}.".encode())
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"plainbox needs Python 3.8 or newer, and {found}")
    assert os.listdir(tmp_path) == []


def test_what_is_imported(worker, tmp_path):
    """The code is a copy of its own of what was looked at: what becomes of the kept archive afterwards does not count."""
    worker.greeting()
    hello = hello_from(parse_json(worker.next(Kind.HELLO).payload))
    (kept,) = os.listdir(tmp_path / "archives")
    assert os.listdir(hello.directory) == [kept]
    os.unlink(tmp_path / "archives" / kept)
    worker.load(**a_load("exit 3"))
    worker.next(Kind.READY)
    worker.go()
    assert json.loads(worker.document(Kind.RESULT))["ending"]["return_code"] == 3


@pytest.mark.parametrize("marked", [False, True])
def test_code_that_lies_beside_it(tmp_path, marked):
    """Code that was taken apart counts only where the keeper of a run has done it."""
    archive = DistributionArchive(tmp_path / "a")
    fake = archive.path.with_suffix(".code") / "plainbox" / "tasks"
    fake.mkdir(parents=True)
    for path in (fake.parent, fake):
        (path / "__init__.py").write_text("")
    (fake / "worker.py").write_text("def main(base, store):\n    import os\n    os.rmdir(base)\n    return 42\n")
    if marked:
        (tmp_path / "a" / ".plainbox-run").write_text("")
    words = bootstrap_words(sys.executable, "n0nce", archive.digest, str(tmp_path / "a"), str(tmp_path))
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (done.returncode == 42) is marked


def test_directory_in_which_others_can_write(tmp_path):
    """Nothing is taken from a directory in which somebody else could put something."""
    archive = DistributionArchive(tmp_path / "a")
    (archive.path.parent).chmod(0o1777)
    words = bootstrap_words(sys.executable, "n0nce", archive.digest, str(tmp_path / "a"), str(tmp_path))
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (75, b"")
    assert done.stderr == f"{tmp_path}/a is not ours alone: others can write to it\n".encode()


@pytest.mark.parametrize("cut", [0, 4, 8, 1000])
def test_archive_that_breaks_off(tmp_path, cut):
    """A connection that is gone before the archive has come leaves nothing."""
    archive = DistributionArchive(None)
    words = bootstrap_words(sys.executable, "n0nce", archive.digest, "", str(tmp_path))
    data = (archive_header(len(archive.data)) + archive.data)[:cut]
    done = subprocess.run(words, input=data, capture_output=True, check=False)
    assert (done.returncode, os.listdir(tmp_path)) == (75, [])
    assert b"Traceback" not in done.stderr


def test_archive_that_is_another(tmp_path):
    """An archive with another digest is not run."""
    data = b"print('evil')"
    words = bootstrap_words(sys.executable, "n0nce", "0" * 64, str(tmp_path), str(tmp_path))
    done = subprocess.run(words, input=archive_header(len(data)) + data, capture_output=True, check=False)
    assert (done.returncode, os.listdir(tmp_path)) == (65, [])
    assert b"not what was announced" in done.stderr


def test_no_directory():
    """Where no directory can be made the worker says so, with code 75."""
    words = bootstrap_words(sys.executable, "n0nce", "0" * 64, "", "/proc/nowhere")
    done = subprocess.run(words, input=b"", capture_output=True, check=False)
    assert done.returncode == 75
    assert done.stderr.startswith(b"no directory could be made")
