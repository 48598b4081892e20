# SPDX-License-Identifier: Apache-2.0
"""The store of the cache: one file for each item, whole or not there."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from plainbox.errors import TaskError
from plainbox.tasks.cache import CacheItem, CacheStore, store
from plainbox.tasks.cache.lock import KeyLock
from plainbox.tasks.cache.output import MAX_LOG_BYTES, Recorder, read_log

KEY = sha256(b"an item").hexdigest()


def key(number: int) -> str:
    return sha256(b"%d" % number).hexdigest()


def item(name: str = KEY, result: bytes = b"result", **more: object) -> CacheItem:
    return CacheItem(name, result, b"log", time.time(), {"job": "org.example::job"}, **more)  # type: ignore[arg-type]


@pytest.fixture
def cache(tmp_path: Path) -> CacheStore:
    return CacheStore(tmp_path / "cache")


def files(cache: CacheStore) -> list[Path]:
    return [path for path in cache.directory.rglob("*") if path.is_file()]


def in_child(action: Callable[[], object]) -> int:
    """Do something in a process of its own, and return how that ended."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
            os._exit(0)
        except BaseException:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_round_trip(cache: CacheStore) -> None:
    """What was published is found again, byte for byte, by another store of the same directory."""
    assert cache.look_up(KEY) is None
    kept = item(result=bytes(range(256)))
    cache.publish(kept)
    assert CacheStore(cache.directory).look_up(KEY) == kept
    assert [entry.key for entry in cache.entries()] == [KEY]


def test_private(cache: CacheStore) -> None:
    """Nobody else can look at it, whatever the mask says."""
    before = os.umask(0)
    try:
        cache.publish(item())
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (cache.directory, *cache.directory.rglob("*")) if path.is_dir()}
    assert modes == {0o700}
    assert {path.stat().st_mode & 0o777 for path in files(cache)} == {0o600}


@pytest.mark.parametrize("which", [".", "v1"])
def test_writable_by_others(cache: CacheStore, which: str) -> None:
    """A directory that others can write to is refused, for reading and for writing."""
    cache.publish(item())
    (cache.directory / which).chmod(0o777)
    for use in (lambda: cache.look_up(KEY), lambda: cache.publish(item()), cache.entries, cache.verify):
        with pytest.raises(TaskError, match="written by others"):
            use()


def test_link_in_place(cache: CacheStore, tmp_path: Path) -> None:
    """A link in the place of the directory or of an item is not followed."""
    cache.publish(item())
    path = Path(cache.path_of(KEY))
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert cache.look_up(KEY) is None
    assert (tmp_path / "elsewhere").exists()
    (tmp_path / "link").symlink_to(cache.directory)
    with pytest.raises(TaskError, match="no directory"):
        CacheStore(tmp_path / "link").look_up(KEY)


def test_every_byte(cache: CacheStore, caplog: pytest.LogCaptureFixture) -> None:
    """An item with any byte changed, or cut short anywhere, counts as none and goes, with one warning."""
    cache.publish(item())
    path = Path(cache.path_of(KEY))
    good = path.read_bytes()
    broken = [good[:place] for place in range(len(good))]
    broken += [good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :] for place in range(len(good))]
    broken.append(good + b"x")
    for content in broken:
        path.write_bytes(content)
        caplog.clear()
        assert cache.look_up(KEY) is None
        assert len(caplog.records) == 1
        assert not path.exists()


def test_item_of_another_key(cache: CacheStore) -> None:
    """A good item under the name of another one is no good there."""
    cache.publish(item())
    other = Path(cache.path_of(key(1)))
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(Path(cache.path_of(KEY)).read_bytes())
    assert cache.look_up(key(1)) is None
    assert cache.look_up(KEY) is not None


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch executed",)


@pytest.mark.parametrize("head", [True, False])
def test_crafted(cache: CacheStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: bool) -> None:
    """A pickle in the place of an item is never read as one, be its checksum right or not."""
    monkeypatch.chdir(tmp_path)
    cache.publish(item())
    evil = pickle.dumps(Evil())
    Path(cache.path_of(KEY)).write_bytes(b"PBC1 %b\n%b" % (sha256(evil).hexdigest().encode(), evil) if head else evil)
    assert cache.look_up(KEY) is None
    assert not (tmp_path / "executed").exists()


