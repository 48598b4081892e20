# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import threading
import time
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_rig import session_with

from plainbox.errors import BrokenReferenceToExternalFile, CorruptedSessionError, StorageError, StorageFullError
from plainbox.session.iolog import (
    Frame,
    IOLogWriter,
    LogReference,
    log_name,
    read_frames,
    resolve_log_path,
    verify,
)
from plainbox.session.iolog_reader import encode_frame
from plainbox.session.iolog_seal import seal_log
from plainbox.testing import FaultyFiles, ManualClock


@pytest.fixture
def session(tmp_path: Path) -> Path:
    (tmp_path / "io-logs").mkdir()
    return tmp_path


def writer(session: Path, job_id: str = "org.example::job", attempt: int = 1, **options: object) -> IOLogWriter:
    options.setdefault("files", FaultyFiles())
    return IOLogWriter(session, job_id, attempt, background=False, **options)  # type: ignore[arg-type]


def joined(frames: Iterable[Frame], stream: str) -> bytes:
    return b"".join(frame.data for frame in frames if frame.stream == stream)


def text_of(session: Path, reference: LogReference) -> list[tuple[str, bytes]]:
    return [(frame.stream, frame.data) for frame in read_frames(session / reference["path"])]


# Writing and reading


def test_output_comes_back_as_it_came(session: Path) -> None:
    """Both streams interleaved, notes between them, every byte value, with the time between the frames."""
    clock = ManualClock()
    log = writer(session, clock=clock)
    every_byte = bytes(range(256))
    log.write("stdout", every_byte)
    clock.advance(5 / 1000)
    log.write("stderr", b"PBL1\nt 0 2 00000000\n{}\n")
    log.note("ended after its limit\nof 5 s")
    clock.advance(250 / 1000)
    log.write("stdout", b"")
    log.write("stdout", b"late")
    reference = log.close()
    assert list(read_frames(session / reference["path"])) == [
        Frame(0, "stdout", every_byte),
        Frame(5000, "stderr", b"PBL1\nt 0 2 00000000\n{}\n"),
        Frame(0, "note", b"ended after its limit\nof 5 s"),
        Frame(250_000, "stdout", b"late"),
    ]


def test_the_reference_describes_the_file(session: Path) -> None:
    """Path, size, counts and digest are those of the file, which belongs to the user alone."""
    log = writer(session)
    log.write("stdout", b"one")
    log.write("stderr", b"three")
    reference = log.close()
    path = session / reference["path"]
    data = path.read_bytes()
    assert reference == {
        "path": f"io-logs/{log_name('org.example::job', 1)}",
        "size": len(data),
        "frames": 2,
        "out": 3,
        "err": 5,
        "digest": hashlib.blake2b(data[: data.rindex(b"\nt ") + 1], digest_size=16).hexdigest(),
    }
    assert log.path == reference["path"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert re.match(
        rb'PBL1 \{"attempt":1,"boot_id":"[0-9a-f]{16}","job":"org.example::job","start":[0-9.]+,"uuid":"[0-9a-f]{32}"\}\n',
        data,
    )
    verify(path, reference)
    assert log.close() == reference


def test_small_writes_of_one_stream_become_one_frame(session: Path) -> None:
    """The first line goes out at once, a burst is one frame; time, the other stream and 64 KiB end a frame."""
    clock = ManualClock()
    log = writer(session, clock=clock)
    for _ in range(1000):
        log.write("stdout", b"line\n")
    clock.advance(300 / 1000)
    log.write("stdout", b"later\n")
    log.write("stdout", b"x" * 70_000)
    reference = log.close()
    sizes = [len(frame.data) for frame in read_frames(session / reference["path"])]
    assert sizes == [5, 4995, 6, 65536, 70_000 - 65536]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=300), st.integers(1, 400)), max_size=8)
)
def test_any_output_in_any_pieces_is_kept(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[str, bytes, int]]
) -> None:
    """Whatever is written in whatever pieces, each stream reads back as the sum of them."""
    session = tmp_path_factory.mktemp("log")
    (session / "io-logs").mkdir()
    clock = ManualClock()
    log = writer(session, clock=clock)
    for stream, data, repeat in pieces:
        log.write(stream, data * repeat)
        clock.advance(repeat / 1000)
    reference = log.close()
    frames = list(read_frames(session / reference["path"]))
    for stream in ("stdout", "stderr"):
        assert joined(frames, stream) == b"".join(data * count for name, data, count in pieces if name == stream)
    verify(session / reference["path"], reference)


