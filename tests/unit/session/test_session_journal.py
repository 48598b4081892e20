# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_rig import agrees, ck, full, journal_of, reopened, result, results_of, second_reader, session_with

from plainbox.errors import (
    CorruptedSessionError,
    IncompatibleSessionError,
    StorageFailedError,
    StorageFullError,
)
from plainbox.session import dump, generation, journal_reader
from plainbox.session import journal as journal_module
from plainbox.session.codec import NO_SUM, decode_line, encode_line
from plainbox.session.repair import inspection, survey
from plainbox.session.salvage import salvage
from plainbox.session.scan import Content, scan
from plainbox.session.storage import SessionStorage
from plainbox.session.tree import Tree
from plainbox.session.verification import verify
from plainbox.testing import FaultyFiles, ManualClock


def loaded(storage: SessionStorage) -> dict[str, int]:
    """What somebody else reads now."""
    return results_of(reopened(storage).load_checkpoint())


def payloads(path: Path) -> list[dict[str, object]]:
    return [decode_line(line).payload for line in path.read_bytes().splitlines(keepends=True)]


# The order and the number of the calls


def test_the_first_checkpoint_is_synced_before_it_has_its_name(tmp_path: Path) -> None:
    """File sync, rename, directory sync, in this order; the hint only afterwards."""
    ops = FaultyFiles()
    storage = SessionStorage.create(tmp_path, files=ops)
    ops.forget()
    storage.save_checkpoint(full(meta={"title": "first"}))
    name = "journal-000001.pbj"
    directory = os.path.basename(storage.location) + "/"
    assert ops.names("fdatasync", "fsync", "rename") == [
        ("fdatasync", name + ".tmp"),
        ("rename", name),
        ("fsync", directory),
    ]
    assert ops.written[-1] == ("head.json", 256)
    assert ops.steps.index(("fsync", directory)) < ops.steps.index(("pwrite", "head.json"))


def test_a_change_costs_one_write_and_one_sync(tmp_path: Path) -> None:
    """Each later change is one append and exactly one sync of the journal, and the sync comes second."""
    ops = FaultyFiles()
    storage = session_with(tmp_path, 2, files=ops)
    for number in range(5):
        ops.forget()
        storage.save_checkpoint(result(100 + number))
        name = "journal-000001.pbj.tmp"  # the descriptor was opened under that name
        assert ops.names("pwrite", "fdatasync", "fsync", "ftruncate", "rename", "open") == [
            ("pwrite", name),
            ("fdatasync", name),
            ("pwrite", "head.json"),
        ]


def test_the_size_of_a_change_does_not_depend_on_the_session(tmp_path: Path) -> None:
    """A record is as long after 3000 jobs as after 100."""
    ops = FaultyFiles()
    storage = SessionStorage.create(tmp_path, files=ops)
    storage.save_checkpoint(full(jobs={f"job-{number}": {"sum": "0" * 64} for number in range(3000)}))
    sizes = []
    for number in range(1000, 1010):
        ops.forget()
        storage.save_checkpoint(result(number))
        sizes.append(ops.written[0][1])
    other = session_with(tmp_path, 3, files=ops)
    ops.forget()
    other.save_checkpoint(result(1000))
    assert all(abs(size - ops.written[0][1]) <= 3 for size in sizes)


def test_a_writer_that_comes_back_announces_itself_durably(tmp_path: Path) -> None:
    """After reopening, the ``open`` record is on the disk before the first change is written."""
    storage = session_with(tmp_path, 2)
    storage.close()
    ops = FaultyFiles()
    again = SessionStorage(storage.location, files=ops)
    again.environment = {"kernel": "6.1"}
    again.save_checkpoint(result(7))
    name = "journal-000001.pbj"
    assert ops.names("pwrite", "fdatasync") == [
        ("pwrite", "lock"),
        ("pwrite", name),
        ("fdatasync", name),
        ("pwrite", "head.json"),
        ("pwrite", name),
        ("fdatasync", name),
        ("pwrite", "head.json"),
    ]
    *_, opened, change = payloads(journal_of(storage))
    assert opened["t"] == "open"
    assert (opened["why"], opened["env"], opened["pid"]) == ("resume", {"kernel": "6.1"}, os.getpid())
    assert change["t"] == "ck"


def test_short_and_interrupted_writes_give_the_same_state(tmp_path: Path) -> None:
    """Writes of one byte, every third one interrupted, leave a whole journal."""
    ops = FaultyFiles()
    ops.write_limit = 1
    ops.interrupt_every = 3
    storage = session_with(tmp_path, 5, files=ops)
    data = journal_of(storage).read_bytes()
    assert loaded(storage) == {f"org.example::job-{number}": number for number in range(5)}
    assert agrees(second_reader(data), storage.load_checkpoint())


def test_relaxed_durability_writes_no_hint_and_syncs_nothing(tmp_path: Path) -> None:
    """A session that is thrown away costs one write per change and nothing else."""
    storage = SessionStorage.create(tmp_path, durable=False)
    storage.save_checkpoint(full())
    storage.save_checkpoint(result(1))
    assert not (Path(storage.location) / "head.json").exists()
    assert results_of(storage.load_checkpoint()) == {"org.example::job-1": 1}