def test_fifo(cache: CacheStore) -> None:
    """A pipe or a directory in the place of an item makes nobody wait, and verify clears it away."""
    for number, make in enumerate((os.mkfifo, os.mkdir)):
        cache.publish(item(key(number)))
        os.unlink(cache.path_of(key(number)))
        make(cache.path_of(key(number)))
    assert {name for name, _ in cache.verify().removed} == {key(0), key(1)}
    assert not cache.entries()


def test_ttl(cache: CacheStore) -> None:
    """An item counts for as long as it is young enough; one from the future does not."""
    now = time.time()
    cache.publish(CacheItem(KEY, b"", created=now - 100))
    assert cache.look_up(KEY, ttl_s=200) is not None
    assert cache.look_up(KEY, ttl_s=50) is None
    cache.publish(CacheItem(KEY, b"", created=now + 1000))
    assert cache.look_up(KEY, ttl_s=50) is None


def test_killed_anywhere(cache: CacheStore) -> None:
    """A process that is killed at any line of publishing leaves no item or a whole one, and verify clears up."""
    lines = 0

    def killed_at(line: int) -> int:
        def publish() -> None:
            left = line

            def trace(frame: object, event: str, argument: object) -> object:
                nonlocal left
                if frame.f_code.co_filename == store.__file__ and event == "line":  # type: ignore[attr-defined]
                    left -= 1
                    if left == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                return trace

            sys.settrace(trace)  # type: ignore[arg-type]
            cache.publish(item())

        return in_child(publish)

    seen = set()
    while killed_at(lines + 1) == -signal.SIGKILL:
        lines += 1
        there = os.path.exists(cache.path_of(KEY))
        seen.add(there)
        assert (cache.look_up(KEY) is not None) == there
        assert not cache.verify().removed
        assert files(cache) == ([Path(cache.path_of(KEY))] if there else [])
        cache.evict(which=lambda entry: True)
    cache.publish(item())
    assert cache.look_up(KEY) is not None
    assert lines > 20
    assert seen == {False, True}


def test_killed_writer_is_swept(cache: CacheStore) -> None:
    """What a killed writer left goes with the next item of another process, what a living one writes stays."""
    cache.publish(item())
    new = cache.directory / "v1" / "new"
    (new / "item-999999999-1-abc").touch()
    living = new / f"{store.name_of_owner('item-')}def"
    living.touch()
    CacheStore(cache.directory).publish(item())
    assert list(new.iterdir()) == [living]


