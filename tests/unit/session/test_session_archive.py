# SPDX-License-Identifier: Apache-2.0
"""Archives of sessions: what goes in comes out, and nothing else ever does."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile_rig import nested
from hypothesis import given
from hypothesis import strategies as st
from store_rig import journal_of, session_with

from plainbox.errors import (
    CorruptedSessionError,
    IncompatibleSessionError,
    LockedStorageError,
    PlainboxError,
    SessionError,
    StorageError,
    UsageError,
)
from plainbox.session.archive import Limits, check_archive, restore_archive, write_archive
from plainbox.session.files import FileOps
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.storage import SessionStorage

Content = dict[str, tuple[bytes, int]]


@pytest.fixture
def session(tmp_path: Path) -> SessionStorage:
    """A session with results, a log, a script of a job in a directory of its own, and an odd name."""
    storage = session_with(tmp_path / "from", 5)
    storage.unlock()
    share = Path(storage.location, "session-share", "deep")
    share.mkdir(parents=True)
    (share / "script").write_text("#!/bin/sh\n")
    (share / "script").chmod(0o755)
    (share / os.fsdecode(b"\xff\n")).write_bytes(b"odd")
    (share / ("x" * 200)).touch()
    Path(storage.location, "io-logs", "a.1.iolog").write_bytes(os.urandom(3_000_000))
    return storage


@pytest.fixture
def there(tmp_path: Path) -> SessionStorageRepository:
    return SessionStorageRepository(tmp_path / "to" / "sessions")


def content_of(storage: SessionStorage) -> Content:
    top = Path(storage.location)
    return {
        str(path.relative_to(top)): (path.read_bytes() if path.is_file() else b"", path.stat().st_mode & 0o777)
        for path in top.rglob("*")
        if path.name != "lock"
    }


def test_there_and_back(session: SessionStorage, there: SessionStorageRepository, tmp_path: Path) -> None:
    """A restored session has every byte, also under odd names, for its owner alone, and loads."""
    written = write_archive(session, tmp_path / "a.tar.gz")
    restored = restore_archive(tmp_path / "a.tar.gz", there)
    private = {name: (data, 0o700 if mode & 0o100 else 0o600) for name, (data, mode) in content_of(session).items()}
    assert content_of(restored) == private
    assert restored.id == session.id == written.archive.id
    assert written.packed_bytes == os.stat(tmp_path / "a.tar.gz").st_size
    assert restored.load_checkpoint() == session.load_checkpoint()
    assert restored.journal_info().last_change == pytest.approx(session.journal_info().last_change or 0, abs=1)
    assert os.stat(tmp_path / "a.tar.gz").st_mode & 0o777 == 0o600
    assert [item.name for item in Path(there.location).iterdir()] == [f"{session.id}.session"]
    restored.lock()
    restored.unlock()


def test_equal_sessions_make_equal_archives(
    session: SessionStorage, there: SessionStorageRepository, tmp_path: Path
) -> None:
    """Names, times and contents decide the bytes of an archive, nothing else does."""
    write_archive(session, tmp_path / "one.tar.gz")
    restored = restore_archive(tmp_path / "one.tar.gz", there)
    write_archive(restored, tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_unpacked_by_hand(session: SessionStorage, there: SessionStorageRepository, tmp_path: Path) -> None:
    """What tar makes of an archive in a repository is a session, too, and its archive is the same again."""
    write_archive(session, tmp_path / "one.tar.gz")
    os.makedirs(there.location)
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        members = tar.getmembers()
        tar.extractall(there.location)
    assert members[0].name == f"{session.id}.session/archive.json"
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "", "")}
    [by_hand] = there.get_storage_list()
    assert by_hand.load_checkpoint() == session.load_checkpoint()
    write_archive(by_hand, tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_what_cannot_be_carried(session: SessionStorage, there: SessionStorageRepository, tmp_path: Path) -> None:
    """Links and pipes are named as left out, and then the session is not removed; an unfinished journal is no loss."""
    os.symlink("/etc/passwd", os.path.join(session.location, "session-share", "link"))
    os.mkfifo(os.path.join(session.location, "pipe"))
    Path(session.location, "journal-000009.pbj.tmp").touch()
    archive = write_archive(session, tmp_path / "a.tar.gz", remove=True).archive
    assert archive.left_out == ("pipe", "session-share/link")
    assert os.path.isdir(session.location)
    names = content_of(restore_archive(tmp_path / "a.tar.gz", there))
    assert not {"pipe", "session-share/link", "journal-000009.pbj.tmp"} & set(names)


def test_removed_when_archived(session: SessionStorage, there: SessionStorageRepository, tmp_path: Path) -> None:
    """On request the session goes when its archive is there."""
    before = session.load_checkpoint()
    write_archive(session, tmp_path / "a.tar.gz", remove=True)
    assert not os.path.exists(session.location)
    assert restore_archive(tmp_path / "a.tar.gz", there).load_checkpoint() == before


@pytest.mark.parametrize("how", ["here", "by a link", "over a log"])
def test_archive_in_its_session(session: SessionStorage, tmp_path: Path, how: str) -> None:
    """An archive in the session would go with it: it is refused before anything is written."""
    before = content_of(session)
    (tmp_path / "link").symlink_to(os.path.join(session.location, "io-logs"))
    target = {
        "here": Path(session.location, "a.tar.gz"),
        "by a link": tmp_path / "link" / "a.tar.gz",
        "over a log": Path(session.location, "io-logs", "a.1.iolog"),
    }[how]
    with pytest.raises(UsageError, match="in the session"):
        write_archive(session, target, remove=True, replace=how == "over a log")
    assert content_of(session) == before


def test_archive_that_vanishes(session: SessionStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session stays unless the archive is in its place, as it was read back."""
    target = tmp_path / "a.tar.gz"
    for trouble in (target.unlink, lambda: os.replace(shutil.copy(target, tmp_path / "copy"), target)):
        sync = FileOps.sync_directory
        with monkeypatch.context() as patch:
            patch.setattr(FileOps, "sync_directory", lambda ops, path: (sync(ops, path), trouble()))  # noqa: B023
            with pytest.raises(StorageError, match=r"a\.tar\.gz"):
                write_archive(session, target, remove=True)
        assert session.load_checkpoint()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "from"]