# What the records say


def test_checkpoints_are_numbered_without_gap_over_generations(tmp_path: Path) -> None:
    """The number rises by one with each checkpoint, also when a whole state starts a new generation."""
    storage = session_with(tmp_path, 2)
    storage.save_checkpoint(full(meta={"title": "again"}))
    storage.save_checkpoint(result(9))
    first, second = payloads(journal_of(storage)), payloads(journal_of(storage, 2))
    assert [record["n"] for record in first if record["t"] in ("full-end", "ck")] == [1, 2, 3]
    assert [record["n"] for record in second if record["t"] in ("full-end", "ck")] == [4, 5]
    head = second[0]
    assert head["parent"] == {"gen": 1, "seq": len(first) - 1, "sum": _last_sum_of(journal_of(storage).read_bytes())}
    assert (head["gen"], head["uuid"], head["created"]) == (2, first[0]["uuid"], first[0]["created"])


def test_a_new_generation_outlives_the_old_one(tmp_path: Path) -> None:
    """The replaced generation is kept until the next clean end and gone after it."""
    storage = session_with(tmp_path, 2)
    storage.save_checkpoint(full(meta={"title": "again"}))
    assert journal_of(storage, 1).exists()
    storage.close()
    assert not journal_of(storage, 1).exists()
    assert json.loads(reopened(storage).load_checkpoint())["meta"] == {"title": "again"}


def test_a_change_before_any_state_makes_the_first_generation(tmp_path: Path) -> None:
    """A change on a fresh session is folded into nothing and becomes the dump."""
    storage = SessionStorage.create(tmp_path, files=FaultyFiles())
    storage.save_checkpoint(result(4))
    assert loaded(storage) == {"org.example::job-4": 4}
    assert [record["t"] for record in storage.records()] == ["head", "full", "full-end", "open"]


def test_notes_travel_with_the_next_change(tmp_path: Path) -> None:
    """A remark costs no write of its own; one that must not wait is a record, and one that is left over too."""
    ops = FaultyFiles()
    storage = session_with(tmp_path, 1, files=ops)
    ops.forget()
    storage.note("resume-decision", {"job": "a"})
    assert ops.steps == []
    storage.save_checkpoint(result(2))
    assert len(ops.names("fdatasync")) == 1
    storage.note("watchdog", {"after_s": 60}, now=True)
    storage.note("late", {})
    storage.close()
    *_, change, note, late, close = payloads(journal_of(storage))
    assert [(item["kind"], item["data"]) for item in change["notes"]] == [("resume-decision", {"job": "a"})]  # type: ignore[attr-defined]
    assert (note["t"], note["kind"], note["data"]) == ("note", "watchdog", {"after_s": 60})
    assert (late["kind"], close["t"]) == ("late", "close")
    assert loaded(storage).keys() == {"org.example::job-0", "org.example::job-2"}


def test_a_jump_of_the_wall_clock_is_noted(tmp_path: Path) -> None:
    """When the wall clock leaves the monotonic one behind, the next change says so, and order does not suffer."""
    clock = ManualClock()
    storage = SessionStorage.create(tmp_path, files=FaultyFiles(), clock=clock)
    storage.save_checkpoint(result(0))
    clock.set_wall(clock.time() - 365 * 86400)
    storage.save_checkpoint(result(5))
    (note,) = storage.records()[-1]["notes"]
    assert (note["kind"], note["data"]) == ("clock-jump", {"by_s": -365.0 * 86400})
    assert loaded(storage).keys() == {"org.example::job-0", "org.example::job-5"}


def test_compaction_keeps_the_state_the_number_and_foreign_keys(tmp_path: Path) -> None:
    """A compacted journal holds the same state in fewer bytes; what a later version stored is still there."""
    storage = session_with(tmp_path, 3)
    for number in range(50):
        storage.save_checkpoint(ck(meta={"running_job_name": f"job-{number}"}, later={"x": number}))
    before = storage.load_checkpoint()
    storage.compact()
    assert storage.load_checkpoint() == before
    assert json.loads(before)["later"] == {"x": 49}
    assert journal_of(storage, 2).stat().st_size < journal_of(storage, 1).stat().st_size / 4
    storage.save_checkpoint(result(3))
    assert storage.records()[-1]["n"] == 1 + 3 + 50 + 1


def test_compaction_keeps_what_a_later_version_has_put_into_the_head(tmp_path: Path) -> None:
    """Optional features and further keys of the head are in the next generation too."""
    storage = session_with(tmp_path, 1)
    storage.close()
    os.unlink(os.path.join(storage.location, "head.json"))
    lines = [decode_line(line) for line in journal_of(storage).read_bytes().splitlines()]
    lines[0].payload.update(opt=["later"], hue="blue")
    text, line_sum = b"", NO_SUM
    for line in lines:
        text += encode_line(line.seq, line_sum, line.payload)
        line_sum = _last_sum_of(text)
    journal_of(storage).write_bytes(text)
    again = reopened(storage)
    again.compact()
    head = decode_line(journal_of(storage, 2).read_bytes().splitlines()[0]).payload
    assert (head["opt"], head["hue"], head["gen"]) == (["later"], "blue", 2)


