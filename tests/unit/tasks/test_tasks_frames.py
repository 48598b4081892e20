# SPDX-License-Identifier: Apache-2.0
"""Frames: what is written comes out again, whatever the pieces; what cannot be is refused before it costs anything."""

from __future__ import annotations

import hashlib
import os
import struct
import threading
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainbox.errors import TransportLost
from plainbox.tasks.frames import (
    DOWN,
    LARGEST_PAYLOAD,
    UP,
    Document,
    Frame,
    FrameReader,
    FrameWriter,
    Kind,
    document_frames,
    frame_of,
    json_frame,
    note_frame,
    parse_json,
    parse_output,
)

frames = st.lists(st.builds(Frame, st.sampled_from(sorted(UP)), st.binary(max_size=200)), max_size=20)


@given(frames, st.lists(st.integers(1, 50), min_size=1))
def test_pieces(sent, sizes):
    """Frames come out as they went in, however the stream is cut."""
    stream = b"".join(frame_of(frame.kind, frame.payload) for frame in sent)
    reader, got, turn = FrameReader(UP), [], 0
    while stream:
        size = sizes[turn % len(sizes)]
        got += reader.feed(stream[:size])
        stream, turn = stream[size:], turn + 1
    assert got == sent
    assert not reader.pending


@given(st.binary(max_size=2000))
def test_garbage(data):
    """Anything at all is either frames, or an error of the transport."""
    reader = FrameReader(UP)
    try:
        got = list(reader.feed(data))
    except TransportLost:
        return
    assert sum(len(frame.payload) + 5 for frame in got) <= len(data)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (struct.pack(">IB", LARGEST_PAYLOAD + 1, Kind.OUT), "a frame of 1048577 bytes"),
        (struct.pack(">IB", 0xFFFFFFFF, Kind.OUT), "a frame of 4294967295 bytes"),
        (struct.pack(">IB", 1, 99), "unknown kind 99"),
        (struct.pack(">IB", 1, Kind.GO), "unknown kind 6"),
        (bytes(5), "unknown kind 0"),
    ],
)
def test_header(header, message):
    """A length or a kind that cannot be is refused before the payload has come."""
    with pytest.raises(TransportLost, match=message):
        list(FrameReader(UP).feed(header))


def test_zeros_are_refused_at_once():
    """Zeros without end cost the memory of one read."""
    reader = FrameReader(UP)
    with pytest.raises(TransportLost):
        list(reader.feed(bytes(1 << 20)))


def test_frames_before_a_bad_one_are_good():
    """What came before the defect has come."""
    frames = FrameReader(UP).feed(frame_of(Kind.BYE) + bytes(5))
    assert next(frames) == Frame(Kind.BYE, b"")
    with pytest.raises(TransportLost):
        next(frames)


def test_too_large_a_frame_is_not_made():
    """This side makes no frame that the other one refuses."""
    assert len(frame_of(Kind.OUT, bytes(LARGEST_PAYLOAD))) == LARGEST_PAYLOAD + 5
    with pytest.raises(ValueError, match="1048577"):
        frame_of(Kind.OUT, bytes(LARGEST_PAYLOAD + 1))


@pytest.mark.parametrize("payload", [b"", b"[]", b"1", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 100_000])
def test_json(payload):
    """A payload that is no JSON object, however deep, is an error of the transport."""
    with pytest.raises(TransportLost, match="JSON"):
        parse_json(payload)


def test_json_keeps_bytes_that_are_no_text():
    """Names with bytes that are no text come through."""
    odd = os.fsdecode(bytes(range(128, 256)))
    frame = json_frame(Kind.HELLO, {"name": odd})
    assert parse_json(frame[5:]) == {"name": odd}


@pytest.mark.parametrize("size", [0, 1, LARGEST_PAYLOAD - 1, LARGEST_PAYLOAD, 3_000_000])
def test_document(size):
    """A document of any size comes out whole."""
    data = os.urandom(size)
    document, whole = Document(size), None
    for frame in FrameReader(DOWN).feed(b"".join(document_frames(Kind.LOAD, data))):
        assert whole is None
        whole = document.add(frame.payload)
    assert whole == data


@pytest.mark.parametrize(
    ("payloads", "message"),
    [
        ([b""], "no piece"),
        ([b"\0"], "no piece"),
        ([b"\2abc"], "no piece"),
        ([b"\1short"], "no piece"),
        ([b"\0abc", b"\1" + bytes(32)], "has changed"),
        ([b"\0" + bytes(60), b"\0" + bytes(60)], "more than 100 bytes"),
    ],
)
def test_bad_documents(payloads, message):
    """A document that grows beyond its limit, or is not what its digest says, is refused."""
    document = Document(100)
    *good, bad = payloads
    assert [document.add(payload) for payload in good] == [None] * len(good)
    with pytest.raises(TransportLost, match=message):
        document.add(bad)


def test_end_needs_the_digest():
    """The end of a document proves all of it."""
    document = Document(10)
    assert document.add(b"\0abc") is None
    assert document.add(b"\1" + hashlib.sha256(b"abc").digest()) == b"abc"


def test_notes_are_bounded():
    """A remark fits into one short frame, whatever its characters."""
    assert len(note_frame("\udcff€" * 5000)) <= 2005


@pytest.mark.parametrize("payload", [b"", bytes(15), bytes(16)])
def test_output_without_bytes(payload):
    """Output has bytes."""
    with pytest.raises(TransportLost, match="without any bytes"):
        parse_output(payload)


@pytest.fixture
def pipe():
    source, target = os.pipe()
    yield source, target
    for end in (source, target):
        with suppress(OSError):
            os.close(end)


def test_writer_numbers_output_of_several_threads(pipe):
    """Frames of several threads are whole, numbered in order, with times that do not go back."""
    source, target = pipe
    writer, begun_s = FrameWriter(target), time.monotonic()

    def write(kind):
        for _ in range(200):
            writer.output(kind, begun_s, bytes([kind]) * 1000)

    threads = [threading.Thread(target=write, args=(kind,)) for kind in (Kind.OUT, Kind.ERR)]
    for thread in threads:
        thread.start()
    reader, got = FrameReader(UP), []
    while len(got) < 400:
        got += reader.feed(os.read(source, 100_000))
    for thread in threads:
        thread.join()
    numbers, offsets, _ = zip(*(parse_output(frame.payload) for frame in got), strict=True)
    assert list(numbers) == list(range(400))
    assert list(offsets) == sorted(offsets)
    assert all(set(parse_output(frame.payload)[2]) == {frame.kind} for frame in got)


def test_writer_splits_large_output(pipe):
    """Output larger than a frame is several frames."""
    source, target = pipe
    writer, data = FrameWriter(target), os.urandom(2_500_000)
    thread = threading.Thread(target=writer.output, args=(Kind.OUT, time.monotonic(), data))
    thread.start()
    reader, got = FrameReader(UP), b""
    while len(got) < len(data):
        got += b"".join(parse_output(frame.payload)[2] for frame in reader.feed(os.read(source, 1 << 20)))
    thread.join()
    assert got == data


def test_writer_does_not_wait_for_ever(pipe):
    """A write that waits for a reader fails once the writer is abandoned; a beat never waits."""
    _, target = pipe
    writer = FrameWriter(target)
    failed = []

    def write():
        try:
            writer.write(frame_of(Kind.OUT, bytes(1_000_000)))
        except BrokenPipeError as error:
            failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    writer.beat()
    writer.abandon()
    thread.join(30)
    assert failed
    writer.beat()