def test_much_output_needs_little_memory(session: Path) -> None:
    """Forty megabytes without a line feed go through, and are read back, with memory for a few frames."""
    log = writer(session)
    chunk = os.urandom(1 << 20)
    expected = hashlib.sha256()
    tracemalloc.start()
    try:
        for number in range(40):
            stream = "stderr" if number % 3 == 2 else "stdout"
            log.write(stream, chunk)
        reference = log.close()
        for number in range(40):
            if number % 3 != 2:
                expected.update(chunk)
        found = hashlib.sha256()
        for frame in read_frames(session / reference["path"]):
            if frame.stream == "stdout":
                found.update(frame.data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.digest() == expected.digest()
    assert peak < 6 << 20
    verify(session / reference["path"], reference)


# Names and paths


def test_every_attempt_and_every_id_has_its_own_file(session: Path) -> None:
    """Retries do not overwrite, and ids that look alike as file names do not meet."""
    made = [writer(session, job_id, attempt) for job_id in ("a/b", "a_b") for attempt in (1, 2)]
    for number, log in enumerate(made):
        log.write("stdout", b"%d" % number)
    references = [log.close() for log in made]
    assert [text_of(session, reference) for reference in references] == [[("stdout", b"%d" % n)] for n in range(4)]
    assert len(os.listdir(session / "io-logs")) == 4


@pytest.mark.parametrize("job_id", ["a" * 5000, "../../etc/passwd", ".hidden", "a\nb\0c", "ä::\udc80", ""])
def test_any_id_makes_a_name_that_stays_in_its_folder(session: Path, job_id: str) -> None:
    """Names are short, visible and of harmless characters, whatever the id is."""
    name = log_name(job_id, 3)
    assert re.fullmatch(r"(?!\.)[A-Za-z0-9._-]{1,130}\.3\.iolog", name)
    reference = writer(session, job_id, 3).close()
    assert os.listdir(session / "io-logs") == [name]
    verify(session / reference["path"], reference)


def test_the_log_of_a_dead_tester_is_not_touched(session: Path) -> None:
    """A file that is already there keeps its name; the new one says its own in the reference."""
    first = writer(session)
    first.write("stdout", b"first")
    old = first.close()
    new = writer(session).close()
    assert new["path"] == old["path"].replace(".1.iolog", ".1-2.iolog")
    verify(session / old["path"], old)


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "io-logs/../../x", "", None, 5, "a\0b", "out/x", "io-logs/link", "x/.."]
)
def test_a_path_that_leads_out_of_the_session_is_refused(session: Path, path: object) -> None:
    """Absolute paths, parents, links and what is no path at all raise CorruptedSessionError."""
    (session / "out").symlink_to(session.parent)
    (session / "io-logs" / "link").symlink_to("/etc/passwd")
    with pytest.raises(CorruptedSessionError):
        resolve_log_path(session, path)


def test_a_path_inside_the_session_is_resolved(session: Path) -> None:
    """A good path need not exist, and the session itself may be reached over a link."""
    link = session.parent / "link"
    link.symlink_to(session)
    expected = session.resolve() / "io-logs" / "a.iolog"
    assert resolve_log_path(session, "io-logs/a.iolog") == resolve_log_path(link, "io-logs/a.iolog") == expected


# When what is written and synced