def test_a_long_journal_is_compacted_when_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening for writing starts a new generation once the file is several times longer than the state."""
    monkeypatch.setattr(journal_module, "_COMPACT_BYTES", 4096)
    storage = session_with(tmp_path, 1)
    for number in range(60):
        storage.save_checkpoint(ck(meta={"running_job_name": f"job-{number}" * 5}))
    storage.close()
    again = reopened(storage)
    again.save_checkpoint(result(1))
    assert again.journal_info().generation == 2
    assert again.journal_info().size_bytes < 4096
    assert loaded(storage).keys() == {"org.example::job-0", "org.example::job-1"}


def test_a_change_too_long_for_a_record_becomes_a_generation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no single record can hold is still stored whole or not at all."""
    monkeypatch.setattr(journal_module, "MAX_PAYLOAD_BYTES", 2000)
    storage = session_with(tmp_path, 1)
    storage.save_checkpoint(ck(meta={f"key-{number}": "x" * 100 for number in range(40)}))
    assert storage.journal_info().generation == 2
    assert len(json.loads(storage.load_checkpoint())["meta"]) == 41


_LIMIT_BYTES = 20_000


@pytest.fixture
def short_journals(monkeypatch: pytest.MonkeyPatch) -> None:
    """No reader reads more than 20 000 bytes."""
    for module in (generation, inspection, survey):
        monkeypatch.setattr(module, "MAX_JOURNAL_BYTES", _LIMIT_BYTES)


def save_until_refused(storage: SessionStorage, size: int) -> list[str]:
    """Save comments of this size until there is no room; return the jobs that were acknowledged."""
    acknowledged: list[str] = []
    try:
        while len(acknowledged) < 100:
            storage.save_checkpoint(commented(len(acknowledged), size))
            acknowledged.append(f"org.example::job-{len(acknowledged)}")
    except StorageFullError:
        return acknowledged
    pytest.fail("more than a session can hold was accepted")


def commented(number: int, size: int = 700) -> bytes:
    """A change with the only result of job ``number``, and a long comment."""
    said = {"outcome": "pass", "return_code": number, "comments": "x" * size}
    return ck(res=[[f"org.example::job-{number}", 1, said]])


@pytest.mark.usefixtures("short_journals")
def test_journal_that_nobody_would_read_is_compacted(tmp_path: Path) -> None:
    """What is acknowledged can be read: before the journal is too long, the state alone becomes a new one."""
    ops = FaultyFiles()
    storage = session_with(tmp_path, 0, files=ops)
    for number in range(200):
        storage.save_checkpoint(commented(number % 3))
        assert loaded(storage)[f"org.example::job-{number % 3}"] == number % 3
        assert storage.journal_info().size_bytes <= _LIMIT_BYTES
    assert 5 < storage.journal_info().generation < 50
    assert verify(reopened(storage)).state == "good"
    storage.close()
    assert verify(reopened(storage)).state == "good"


@pytest.mark.usefixtures("short_journals")
@pytest.mark.parametrize("size", [300, 700, 4321, 30_000])
def test_more_than_a_session_can_hold_is_refused(tmp_path: Path, size: int) -> None:
    """It is refused before it is acknowledged, nothing else is lost, and nobody is sent to make room on a disk."""
    ops = FaultyFiles()
    storage = session_with(tmp_path, 0, files=ops)
    acknowledged = save_until_refused(storage, size)
    assert len(acknowledged) >= (_LIMIT_BYTES - 6000) // (size + 100)

    ops.forget()
    with pytest.raises(StorageFullError, match="as much as a session can") as caught:
        storage.save_checkpoint(commented(len(acknowledged), size))
    assert ops.written == []  # asked again at once, as by who waits for space, it takes no time
    assert caught.value.errno is None
    assert "make room" not in (caught.value.hint or "")
    assert sorted(loaded(storage)) == sorted(acknowledged)

    storage.close()
    again = reopened(storage)
    assert sorted(loaded(again)) == sorted(acknowledged)
    assert verify(again).state == "good"
    assert salvage(again).state == "sound"
    with contextlib.suppress(StorageFullError):  # there may be no room for the opening
        again.compact()
    again.close()
    assert sorted(loaded(again)) == sorted(acknowledged)


@pytest.mark.usefixtures("short_journals")
def test_what_makes_a_full_session_smaller_is_accepted(tmp_path: Path) -> None:
    """A session that can hold no more goes on when something of it is forgotten."""
    storage = session_with(tmp_path, 0)
    count = len(save_until_refused(storage, 700))
    storage.save_checkpoint(ck(drop=[[f"org.example::job-{number}", 1] for number in range(5)]))
    storage.save_checkpoint(commented(count))
    assert len(loaded(storage)) == count - 4