def test_nothing_is_skipped_silently(session: SessionStorage, there: SessionStorageRepository, tmp_path: Path) -> None:
    """Whatever is not an unfinished journal is in the archive, or keeps the session from being removed."""
    top = Path(session.location)
    (top / "notes.tmp").write_text("mine")
    (top / "kept.tmp").mkdir()
    (top / "kept.tmp" / "data").write_text("mine too")
    write_archive(session, tmp_path / "a.tar.gz", remove=True)
    assert not top.exists()
    restored = Path(restore_archive(tmp_path / "a.tar.gz", there).location)
    assert ((restored / "notes.tmp").read_text(), (restored / "kept.tmp" / "data").read_text()) == ("mine", "mine too")


@pytest.mark.parametrize("name", ["archive.json", "lock", "journal-000009.pbj.tmp/x"])
def test_data_in_the_place_of_ours(
    session: SessionStorage, there: SessionStorageRepository, tmp_path: Path, name: str
) -> None:
    """A name that an archive uses for something else is told as left out, and what only looks unfinished is kept."""
    place = Path(session.location, name)
    if name == "lock":
        place.unlink()
        place.mkdir()
        place = place / "data"
    place.parent.mkdir(exist_ok=True)
    place.write_text("{}")
    archive = write_archive(session, tmp_path / "a.tar.gz", remove=True).archive
    if name.endswith("/x"):
        assert Path(restore_archive(tmp_path / "a.tar.gz", there).location, name).read_text() == "{}"
    else:
        assert archive.left_out == (name,)
        assert place.read_text() == "{}"


