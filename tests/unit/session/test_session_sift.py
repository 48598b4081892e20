# SPDX-License-Identifier: Apache-2.0
"""Good lines are found wherever they stand, with an effort that a hostile file cannot raise."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from store_rig import ck, full, journal_of

from plainbox.session.codec import Line, decode_at, encode_line
from plainbox.session.repair import sift as sifting
from plainbox.session.repair.sift import BadPlace, GoodLine, sift
from plainbox.session.storage import SessionStorage
from plainbox.session.verification import verify
from plainbox.testing.files import FaultyFiles

NONE = "0" * 16


def line(seq: int) -> bytes:
    return encode_line(seq, NONE, {"t": "ck"}).rstrip(b"\n")


def made_up(size: int) -> bytes:
    """Headers that claim the rest of the file, a good line behind each of them, and no line feed."""
    good = line(1)
    header = b"PBJ1 1 %b %%d %b " % (NONE.encode(), NONE.encode())
    number = size // (len(good) + len(header) + 6)
    data, behind = [], 0
    for _ in range(number):
        behind += len(good)
        data.append((header % behind) + good)
        behind += len(data[-1]) - len(good)
    return b"".join(reversed(data))


def test_lines_without_line_feeds_are_found() -> None:
    """Whatever stands between them is told as bad, with its place."""
    lines = [line(seq) for seq in range(4)]
    data = lines[0] + lines[1] + b"rubbish" + lines[2] + b"PBJ1 7 " + lines[3] + b"\n"
    found = list(sift(io.BytesIO(data)))
    assert [item.line.seq for item in found if isinstance(item, GoodLine)] == [0, 1, 2, 3]
    assert [data[item.offset : item.end] for item in found if isinstance(item, BadPlace)] == [b"rubbish", b"PBJ1 7 "]


def test_effort_grows_with_the_size_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes that are hashed in a made-up file of twice the size are about twice as many."""
    hashed = 0

    def counting(data: bytes, offset: int) -> tuple[Line, int]:
        nonlocal hashed
        header = sifting._HEADER.match(data, offset)
        hashed += int(header[1]) if header is not None else 0
        return decode_at(data, offset)

    monkeypatch.setattr(sifting, "decode_at", counting)
    efforts = []
    for size in (50_000, 100_000, 200_000):
        hashed = 0
        data = made_up(size)
        assert isinstance(list(sift(io.BytesIO(data)))[1], GoodLine)
        efforts.append(hashed)
        assert hashed <= 4 * len(data)
    assert efforts[1] <= 2.6 * efforts[0]
    assert efforts[2] <= 2.6 * efforts[1]


def test_exhausted_effort_costs_its_piece_alone() -> None:
    """Behind the next line feed every line is looked at again."""
    data = made_up(100_000) + b"\n" + line(7) + b"\n"
    found = list(sift(io.BytesIO(data)))
    assert isinstance(found[-1], GoodLine)
    assert found[-1].line.seq == 7


def test_places_of_many_gaps_are_told(tmp_path: Path) -> None:
    """Each bad place has the number of the record that is missing there."""
    storage = SessionStorage.create(tmp_path, files=FaultyFiles())
    storage.save_checkpoint(full(meta={"title": "gaps"}))
    for number in range(9):
        storage.save_checkpoint(ck(meta={"title": str(number)}))
    storage.close()
    lines = journal_of(storage).read_bytes().splitlines(keepends=True)
    bad = range(5, len(lines) - 1, 2)
    for number in bad:
        lines[number] = lines[number].replace(b"PBJ1", b"pbj1")
    journal_of(storage).write_bytes(b"".join(lines))
    found = verify(storage).findings
    assert [item.seq for item in found if item.kind == "damaged"] == list(bad)
    starts = [sum(map(len, lines[:number])) for number in bad]
    assert [item.offset for item in found if item.kind == "damaged"] == starts
    assert [item.offset for item in found if item.kind == "lost"] == starts