@pytest.mark.usefixtures("short_journals")
def test_whole_state_that_nobody_would_read(tmp_path: Path) -> None:
    """It is refused, and the one before stays in force."""
    storage = session_with(tmp_path, 1)
    with pytest.raises(StorageFullError, match="as much as a session can"):
        storage.save_checkpoint(full(meta={f"key-{number}": "x" * 1000 for number in range(20)}))
    assert os.listdir(storage.location).count("journal-000002.pbj.tmp") == 0
    assert loaded(storage) == {"org.example::job-0": 0}
    storage.save_checkpoint(result(1))
    assert loaded(storage).keys() == {"org.example::job-0", "org.example::job-1"}


@pytest.mark.usefixtures("short_journals")
def test_openings_and_ends_respect_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens, remarks and closes does not make the journal too long, whatever is left of it."""
    monkeypatch.setattr(dump, "_MAX_REMARKS", 30)
    storage = session_with(tmp_path, 1)
    storage.close()
    for number in range(60):
        again = reopened(storage)
        again.note("remark", {"text": "x" * 150})
        again.note("remark", {"text": "x" * 150}, now=number % 2 == 0)
        again.save_checkpoint(result(0))
        again.note("remark", {"text": f"last of {number}"})
        again.close()
        assert loaded(storage) == {"org.example::job-0": 0}
    assert verify(reopened(storage)).state == "good"


@pytest.mark.parametrize(
    ("head", "named"),
    [
        ({"schema": "plainbox.session/2", "req": [], "by": "plainbox 9.0"}, "plainbox 9.0"),
        ({"schema": "plainbox.session/1", "req": ["sealed"]}, "sealed"),
        ({"schema": "plainbox.session/99"}, "plainbox.session/99"),
    ],
)
def test_a_later_version_is_refused_by_name(tmp_path: Path, head: dict[str, object], named: str) -> None:
    """A journal of another schema, or one that needs an unknown feature, says who can read it."""
    storage = SessionStorage.create(tmp_path, files=FaultyFiles())
    payload = {"t": "head", "uuid": "u", "gen": 1, "base": True, **head}
    journal_of(storage).write_bytes(encode_line(0, NO_SUM, payload))
    with pytest.raises(IncompatibleSessionError, match=named):
        storage.load_checkpoint()


# Trouble


def test_a_full_disk_costs_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Without space the file ends where it did, the error keeps its number, and the next save holds everything."""
    ops = FaultyFiles()
    storage = session_with(tmp_path, 3, files=ops)
    size = journal_of(storage).stat().st_size
    ops.forget()
    ops.fail("pwrite", errno.ENOSPC)
    with pytest.raises(StorageFullError) as caught:
        storage.save_checkpoint(result(3))
    assert caught.value.errno == errno.ENOSPC
    assert len(ops.names("pwrite")) == 2  # one retry
    assert journal_of(storage).stat().st_size == size
    with pytest.raises(StorageFullError):
        storage.save_checkpoint(result(3))
    ops.heal()
    storage.save_checkpoint(ck(res=[[f"org.example::job-{n}", 1, {"return_code": n}] for n in (3, 4)]))
    assert loaded(storage) == {f"org.example::job-{number}": number for number in range(5)}
    assert [note["kind"] for note in storage.records()[-1]["notes"]] == ["storage-full"]


def test_a_write_that_ran_into_the_limit_half_way_is_taken_back(tmp_path: Path) -> None:
    """Half a record is cut off before the retry, and the retry that finds room succeeds."""
    ops = FaultyFiles()
    storage = session_with(tmp_path, 1, files=ops)
    ops.write_limit = 40
    ops.heal()
    ops.fail("pwrite", errno.EDQUOT, lambda number: number == 3)
    ops.forget()
    storage.save_checkpoint(result(1))
    assert "append.truncate" in ops.points
    assert storage.journal_info().generation == 1
    assert loaded(storage) == {"org.example::job-0": 0, "org.example::job-1": 1}


def test_when_the_file_cannot_be_cut_the_next_save_does_it(tmp_path: Path) -> None:
    """A tail that could not be taken back is taken back before anything else is written."""
    ops = FaultyFiles()
    storage = session_with(tmp_path, 1, files=ops)
    size = journal_of(storage).stat().st_size
    ops.write_limit = 40
    ops.heal()
    ops.fail("pwrite", errno.ENOSPC, lambda number: number > 2)
    ops.fail("ftruncate", errno.ENOSPC)
    with pytest.raises(StorageFullError):
        storage.save_checkpoint(result(1))
    assert journal_of(storage).stat().st_size > size
    assert loaded(storage) == {"org.example::job-0": 0}
    ops.heal()
    storage.save_checkpoint(result(2))
    assert loaded(storage) == {"org.example::job-0": 0, "org.example::job-2": 2}