def test_a_log_is_durable_before_its_reference_exists(tmp_path: Path) -> None:
    """The directory is synced at the start, the file at the end, and only then is the result saved."""
    ops = FaultyFiles()
    storage = session_with(tmp_path, 0, files=ops)
    ops.forget()
    log = IOLogWriter(storage.location, "a", 1, files=ops, background=False)
    name = os.path.basename(log.path)
    assert ops.names("open", "pwrite", "fsync") == [("open", name), ("pwrite", name), ("fsync", "io-logs/")]
    log.write("stdout", b"x")
    reference = log.close()
    storage.save_checkpoint(b'{"t":"ck","res":[["a",1,{"log":{"path":"%b"}}]]}' % reference["path"].encode())
    calls = ops.names("fdatasync", "pwrite")
    assert calls.index(("fdatasync", name)) < calls.index(("pwrite", "journal-000001.pbj.tmp"))
    assert calls.count(("fdatasync", name)) == 1
    last_write = max(index for index, call in enumerate(calls) if call == ("pwrite", name))
    assert calls.index(("fdatasync", name)) > last_write


def test_output_reaches_the_file_by_size_and_by_time(session: Path) -> None:
    """The first output and what comes after a silence go at once, bursts in blocks of 64 KiB or every 0.2 s."""
    clock = ManualClock()
    log = writer(session, clock=clock)
    path = session / log.path

    def written() -> bytes:
        return joined(read_frames(path), "stdout")

    log.write("stdout", b"first ")
    assert written() == b"first "
    log.write("stdout", b"second ")
    clock.advance(100 / 1000)
    log.tick()
    assert written() == b"first "
    clock.advance(100 / 1000)
    log.tick()
    assert written() == b"first second "
    log.write("stdout", b"x" * 65536)
    assert len(written()) == 13 + 65536
    log.write("stdout", b"rest")
    log.flush()
    assert written().endswith(b"rest")


def test_the_disk_is_at_most_four_mebibytes_or_five_seconds_behind(session: Path) -> None:
    """Syncs follow the amount of output and, when there is little, the clock."""
    clock = ManualClock()
    ops = FaultyFiles()
    log = writer(session, clock=clock, files=ops)
    for _ in range(9):
        log.write("stdout", b"x" * (1 << 20))
    assert len(ops.names("fdatasync")) == 2
    clock.advance(4900 / 1000)
    log.tick()
    assert len(ops.names("fdatasync")) == 2
    clock.advance(200 / 1000)
    log.tick()
    assert len(ops.names("fdatasync")) == 3
    clock.advance(60_000 / 1000)
    log.tick()
    assert len(ops.names("fdatasync")) == 3


def test_the_writer_itself_flushes_while_the_job_is_silent(session: Path) -> None:
    """The end of a burst gets into the file although nothing more is written."""
    log = IOLogWriter(session, "a", 1, files=FaultyFiles())
    log.write("stdout", b"one ")
    log.write("stdout", b"two")
    deadline = time.monotonic() + 20
    while joined(read_frames(session / log.path), "stdout") != b"one two" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert joined(read_frames(session / log.path), "stdout") == b"one two"
    log.close()
    assert "plainbox-iolog" not in [thread.name for thread in threading.enumerate()]


def test_a_silent_job_has_no_thread(session: Path) -> None:
    """Without output there is nothing to flush."""
    before = threading.active_count()
    log = IOLogWriter(session, "a", 1, files=FaultyFiles())
    assert threading.active_count() == before
    assert log.close()["frames"] == 0


# Limits and trouble


