# SPDX-License-Identifier: Apache-2.0
"""Stored bytes change: bits rot, files are cut, lines move, files take each other's place.

Whatever happens to a journal, loading raises or gives exactly what was acknowledged. A record that is gone from the end
is only missed by the hint, so there the hint is consulted; damage before the last record must show without it. The second
reader must always agree with the product. Logs are read in full or refused, and never match their reference when they are
not what was recorded.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
from invariants import let_go, one_look
from scale import Figures, Tally
from store_rig import agrees, ck, full, journal_of, result, second_reader, session_with

from plainbox.errors import CorruptedSessionError, IncompatibleSessionError
from plainbox.session.files import FileOps
from plainbox.session.iolog import IOLogWriter, LogReference, verify
from plainbox.session.iolog_reader import LogReader
from plainbox.session.scan import Content, scan
from plainbox.session.storage import SessionStorage
from plainbox.session.tree import Tree
from plainbox.testing.files import FaultyFiles

__all__ = [
    "Sample",
    "check_cuts",
    "check_flips",
    "check_generations",
    "check_hint",
    "check_joins",
    "check_large",
    "check_log",
    "mutations",
    "run",
]

_REFUSALS = (CorruptedSessionError, IncompatibleSessionError)


def mutations(data: bytes, at: int) -> Iterator[bytes]:
    """Yield six other contents that differ at one byte: bits flipped, overwritten, deleted, inserted."""
    before, byte, after = data[:at], data[at], data[at + 1 :]
    for other in (bytes([byte ^ 1]), bytes([byte ^ 0x80]), b"\0", b"\n", b"", bytes([byte, byte])):
        if other != bytes([byte]):
            yield before + other + after


@attrs.frozen
class Sample:
    """A session of some records: its files, the state that was acknowledged, and a place to put changed files."""

    place: Path
    journal: bytes
    hint: bytes
    state: bytes

    @classmethod
    def make(cls, place: Path, results: int, uuid_of: str = "pbox-one") -> Sample:
        storage = session_with(place / uuid_of, results)
        let_go(storage)  # the last record is a result then, and counts
        location = Path(storage.location)
        state = storage.load_checkpoint()
        stored = place / f"{uuid_of}.session"
        stored.mkdir()
        return cls(stored, journal_of(storage).read_bytes(), (location / "head.json").read_bytes(), state)

    @property
    def lines(self) -> list[bytes]:
        return self.journal.splitlines(keepends=True)

    def load(self, journal: bytes | dict[int, bytes], hint: bytes | None = None) -> bytes:
        """Load changed files the way anybody would."""
        for name in os.listdir(self.place):
            os.unlink(self.place / name)
        for generation, data in ({1: journal} if isinstance(journal, bytes) else journal).items():
            (self.place / f"journal-{generation:06d}.pbj").write_bytes(data)
        (self.place / "head.json").write_bytes(self.hint if hint is None else hint)
        return SessionStorage(self.place, files=FileOps(durable=False)).load_checkpoint()


def _judge(sample: Sample, journal: bytes, tally: Tally, where: str, *, inside: bool = False) -> None:
    """Check one changed journal. ``inside``: what was changed lies before the last record, so the journal itself tells."""
    tally.trials += 1
    content = Content(tree=Tree())
    try:
        scan(journal, content, "journal")
        assert content.tree is not None
        loaded = content.tree.as_bytes()
    except _REFUSALS:
        tally.expect(second_reader(journal) is None, f"{where}: the second reader accepts what is refused")
        return
    tally.expect(agrees(second_reader(journal), loaded), f"{where}: the second reader has read something else")
    if loaded == sample.state:
        return
    if inside:
        tally.lost += 1
        tally.expect(False, f"{where}: damage is taken for a torn tail")
        return
    try:
        found = sample.load(journal)
    except _REFUSALS:
        return
    if found != sample.state:
        tally.lost += 1
        tally.expect(False, f"{where}: another state is loaded without a word")


# -- the journal


def check_flips(sample: Sample, tally: Tally, *, step: int = 1, offset: int = 0) -> None:
    """Change each byte in six ways, or with ``step`` some of them."""
    last = len(sample.journal) - len(sample.lines[-1])
    for at in range(offset, len(sample.journal), step):
        for number, changed in enumerate(mutations(sample.journal, at)):
            _judge(sample, changed, tally, f"byte {at}, mutation {number}", inside=at < last)


def check_cuts(sample: Sample, tally: Tally, *, step: int = 1) -> None:
    """Cut at each byte: with the hint that is noticed, without it a clean beginning is left."""
    states = _states(sample)
    for at in range(0, len(sample.journal), step):
        cut = sample.journal[:at]
        _judge(sample, cut, tally, f"cut at {at}")
        content = Content(tree=Tree())
        try:
            scan(cut, content, "journal")
        except _REFUSALS:
            tally.expect(b'"t":"full-end"' not in cut[: cut.rfind(b"\n") + 1], f"cut at {at}: a torn tail is refused")
            continue
        assert content.tree is not None
        whole = cut.count(b"\n") + content.unterminated
        tally.expect(content.tree.as_bytes() == states[whole], f"cut at {at}: not the state of {whole} records")


def _states(sample: Sample) -> list[bytes | None]:
    """Return the state after each number of records."""
    states: list[bytes | None] = []
    for count in range(len(sample.lines) + 1):
        content = Content(tree=Tree())
        try:
            scan(b"".join(sample.lines[:count]), content, "journal")
        except _REFUSALS:
            states.append(None)
        else:
            assert content.tree is not None
            states.append(content.tree.as_bytes())
    return states


def check_joins(sample: Sample, other: Sample, tally: Tally) -> None:
    """Lines twice, exchanged, left out, from another session; and things at the end that do not belong there."""
    lines = sample.lines
    for number, line in enumerate(lines):
        before, after = lines[:number], lines[number + 1 :]
        changes = {
            "twice": [*before, line, line, *after],
            "left out": [*before, *after],
            "exchanged": [*before, *after[:1], line, *after[1:]],
            "moved to the end": [*before, *after, line],
            "of another session": [*before, other.lines[number], *after],
            "spliced": [*before, *other.lines[number:]],
        }
        for name, changed in changes.items():
            _judge(sample, b"".join(changed), tally, f"line {number} {name}")
    for first in range(0, len(lines) - 1, 3):
        for last in range(first + 1, len(lines) + 1, 5):
            _judge(sample, b"".join(lines[:first] + lines[last:]), tally, f"lines {first} to {last} left out")
    for name, tail in {
        "garbage": b"garbage",
        "lines of garbage": b"garbage\n" * 3,
        "NULs": bytes(5000),
        "half a record": lines[-1][:40],
        "another journal": other.journal,
        "itself": sample.journal,
        "a line of another": other.lines[-1],
        "a log": b"PBL1 {}\no 0 1 00000000\nx\n",
    }.items():
        _judge(sample, sample.journal + tail, tally, f"{name} behind the end")
        _judge(sample, sample.journal[:-1] + tail, tally, f"{name} in the place of the last line feed")
        _judge(sample, tail + sample.journal, tally, f"{name} before the beginning")


def check_hint(sample: Sample, tally: Tally, *, step: int = 1) -> None:
    """Change each byte of the hint, cut it, take another: a sound journal is loaded all the same."""
    hints = [changed for at in range(0, len(sample.hint), step) for changed in mutations(sample.hint, at)]
    hints += [sample.hint[:at] for at in range(0, len(sample.hint), step)]
    hints += [b"\0" * 256, b"null", b"[]", b'{"uuid": null}', sample.hint * 3]
    for number, hint in enumerate(hints):
        tally.trials += 1
        try:
            tally.expect(sample.load(sample.journal, hint) == sample.state, f"hint {number}: another state")
        except _REFUSALS as error:
            tally.unreadable += 1
            tally.expect(False, f"hint {number}: {error}")


def check_generations(place: Path, tally: Tally) -> None:
    """Generations that take each other's place, or are gone."""
    storage = session_with(place / "generations", 5)
    storage.save_checkpoint(full(meta={"title": "second"}, res=[["org.example::job-1", 1, {"return_code": 9}]]))
    old = journal_of(storage, 1).read_bytes()
    for number in (1, 2, 3):
        storage.save_checkpoint(result(number))
    new, state = journal_of(storage, 2).read_bytes(), storage.load_checkpoint()
    hint = Path(storage.location, "head.json").read_bytes()
    let_go(storage)
    sample = Sample(place / "exchanged.session", new, hint, state)
    sample.place.mkdir()
    younger = FaultyFiles()
    fewer = session_with(place / "fewer", 1, files=younger)
    fewer.save_checkpoint(ck(meta={"title": "elsewhere"}))
    let_go(fewer)
    for name, journals in {
        "as they are": {1: old, 2: new},
        "exchanged": {1: new, 2: old},
        "the first in both places": {1: old, 2: old},
        "the second alone": {2: new},
        "the first alone": {1: old},
        "the second with the number of the first": {1: new},
        "the first with the number of the second": {2: old},
        "the second with a higher number": {2: new, 3: new},
        "the first with a higher number": {1: old, 2: new, 3: old},
        "an empty third": {2: new, 3: b""},
        "one of another session": {2: new, 3: journal_of(fewer).read_bytes()},
    }.items():
        tally.trials += 1
        try:
            found = sample.load(journals)
        except _REFUSALS:
            tally.expect(name not in ("as they are", "the second alone"), f"generations {name}: refused")
        else:
            tally.lost += found != state
            tally.expect(found == state, f"generations {name}: another state is loaded without a word")