def test_what_no_reader_would_take(session: SessionStorage, tmp_path: Path) -> None:
    """A session that could not be restored is refused in our words, and nothing is written."""
    deep = session.location
    for _ in range(16):
        deep = os.path.join(deep, "d" * 200)
        os.mkdir(deep)
    with pytest.raises(StorageError, match=r"cannot be in an archive: .* nested too deeply"):
        write_archive(session, tmp_path / "a.tar.gz", remove=True)
    assert sorted(os.listdir(tmp_path)) == ["from"]
    assert session.load_checkpoint()


def test_directories_that_are_nested_too_deeply(session: SessionStorage, tmp_path: Path) -> None:
    """They are told in one short line, with what to do, and the session can be removed all the same."""
    with nested(Path(session.location, "session-share", "made by a job")):
        with pytest.raises(StorageError, match=r"session-share/made by a job/d/.* is nested too deeply") as refused:
            write_archive(session, tmp_path / "a.tar.gz")
        assert len(str(refused.value)) < 250
        assert "remove" in (refused.value.hint or "")
        session.remove()
        assert os.listdir(tmp_path / "from") == []


ARMED = {"resume.env": "TOKEN=secret", "watchdog-mark": "", "session-share/__respawn_plainbox": "go on"}
#: What a write that was interrupted has left of it.
HALF_ARMED = {".resume.env.0011aaff.tmp": "TOKEN=secret", "session-share/.__respawn_checkbox.0011aaff.tmp": "go on"}


def arm(session: SessionStorage) -> None:
    for name, text in {**ARMED, **HALF_ARMED}.items():
        Path(session.location, name).write_text(text)


def test_what_lets_a_session_go_on_stays(session: SessionStorage, tmp_path: Path) -> None:
    """An archive has none of the variables and commands with which the session goes on by itself on its own machine."""
    before = write_archive(session, tmp_path / "one.tar.gz").archive
    arm(session)
    written = write_archive(session, tmp_path / "two.tar.gz", remove=True)
    assert written.archive == before
    assert not os.path.exists(session.location)
    assert b"secret" not in gzip.decompress((tmp_path / "two.tar.gz").read_bytes())