def test_output_over_the_limit_is_dropped_and_the_log_says_so(session: Path) -> None:
    """What fits is kept to the byte, notes tell where it ends and how much is missing, the reference is flagged."""
    log = writer(session, max_log_bytes=10)
    log.write("stdout", b"123456")
    log.write("stderr", b"789012345")
    for _ in range(100):
        log.write("stdout", b"more")
    reference = log.close()
    assert text_of(session, reference) == [
        ("stdout", b"123456"),
        ("stderr", b"7890"),
        ("note", b"output beyond 10 bytes is not kept"),
        ("note", b"405 bytes of output were not kept"),
    ]
    assert reference["truncated"] is True
    assert "incomplete" not in reference
    verify(session / reference["path"], reference)


@pytest.mark.parametrize("failing", ["pwritev", "fdatasync"])
def test_a_full_disk_does_not_end_the_job(session: Path, failing: str) -> None:
    """Writing fails in silence; the log ends with its last whole frame, and the reference is flagged."""
    ops = FaultyFiles()
    clock = ManualClock()
    log = writer(session, files=ops, clock=clock)
    log.write("stdout", b"kept")
    ops.fail(failing, errno.ENOSPC)
    for _ in range(5):
        clock.advance(6000 / 1000)
        log.write("stdout", b"x" * 100_000)
    log.note("a remark")
    reference = log.close()
    assert reference["incomplete"] is True
    frames = text_of(session, reference)
    assert frames[0] == ("stdout", b"kept")
    assert reference["out"] == sum(len(data) for _, data in frames)
    verify(session / reference["path"], reference)


def test_a_disk_that_is_full_to_the_last_byte_leaves_a_log_without_trailer(session: Path) -> None:
    """Half a frame is cut off again, the trailer does not fit, and the reference still describes the file."""
    ops = FaultyFiles()
    log = writer(session, files=ops)
    log.write("stdout", b"kept")
    ops.write_limit = 10
    ops.fail("pwrite", errno.ENOSPC)
    log.write("stdout", b"y" * 100_000)
    reference = log.close()
    assert reference["incomplete"] is True
    assert text_of(session, reference) == [("stdout", b"kept")]
    assert reference["size"] == (session / reference["path"]).stat().st_size
    verify(session / reference["path"], reference)


def test_short_and_interrupted_writes_leave_a_whole_log(session: Path) -> None:
    """A system that takes a few bytes at a time gets all of them in the end."""
    ops = FaultyFiles()
    ops.write_limit, ops.interrupt_every = 7, 5
    log = writer(session, files=ops)
    log.write("stdout", b"x" * 500)
    reference = log.close()
    assert text_of(session, reference) == [("stdout", b"x" * 500)]
    verify(session / reference["path"], reference)


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StorageFullError), (errno.EACCES, StorageError)])
def test_a_log_that_cannot_be_made_is_an_error_before_the_job_starts(
    session: Path, number: int, kind: type[StorageError]
) -> None:
    """Nothing has run yet, so this one is raised."""
    ops = FaultyFiles()
    ops.fail("open", number)
    with pytest.raises(kind) as caught:
        writer(session, files=ops)
    assert caught.value.errno == number


def test_a_log_of_an_attempt_that_never_started_can_be_discarded(session: Path) -> None:
    """The file is gone, and writing to it later is harmless."""
    log = writer(session)
    log.discard()
    log.write("stdout", b"x")
    log.note("x")
    log.tick()
    assert os.listdir(session / "io-logs") == []


def test_a_log_that_cannot_be_made_leaves_no_file(session: Path) -> None:
    """What was begun of it is taken back."""
    for call in ("pwrite", "fsync"):
        ops = FaultyFiles()
        ops.fail(call, errno.ENOSPC)
        with pytest.raises(StorageFullError):
            writer(session, files=ops)
        assert os.listdir(session / "io-logs") == []
        assert ops.names("close")