def check_large(place: Path, tally: Tally, *, jobs: int, count: int, seed: int) -> str:
    """Change a large session in random places; return how much memory that took."""
    storage = session_with(place / "large", 0)
    for start in range(0, jobs, 50):
        storage.save_checkpoint(
            ck(res=[[f"org.example::job-{number}", 1, {"outcome": "pass"}] for number in range(start, start + 50)])
        )
    storage.close()
    hint = Path(storage.location, "head.json").read_bytes()
    sample = Sample(place / "large.session", journal_of(storage).read_bytes(), hint, storage.load_checkpoint())
    sample.place.mkdir()
    rng = random.Random(seed)
    last = len(sample.journal) - len(sample.lines[-1])
    for _ in range(count):
        at = rng.randrange(len(sample.journal))
        changed = rng.choice(list(mutations(sample.journal, at)))
        tally.trials += 1
        content = Content(tree=Tree())
        try:
            scan(changed, content, "journal")
        except _REFUSALS:
            continue
        assert content.tree is not None
        same = content.tree.as_bytes() == sample.state
        tally.lost += not same and at < last
        tally.expect(same or at >= last, f"large, byte {at}: another state is loaded without a word")
    normal = _peak(lambda: sample.load(sample.journal))
    worst = 0
    for _ in range(min(count, 20)):
        at = rng.randrange(len(sample.journal))
        changed = next(mutations(sample.journal, at))
        worst = max(worst, _peak(lambda changed=changed: _loaded_or_not(sample, changed)))  # type: ignore[misc]
    tally.expect(worst <= 3 * normal, f"large: {worst} bytes of memory, and {normal} for a sound session")
    return f"memory at most {worst / normal:.2f} times that for a sound session of {jobs} jobs"