def test_no_space(cache: CacheStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails leaves nothing behind, and the old item as it was."""
    cache.publish(item())
    monkeypatch.setattr(os, "fsync", lambda fd: os.write(-1, b""))
    with pytest.raises(OSError, match="Bad file"):
        cache.publish(item(result=b"other"))
    monkeypatch.undo()
    found = cache.look_up(KEY)
    assert found is not None
    assert found.result == b"result"
    assert len(files(cache)) == 1


def used(cache: CacheStore, name: str, seconds_ago: float) -> None:
    os.utime(cache.path_of(name), (time.time() - seconds_ago,) * 2)


def test_least_used_go(tmp_path: Path) -> None:
    """Past the limit the items go that were not used for the longest time; a look-up is a use."""
    cache = CacheStore(tmp_path / "cache", max_size_bytes=10_000)
    for number in range(6):
        cache.publish(item(key(number), bytes(1200)))
        used(cache, key(number), 1000 - number)
    assert cache.look_up(key(0)) is not None
    cache.publish(item(key(6), bytes(3000)))
    there = {number for number in range(7) if cache.look_up(key(number), touch=False)}
    assert {0, 6} <= there
    assert 1 not in there
    assert sum(path.stat().st_size for path in files(cache)) <= 10_000


def test_locked_stay(cache: CacheStore) -> None:
    """What somebody computes at the moment stays, and goes the next time."""
    for number in range(3):
        cache.publish(item(key(number)))
    lock = cache.lock(key(1))
    assert lock is not None
    assert len(cache.evict(max_size_bytes=0)) == 2
    assert [entry.key for entry in cache.entries()] == [key(1)]
    lock.release()
    assert len(cache.evict(which=lambda entry: True)) == 1
    assert not files(cache)


def test_too_large(tmp_path: Path) -> None:
    """What is larger than the whole cache is not kept, and pushes nothing out."""
    cache = CacheStore(tmp_path / "cache", max_size_bytes=2000)
    cache.publish(item())
    with pytest.raises(ValueError, match="the whole cache"):
        cache.publish(item(key(1), bytes(5000)))
    assert [entry.key for entry in cache.entries()] == [KEY]


def test_lock(tmp_path: Path) -> None:
    """One has it at a time, its file is there no longer than that, and a death gives it back."""
    path = str(tmp_path / "lock")
    first = KeyLock.try_to_take(path)
    assert first is not None
    assert KeyLock.try_to_take(path) is None
    assert in_child(lambda: os._exit(0 if KeyLock.try_to_take(path) is None else 1)) == 0
    first.release()
    first.release()
    assert not os.path.exists(path)
    assert in_child(lambda: (KeyLock.try_to_take(path), os.kill(os.getpid(), signal.SIGKILL))) == -signal.SIGKILL
    second = KeyLock.try_to_take(path)
    assert second is not None
    second.release()


def test_lock_is_not_released_by_a_child(tmp_path: Path) -> None:
    """A child made by fork that ends, or gives back what it inherited, leaves the lock to its owner."""
    path = str(tmp_path / "lock")
    lock = KeyLock.try_to_take(path)
    assert lock is not None
    assert in_child(lock.release) == 0
    assert KeyLock.try_to_take(path) is None
    lock.release()


def test_one_at_a_time(tmp_path: Path) -> None:
    """Processes that fight for a lock never have it at the same time."""
    path, inside = str(tmp_path / "lock"), str(tmp_path / "inside")

    def fight() -> None:
        for _ in range(100):
            while (lock := KeyLock.try_to_take(path)) is None:
                pass
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            os.unlink(inside)
            lock.release()

    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                fight()
                os._exit(0)
            except BaseException:
                os._exit(99)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]


def test_about_before_all(cache: CacheStore) -> None:
    """What an item is of can be told without reading it whole, and one that is damaged there says nothing."""
    cache.publish(item())
    entry = cache.entries()[0]
    about = entry.about()
    assert about is not None
    assert about.about == {"job": "org.example::job"}
    Path(entry.path).write_bytes(b"PBC1 nonsense")
    assert entry.about() is None


def test_recorded_output() -> None:
    """What was printed is kept with its streams, its order and its bytes, up to a limit."""
    recorder = Recorder()
    recorder.write("stdout", b"o 3\nabc\0\xff")
    recorder.note("a note \udcff")
    recorder.write("stderr", b"\n")
    pieces = read_log(recorder.log())
    assert [(piece.kind, piece.data) for piece in pieces] == [
        (b"o", b"o 3\nabc\0\xff"),
        (b"n", b"a note \\udcff"),
        (b"e", b"\n"),
    ]
    assert not recorder.overflowed
    recorder.write("stdout", bytes(MAX_LOG_BYTES))
    assert recorder.overflowed
    assert recorder.log() == b""


@pytest.mark.parametrize(
    "log", [b"o 3\nab", b"o 99\nab", b"x 2\nab", b"o -1\n", b"o \n", b"nonsense", b"o 1" + b"0" * 30]
)
def test_bad_output(log: bytes) -> None:
    """A log that nobody has recorded is refused."""
    with pytest.raises(ValueError, match="its log"):
        read_log(log)


def test_quiet_by_default(cache: CacheStore, caplog: pytest.LogCaptureFixture) -> None:
    """A store that works warns of nothing."""
    with caplog.at_level(logging.WARNING):
        cache.publish(item())
        cache.look_up(KEY)
        cache.verify()
        cache.evict(which=lambda entry: True)
    assert not caplog.records