def test_a_machine_without_threads_does_not_end_the_job(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no thread can be started, writing and closing go on without one."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    log = IOLogWriter(session, "a", 1, files=FaultyFiles())
    log.write("stdout", b"one ")
    log.write("stdout", b"two")
    reference = log.close()
    assert joined(read_frames(session / reference["path"]), "stdout") == b"one two"
    verify(session / reference["path"], reference)


def test_an_incomplete_log_is_durable_too(session: Path) -> None:
    """What a log without space has is synced before its reference exists."""
    ops = FaultyFiles()
    log = writer(session, files=ops)
    log.write("stdout", b"kept")
    ops.fail("pwritev", errno.ENOSPC)
    log.write("stdout", b"x" * 100_000)
    ops.forget()
    assert log.close()["incomplete"] is True
    calls = [name for name, _ in ops.names("pwrite", "fdatasync")]
    assert calls[-1] == "fdatasync"


def test_the_log_goes_on_when_there_is_space_again(session: Path) -> None:
    """A second after a failed write the next one is tried; a note tells how much is missing in between."""
    clock = ManualClock()
    ops = FaultyFiles()
    log = writer(session, files=ops, clock=clock)
    log.write("stdout", b"before ")
    ops.fail("pwritev", errno.ENOSPC)
    log.write("stdout", b"x" * 100_000)
    clock.advance(500 / 1000)
    attempts = len(ops.names("pwritev"))
    log.write("stderr", b"y" * 11)
    log.note("nobody hears this")
    assert len(ops.names("pwritev")) == attempts
    clock.advance(500 / 1000)
    log.write("stdout", b"z" * 7)
    assert len(ops.names("pwritev")) == attempts + 1
    ops.heal()
    clock.advance(1000 / 1000)
    log.write("stdout", b"after")
    reference = log.close()
    assert text_of(session, reference) == [
        ("stdout", b"before "),
        ("note", b"100018 bytes lost: no space left"),
        ("stdout", b"after"),
    ]
    assert reference["incomplete"] is True
    assert (reference["out"], reference["err"]) == (12, 0)
    verify(session / reference["path"], reference)


def test_space_that_comes_back_at_the_end_is_used_for_the_note(session: Path) -> None:
    """A log that is closed within the pause still says what it lacks, and how much went over its limit."""
    ops = FaultyFiles()
    log = writer(session, files=ops, max_log_bytes=70_000, clock=ManualClock())
    ops.fail("pwritev", errno.EDQUOT)
    log.write("stdout", b"x" * 100_000)
    ops.heal()
    reference = log.close()
    assert text_of(session, reference) == [
        ("note", b"70000 bytes lost: no space left"),
        ("note", b"30000 bytes of output were not kept"),
    ]
    assert (reference["incomplete"], reference["truncated"]) == (True, True)
    verify(session / reference["path"], reference)


def test_nothing_is_written_to_a_medium_that_has_failed(session: Path) -> None:
    """Other errors than missing space are for good."""
    clock = ManualClock()
    ops = FaultyFiles()
    log = writer(session, files=ops, clock=clock)
    ops.fail("pwritev", errno.EIO)
    log.write("stdout", b"x")
    ops.heal()
    clock.advance(60_000 / 1000)
    log.write("stdout", b"y")
    log.tick()
    reference = log.close()
    assert text_of(session, reference) == []
    assert reference["incomplete"] is True
    verify(session / reference["path"], reference)


# Damage


@pytest.mark.timeout(20)
def test_what_stands_in_the_place_of_a_log_is_damage(session: Path) -> None:
    """A FIFO makes no reader wait; a directory and a link are refused like it."""
    reference = writer(session).close()
    path = session / reference["path"]
    path.rename(session / "io-logs" / "real")
    for make in (lambda: os.mkfifo(path), path.mkdir, lambda: path.symlink_to("real")):
        make()
        for read in (
            lambda: list(read_frames(path)),
            lambda: verify(path, reference),
            lambda: seal_log(session, reference["path"]),
        ):
            with pytest.raises(CorruptedSessionError, match="not a regular file"):
                read()
        path.rmdir() if path.is_dir() else path.unlink()


def test_a_trailer_that_is_no_object_is_damage(session: Path) -> None:
    """A good checksum over nonsense is refused as damage, by readers and by whoever seals."""
    log = writer(session)
    relative, path = log.path, session / log.path
    del log
    for body in (b"[]", b"1", b"{"):
        data = path.read_bytes()
        with path.open("ab") as file:
            file.write(encode_frame(b"t", 0, body) + body + b"\n")
        with pytest.raises(CorruptedSessionError, match="makes no sense"):
            list(read_frames(path))
        with pytest.raises(CorruptedSessionError, match="makes no sense"):
            seal_log(session, relative)
        path.write_bytes(data)


def sample(session: Path) -> tuple[Path, LogReference, list[Frame]]:
    clock = ManualClock()
    log = writer(session, clock=clock)
    for number in range(5):
        log.write("stdout", b"line %d\n" % number)
        log.write("stderr", b"oops\n")
        clock.advance(10 / 1000)
    log.note("ended")
    reference = log.close()
    path = session / reference["path"]
    return path, reference, list(read_frames(path))


def test_a_log_cut_at_any_byte_yields_its_whole_frames(session: Path) -> None:
    """Without a trailer there is no exception, only fewer frames."""
    path, reference, frames = sample(session)
    data = path.read_bytes()
    counts = []
    for size in range(len(data) - 1, -1, -1):
        os.truncate(path, size)
        found = list(read_frames(path))
        assert found == frames[: len(found)]
        counts.append(len(found))
        with pytest.raises(CorruptedSessionError):
            verify(path, reference)
    assert counts == sorted(counts, reverse=True)
    assert set(counts) == set(range(len(frames) + 1))


def test_every_changed_byte_of_a_complete_log_is_detected(session: Path) -> None:
    """Verification refuses the log, and reading never gives other frames than the true ones."""
    path, reference, frames = sample(session)
    data = path.read_bytes()
    for place in range(len(data)):
        bad = bytearray(data)
        bad[place] ^= 1 << place % 8
        path.write_bytes(bad)
        with pytest.raises(CorruptedSessionError):
            verify(path, reference)
        found: list[Frame] = []
        refused = False
        try:
            found.extend(read_frames(path))
        except CorruptedSessionError:
            refused = True
        assert found == frames[: len(found)]
        assert refused or found == frames


def test_a_missing_log_is_a_broken_reference(session: Path) -> None:
    """Reading, verifying and sealing what is not there say so in the same way."""
    path = session / "io-logs" / "none.iolog"
    for attempt in (
        lambda: list(read_frames(path)),
        lambda: verify(path, {}),
        lambda: seal_log(session, "io-logs/none.iolog"),
    ):
        with pytest.raises(BrokenReferenceToExternalFile):
            attempt()


def test_a_dead_writers_log_can_be_sealed(session: Path) -> None:
    """The torn end is cut off, a remark and the trailer are added, and the new reference verifies."""
    log = writer(session)
    log.write("stdout", b"the last words")
    path = session / log.path
    relative = log.path
    del log
    with path.open("ab") as file:
        file.write(b"o 15 100 0000")
    ops = FaultyFiles()
    reference = seal_log(session, relative, "the tester was killed", files=ops)
    assert text_of(session, reference) == [("stdout", b"the last words"), ("note", b"the tester was killed")]
    assert (reference["path"], reference["frames"], reference["out"]) == (relative, 2, 14)
    assert ops.names("ftruncate", "pwrite", "fdatasync")[-1][0] == "fdatasync"
    verify(path, reference)
    assert seal_log(session, relative, "again") == reference
    path.write_bytes(b"")
    with pytest.raises(CorruptedSessionError):
        seal_log(session, relative)


def test_sealing_keeps_the_flags_of_a_finished_log(session: Path) -> None:
    """A log that its writer finished gives the reference that its writer gave."""
    log = writer(session, max_log_bytes=3)
    log.write("stdout", b"12345")
    reference = log.close()
    assert seal_log(session, reference["path"], "too late") == reference
