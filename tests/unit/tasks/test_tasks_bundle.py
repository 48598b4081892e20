# SPDX-License-Identifier: Apache-2.0
"""Bundles: what is written can be read, and whatever else comes along is refused before it does anything."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainbox.errors import SerializationError
from plainbox.tasks import bundle
from plainbox.tasks.bundle import PARTS, SCHEMA, Bundle

DOCUMENT = {"schema": SCHEMA, "k": [1]}
CONTENT = {f"{name}.dat": name.encode() for name in PARTS}
GOOD = {"invocation.json": json.dumps(DOCUMENT).encode(), **CONTENT}


class Unpacked:
    """A directory for attachments that tells whether it was asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked = 0

    def __call__(self) -> Path:
        self.asked += 1
        return self.path

    def read(self, data: bytes) -> Bundle:
        return bundle.read(io.BytesIO(data), self)


@pytest.fixture
def unpacked(tmp_path: Path) -> Unpacked:
    path = tmp_path / "unpacked"
    path.mkdir()
    return Unpacked(path)


def packed(entries, compression=zipfile.ZIP_STORED, change=None) -> bytes:
    """Return an archive of the entries: a mapping, or pairs when a name occurs twice."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in entries.items() if isinstance(entries, dict) else entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            if change is not None:
                change(info)
            archive.writestr(info, content)
    return stream.getvalue()


def written(attachments=()) -> bytes:
    stream = io.BytesIO()
    bundle.write(stream, Bundle(DOCUMENT, {name: name.encode() for name in PARTS}, tuple(attachments)))
    return stream.getvalue()


def test_round_trip(unpacked, tmp_path):
    """A bundle is read as it was written; its attachments become private files in their order."""
    files = [tmp_path / name for name in ("one", "two")]
    for number, file in enumerate(files):
        file.write_bytes(bytes([number]) * 100_000)
    found = unpacked.read(written(files))
    assert (found.document, found.parts) == (DOCUMENT, {name: name.encode() for name in PARTS})
    assert [path.read_bytes() for path in found.attachments] == [file.read_bytes() for file in files]
    assert {stat.S_IMODE(path.stat().st_mode) for path in found.attachments} == {0o600}
    assert unpacked.asked == 1


def test_same_bytes(unpacked):
    """Equal content is equal bytes, and without attachments no directory is asked for."""
    assert written() == written()
    assert unpacked.read(written()).attachments == ()
    assert unpacked.asked == 0


def test_stream_without_a_way_back(tmp_path, unpacked):
    """A bundle can be read from a pipe."""
    reader, writer = os.pipe()
    with open(reader, "rb") as source:
        with open(writer, "wb") as target:
            target.write(written())
        assert bundle.read(source, unpacked).document == DOCUMENT


def without(name):
    return {key: value for key, value in GOOD.items() if key != name}


def _as_link(info) -> None:
    if info.filename == "attachments/0":
        info.external_attr = (stat.S_IFLNK | 0o777) << 16


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cannot be read"),
        (b"PK" + b"junk" * 50, "cannot be read"),
        (packed({}), "there is no"),
        (packed(without("result.dat")), r"there is no result\.dat"),
        (packed(without("invocation.json")), r"there is no invocation\.json"),
        (packed({**GOOD, "../x": b""}), "'../x' too many"),
        (packed({**GOOD, "/etc/x": b""}), "'/etc/x' too many"),
        (packed({**GOOD, "attachments/../x": b""}), "too many"),
        (packed({**GOOD, "attachments/": b""}), "too many"),
        (packed({**GOOD, "attachments/00": b""}), "too many"),
        (packed({**GOOD, "attachments/1": b""}), "there is no 'attachments/0'"),
        (packed({**GOOD, "task.dat#x": b""}).replace(b"task.dat#x", b"task.dat\0x"), "too many"),
        (packed({**GOOD, "moderator.dat": b""}), "too many"),
        (packed({**GOOD, **{f"attachments/{n}": b"" for n in range(60)}}), "65 entries"),
        (packed({**GOOD, "attachments/0": b"/etc/passwd"}, change=_as_link), "no regular file"),
        (packed({**GOOD, "result.dat": b"\0" * 1_000_000}, zipfile.ZIP_DEFLATED), "packed too tightly"),
        (packed({**GOOD, "invocation.json": b"{"}), "cannot be read"),
        (packed({**GOOD, "invocation.json": b"[]"}), "its document is no"),
        (packed({**GOOD, "invocation.json": b'{"schema":"plainbox.invocation/2"}'}), "its document is no"),
        (packed({**GOOD, "invocation.json": b"[" * 100_000}, zipfile.ZIP_STORED), "nested too deeply|cannot be read"),
    ],
)
def test_refused(data, why, unpacked):
    """What is not exactly a bundle is refused with the reason, and nothing is left in the directory."""
    with pytest.raises(SerializationError, match=why):
        unpacked.read(data)
    assert list(unpacked.path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_name_that_occurs_twice(unpacked):
    """Of two entries with one name nobody knows which one counts."""
    with pytest.raises(SerializationError, match=r"'task\.dat' too many"):
        unpacked.read(packed([*GOOD.items(), ("task.dat", b"other")]))


def test_size_that_is_claimed(unpacked, monkeypatch):
    """What would be too large when it is unpacked is refused by what it claims, and cannot be more than it claims."""
    data = packed({**GOOD, "result.dat": b"x" * 1000})
    monkeypatch.setattr(bundle, "MOST_BYTES", 999)
    with pytest.raises(SerializationError, match="too large"):
        unpacked.read(data)
    monkeypatch.undo()
    directory = data.rindex(b"result.dat") - 46
    lying = bytearray(data)
    struct.pack_into("<L", lying, directory + 24, 10)  # the size in the directory of the archive
    with pytest.raises(SerializationError, match="cannot be read"):
        unpacked.read(bytes(lying))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods(unpacked, method):
    """Entries are stored or deflated: other methods take more memory than their sizes say."""
    with pytest.raises(SerializationError, match="packed in a way that is not used here"):
        unpacked.read(packed(GOOD, method))


def test_number_of_entries_comes_first(unpacked, monkeypatch):
    """An archive of very many entries is refused before any of them is looked at, a very large one as well."""
    many = packed({str(number): b"" for number in range(3000)})
    long = packed({"x" * 60_000 + str(number): b"" for number in range(2)})
    far = packed(GOOD)
    end = far.rindex(b"PK\5\6")
    far = far[:end] + b"PK\6\7" + bytes(16) + far[end:]
    monkeypatch.setattr(bundle.zipfile, "ZipFile", None)
    with pytest.raises(SerializationError, match="3000 entries"):
        unpacked.read(many)
    with pytest.raises(SerializationError, match="entries"):
        unpacked.read(long)
    with pytest.raises(SerializationError, match="too large"):
        unpacked.read(far)


def test_encrypted(unpacked):
    """An entry that wants a password is refused."""
    data = bytearray(packed(GOOD))
    directory = data.rindex(b"result.dat") - 46
    data[directory + 8] |= 1
    with pytest.raises(SerializationError, match="cannot be read"):
        unpacked.read(bytes(data))


def test_file_that_is_there(unpacked):
    """An attachment never goes through something that is in its place already."""
    victim = unpacked.path.parent / "victim"
    victim.write_bytes(b"safe")
    (unpacked.path / "0").symlink_to(victim)
    with pytest.raises(SerializationError):
        unpacked.read(packed({**GOOD, "attachments/0": b"overwritten"}))
    assert victim.read_bytes() == b"safe"


def test_too_much_to_write(tmp_path, monkeypatch):
    """What no reader would take is not written."""
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100_000)
    with pytest.raises(SerializationError, match="60 attachments cannot travel"):
        written([file] * 60)
    assert written([file] * 59)
    monkeypatch.setattr(bundle, "MOST_BYTES", 150_000)
    with pytest.raises(SerializationError, match="bytes cannot travel"):
        written([file])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage(tmp_path_factory, data):
    """A bundle with any bytes changed is read as it was, or refused with one kind of error."""
    good = bytearray(packed(GOOD, zipfile.ZIP_DEFLATED))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = bundle.read(io.BytesIO(bytes(good)), lambda: tmp_path_factory.mktemp("unpacked"))
    except SerializationError:
        return
    assert found.parts == {name: name.encode() for name in PARTS}