def _loaded_or_not(sample: Sample, journal: bytes) -> None:
    try:
        sample.load(journal)
    except _REFUSALS:
        return


def _peak(action: Callable[[], object]) -> int:
    import tracemalloc

    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# -- logs


def _log(place: Path) -> tuple[bytes, LogReference]:
    (place / "io-logs").mkdir(parents=True)
    log = IOLogWriter(place, "org.example::job", 1, boot="boot", files=FileOps(durable=False), background=False)
    for number in range(8):
        log.write(("stdout", "stderr")[number % 2], b"line %d\nt 0 5 00000000\n" % number + bytes(range(number * 9)))
    log.note("a remark")
    reference = log.close()
    return (place / str(reference["path"])).read_bytes(), reference


def check_log(place: Path, tally: Tally, *, step: int = 1) -> None:
    """Change each byte of a log, and cut it at each: its reference tells, and no frame is read that was not written."""
    data, reference = _log(place)
    frames = list(LogReader(io.BytesIO(data), "log"))
    path = place / "changed.iolog"
    for at in range(0, len(data), step):
        for number, changed in enumerate([*mutations(data, at), data[:at]]):
            tally.trials += 1
            where = f"log, byte {at}, mutation {number}"
            path.write_bytes(changed)
            try:
                verify(path, reference)
            except CorruptedSessionError:
                pass
            else:
                tally.lost += 1
                tally.expect(False, f"{where}: not noticed")
            read = []
            try:
                for frame in LogReader(io.BytesIO(changed), "log"):
                    read.append(frame)
                complete = True
            except CorruptedSessionError:
                complete = False
            tally.expect(read == frames[: len(read)], f"{where}: a frame that was never written")
            cut = changed == data[:at]
            tally.expect(cut or not complete or not read or read == frames, f"{where}: frames are missing")


def run(*, trials: int, seed: int, base: Path) -> Figures:
    """Make about ``trials`` changes: one in six to a session of 10 000 jobs, the others to a small one."""
    tally = Tally()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else base) as name, one_look():
        place = Path(name)
        sample, other = Sample.make(place, 36), Sample.make(place, 36, "pbox-two")
        step = max(1, len(sample.journal) * 6 // trials)
        check_flips(sample, tally, step=step, offset=seed % step)
        check_cuts(sample, tally, step=step)
        check_joins(sample, other, tally)
        check_hint(sample, tally, step=step)
        check_generations(place, tally)
        check_log(place / "log", tally, step=step)
        count = max(10, trials // 6)
        remarks = check_large(place, tally, jobs=10_000 if trials >= 2000 else 500, count=count, seed=seed)
        shutil.rmtree(place / "large")
    tally.acknowledged = 36
    return tally.figures("bytes", remarks)