def test_an_archive_arms_nothing(
    session: SessionStorage, there: SessionStorageRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an archive has of that, as files or as directories, is not restored; the rest is."""
    arm(session)
    Path(session.location, "session-share", "__respawn_checkbox", "x").mkdir(parents=True)
    with monkeypatch.context() as patched:
        patched.setattr("plainbox.session.archive.lets_go_on", lambda path: False)
        archive = write_archive(session, tmp_path / "a.tar.gz").archive
    assert {*ARMED, *HALF_ARMED} <= {file.path for file in archive.files}
    names = set(content_of(restore_archive(tmp_path / "a.tar.gz", there)))
    assert not {name for name in names if "respawn" in name or "resume" in name or "mark" in name}
    assert "session-share/deep/script" in names


def test_damaged_session(session: SessionStorage, there: SessionStorageRepository, tmp_path: Path) -> None:
    """Bytes are bytes: a session that cannot be read is carried as it is, also without a proper lock."""
    journal_of(session).write_bytes(b"garbage")
    os.unlink(os.path.join(session.location, "lock"))
    os.symlink("/etc/passwd", os.path.join(session.location, "lock"))
    write_archive(session, tmp_path / "a.tar.gz")
    assert journal_of(restore_archive(tmp_path / "a.tar.gz", there)).read_bytes() == b"garbage"


def test_running_session(session: SessionStorage, tmp_path: Path) -> None:
    """A session that somebody uses is refused, and nothing is written."""
    owner = SessionStorage(session.location)
    owner.lock()
    with pytest.raises(LockedStorageError):
        write_archive(session, tmp_path / "a.tar.gz", remove=True)
    owner.close()
    assert sorted(os.listdir(tmp_path)) == ["from"]


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_nothing_is_overwritten(session: SessionStorage, tmp_path: Path, kind: str) -> None:
    """What is there stays, unless it is a file that may be replaced."""
    target = tmp_path / "a.tar.gz"
    {
        "file": lambda: target.write_text("old"),
        "directory": target.mkdir,
        "link": lambda: target.symlink_to(tmp_path / "elsewhere"),
    }[kind]()
    with pytest.raises(UsageError, match="exists"):
        write_archive(session, target, remove=True)
    if kind == "file":
        assert target.read_text() == "old"
        write_archive(session, target, replace=True)
        check_archive(target)
    else:
        with pytest.raises(UsageError, match="exists"):
            write_archive(session, target, replace=True)
    assert os.path.isdir(session.location)


def test_place_that_cannot_be_written(session: SessionStorage, tmp_path: Path) -> None:
    """A place without a directory is an error in our words; the session stays."""
    with pytest.raises(StorageError, match="cannot be written"):
        write_archive(session, tmp_path / "no" / "a.tar.gz", remove=True)
    assert os.path.isdir(session.location)


def test_a_session_that_exists_is_not_replaced(session: SessionStorage, tmp_path: Path) -> None:
    """An id that is taken is refused; another one can be given."""
    repository = SessionStorageRepository(tmp_path / "from")
    write_archive(session, tmp_path / "a.tar.gz")
    before = content_of(session)
    with pytest.raises(UsageError, match="already"):
        restore_archive(tmp_path / "a.tar.gz", repository)
    assert content_of(session) == before
    copy = restore_archive(tmp_path / "a.tar.gz", repository, as_id="copy")
    assert copy.id == "copy"
    assert copy.load_checkpoint() == session.load_checkpoint()
    assert restore_archive(tmp_path / "a.tar.gz", repository, as_id="other.session").id == "other"
    shutil.rmtree(os.path.join(repository.location, "other.session"))
    for name in ("../x", "x.session.session", ".session", ".hidden", "", "a/b", "a\nb", "x" * 300):
        with pytest.raises(UsageError, match="no id"):
            restore_archive(tmp_path / "a.tar.gz", repository, as_id=name)
    assert len(os.listdir(repository.location)) == 2


# Hostile archives

Change = Callable[[dict[str, Any], list[tuple[tarfile.TarInfo, bytes]]], None]


def forged(path: Path, change: Change | None = None) -> Path:
    """Write an archive of two files that is good but for what ``change`` does to its manifest and its members."""
    data = {"a": b"alpha", "io-logs/b": b"beta"}
    manifest: dict[str, Any] = {
        "schema": "plainbox.archive/1",
        "id": "forged",
        "directories": ["io-logs"],
        "files": [
            {"path": name, "size": len(text), "sha256": hashlib.sha256(text).hexdigest()} for name, text in data.items()
        ],
        "left_out": [],
    }
    directory = tarfile.TarInfo("forged.session/io-logs")
    directory.type = tarfile.DIRTYPE
    members = [(directory, b"")]
    for name, text in data.items():
        members.append((tarfile.TarInfo(f"forged.session/{name}"), text))
        members[-1][0].size = len(text)
    if change is not None:
        change(manifest, members)
    text = json.dumps(manifest).encode()
    first = tarfile.TarInfo("forged.session/archive.json")
    first.size = len(text)
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        for member, content in [(first, text), *members]:
            tar.addfile(member, io.BytesIO(content))
    return path


def _name(text: str) -> Change:
    def change(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        manifest["files"][0]["path"] = text
        members[1][0].name = f"forged.session/{text}"

    return change


def _type(kind: bytes, linkname: str = "/etc/passwd") -> Change:
    def change(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[1][0].type, members[1][0].linkname = kind, linkname

    return change


def _manifest(**keys: Any) -> Change:
    return lambda manifest, members: manifest.update(keys)


def _file(**keys: Any) -> Change:
    return lambda manifest, members: manifest["files"][0].update(keys)


def _bomb(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members[1][0].pax_headers = {"comment": "x" * 5_000_000}


def _linked_directory(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members[0][0].type, members[0][0].linkname = tarfile.SYMTYPE, "/tmp"


def _no_session(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    manifest["directories"].clear()
    del manifest["files"][1], members[2], members[0]


HOSTILE: dict[str, Change] = {
    "up": _name("../a"),
    "far up": _name("io-logs/../../../a"),
    "absolute": _name("/a"),
    "itself": _name("."),
    "empty": _name(""),
    "nul": _name("a\0b"),
    "lock": _name("lock"),
    "no directory": _name("e/a"),
    "too long": _name("x" * 300),
    "twice": _name("io-logs/b"),
    "symbolic link": _type(tarfile.SYMTYPE),
    "hard link": _type(tarfile.LNKTYPE, "forged.session/io-logs/b"),
    "device": _type(tarfile.CHRTYPE),
    "pipe": _type(tarfile.FIFOTYPE),
    "sparse file": _type(tarfile.GNUTYPE_SPARSE),
    "linked directory": _linked_directory,
    "wrong sum": _file(sha256="0" * 64),
    "wrong size": _file(size=6),
    "huge size": _file(size=10**30),
    "negative size": _file(size=-1),
    "size of true": _file(size=True),
    "no list": _manifest(files=5),
    "names are no texts": _manifest(directories=[1]),
    "directories out of order": _manifest(directories=["io-logs/e", "io-logs"]),
    "one file less in the manifest": lambda manifest, members: manifest["files"].pop(),
    "one file less in the archive": lambda manifest, members: [members.pop(), None][1],
    "another order": lambda manifest, members: members.reverse(),
    "another id": _manifest(id="../../x"),
    "another schema": _manifest(schema="something/1"),
    "bomb in a header": _bomb,
    "unknown key": _manifest(more={}),
    "unknown key of a file": _file(mode=0),
    "no session": _no_session,
    "manifest that is too long": _manifest(left_out=["x" * (32 * 1024 * 1024)]),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_archive(what: str, there: SessionStorageRepository, tmp_path: Path) -> None:
    """An archive that was not written by us is refused with its name, and leaves nothing anywhere."""
    os.makedirs(there.location)
    path = forged(tmp_path / "bad.tar.gz", HOSTILE[what])
    with pytest.raises(CorruptedSessionError, match=r"bad\.tar\.gz"):
        restore_archive(path, there)
    assert os.listdir(there.location) == []
    assert sorted(os.listdir(tmp_path)) == ["bad.tar.gz", "to"]


def test_forgery_without_fault(there: SessionStorageRepository, tmp_path: Path) -> None:
    """The archive that the hostile ones are made from is a good one."""
    restored = restore_archive(forged(tmp_path / "good.tar.gz"), there)
    assert content_of(restored) == {"a": (b"alpha", 0o600), "io-logs": (b"", 0o700), "io-logs/b": (b"beta", 0o600)}


def test_limits(there: SessionStorageRepository, tmp_path: Path) -> None:
    """More files or bytes than are allowed are refused before anything is written."""
    path = forged(tmp_path / "good.tar.gz")
    for limits in (Limits(files=2), Limits(size_bytes=8)):
        with pytest.raises(CorruptedSessionError, match="more than"):
            restore_archive(path, there, limits=limits)
    assert not os.path.exists(there.location)


def test_more_than_there_is_room_for(there: SessionStorageRepository, tmp_path: Path) -> None:
    """What the disk cannot hold is refused as such."""
    path = forged(tmp_path / "good.tar.gz", _file(size=2**39))
    with pytest.raises(SessionError, match=r"No space left|not as it was"):
        restore_archive(path, there)
    assert os.listdir(there.location) == []


def test_later_version(there: SessionStorageRepository, tmp_path: Path) -> None:
    """An archive of a later version is told apart from a damaged one."""
    path = forged(tmp_path / "later.tar.gz", _manifest(schema="plainbox.archive/2"))
    with pytest.raises(IncompatibleSessionError, match=r"plainbox\.archive/2"):
        restore_archive(path, there)


@pytest.mark.parametrize(
    "data",
    [b"", b"no archive", gzip.compress(b"", mtime=0), gzip.compress(b"x" * 100_000, mtime=0)],
    ids=["nothing", "text", "packed nothing", "packed text"],
)
def test_no_archive(data: bytes, there: SessionStorageRepository, tmp_path: Path) -> None:
    """What is no archive is refused."""
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(CorruptedSessionError):
        restore_archive(tmp_path / "x", there)


@pytest.mark.parametrize("what", ["itself", "zeros", "zeros inside", "data inside"])
def test_nothing_follows_an_archive(what: str, there: SessionStorageRepository, tmp_path: Path) -> None:
    """A file that goes on behind its archive is no archive."""
    os.makedirs(there.location)
    path = forged(tmp_path / "a.tar.gz")
    data = path.read_bytes()
    tar = gzip.decompress(data)
    assert len(tar) % tarfile.RECORDSIZE == 0
    path.write_bytes(
        {
            "itself": data * 2,
            "zeros": data + b"\0" * 100_000,
            "zeros inside": gzip.compress(tar + b"\0" * tarfile.RECORDSIZE),
            "data inside": gzip.compress(tar[:-1] + b"x"),
        }[what]
    )
    with pytest.raises(CorruptedSessionError, match="something follows"):
        check_archive(path)
    with pytest.raises(CorruptedSessionError, match="something follows"):
        restore_archive(path, there)
    assert os.listdir(there.location) == []


@pytest.mark.parametrize("unit", [b"[],", b"{},", b'{"a":0},', b"0,", b"[["])
def test_manifest_that_costs_memory(unit: bytes, there: SessionStorageRepository, tmp_path: Path) -> None:
    """A small archive whose manifest says a lot of nothing is refused before it is taken apart."""
    text = b'{"schema": "plainbox.archive/1", "left_out": [' + unit * (15_000_000 // len(unit)) + b"0]}"
    first = tarfile.TarInfo("x.session/archive.json")
    first.size = len(text)
    with tarfile.open(tmp_path / "x", "w:gz") as tar:
        tar.addfile(first, io.BytesIO(text))
    del text
    tracemalloc.start()
    try:
        with pytest.raises(CorruptedSessionError, match="longer than"):
            restore_archive(tmp_path / "x", there)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_manifest_of_brackets(there: SessionStorageRepository, tmp_path: Path) -> None:
    """A manifest that is nested without end is refused."""
    text = b"[" * 200_000
    first = tarfile.TarInfo("x.session/archive.json")
    first.size = len(text)
    with tarfile.open(tmp_path / "x", "w:gz") as tar:
        tar.addfile(first, io.BytesIO(text))
    with pytest.raises(CorruptedSessionError):
        restore_archive(tmp_path / "x", there)


@given(data=st.data())
def test_broken_archive(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An archive that was cut or in which a byte was changed restores what it held, or nothing and an error."""
    base = tmp_path_factory.mktemp("broken")
    good = forged(base / "good.tar.gz").read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    cut = data.draw(st.booleans())
    bad = (
        good[:place]
        if cut
        else good[:place] + bytes([good[place] ^ data.draw(st.integers(1, 255))]) + good[place + 1 :]
    )
    (base / "bad.tar.gz").write_bytes(bad)
    repository = SessionStorageRepository(base / "sessions")
    try:
        restored = restore_archive(base / "bad.tar.gz", repository)
    except PlainboxError:
        assert not os.path.isdir(repository.location) or os.listdir(repository.location) == []
    else:
        assert not cut
        assert content_of(restored) == {"a": (b"alpha", 0o600), "io-logs": (b"", 0o700), "io-logs/b": (b"beta", 0o600)}
    shutil.rmtree(base)