def test_a_failed_sync_is_never_repeated(tmp_path: Path) -> None:
    """After EIO the descriptor is left alone; the change is in a new generation, whole and synced."""
    ops = FaultyFiles()
    storage = session_with(tmp_path, 3, files=ops)
    ops.heal()
    ops.forget()
    ops.fail("fdatasync", errno.EIO, lambda number: number == 1)
    storage.save_checkpoint(result(3))
    assert ops.names("fdatasync") == [("fdatasync", "journal-000001.pbj.tmp"), ("fdatasync", "journal-000002.pbj.tmp")]
    assert storage.journal_info().generation == 2
    expected = {f"org.example::job-{number}": number for number in range(4)}
    assert loaded(storage) == expected
    kinds = [record["kind"] for record in storage.records() if record["t"] == "note"]
    assert kinds == ["sync-failed"]
    storage.save_checkpoint(result(4))
    storage.close()
    assert not journal_of(storage, 1).exists()
    assert loaded(storage) == expected | {"org.example::job-4": 4}


def test_when_the_medium_fails_twice_the_storage_is_dead(tmp_path: Path) -> None:
    """EIO again for the new generation raises at once and for ever; what was acknowledged can still be read."""
    ops = FaultyFiles()
    storage = session_with(tmp_path, 3, files=ops)
    ops.fail("fdatasync", errno.EIO)
    with pytest.raises(StorageFailedError) as caught:
        storage.save_checkpoint(result(3))
    assert caught.value.errno == errno.EIO
    ops.heal()
    ops.forget()
    for data in (result(3), full()):
        with pytest.raises(StorageFailedError):
            storage.save_checkpoint(data)
    assert ops.names("pwrite", "fdatasync", "rename") == []
    assert {f"org.example::job-{number}" for number in range(3)} <= loaded(storage).keys()
    storage.close()


def test_no_room_for_the_new_generation_leaves_the_storage_usable(tmp_path: Path) -> None:
    """A failed sync followed by a full disk is a full disk; the untrusted file is still never used again."""
    ops = FaultyFiles()
    storage = session_with(tmp_path, 2, files=ops)
    ops.heal()
    ops.forget()
    ops.fail("fdatasync", errno.EIO, lambda number: number == 1)
    ops.fail("pwrite", errno.ENOSPC, lambda number: number > 1)
    with pytest.raises(StorageFullError):
        storage.save_checkpoint(result(2))
    ops.heal()
    storage.save_checkpoint(result(2))
    assert ops.names("fdatasync") == [("fdatasync", "journal-000001.pbj.tmp"), ("fdatasync", "journal-000002.pbj.tmp")]
    assert len(loaded(storage)) == 3
    assert not [name for name in os.listdir(storage.location) if name.endswith(".tmp")]


@pytest.mark.parametrize("call", ["pwrite", "fdatasync", "rename", "fsync"])
def test_a_generation_that_fails_is_not_half_there(tmp_path: Path, call: str) -> None:
    """Whatever fails while a whole state is written, the session still loads, with the old state or the new."""
    ops = FaultyFiles()
    storage = session_with(tmp_path, 2, files=ops)
    ops.fail(call, errno.EIO)
    with pytest.raises(StorageFailedError):
        storage.save_checkpoint(full(meta={"title": "new"}))
    state = json.loads(reopened(storage).load_checkpoint())
    assert state["meta"]["title"] in ("rig", "new")
    assert not list(Path(storage.location).glob("*.tmp"))


@pytest.mark.parametrize("how", ["shorter", "longer", "other", "gone"])
def test_somebody_elses_hand_in_the_file_is_noticed(tmp_path: Path, how: str) -> None:
    """A journal that is not as the writer left it stops the writer before it writes."""
    storage = session_with(tmp_path, 2)
    path = journal_of(storage)
    data = path.read_bytes()
    if how == "shorter":
        os.truncate(path, len(data) - 1)
    elif how == "longer":
        path.write_bytes(data + b"x")
    elif how == "other":
        path.rename(path.with_suffix(".moved"))
        path.write_bytes(data)
    else:
        path.unlink()
    with pytest.raises(StorageFailedError, match="somebody else"):
        storage.save_checkpoint(result(2))
    with pytest.raises(StorageFailedError):
        storage.save_checkpoint(result(2))


def test_an_interrupt_waits_for_the_end_of_the_record(tmp_path: Path) -> None:
    """SIGINT in the middle of a save is raised after it, and the record is there."""

    class InterruptingOps(FaultyFiles):
        armed = False

        def fdatasync(self, fd: int) -> None:
            if self.armed:
                os.kill(os.getpid(), signal.SIGINT)
            super().fdatasync(fd)

    ops = InterruptingOps()
    storage = session_with(tmp_path, 1, files=ops)
    ops.armed = True
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            storage.save_checkpoint(result(1))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, handler)
    ops.armed = False
    assert loaded(storage) == {"org.example::job-0": 0, "org.example::job-1": 1}
    storage.save_checkpoint(result(2))
    assert len(loaded(storage)) == 3


def test_what_cannot_be_stored_leaves_no_trace(tmp_path: Path) -> None:
    """A refused change writes nothing and does not disturb the next one."""
    ops = FaultyFiles()
    storage = session_with(tmp_path, 1, files=ops)
    before = journal_of(storage).read_bytes()
    for wrong in (
        ck(res=[["a", 0, {}]]),
        ck(meta={"x": 2**60}),
        b'{"t":"ck","meta":{"x":NaN}}',
        b"\x1f\x8b\x08",
        b"[]",
    ):
        with pytest.raises(ValueError):
            storage.save_checkpoint(wrong)
    with pytest.raises(ValueError):
        storage.save_checkpoint(full(meta={"x": 2**60}))
    assert journal_of(storage).read_bytes() == before
    assert not list(Path(storage.location).glob("*.tmp"))
    storage.save_checkpoint(result(1))
    assert len(loaded(storage)) == 2


