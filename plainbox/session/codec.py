# SPDX-License-Identifier: Apache-2.0
r"""One record of a journal and its line.

A line is ``PBJ1 <seq> <prev> <len> <sum> <payload>`` and a line feed, with single blanks:

======== ===========================================================================================
seq      number of the line in its file, from 0, decimal without leading zeros
prev     the sum of the line before, sixteen ``0`` for the first
len      length of the payload in bytes, decimal, 2 to 16 777 216
sum      BLAKE2b with a digest of 8 bytes over ``PBJ1 <seq> <prev> <len> `` and the payload, in hex
payload  one JSON object: ASCII, sorted keys, compact; no NaN or infinity, integers below 2^53
======== ===========================================================================================

So a line never holds a raw line feed or a NUL, verifies on its own, and is chained to the one before. Text inside a
payload cannot imitate a line, because every payload has quotes and JSON escapes them. Blanks after the object belong
to the payload and mean nothing; this module reads them and never writes them.

Used by the journal and by whatever inspects one. Pure: no I/O here.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Final, NamedTuple, TypeAlias

__all__ = [
    "MAX_PAYLOAD_BYTES",
    "NO_SUM",
    "JsonObject",
    "Line",
    "decode_at",
    "decode_line",
    "encode_body",
    "encode_line",
    "frame_body",
    "last_of_chain",
    "parse_object",
]

JsonObject: TypeAlias = dict[str, Any]

NO_SUM: Final = "0" * 16
MAX_PAYLOAD_BYTES: Final = 16 * 1024 * 1024
MAGIC: Final = b"PBJ1 "

_MAX_INTEGER: Final = 2**53
_HEADER = re.compile(
    rb"(PBJ1 (0|[1-9][0-9]{0,14}) ([0-9a-f]{16}) ([1-9][0-9]{0,7}) )([0-9a-f]{16}) ",
)
# A run of digits that may be an integer beyond the limit; most payloads have none, so the walk is rare.
_LONG_NUMBER = re.compile(r"[0-9]{16}")


class Line(NamedTuple):
    """One verified line: its place in the chain and what it says."""

    seq: int
    prev: str
    sum: str
    payload: JsonObject


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not allowed")


_encoder = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False)
_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def _check_integers(value: object) -> None:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list | tuple):
            stack.extend(item)
        elif isinstance(item, int) and not -_MAX_INTEGER < item < _MAX_INTEGER:
            raise ValueError(f"the integer {item} does not fit into 53 bits")


def encode_body(payload: JsonObject, *, checked: bool = False) -> bytes:
    """Return the canonical JSON of a payload; what it cannot hold raises :class:`ValueError`.

    ``checked`` says that the numbers in it were looked at before, which takes a while in a large one.
    """
    try:
        text = _encoder.encode(payload)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"this cannot be stored: {error}") from error
    if not checked and _LONG_NUMBER.search(text):
        _check_integers(payload)
    return text.encode("ascii")


def parse_object(text: bytes) -> JsonObject:
    """Return the JSON object that ``text`` is; anything else raises :class:`ValueError`."""
    try:
        value = _decoder.decode(text.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value


def _parse_body(body: bytes) -> JsonObject:
    """Return the object of a payload; like :func:`parse_object`, without a search for blanks that nobody writes."""
    text = body.decode("ascii")
    try:
        value, end = _decoder.raw_decode(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if end != len(text) and text[end:].strip(" "):
        raise ValueError("the payload is longer than its object")
    if type(value) is not dict:
        raise ValueError("the payload is not a JSON object")
    return value


def _sum_of(header: bytes, body: bytes) -> str:
    digest = hashlib.blake2b(header, digest_size=8)
    digest.update(body)
    return digest.hexdigest()


def frame_body(seq: int, prev: str, body: bytes) -> tuple[bytes, str]:
    """Return the line around an encoded payload, with its line feed, and the line's sum."""
    if not 2 <= len(body) <= MAX_PAYLOAD_BYTES:
        raise ValueError(f"a record of {len(body)} bytes is too long: at most {MAX_PAYLOAD_BYTES} can be stored")
    header = b"PBJ1 %d %b %d " % (seq, prev.encode("ascii"), len(body))
    line_sum = _sum_of(header, body)
    return b"%b%b %b\n" % (header, line_sum.encode("ascii"), body), line_sum


def encode_line(seq: int, prev: str, payload: JsonObject) -> bytes:
    """Return the line of a payload, with its line feed."""
    return frame_body(seq, prev, encode_body(payload))[0]


def decode_at(data: bytes, offset: int) -> tuple[Line, int]:
    """Return the line that starts at ``offset`` and the offset behind its payload, where a line feed should be.

    Whatever is no good line raises :class:`ValueError`. The terminator is left to the caller.
    """
    header = _HEADER.match(data, offset)
    if header is None:
        raise ValueError("no record starts here")
    summed, seq, prev, length, line_sum = header.groups()
    start, size = header.end(), int(length)
    end = start + size
    body = data[start:end]
    if len(body) != size or not 2 <= size <= MAX_PAYLOAD_BYTES:
        raise ValueError("the record is shorter than it says")
    proven = _sum_of(summed, body)
    if proven != line_sum.decode():
        raise ValueError("the checksum does not match")
    return Line(int(seq), prev.decode(), proven, _parse_body(body)), end


def last_of_chain(data: bytes) -> Line:
    """Return the last line of a file whose lines all verify and follow each other, the others not decoded.

    Anything else raises :class:`ValueError`.
    """
    offset, seq, prev, last = 0, 0, NO_SUM.encode("ascii"), 0
    while offset < len(data):
        header = _HEADER.match(data, offset)
        if header is None or int(header[2]) != seq or header[3] != prev:
            raise ValueError("a record does not follow the one before it")
        start, last = header.end(), offset
        end = start + int(header[4])
        if data[end : end + 1] != b"\n" or _sum_of(header[1], data[start:end]).encode("ascii") != header[5]:
            raise ValueError("a record does not verify")
        offset, seq, prev = end + 1, seq + 1, header[5]
    return decode_line(data[last:])


def decode_line(line: bytes) -> Line:
    """Return what one whole line says, with or without its line feed; anything else raises :class:`ValueError`."""
    decoded, end = decode_at(line, 0)
    if line[end:] not in (b"", b"\n"):
        raise ValueError("the record is longer than it says")
    return decoded