# Damage


@pytest.fixture(scope="module")
def twenty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, bytes, bytes]:
    """A closed session of twenty records: its directory, journal, hint and state."""
    storage = session_with(tmp_path_factory.mktemp("twenty"), 15)
    storage.close()
    state = storage.load_checkpoint()
    data = journal_of(storage).read_bytes()
    assert data.count(b"\n") == 20
    hint = (Path(storage.location) / "head.json").read_bytes()
    return Path(storage.location), data, hint, state


def verdict(location: Path) -> bytes | str:
    """The loaded state, or the kind of the error; anything else fails the test."""
    storage = SessionStorage(location, files=FaultyFiles())
    try:
        return storage.load_checkpoint()
    except CorruptedSessionError as error:
        return error.kind if error.offset is not None else "no offset"


@pytest.fixture(autouse=True)
def _one_look(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A torn tail is read several times, in case somebody is writing; here nobody is."""
    monkeypatch.setattr(journal_reader, "_ATTEMPTS", 1)


def test_a_reader_waits_for_a_record_that_is_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a record is looked at again, and the change is there as soon as the writer has finished it."""
    storage = session_with(tmp_path, 2)
    path = journal_of(storage)
    data = path.read_bytes()
    storage.save_checkpoint(result(2))
    after = path.read_bytes()
    path.write_bytes(data + b"PBJ1 6 ")
    (Path(storage.location) / "head.json").unlink()
    monkeypatch.setattr(journal_reader, "_ATTEMPTS", 4)
    monkeypatch.setattr(journal_reader.time, "sleep", lambda pause_s: path.write_bytes(after))
    assert len(loaded(storage)) == 3


@contextlib.contextmanager
def changed_byte(path: Path, place: int, change: int) -> Iterator[None]:
    """The file with one byte changed in place; rewriting all of it each time would take ten times as long."""
    fd = os.open(path, os.O_RDWR)
    (byte,) = os.pread(fd, 1, place)
    os.pwrite(fd, bytes([byte ^ change]), place)
    try:
        yield
    finally:
        os.pwrite(fd, bytes([byte]), place)
        os.close(fd)


def test_every_changed_byte_is_reported_or_harmless(twenty: tuple[Path, bytes, bytes, bytes]) -> None:
    """With the hint in place, no mutation of any byte of the journal changes what is loaded without an error."""
    location, data, _, state = twenty
    harmless = []
    for place in range(len(data)):
        with changed_byte(location / "journal-000001.pbj", place, 0x01 if place % 2 else 0x80):
            found = verdict(location)
        if found == state:
            harmless.append(place)
        else:
            assert found in ("damaged", "lost-tail"), place
    assert harmless == [len(data) - 1]  # the terminator of the last record, whose content is proven without it


def test_without_the_hint_only_the_last_record_can_go_unnoticed(twenty: tuple[Path, bytes, bytes, bytes]) -> None:
    """A change in the last record reads as a torn tail then; anywhere else it is damage."""
    location, data, hint, state = twenty
    path, head = location / "journal-000001.pbj", location / "head.json"
    last = data.rindex(b"\n", 0, -1) + 1
    head.unlink()
    try:
        for place in {*range(0, len(data), 5), *range(last - 2, len(data))}:
            with changed_byte(path, place, 0x04):
                found = verdict(location)
                if place < last:
                    assert found == "damaged", place
                else:
                    assert found == state  # the last record is the close, it holds no state
                    assert agrees(second_reader(path.read_bytes()), state)
    finally:
        head.write_bytes(hint)


def test_a_journal_cut_at_any_byte_is_a_prefix_or_damage(twenty: tuple[Path, bytes, bytes, bytes]) -> None:
    """What is left of a cut journal is whole checkpoints; a cut dump is damage."""
    _, data, _, _ = twenty
    full_end = data.index(b"\n", data.index(b'"full-end"'))
    counts = []
    for size in range(len(data)):
        content = Content(tree=Tree())
        if size < full_end:
            with pytest.raises(CorruptedSessionError):
                scan(data[:size], content, "cut")
            continue
        scan(data[:size], content, "cut")
        assert content.tree is not None
        counts.append(len(content.tree.results))
        if size % 8 == 0:
            assert agrees(second_reader(data[:size]), content.tree.as_bytes())
    assert counts == sorted(counts)
    assert set(counts) == set(range(16))


def test_the_hint_names_the_loss_wherever_the_journal_was_cut(twenty: tuple[Path, bytes, bytes, bytes]) -> None:
    """With the hint in place a cut journal does not load, unless nothing but the last terminator is missing."""
    location, data, _, state = twenty
    path = location / "journal-000001.pbj"
    full_end = data.index(b"\n", data.index(b'"full-end"'))
    borders = [place for place, byte in enumerate(data) if byte == ord("\n")]
    sizes = {place + step for place in borders for step in (-1, 0, 1)} | set(range(0, len(data), 40))
    try:
        for size in sorted(sizes - {len(data)}, reverse=True):
            os.truncate(path, size)
            expected = "damaged" if size < full_end else "lost-tail"
            assert verdict(location) == (state if size == len(data) - 1 else expected), size
    finally:
        path.write_bytes(data)


def test_a_writer_goes_on_after_any_torn_tail(tmp_path: Path) -> None:
    """The tail is cut off before anything is appended, and the journal is whole again."""
    storage = session_with(tmp_path, 3)
    path, head = journal_of(storage), Path(storage.location) / "head.json"
    del storage
    data = path.read_bytes()
    last = data.rindex(b"\n", 0, -1) + 1
    for size in range(last, len(data) + 1, 7):
        path.write_bytes(data[:size])
        head.unlink(missing_ok=True)
        again = SessionStorage(path.parent, files=FaultyFiles())
        before = results_of(again.load_checkpoint())
        again.save_checkpoint(result(50))
        again.close()
        assert results_of(again.load_checkpoint()) == before | {"org.example::job-50": 50}
        assert agrees(second_reader(path.read_bytes()), again.load_checkpoint())


@pytest.mark.parametrize("tail", [b"\0" * 700, b"PBJ1 77", b"garbage\n", b"x" * 600 + b"\n" + b"y" * 10])
def test_whatever_a_power_loss_leaves_behind_the_end_is_torn(tmp_path: Path, tail: bytes) -> None:
    """Zeros, old blocks and half a record behind the last acknowledged one are cut off by the next writer."""
    storage = session_with(tmp_path, 3)
    storage.close()
    path = journal_of(storage)
    with path.open("ab") as file:
        file.write(tail)
    assert len(loaded(storage)) == 3
    again = reopened(storage)
    again.save_checkpoint(result(3))
    again.close()
    assert tail not in path.read_bytes()
    assert len(loaded(storage)) == 4


def test_any_subset_of_the_sectors_of_the_last_record_is_whole_or_torn(tmp_path: Path) -> None:
    """After a power loss during an append the change is there or not there, whichever sectors were written."""
    storage = session_with(tmp_path, 2)
    path, head = journal_of(storage), Path(storage.location) / "head.json"
    before, hint = path.read_bytes(), head.read_bytes()
    storage.save_checkpoint(ck(res=[["org.example::long", 1, {"return_code": 9, "comments": "x" * 1500}]]))
    after = path.read_bytes()
    states = {verdict(path.parent)}
    head.write_bytes(hint)
    path.write_bytes(before)
    states.add(verdict(path.parent))
    assert len(states) == 2
    first = len(before) // 512
    sectors = range(first, (len(after) + 511) // 512)
    for mask in range(1 << len(sectors)):
        for size in (len(after), len(after) - 300):
            image = bytearray(before.ljust(size, b"\0"))
            for bit, sector in enumerate(sectors):
                if mask >> bit & 1:
                    image[sector * 512 : (sector + 1) * 512] = after[sector * 512 : (sector + 1) * 512]
            path.write_bytes(image[:size])
            assert verdict(path.parent) in states


def test_lines_that_are_missing_doubled_swapped_or_foreign_are_damage(tmp_path: Path) -> None:
    """Each line verifies on its own, but the chain does not."""
    storage = session_with(tmp_path / "one", 6)
    other = session_with(tmp_path / "two", 6)
    lines = journal_of(storage).read_bytes().splitlines(keepends=True)
    foreign = journal_of(other).read_bytes().splitlines(keepends=True)
    for wrong in (
        lines[:5] + lines[6:],
        [*lines[:5], lines[4], *lines[5:]],
        [*lines[:5], lines[6], lines[5], *lines[7:]],
        lines[:6] + foreign[6:],
        lines[1:],
        lines + foreign,
        lines + lines[-1:],
    ):
        journal_of(storage).write_bytes(b"".join(wrong))
        assert verdict(Path(storage.location)) == "damaged"
        assert second_reader(b"".join(wrong)) is None


def test_damage_names_the_record(tmp_path: Path) -> None:
    """The error says at which byte and in which record the good part ends."""
    storage = session_with(tmp_path, 6)
    data = bytearray(journal_of(storage).read_bytes())
    start = data.index(b"PBJ1 5 ")
    data[start + 60] ^= 1
    journal_of(storage).write_bytes(data)
    with pytest.raises(CorruptedSessionError, match=f"byte {start} ") as caught:
        storage.load_checkpoint()
    assert (caught.value.kind, caught.value.offset, caught.value.seq) == ("damaged", start, 5)


def test_lost_lines_are_noticed_as_long_as_the_hint_is_there(tmp_path: Path) -> None:
    """Whole lines missing at the end, or the whole journal, raise for readers and writers alike."""
    storage = session_with(tmp_path, 6)
    storage.close()
    path = journal_of(storage)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    for attempt in (reopened(storage).load_checkpoint, lambda: reopened(storage).save_checkpoint(result(1))):
        with pytest.raises(CorruptedSessionError) as caught:
            attempt()
        assert caught.value.kind == "lost-tail"
    assert not reopened(storage).is_locked()
    path.unlink()
    with pytest.raises(CorruptedSessionError, match="lost its journal"):
        reopened(storage).load_checkpoint()


def test_a_hint_that_lags_or_is_unreadable_means_nothing(tmp_path: Path) -> None:
    """An older hint, a damaged one, one of another session, and none at all let the session load."""
    storage = session_with(tmp_path / "one", 2)
    head = Path(storage.location) / "head.json"
    old = head.read_bytes()
    storage.save_checkpoint(result(2))
    current = head.read_bytes()
    assert len(old) == len(current) == 256
    foreign = (Path(session_with(tmp_path / "two", 9).location) / "head.json").read_bytes()
    higher = current.replace(b'"seq":6', b'"seq":7')
    assert higher != current
    for hint in (old, foreign, higher, b"", b"\0" * 256, current[:100], b"[]" * 128):
        head.write_bytes(hint)
        assert len(loaded(storage)) == 3
    head.unlink()
    assert len(loaded(storage)) == 3


def test_a_damaged_generation_is_not_replaced_by_an_older_one(tmp_path: Path) -> None:
    """The newest file is the session; falling back to the one before would lose checkpoints in silence."""
    storage = session_with(tmp_path, 2)
    storage.save_checkpoint(full(meta={"title": "new"}))
    data = bytearray(journal_of(storage, 2).read_bytes())
    data[30] ^= 1
    journal_of(storage, 2).write_bytes(data)
    assert verdict(Path(storage.location)) == "damaged"
    journal_of(storage, 2).write_bytes(b"")
    assert verdict(Path(storage.location)) == "damaged"


def test_a_temporary_file_is_never_read(tmp_path: Path) -> None:
    """What a dead writer left under a temporary name changes nothing and is replaced by the next one."""
    storage = session_with(tmp_path, 2)
    leftover = Path(storage.location) / "journal-000002.pbj.tmp"
    leftover.write_bytes(b"half a generation")
    assert len(loaded(storage)) == 2
    storage.save_checkpoint(full(meta={"title": "new"}))
    assert not leftover.exists()
    assert storage.journal_info().generation == 2


def test_records_that_verify_but_make_no_sense_are_invalid(tmp_path: Path) -> None:
    """A chain of good lines that is no session is refused with the place of the record at fault."""
    storage = session_with(tmp_path, 1)
    (Path(storage.location) / "head.json").unlink()
    path = journal_of(storage)
    good = path.read_bytes()
    seq = good.count(b"\n")
    for payload in (
        {"t": "ck", "n": 99},
        {"t": "ck", "n": 3, "res": [["a", 0, {}]]},
        {"t": "head", "schema": "plainbox.session/1", "uuid": "u", "gen": 1},
        {"t": "full", "meta": {}},
        {"t": "full-end", "n": 3},
    ):
        path.write_bytes(good + encode_line(seq, _last_sum_of(good), payload))
        with pytest.raises(CorruptedSessionError) as caught:
            reopened(storage).load_checkpoint()
        assert (caught.value.kind, caught.value.seq) == ("invalid", seq)


def _last_sum_of(data: bytes) -> str:
    return decode_line(data.splitlines()[-1]).sum


@pytest.mark.parametrize("how", ["compaction", "whole state"])
def test_a_new_generation_goes_on_telling_the_past(tmp_path: Path, how: str) -> None:
    """Who opened the session with what, and every note, are in the next generation too, in their order."""
    storage = session_with(tmp_path, 3)
    storage.note("decision", {"job": "b"})
    storage.save_checkpoint(result(4))
    storage.close()
    storage = SessionStorage(storage.location)
    storage.environment = {"kernel": "another"}
    storage.note("second", {}, now=True)
    before = [record for record in storage.records() if record["t"] in ("open", "note")]
    if how == "compaction":
        storage.compact()
    else:
        storage.save_checkpoint(full(meta={"title": "anew"}))
    records = storage.records()
    told = [record for record in records if record["t"] in ("open", "note")]
    more = ["open"] if how == "whole state" else []  # to compact is no other opening
    assert [record["t"] for record in told] == ["open", "note", "open", "note", *more]
    assert told[1]["kind"] == "decision"
    assert told[2:4] == before[1:]
    assert storage.journal_info().generation == 2
    assert sum(record["t"] == "ck" for record in records) == 0


def test_of_too_many_remarks_the_oldest_openings_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a salvage has noted is told for ever."""
    monkeypatch.setattr(dump, "_MAX_REMARKS", 4)
    storage = session_with(tmp_path, 1)
    for kind in ("salvage", "a", "b", "c", "d"):
        storage.note(kind, {}, now=True)
        storage.unlock()
    storage.compact()
    told = [(record["t"], record.get("kind")) for record in storage.records() if record["t"] in ("open", "note")]
    assert told == [*(("note", kind) for kind in ("salvage", "c", "d")), ("open", None)]
